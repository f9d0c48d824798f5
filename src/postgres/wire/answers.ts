/**
 * Reads the bodies of the server's messages. Each function throws `postgres.protocol` on what does not fit.
 * Source: PostgreSQL manual, "Message Formats" and "Error and Notice Message Fields".
 */
import { type Lsn, parseLsn, type Timeline } from "../lsn.ts";
import { protocolError } from "./protocol-error.ts";

/** An ErrorResponse or NoticeResponse. `severity` is never translated; `message` may be. */
export type ServerReport = {
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** The function of the server's source that says it; unlike the message, the same in every language. */
  readonly routine?: string | undefined;
};

/** A row of text columns; null is SQL null. */
export type TextRow = readonly (Buffer | null)[];

/** Reads an ErrorResponse or a NoticeResponse. */
export function readReport(body: Buffer): ServerReport {
  const fields = new Map<string, string>();
  let position = 0;
  while (position < body.byteLength && body[position] !== 0) {
    const name = String.fromCharCode(body[position] ?? 0);
    const end = body.indexOf(0, position + 1);
    if (end < 0) throw protocolError("an error report of the server has no end");
    fields.set(name, body.toString("utf8", position + 1, end));
    position = end + 1;
  }
  return {
    severity: fields.get("V") ?? fields.get("S") ?? "ERROR",
    sqlstate: fields.get("C") ?? "XX000",
    message: fields.get("M") ?? "no message",
    detail: fields.get("D"),
    hint: fields.get("H"),
    routine: fields.get("R"),
  };
}

/** Reads a DataRow of text columns. */
export function readRow(body: Buffer): TextRow {
  if (body.byteLength < 2) throw protocolError("a row of the server is too short");
  const count = body.readUInt16BE(0);
  const row: (Buffer | null)[] = [];
  let position = 2;
  for (let column = 0; column < count; column += 1) {
    if (position + 4 > body.byteLength) throw protocolError("a row of the server is too short");
    const length = body.readInt32BE(position);
    position += 4;
    if (length < -1 || position + Math.max(length, 0) > body.byteLength) {
      throw protocolError(`column ${column + 1} of a row claims ${length} bytes, more than the row holds`);
    }
    row.push(length === -1 ? null : body.subarray(position, position + length));
    position += Math.max(length, 0);
  }
  return row;
}

/** Reads the names of the columns of a RowDescription. */
export function readColumns(body: Buffer): readonly string[] {
  if (body.byteLength < 2) throw protocolError("a description of the server's rows is too short");
  const names: string[] = [];
  let position = 2;
  for (let count = body.readUInt16BE(0); count > 0; count -= 1) {
    const { text, next } = readCString(body, position);
    names.push(text);
    position = next + COLUMN_FACTS_BYTES;
  }
  if (position > body.byteLength) throw protocolError("a description of the server's rows is too short");
  return names;
}

/** Behind a column's name: table, number, type, its size and modifier, format. */
const COLUMN_FACTS_BYTES = 18;

/** Reads a zero-terminated text at `position`; `next` is the position behind it. */
export function readCString(body: Buffer, position: number): { readonly text: string; readonly next: number } {
  const end = body.indexOf(0, position);
  if (end < 0) throw protocolError("a text in a message of the server has no end");
  return { text: body.toString("utf8", position, end), next: end + 1 };
}

/** A column that must hold text. `what` names it in the error. */
export function textAt(row: TextRow | undefined, at: { readonly column: number; readonly what: string }): string {
  const value = row?.[at.column];
  if (value === undefined || value === null) throw protocolError(`the server's answer holds no ${at.what}`);
  return value.toString("utf8");
}

/** A column that must hold a whole number of 0 or more that a double holds exactly. */
export function numberAt(row: TextRow | undefined, at: { readonly column: number; readonly what: string }): number {
  const text = textAt(row, at);
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw protocolError(`the server's ${at.what} is "${text}", expected a whole number`);
  }
  return value;
}

/** A column that must hold a timeline, 1 or more. */
export function timelineAt(row: TextRow | undefined, column: number): Timeline {
  const value = numberAt(row, { column, what: "timeline" });
  if (value < 1 || value > 0xffffffff) throw protocolError(`the server's timeline is ${value}, expected 1 or more`);
  return value as Timeline;
}

/** A column that must hold a WAL position. */
export function lsnAt(row: TextRow | undefined, column: number): Lsn {
  return parseLsn(textAt(row, { column, what: "WAL position" }));
}

/** server_version_num from the text of server_version: `16.14 (Debian …)` is 160014, `18beta1` is 180000. */
export function versionNumber(text: string): number {
  const match = /^([0-9]{1,3})(?:\.([0-9]{1,4}))?/.exec(text);
  if (match === null) throw protocolError(`the server's version is "${text}", expected a number`);
  const major = Number(match[1]);
  // Before 10 the second number was part of the major version: 9.6.24 is 90624. Only refused here, so its rest is no matter.
  return major < 10 ? major * 10000 + Number(match[2] ?? 0) * 100 : major * 10000 + Number(match[2] ?? 0);
}
