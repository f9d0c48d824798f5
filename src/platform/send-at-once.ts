/**
 * Sends to a socket past Node's queue.
 *
 * Between the disk and a commit that waits for it, the way through the queue of a stream takes as long as a quarter of a sync
 * (docs/measurements.md, "Receiving WAL"); for most messages that is nothing, for a confirmation it is.
 */
import { writeSync } from "node:fs";
import type { Socket } from "node:net";

/**
 * Sends what the operating system takes at once; returns how many bytes that were. None when others wait before these, when the
 * socket is not there (any more), or when Node.js hides its descriptor: the caller then writes as usual, and meets the reason.
 * Only for a socket that is not encrypted.
 */
export function sendAtOnce(socket: Socket, bytes: Buffer): number {
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined || socket.writableLength > 0 || "encrypted" in socket) return 0;
  try {
    return writeSync(descriptor, bytes);
  } catch {
    return 0;
  }
}

/** Node.js has no public name for it. */
function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return undefined;
  const descriptor: unknown = Reflect.get(handle, "fd");
  return typeof descriptor === "number" && descriptor >= 0 ? descriptor : undefined;
}
