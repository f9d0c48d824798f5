/**
 * What an earlier process left of a segment, taken over by the one that goes on with it.
 *
 * A mark vouches for the bytes since the one before; those that were synced long ago have no checksum but their records'. A sector
 * that the disk lost meanwhile would go into the vault, and recovery would take it for the end of the WAL.
 */
import type { FileHandle } from "../platform/files.ts";
import { turnOfOthers } from "../platform/timer.ts";
import { type Lsn, lsnDistance } from "../postgres/lsn.ts";
import { RecordCursor } from "./records/cursor.ts";
import { walkSegment } from "./records/reader.ts";
import type { PartialPlace } from "./spool-marks.ts";

/** Bytes written again at a time, whole pages: a segment may have 1 GiB, and this process the memory of a small container. */
const PIECE_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(PIECE_BYTES);

/**
 * Writes the bytes that count again: after a sync that failed, the kernel may take the pages for clean and a second sync would succeed
 * without having written them. Tells where a record begins that is damaged; undefined when none is. Others have turns meanwhile.
 */
export async function writeAgain(
  handle: Pick<FileHandle, "read" | "write">,
  { start, timeline, walSegmentBytes }: PartialPlace,
  filledBytes: number,
): Promise<Lsn | undefined> {
  const cursor = new RecordCursor({ from: Number(start), walSegmentBytes });
  let isWhole = true;
  let isOver = false;
  for (let position = 0; position < filledBytes; position += PIECE_BYTES) {
    const piece = await handle.read({ position, length: Math.min(PIECE_BYTES, filledBytes - position) });
    await handle.write(piece, position);
    if (isOver) continue;
    cursor.feed(piece, timeline, position);
    const outcome = await walkSegment(cursor, () => undefined, { pause: turnOfOthers });
    isWhole = outcome !== "end" || cursor.endReason === "no-more-bytes";
    isOver = outcome !== "end" || !isWhole;
  }
  if (isWhole) return undefined;
  const at = BigInt(cursor.position) as Lsn;
  return (await isZero(handle, { from: lsnDistance({ from: start, to: at }), to: filledBytes })) ? undefined : at;
}

async function isZero(handle: Pick<FileHandle, "read">, stretch: { from: number; to: number }): Promise<boolean> {
  for (let position = stretch.from; position < stretch.to; position += PIECE_BYTES) {
    const piece = await handle.read({ position, length: Math.min(PIECE_BYTES, stretch.to - position) });
    if (!piece.equals(ZEROS.subarray(0, piece.byteLength))) return false;
  }
  return true;
}
