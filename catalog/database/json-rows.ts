/**
 * Rows as JSON, straight from what the server sent. Pure, but for a buffer that is used again.
 *
 * Nouns: a *raw row* is the body of a DataRow message: how many values, then of each its length and its text, in UTF-8.
 *
 * A page of a hundred offers has three thousand values. Made into strings or objects and written as JSON again, each would be read,
 * checked and printed twice; most of them (numbers, JSON itself) stand in the answer just as the server wrote them, and of text
 * only what JSON escapes is looked at. Source: PostgreSQL manual, "Message Formats"; RFC 8259 for what is escaped.
 */
import { LifeboatError } from "../../src/errors/error.ts";
import { isoTime } from "./row-types.ts";

/** A column: its name and the OID of its type. */
export type RawColumn = { readonly name: string; readonly typeId: number };

/** A row: its body begins at `start`, behind the message's length. */
export type RawRow = { readonly bytes: Buffer; readonly start: number };

/** Rows and what their columns are. */
export type RawRows = { readonly columns: readonly RawColumn[]; readonly rows: readonly RawRow[] };

/** Whether a column of this name is written. */
export type IsShown = (name: string) => boolean;

/** The length that stands for null. */
const NULL_LENGTH = -1;

const BOOL = 16;
/** int8, int2, int4, float4, float8, numeric: as JSON has them; and json and jsonb. */
const AS_THEY_ARE = new Set([20, 21, 23, 700, 701, 1700, 114, 3802]);
const TIMESTAMPTZ = 1184;
const TEXT_ARRAY = 1009;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const CLOSE = 0x7d;
const COMMA = 0x2c;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
const PLUS = 0x2b;
const ZERO = 0x30;
/** A control character is written with six. */
const ESCAPED_MAX = 6;

/** How a value is written: as it stands, as a string, as a time, or made anew. */
const SAME = 0;
const STRING = 1;
const TIME = 2;
const OTHER = 3;

type Written = {
  /** What goes before the value: what parts it from the one before, its name. */
  readonly key: Buffer;
  readonly kind: typeof SAME | typeof STRING | typeof TIME | typeof OTHER;
  /** For OTHER, and times that do not stand in UTC. */
  readonly make: (text: string) => Buffer;
};

/** What is done with the columns of a statement, in their order; undefined: it is passed over. */
type Plan = {
  readonly isShown: IsShown;
  readonly columns: readonly (Written | undefined)[];
  readonly keyBytes: number;
};

/** Of statements that are kept, whose columns are the same each time. */
const PLANS = new WeakMap<readonly RawColumn[], Plan>();

/** Where answers are written before they are as long as they are. */
let scratch = Buffer.allocUnsafe(64 * 1024);

/** Writes rows as a JSON array in UTF-8, between two texts, their columns in the order of the statement. */
export function rowsToJson(
  { columns, rows }: RawRows,
  isShown: IsShown,
  { before = "", behind = "" }: { readonly before?: string; readonly behind?: string } = {},
): Buffer {
  const plan = planOf(columns, isShown);
  reserve(0, Buffer.byteLength(before) + 1);
  let at = scratch.write(before);
  at += scratch.write("[", at);
  const begin = at;
  for (const row of rows) {
    reserve(at, 3 + plan.keyBytes + ESCAPED_MAX * row.bytes.readUInt32BE(row.start - 4));
    if (at > begin) scratch[at++] = COMMA;
    at = writeRow(row, plan, at);
  }
  reserve(at, Buffer.byteLength(behind) + 1);
  at += scratch.write("]", at);
  at += scratch.write(behind, at);
  const json = Buffer.allocUnsafe(at);
  scratch.copy(json, 0, 0, at);
  return json;
}

/** The text of a column of a row; null for null, and where there is no such column. */
export function textOf(columns: readonly RawColumn[], { bytes, start }: RawRow, name: string): string | null {
  let offset = start + 2;
  const rowEnd = endOf(bytes, start);
  for (const column of columns) {
    const length = lengthAt(bytes, offset, rowEnd);
    offset += 4;
    if (column.name === name) return length === NULL_LENGTH ? null : bytes.toString("utf8", offset, offset + length);
    if (length > 0) offset += length;
  }
  return null;
}

/** Where a row ends: what lies behind it may be somebody else's. */
function endOf(bytes: Buffer, start: number): number {
  return start - 4 + bytes.readUInt32BE(start - 4);
}

/** The length of the value that begins there, which ends within its row. Throws `postgres.protocol`. */
function lengthAt(bytes: Buffer, offset: number, rowEnd: number): number {
  const length = offset + 4 <= rowEnd ? bytes.readInt32BE(offset) : NULL_LENGTH - 1;
  if (length >= NULL_LENGTH && offset + 4 + Math.max(length, 0) <= rowEnd) return length;
  throw new LifeboatError("postgres.protocol", {
    message: "a row of the database has a value that does not end within it",
    remedy: "Check that host and port are those of a PostgreSQL server or a PgBouncer; if so, report this text.",
  });
}

