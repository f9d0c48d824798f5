/**
 * One statement whose rows stay as they came, and whose messages are one write.
 *
 * A statement with a name is parsed and described once on a connection, and then only bound: nothing is planned anew, and the columns
 * are known. Source: PostgreSQL manual, "Extended Query" and "Message Formats".
 */
import type pg from "pg";
import { isPlannedOtherwise } from "./gone.ts";
import type { RawColumn, RawRow, RawRows } from "./json-rows.ts";
import { EXECUTE, messageOf, SYNC } from "./messages.ts";
import type { RawSocket } from "./raw-socket.ts";
import { limitMessages } from "./read-limit.ts";

/** A parameter. */
export type RawValue = string | number | readonly string[] | null;

/** What is asked. */
export type RawQuestion = {
  readonly text: string;
  /** Undefined: it is not kept, as behind a pooler of transactions. */
  readonly name: string | undefined;
  readonly values: readonly RawValue[];
  /** What is set ahead of it; undefined where the session has a limit. */
  readonly limitMs: number | undefined;
  readonly timeoutMs: number;
};

/** Asks a client that has a RawSocket, outside of a transaction. Rejects as node-postgres does. */
export async function readRaw(client: pg.ClientBase, question: RawQuestion): Promise<RawRows> {
  try {
    return await readOnce(client, question);
  } catch (error) {
    if (question.name === undefined || !isPlannedOtherwise(error)) throw error;
    // A column has another type since it was parsed: it is parsed anew, once.
    return await readOnce(client, question);
  }
}

async function readOnce(client: pg.ClientBase, question: RawQuestion): Promise<RawRows> {
  return await new Promise((resolve, reject) => {
    client.query(
      new RawRead(question, (error, rows) => {
        if (rows === undefined) reject(error);
        else resolve(rows);
      }),
    );
  });
}

type Told = (error: unknown, rows?: RawRows) => void;

/** Columns of the statements that a connection keeps, by name. */
const KEPT = new WeakMap<object, Map<string, readonly RawColumn[]>>();

/** node-postgres calls these methods as messages arrive, and wraps `callback` in the limit that `query_timeout` sets. */
class RawRead implements pg.Submittable {
  readonly text: string;
  readonly name: string | undefined;
  readonly query_timeout: number;
  callback: Told;
  readonly #values: readonly RawValue[];
  readonly #limitMs: number | undefined;
  #isLimited: boolean;
  readonly #rows: RawRow[] = [];
  #columns: readonly RawColumn[] | undefined;
  #socket: RawSocket | undefined;

  constructor({ text, name, values, limitMs, timeoutMs }: RawQuestion, told: Told) {
    this.text = text;
    this.name = name;
    this.query_timeout = timeoutMs;
    this.callback = told;
    this.#values = values;
    this.#limitMs = limitMs;
    this.#isLimited = limitMs === undefined;
  }

  submit(connection: pg.Connection): void {
    const socket = connection.stream as RawSocket;
    this.#socket = socket;
    socket.taker = (row) => {
      this.#rows.push(row);
    };
    this.#columns = this.name === undefined ? undefined : KEPT.get(socket)?.get(this.name);
    const limit = this.#limitMs === undefined ? [] : [limitMessages(this.#limitMs)];
    const bind = bindOf(this.name, this.#values);
    socket.write(
      this.#columns === undefined
        ? Buffer.concat([...limit, ...openingOf(this.name, this.text), bind, DESCRIBE, EXECUTE, SYNC])
        : Buffer.concat([...limit, bind, EXECUTE, SYNC]),
    );
  }

  handleRowDescription({ fields }: { readonly fields: readonly pg.FieldDef[] }): void {
    this.#columns = fields.map(({ name, dataTypeID: typeId }) => ({ name, typeId }));
  }

  handleCommandComplete(): void {
    if (!this.#isLimited) {
      this.#isLimited = true;
      return;
    }
    if (this.name === undefined || this.#columns === undefined || this.#socket === undefined) return;
    const kept = KEPT.get(this.#socket) ?? new Map<string, readonly RawColumn[]>();
    kept.set(this.name, this.#columns);
    KEPT.set(this.#socket, kept);
  }

  handleReadyForQuery(): void {
    this.#end();
    this.callback(null, { columns: this.#columns ?? [], rows: this.#rows });
  }

  handleError(error: unknown): void {
    this.#end();
    if (this.#socket !== undefined && this.name !== undefined) KEPT.get(this.#socket)?.delete(this.name);
    this.callback(error);
  }

  #end(): void {
    if (this.#socket !== undefined) this.#socket.taker = undefined;
  }
}

/** Describe of the unnamed portal. */
const DESCRIBE = Buffer.from("D\0\0\0\x06P\0", "latin1");

/** Close before Parse: a statement that was parsed, but could not be bound the first time, is there already. */
function* openingOf(name: string | undefined, text: string): Generator<Buffer> {
  if (name !== undefined) yield messageOf("C", `S${name}\0`);
  yield messageOf("P", `${name ?? ""}\0${text}\0\0\0`);
}

/** Bind to the unnamed portal: all parameters and all results as text. */
function bindOf(name = "", values: readonly RawValue[]): Buffer {
  const texts = values.map(textOfValue);
  let length = 5 + 1 + name.length + 1 + 2 + 2 + 2;
  for (const text of texts) length += 4 + (text === null ? 0 : Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(length);
  bytes[0] = 0x42;
  let at = bytes.writeUInt32BE(length - 1, 1);
  bytes[at++] = 0;
  at += bytes.write(name, at, "latin1");
  bytes[at++] = 0;
  at = bytes.writeUInt16BE(0, at);
  at = bytes.writeUInt16BE(texts.length, at);
  for (const text of texts) {
    if (text === null) {
      at = bytes.writeInt32BE(-1, at);
      continue;
    }
    const written = bytes.write(text, at + 4);
    bytes.writeInt32BE(written, at);
    at += 4 + written;
  }
  bytes.writeUInt16BE(0, at);
  return bytes;
}

function textOfValue(value: RawValue): string | null {
  if (value === null || typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  return `{${value.map((each) => `"${each.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
