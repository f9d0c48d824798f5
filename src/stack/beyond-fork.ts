/**
 * What a node has that the primary does not know: the commits in its WAL beyond the fork, counted before they are written over.
 *
 * A probe's write is no client's: its transaction holds a logical message and nothing else, and is not counted.
 */
import path from "node:path";
import type { Files } from "../platform/files.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import { type Lsn, lsnAdd } from "../postgres/lsn.ts";
import { RMGR_XACT } from "../wal/records/cursor.ts";
import { decodeEvent } from "../wal/records/events.ts";
import { scanRecords, type WalSource } from "../wal/records/reader.ts";

/** What was found. */
export type BeyondFork = { readonly fork: Lsn; readonly end: Lsn; readonly commits: number };

/** Source: src/include/access/rmgrlist.h, the same from 15 to 18. */
const RMGR_LOGICAL_MESSAGE = 21;

/** An old primary that went on alone is stopped long before; reading this much takes seconds. */
const BYTES_MAX = 1024 * 1024 * 1024;

/** Counts. Undefined where there is more than is read. Rejects as reading files does. */
export async function lookBeyondFork(
  files: Pick<Files, "readFile">,
  dataFolder: string,
  { timelineAt, fork, walSegmentBytes }: Pick<WalSource, "timelineAt" | "walSegmentBytes"> & { readonly fork: Lsn },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<BeyondFork | undefined> {
  const source: WalSource = {
    walSegmentBytes,
    timelineAt,
    readSegment: (name) => readIfThere(files, path.join(dataFolder, "pg_wal", name)),
  };
  const limit = lsnAdd(fork, BYTES_MAX);
  // Of each transaction under way: whether it has done more than say something.
  const messagesOnly = new Set<number>();
  const doing = new Set<number>();
  let commits = 0;
  const { last, reason } = await scanRecords(
    source,
    { from: fork, limit },
    (cursor) => {
      const { rmgr, xid } = cursor;
      if (rmgr === RMGR_LOGICAL_MESSAGE) messagesOnly.add(xid);
      else if (rmgr !== RMGR_XACT) doing.add(xid);
      const event = decodeEvent(cursor);
      if (event?.kind !== "commit") return undefined;
      const said = messagesOnly.has(event.xid) && !doing.has(event.xid) && event.subtransactions.length === 0;
      if (!said) commits += 1;
      messagesOnly.delete(event.xid);
      doing.delete(event.xid);
      return undefined;
    },
    options,
  );
  return reason === "limit" ? undefined : { fork, end: last?.end ?? fork, commits };
}