function planOf(columns: readonly RawColumn[], isShown: IsShown): Plan {
  const known = PLANS.get(columns);
  if (known?.isShown === isShown) return known;
  let isFirst = true;
  let keyBytes = 0;
  const written = columns.map(({ name, typeId }): Written | undefined => {
    if (!isShown(name)) return undefined;
    const key = Buffer.from(`${isFirst ? "{" : ","}${JSON.stringify(name)}:`);
    isFirst = false;
    keyBytes += key.length + ESCAPED_MAX;
    return { key, ...writingOf(typeId) };
  });
  const plan = { isShown, columns: written, keyBytes };
  PLANS.set(columns, plan);
  return plan;
}

function writingOf(typeId: number): Pick<Written, "kind" | "make"> {
  const make = (): Buffer => NULL;
  if (AS_THEY_ARE.has(typeId)) return { kind: SAME, make };
  switch (typeId) {
    case BOOL:
      return { kind: OTHER, make: (text) => (text === "t" ? TRUE : FALSE) };
    case TIMESTAMPTZ:
      return { kind: TIME, make: (text) => Buffer.from(`"${isoTime(text)}"`) };
    case TEXT_ARRAY:
      return { kind: OTHER, make: arrayToJson };
    default:
      return { kind: STRING, make };
  }
}

const NULL = Buffer.from("null");
const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");

/** Makes room behind a place. */
function reserve(at: number, more: number): void {
  if (at + more <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, at + more));
  scratch.copy(larger, 0, 0, at);
  scratch = larger;
}

/** Writes an object, for which there is room, and returns the place behind it. Values are short: a loop is quicker than a call. */
function writeRow({ bytes, start }: RawRow, { columns }: Plan, begin: number): number {
  const into = scratch;
  let at = begin;
  let offset = start + 2;
  const rowEnd = endOf(bytes, start);
  for (const column of columns) {
    const length = lengthAt(bytes, offset, rowEnd);
    offset += 4;
    const end = length === NULL_LENGTH ? offset : offset + length;
    if (column !== undefined) {
      const { key, kind } = column;
      for (let index = 0; index < key.length; index += 1) into[at++] = key[index] as number;
      if (length === NULL_LENGTH) at += NULL.copy(into, at);
      else if (kind === SAME) for (let index = offset; index < end; index += 1) into[at++] = bytes[index] as number;
      else if (kind === STRING) at = writeString(bytes, offset, end, at);
      else if (kind === TIME && isInUtc(bytes, end)) at = writeTime(bytes, offset, end, at);
      else at += column.make(bytes.toString("utf8", offset, end)).copy(into, at);
    }
    offset = end;
  }
  into[at++] = CLOSE;
  return at;
}

function writeString(bytes: Buffer, from: number, end: number, begin: number): number {
  const into = scratch;
  let at = begin;
  into[at++] = QUOTE;
  for (let index = from; index < end; index += 1) {
    const byte = bytes[index] as number;
    if (byte < SPACE || byte === QUOTE || byte === BACKSLASH) at += (ESCAPES[byte] ?? NULL).copy(into, at);
    else into[at++] = byte;
  }
  into[at++] = QUOTE;
  return at;
}

/** What stands for each of the characters that cannot stand for themselves, as JSON.stringify writes it. */
const ESCAPES: readonly Buffer[] = Array.from({ length: BACKSLASH + 1 }, (_, code) =>
  Buffer.from(JSON.stringify(String.fromCharCode(code)).slice(1, -1)),
);

function isInUtc(bytes: Buffer, end: number): boolean {
  return bytes[end - 3] === PLUS && bytes[end - 2] === ZERO && bytes[end - 1] === ZERO;
}

/** "2026-04-18 09:30:00.123456+00" is "2026-04-18T09:30:00.123456Z". */
function writeTime(bytes: Buffer, from: number, end: number, begin: number): number {
  const into = scratch;
  let at = begin;
  into[at++] = QUOTE;
  for (let index = from; index < end - 3; index += 1) {
    const byte = bytes[index] as number;
    into[at++] = byte === SPACE ? LETTER_T : byte;
  }
  into[at++] = LETTER_Z;
  into[at++] = QUOTE;
  return at;
}

/** Arrays seen before, as JSON: a category's path is that of ten thousand offers. */
const KNOWN_ARRAYS = new Map<string, Buffer>();
const KNOWN_ARRAYS_MAX = 2_000;

function arrayToJson(array: string): Buffer {
  const known = KNOWN_ARRAYS.get(array);
  if (known !== undefined) return known;
  const json = Buffer.from(JSON.stringify(namesOf(array)));
  if (KNOWN_ARRAYS.size >= KNOWN_ARRAYS_MAX) KNOWN_ARRAYS.clear();
  KNOWN_ARRAYS.set(array, json);
  return json;
}

/** The elements of an array of texts as PostgreSQL writes it. Elements are never null here. */
export function namesOf(array: string): readonly string[] {
  return [...array.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(
    ([, quoted, bare]) => quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "",
  );
}
