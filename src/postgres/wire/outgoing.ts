/**
 * The messages we send. Source: PostgreSQL manual, "Message Formats".
 */
import { assert } from "../../errors/error.ts";

const PROTOCOL_3_0 = 196608;
const SSL_REQUEST = 80877103;

/** Asks whether the server speaks TLS on this port; it answers with one byte. */
export function sslRequest(): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(8, 0);
  bytes.writeInt32BE(SSL_REQUEST, 4);
  return bytes;
}

/** Opens a session with these parameters (`user`, `replication`, `application_name` and the like). */
export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const texts = Object.entries(parameters).flatMap(([name, value]) => [cString(name), cString(value)]);
  const body = Buffer.concat([...texts, Buffer.alloc(1)]);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.byteLength, 0);
  head.writeInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, body]);
}

/** PasswordMessage: a password or an md5 answer. */
export function password(text: string): Buffer {
  return message("p", cString(text));
}

/** SASLInitialResponse. */
export function saslInitial(mechanism: string, response: string): Buffer {
  const data = Buffer.from(response, "utf8");
  const length = Buffer.alloc(4);
  length.writeInt32BE(data.byteLength, 0);
  return message("p", Buffer.concat([cString(mechanism), length, data]));
}

/** SASLResponse. */
export function saslResponse(response: string): Buffer {
  return message("p", Buffer.from(response, "utf8"));
}

/** A simple query, or a replication command. */
export function query(text: string): Buffer {
  return message("Q", cString(text));
}

/** What goes before so many bytes of CopyData. */
export function copyDataHead(sizeBytes: number): Buffer {
  const head = Buffer.alloc(5);
  head.write("d", 0, "latin1");
  head.writeInt32BE(4 + sizeBytes, 1);
  return head;
}

/** CopyDone. */
export function copyDone(): Buffer {
  return message("c", Buffer.alloc(0));
}

/** Terminate. */
export function terminate(): Buffer {
  return message("X", Buffer.alloc(0));
}

/** A string literal of a replication command: quotes are doubled, backslashes mean themselves. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A quoted identifier of a replication command. */
export function quoteIdentifier(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

function message(type: string, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(5 + body.byteLength);
  bytes.write(type, 0, "latin1");
  bytes.writeInt32BE(4 + body.byteLength, 1);
  body.copy(bytes, 5);
  return bytes;
}

function cString(text: string): Buffer {
  // A zero byte would end the text early and turn its rest into another parameter or message.
  assert(!text.includes("\0"), "text sent to a server holds no zero byte");
  return Buffer.from(`${text}\0`, "utf8");
}
