/**
 * The proof: every acknowledged write is looked up on the server and compared byte by byte.
 */
import { assert } from "../../errors/error.ts";
import type { Files } from "../../platform/files.ts";
import { openQuery, type QueryRow } from "../../postgres/query-connection.ts";
import type { ConnectOptions } from "../../postgres/replication.ts";
import { readLedger } from "./ledger.ts";
import { checksumOf, WRITE_TABLE } from "./write-table.ts";

/** What the server holds of what it acknowledged. `acknowledged` = `present` + missing + damaged. */
export type ReadBack = {
  readonly acknowledged: number;
  /** Acknowledged writes whose row is there, unchanged. */
  readonly present: number;
  /** Sequence numbers of acknowledged writes without a row. */
  readonly missing: readonly number[];
  /** Sequence numbers of acknowledged writes whose row differs from what was written. */
  readonly damaged: readonly number[];
  /** Sequence numbers of rows that were not acknowledged: unknown ones that made it. */
  readonly unexpected: readonly number[];
};

/** What to read back. */
export type ReadBackRequest = {
  readonly connect: ConnectOptions;
  readonly ledgerFile: string;
  readonly signal?: AbortSignal | undefined;
};

/** Half a megabyte a page. */
const PAGE_ROWS = 2_000;
/** A page is read by primary key; a server that needs longer is not healthy. */
const PAGE_TIMEOUT_MS = 30_000;

/**
 * Compares the server with the ledger. Rejects with `demo.ledger-damaged`, `platform.file-missing`, or as `openQuery` does;
 * a table that is not there holds no rows, so that everything is missing.
 */
export async function readBack(files: Files, request: ReadBackRequest): Promise<ReadBack> {
  const ledger = await readLedger(files, request.ledgerFile);
  const expected = new Map(ledger.records.map((record) => [record.sequence, record.checksum]));
  assert(expected.size === ledger.records.length, "the ledger holds each sequence number once");
  const damaged: number[] = [];
  const unexpected: number[] = [];
  const acknowledged = expected.size;
  let present = 0;
  for await (const row of rowsOf(ledger.clientId, request)) {
    const checksum = expected.get(row.sequence);
    expected.delete(row.sequence);
    if (checksum === undefined) unexpected.push(row.sequence);
    else if (checksumOf({ ...row, clientId: ledger.clientId }).equals(checksum)) present += 1;
    else damaged.push(row.sequence);
  }
  return { acknowledged, present, missing: [...expected.keys()].toSorted((a, b) => a - b), damaged, unexpected };
}

type Row = { readonly sequence: number; readonly payload: string };

async function* rowsOf(clientId: string, { connect, signal }: ReadBackRequest): AsyncIterable<Row> {
  const connection = await openQuery(connect, { signal });
  const limits = { signal, timeoutMs: PAGE_TIMEOUT_MS };
  try {
    const table = await connection.query("SELECT to_regclass($1)::text AS name", [WRITE_TABLE], limits);
    if (table[0]?.["name"] === null) return;
    let after = 0;
    for (;;) {
      // By the column, not by the text made of it: "1000" is less than "999".
      const sql = `SELECT w.sequence::text AS sequence, w.payload FROM ${WRITE_TABLE} w WHERE w.client = $1 AND w.sequence > $2 ORDER BY w.sequence LIMIT ${PAGE_ROWS}`;
      const page = await connection.query(sql, [clientId, after], limits);
      for (const raw of page) {
        const row = rowOf(raw);
        after = row.sequence;
        yield row;
      }
      if (page.length < PAGE_ROWS) return;
    }
  } finally {
    await connection.close();
  }
}

function rowOf(raw: QueryRow): Row {
  return { sequence: Number(raw["sequence"]), payload: String(raw["payload"]) };
}
