/**
 * The table the probe writes to, and what a write puts there.
 *
 * Invariants: what a write puts there follows from client and sequence number alone, so that it can be proven byte by byte;
 * every row belongs to the run that wrote it, so that runs do not see one another's.
 */
import { createHash } from "node:crypto";
import type pg from "pg";
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { formatInstant } from "../platform/clock.ts";
import { Prng } from "../platform/prng.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { withSession } from "../postgres/session.ts";

/** The table's name; it lies beside what else is in the database and is nobody else's. */
export const WRITE_TABLE = "lifeboat_probe";

/** Bytes of a record's checksum: SHA-256 cut to 128 bits, against accidents and not against malice. */
export const CHECKSUM_BYTES = 16;

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What an acknowledgement means there. */
export type Acknowledgement = {
  /** The setting of that name: below `on`, an acknowledged write may be lost with the server alone. */
  readonly synchronousCommit: string;
};

/**
 * Makes the table where it is not there yet. Rejects as `withSession` does, and with `probe.warnings-hidden` where a
 * cancelled wait for a confirmer would not be told (rule B11).
 */
export async function makeWriteTable(connect: ConnectOptions, { signal }: CallOptions): Promise<Acknowledgement> {
  const make = `CREATE TABLE IF NOT EXISTS ${WRITE_TABLE} (
    client    text        NOT NULL,
    sequence  bigint      NOT NULL,
    payload   text        NOT NULL,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (client, sequence)
  )`;
  const ask =
    "SELECT current_setting('synchronous_commit') AS commit, current_setting('client_min_messages') AS messages";
  return await withSession({
    connect,
    signal,
    step: `making the table ${WRITE_TABLE}`,
    work: async (client) => {
      const { rows } = await client.query<{ commit: string; messages: string }>(ask);
      const { commit = "", messages = "" } = rows[0] ?? {};
      if (messages === "error") throw warningsHidden(connect);
      await client.query(make);
      return { synchronousCommit: commit };
    },
  });
}

/** Removes the rows of a run. Rejects as `withSession` does. */
export async function removeRows(connect: ConnectOptions, clientId: string, { signal }: CallOptions): Promise<void> {
  const statement = { text: `DELETE FROM ${WRITE_TABLE} WHERE client = $1`, values: [clientId] };
  const step = `removing the probe's rows from ${WRITE_TABLE}`;
  await withSession({ connect, signal, step, work: (client) => client.query(statement) });
}

function warningsHidden({ user }: ConnectOptions): LifeboatError {
  return new LifeboatError("probe.warnings-hidden", {
    message: `client_min_messages is error for ${user}: PostgreSQL's warning that a commit is on the primary alone would not arrive`,
    remedy: `ALTER ROLE "${user}" RESET client_min_messages, and look for it in the database's and the server's settings.`,
  });
}

/** One write. */
export type WriteKey = { readonly clientId: string; readonly sequence: number };

/** The statement of a write; one statement, so the commit is part of it. Unnamed: a pooler may change servers in between. */
export function insertOf(key: WriteKey, issuedAt: Instant): pg.QueryConfig<(string | number)[]> {
  return {
    text: `INSERT INTO ${WRITE_TABLE} (client, sequence, payload, issued_at) VALUES ($1, $2, $3, $4)`,
    values: [key.clientId, key.sequence, payloadOf(key), formatInstant(issuedAt)],
  };
}

/** The statement of a read. */
export function selectOf(key: WriteKey): pg.QueryConfig<(string | number)[]> {
  const text = `SELECT payload FROM ${WRITE_TABLE} WHERE client = $1 AND sequence = $2`;
  return { text, values: [key.clientId, key.sequence] };
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
