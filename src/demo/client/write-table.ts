/**
 * The table the client writes to, and what a write puts there.
 *
 * Invariant: what a write puts there follows from client and sequence number alone, so that it can be proven byte by byte.
 */
import { createHash } from "node:crypto";
import type pg from "pg";
import type { Instant } from "../../platform/clock.ts";
import { formatInstant } from "../../platform/clock.ts";
import type { ConnectOptions } from "../../postgres/replication.ts";
import { Prng } from "../catalog-data/prng.ts";
import { withSession } from "../session.ts";

/** The table's name; it lies beside the catalogue and is nobody else's. */
export const WRITE_TABLE = "lifeboat_demo_writes";

/** Bytes of a record's checksum: SHA-256 cut to 128 bits, against accidents and not against malice. */
export const CHECKSUM_BYTES = 16;

/** Makes the table where it is not there yet. Rejects as `withSession` does. */
export async function makeWriteTable(
  connect: ConnectOptions,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const sql = `CREATE TABLE IF NOT EXISTS ${WRITE_TABLE} (
    sequence  bigint      PRIMARY KEY,
    client    text        NOT NULL,
    payload   text        NOT NULL,
    issued_at timestamptz NOT NULL
  )`;
  await withSession({ connect, signal, step: `making the table ${WRITE_TABLE}`, work: (client) => client.query(sql) });
}

/** One write. */
export type WriteKey = { readonly clientId: string; readonly sequence: number };

/** The statement of a write; one statement, so the commit is part of it. */
export function insertOf(key: WriteKey, issuedAt: Instant): pg.QueryConfig<(string | number)[]> {
  return {
    name: "lifeboat_demo_write",
    text: `INSERT INTO ${WRITE_TABLE} (sequence, client, payload, issued_at) VALUES ($1, $2, $3, $4)`,
    values: [key.sequence, key.clientId, payloadOf(key), formatInstant(issuedAt)],
  };
}

/** What a write stores: an order line of some 200 bytes. */
export function payloadOf({ clientId, sequence }: WriteKey): string {
  const random = new Prng(sequence, Number.parseInt(clientId.slice(0, 8), 16) | 0);
  return JSON.stringify({
    order: `SO-${clientId.slice(0, 6)}-${String(sequence).padStart(8, "0")}`,
    lines: Array.from({ length: 1 + random.below(3) }, () => ({
      sku: `${random.pick(SHOPS)}-${random.next().toString(36).toUpperCase()}`,
      quantity: 1 + random.below(5),
      unitPrice: Number(`${random.below(400)}.${random.pick(["99", "95", "50"])}`),
    })),
    delivery: random.pick(DELIVERIES),
    reference: random.next().toString(16),
  });
}

/** The checksum of a row as it should be, or as it was read back. */
export function checksumOf(row: WriteKey & { readonly payload: string }): Buffer {
  const hash = createHash("sha256").update(`${row.clientId}\n${row.sequence}\n${row.payload}`);
  return hash.digest().subarray(0, CHECKSUM_BYTES);
}

const SHOPS = ["KLE", "ORL", "TH", "MM", "LGO", "PP"];
const DELIVERIES = ["standard", "express", "collect in shop", "locker", "evening"];
