/**
 * The proof: every acknowledged write is looked up on the server and compared byte by byte.
 */
import type pg from "pg";
import { assert, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { startTimer } from "../platform/timer.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { breakOff, withSession } from "../postgres/session.ts";
import { readLedger } from "./ledger.ts";
import type { ProbeReport } from "./measurements.ts";
import { rangesHold } from "./sequences.ts";
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

/** What became of the writes that were not acknowledged. */
export type Judgement = {
  /** Of unknown outcome: there, or not there. Both are right. */
  readonly unknownPresent: number;
  readonly unknownAbsent: number;
  /** There, though they were never sent or refused: somebody calls failed what is not. */
  readonly failedPresent: readonly number[];
  /** There, though they were never due: another probe writes as this one. */
  readonly strangers: readonly number[];
};

/** Holds what was read back against what the probe said of each write. Pure. */
export function judgeUnexpected(
  { unexpected }: Pick<ReadBack, "unexpected">,
  report: Pick<ProbeReport, "unknownRanges" | "unknownLeftOutCount" | "refusedRanges"> & {
    readonly writes: Pick<ProbeReport["writes"], "arrivedCount" | "unknownCount">;
  },
): Judgement {
  const { arrivedCount, unknownCount } = report.writes;
  const [due, strangers] = [unexpected.filter((n) => n <= arrivedCount), unexpected.filter((n) => n > arrivedCount)];
  // Where not all of unknown outcome are known by number, only those surely failed that the server refused.
  const hasFailed = (sequence: number): boolean =>
    report.unknownLeftOutCount === 0
      ? !rangesHold(report.unknownRanges, sequence)
      : rangesHold(report.refusedRanges, sequence);
  const failedPresent = due.filter(hasFailed);
  const unknownPresent = due.length - failedPresent.length;
  return { unknownPresent, unknownAbsent: Math.max(0, unknownCount - unknownPresent), failedPresent, strangers };
}

/** Half a megabyte a page. */
const PAGE_ROWS = 2_000;
/** A page is read by primary key; a server that needs longer is not healthy. */
const PAGE_TIMEOUT_MS = 30_000;

/**
 * Compares the server with the ledger. Rejects with `probe.ledger-damaged`, `probe.reads-standby`, `platform.file-missing`, or as
 * `withSession` does; a table that is not there holds no rows, so that everything is missing.
 */
export async function readBack(files: Files, request: ReadBackRequest): Promise<ReadBack> {
  const ledger = await readLedger(files, request.ledgerFile);
  const expected = new Map(ledger.records.map((record) => [record.sequence, record.checksum]));
  assert(expected.size === ledger.records.length, "the ledger holds each sequence number once");
  const damaged: number[] = [];
  const unexpected: number[] = [];
  const acknowledged = expected.size;
  let present = 0;
  await forEachRow(ledger.clientId, request, (row) => {
    const checksum = expected.get(row.sequence);
    expected.delete(row.sequence);
    if (checksum === undefined) unexpected.push(row.sequence);
    else if (checksumOf({ ...row, clientId: ledger.clientId }).equals(checksum)) present += 1;
    else damaged.push(row.sequence);
  });
  return { acknowledged, present, missing: [...expected.keys()].toSorted((a, b) => a - b), damaged, unexpected };
}

type Row = { readonly sequence: number; readonly payload: string };

/** Over a session without settings of its own: behind a pooler, a setting would stay with the session of somebody else. */
async function forEachRow(
  clientId: string,
  { connect, signal }: ReadBackRequest,
  take: (row: Row) => void,
): Promise<void> {
  const step = `reading the probe's rows from ${WRITE_TABLE}`;
  await withSession({ connect, signal, step, work: (session) => readPages(session, clientId, take) });
}

async function readPages(session: pg.Client, clientId: string, take: (row: Row) => void): Promise<void> {
  const look = "SELECT to_regclass($1)::text AS name, pg_is_in_recovery() AS standby";
  const [table] = await page<{ name: string | null; standby: boolean }>(session, { text: look, values: [WRITE_TABLE] });
  if (table?.standby === true) throw readsStandby();
  if (table === undefined || table.name === null) return;
  // By the column, not by the text made of it: "1000" is less than "999".
  const text = `SELECT w.sequence::text AS sequence, w.payload FROM ${WRITE_TABLE} w WHERE w.client = $1 AND w.sequence > $2 ORDER BY w.sequence LIMIT ${PAGE_ROWS}`;
  let after = 0;
  for (;;) {
    const rows = await page<{ sequence: string; payload: string }>(session, { text, values: [clientId, after] });
    for (const row of rows) {
      after = Number(row.sequence);
      take({ sequence: after, payload: row.payload });
    }
    if (rows.length < PAGE_ROWS) return;
  }
}

/** What a standby shows proves nothing: it may lack what was acknowledged, and have what nobody will have. */
function readsStandby(): LifeboatError {
  return new LifeboatError("probe.reads-standby", {
    message: "the server is a standby: what it shows of acknowledged writes is neither all nor for sure",
    remedy: "Read back from the primary, best through the pooler.",
    retryable: true,
  });
}

async function page<R extends pg.QueryResultRow>(
  session: pg.Client,
  query: pg.QueryConfig<(string | number)[]>,
): Promise<readonly R[]> {
  const cancel = startTimer(PAGE_TIMEOUT_MS, () => breakOff(session));
  try {
    return (await session.query<R>(query)).rows;
  } finally {
    cancel();
  }
}
