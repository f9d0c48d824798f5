/** Messages of the extended query protocol. Pure. Source: PostgreSQL manual, "Message Formats". */

/** Execute of the unnamed portal without a limit of rows. */
export const EXECUTE = Buffer.from("E\0\0\0\x09\0\0\0\0\0", "latin1");
/** What follows is another transaction, unless one was begun by name. */
export const SYNC = Buffer.from("S\0\0\0\x04", "latin1");

/** One message. */
export function messageOf(kind: string, body: string): Buffer {
  const length = Buffer.byteLength(body);
  const bytes = Buffer.allocUnsafe(5 + length);
  bytes.write(kind, 0, "latin1");
  bytes.writeUInt32BE(4 + length, 1);
  bytes.write(body, 5);
  return bytes;
}
