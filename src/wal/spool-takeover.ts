/**
 * What an earlier process left of a segment, taken over by the one that goes on with it.
 *
 * A mark vouches for the bytes since the one before; those that were synced long ago have no checksum but their records'. A sector
 * that the disk lost meanwhile would go into the vault, and recovery would take it for the end of the WAL.
 */
import type { FileHandle } from "../platform/files.ts";
import { type Lsn, lsnDistance } from "../postgres/lsn.ts";
import { RecordCursor } from "./records/cursor.ts";
import { walkSegment } from "./records/reader.ts";
import type { PartialPlace } from "./spool-marks.ts";

/** Bytes written again at a time. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Writes the bytes that count again: after a sync that failed, the kernel may take the pages for clean and a second sync would succeed
 * without having written them. Tells where a record begins that is damaged; undefined when none is.
 */
export async function writeAgain(
  handle: Pick<FileHandle, "read" | "write">,
  place: PartialPlace,
  filledBytes: number,
): Promise<Lsn | undefined> {
  const bytes = Buffer.alloc(filledBytes);
  for (let position = 0; position < filledBytes; position += PIECE_BYTES) {
    const piece = await handle.read({ position, length: Math.min(PIECE_BYTES, filledBytes - position) });
    await handle.write(piece, position);
    piece.copy(bytes, position);
  }
  return await damagedRecord(bytes, place);
}

async function damagedRecord(
  bytes: Buffer,
  { start, timeline, walSegmentBytes }: PartialPlace,
): Promise<Lsn | undefined> {
  const cursor = new RecordCursor({ from: Number(start), walSegmentBytes });
  cursor.feed(bytes, timeline);
  const outcome = await walkSegment(cursor, () => undefined);
  if (outcome !== "end" || cursor.endReason === "no-more-bytes") return undefined;
  const at = BigInt(cursor.position) as Lsn;
  const rest = bytes.subarray(lsnDistance({ from: start, to: at }));
  return rest.every((byte) => byte === 0) ? undefined : at;
}
