/**
 * Whether the WAL of an image's own range copies a database by its files in a way that replay cannot repeat, see records/copied-folders.ts.
 *
 * What the receiver has walked tells where such records lie, and as a rule that there is none: then only the WAL that it has not walked yet
 * is read, a segment or two. Else all is read from the first of them on, a segment at a time.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, lsnMax } from "../postgres/lsn.ts";
import { getHistory } from "../vault/wal-store.ts";
import type { WalSources } from "./get.ts";
import { lineageOf, parseHistory } from "./history.ts";
import { CopiedFolders, lastSegmentEnd, type UnsoundCopy } from "./records/copied-folders.ts";
import { scanRecords } from "./records/reader.ts";
import { type Stretch, stretchSource, walkedOf } from "./stretch.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * The first unsound copy in the WAL from an image's start to its end, all of which is held; undefined when there is none. Throws
 * `backup.wal-not-covered` where that WAL does not read on.
 */
export async function unsoundCopyIn(
  sources: WalSources,
  walSegmentBytes: number,
  image: Stretch,
  options: CallOptions,
): Promise<UnsoundCopy | undefined> {
  const from = await firstDoubt(sources, image);
  if (from >= image.to) return undefined;
  const { systemId, timeline } = image;
  const history = timeline === 1 ? undefined : await getHistory(sources.vault, { systemId, timeline }, options);
  const lineage = lineageOf(timeline, history === undefined ? [] : parseHistory(timeline, history));
  const source = stretchSource(sources, { lineage, walSegmentBytes }, options);
  // To the end of the segment in which the image ends, which is read anyway.
  const limit = lastSegmentEnd(image.to, walSegmentBytes);
  const copied = new CopiedFolders(image.to);
  const { at, reason } = await scanRecords(source, { from, limit }, (cursor) => copied.visit(cursor), options);
  if (at < image.to) throw unreadable(at, reason);
  return copied.unsound();
}

/** From where on the image's WAL has to be read. */
async function firstDoubt(sources: WalSources, image: Stretch): Promise<Lsn> {
  const walked = await walkedOf(sources, image);
  if (walked === undefined || walked.copiesFrom > image.from) return image.from;
  const first = walked.copies.find((lsn) => lsn >= image.from && lsn < image.to);
  return first ?? lsnMax(image.from, walked.to);
}

function unreadable(at: Lsn, reason: string): LifeboatError {
  return new LifeboatError("backup.wal-not-covered", {
    message: `the WAL that this backup needs does not read on at ${formatLsn(at)}: ${reason}`,
    remedy: "See `lifeboat wal status`, mend what it complains of, and take the backup again.",
    retryable: true,
  });
}
