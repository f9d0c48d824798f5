/**
 * Lays the WAL of a plan into pg_wal, each segment checked before it is written.
 *
 * Not synced: a folder that is being restored cannot start before its control file is written, and all file systems of it are
 * synced before that.
 */
import path from "node:path";
import { throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { severalAtOnce } from "../platform/several-at-once.ts";
import { historyName, type Lsn } from "../postgres/lsn.ts";
import { type CreatedTablespace, tablespacesIn } from "../wal/records/tablespaces.ts";
import type { Owner } from "./file-set.ts";
import { laidSegments, type RestorePlan } from "./plan.ts";
import { fetchPlanned, gone, recordsOf } from "./planned-wal.ts";
import type { RestoreWal } from "./restore-wal.ts";

/** Segments fetched and written at a time: 16 MiB each by default, twice that in memory. */
const SEGMENTS_AT_A_TIME = 2;

/** PostgreSQL looks only whether a history is there to take another timeline id; what is read of this one is a comment. */
const CLOSED = Buffer.from("# lifeboat: the history of this timeline does not open in the vault\n");

export type WalLayerTools = {
  readonly files: Files;
  readonly wal: RestoreWal;
  readonly owner: Owner | undefined;
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  /** Told of each tablespace that the WAL creates outside of the data directory; what it rejects with ends the laying. */
  readonly onTablespace: (created: CreatedTablespace) => Promise<void>;
  /** Shown each segment. */
  readonly onPassing: (segment: { readonly start: Lsn; readonly bytes: Buffer }) => void;
};

/**
 * Writes every history, the name of each that does not open, and every planned segment that is not fed, into `folder`, which is there. Whoever calls it syncs that
 * folder's file system. Throws `wal.segment-missing` or `wal.segment-damaged`.
 */
export async function layWal(
  tools: WalLayerTools,
  plan: RestorePlan,
  folder: string,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for (const timeline of plan.histories) {
    const content = await tools.wal.history(timeline, options);
    // Left out, it would let the server begin a timeline that there is already (safety rule B10).
    if (content === undefined) throw gone(`the history of timeline ${timeline}`);
    await put(tools, path.join(folder, historyName(timeline)), [content]);
  }
  for (const timeline of plan.closedHistories) await put(tools, path.join(folder, historyName(timeline)), [CLOSED]);
  const segments = [...laidSegments(plan)];
  const totalBytes = segments.length * plan.walSegmentBytes;
  const source = recordsOf(plan, tools.wal);
  let doneBytes = 0;
  await severalAtOnce(segments, SEGMENTS_AT_A_TIME, async (segment) => {
    throwIfAborted(options.signal, "laying WAL");
    const bytes = await fetchPlanned(tools.wal, plan, segment, options);
    const created = await tablespacesIn(source, { start: segment.start, bytes }, options);
    for (const each of created) await tools.onTablespace(each);
    tools.onPassing({ start: segment.start, bytes });
    const padding = Buffer.alloc(plan.walSegmentBytes - bytes.byteLength);
    await put(tools, path.join(folder, segment.name), [bytes, padding]);
    doneBytes += plan.walSegmentBytes;
    tools.onProgress({ doneBytes, totalBytes });
  });
}

async function put({ files, owner }: WalLayerTools, file: string, parts: readonly Buffer[]): Promise<void> {
  const sizeBytes = parts.reduce((bytes, each) => bytes + each.byteLength, 0);
  let position = 0;
  await files.remove(file);
  await files.makeFile(file, { sizeBytes, permissions: 0o600, owner });
  const handle = await files.open(file, "update");
  try {
    // In the pool of threads: this one hands out what is to be opened.
    for (const data of parts) {
      await handle.write(data, position);
      position += data.byteLength;
    }
  } finally {
    await handle.close();
  }
}
