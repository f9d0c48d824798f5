/**
 * Descriptors of files that are none of the machine's (in memory, or failing on command), for whoever writes by descriptors. They
 * hold in the thread that made them: what is to be seen of writes by threads is seen where no thread was worth its start.
 */

/** Writes all of `data`, or throws what has an errno for its code. */
export type SharedWrite = (data: Uint8Array, position: number) => void;

const writes = new Map<number, SharedWrite>();
/** No descriptor of the machine is below zero. */
let last = -1;

/** A descriptor for a file that is written so, until `unshareFile`. */
export function shareFile(write: SharedWrite): number {
  last -= 1;
  writes.set(last, write);
  return last;
}

/** From here on the descriptor is nobody's, as one that was closed. Repeatable. */
export function unshareFile(descriptor: number | undefined): void {
  if (descriptor !== undefined) writes.delete(descriptor);
}

/** How this descriptor is written; undefined for one of the machine's. Throws EBADF for one that is nobody's any more. */
export function sharedWriteOf(descriptor: number): SharedWrite | undefined {
  const write = writes.get(descriptor);
  if (write === undefined && descriptor < 0) throw Object.assign(new Error("it was closed"), { code: "EBADF" });
  return write;
}
