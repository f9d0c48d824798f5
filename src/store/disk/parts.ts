/**
 * Parts of an object, made few enough to be written one by one.
 */

/** A part of at least this size is written as it is: one system call for it costs less than a copy. */
const PART_LARGE_BYTES = 64 * 1024;

/** Small neighbours are copied together up to this size, so that a thousand frames do not become a thousand writes. */
const MERGED_BYTES_MAX = 1024 * 1024;

/** The same bytes in fewer parts. Large parts are handed on, not copied; empty ones go away. */
export function mergeSmallParts(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const merged: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  let smallBytes = 0;
  const flush = (): void => {
    if (small.length > 0) merged.push(small.length === 1 && small[0] !== undefined ? small[0] : Buffer.concat(small));
    small = [];
    smallBytes = 0;
  };
  for (const part of parts) {
    if (part.byteLength === 0) continue;
    if (part.byteLength >= PART_LARGE_BYTES || smallBytes + part.byteLength > MERGED_BYTES_MAX) flush();
    if (part.byteLength >= PART_LARGE_BYTES) {
      merged.push(part);
    } else {
      small.push(part);
      smallBytes += part.byteLength;
    }
  }
  flush();
  return merged;
}
