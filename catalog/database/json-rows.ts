/**
 * Rows as JSON text, straight from what the server sent. Pure.
 *
 * A page of a hundred offers has three thousand values. Made into objects and written as JSON again, each is read, checked and
 * printed twice; most of them (numbers, JSON itself) stand in the answer just as the server wrote them.
 */
import { isoTime } from "./row-types.ts";

/** A column: its name and the OID of its type. */
export type TextColumn = { readonly name: string; readonly typeId: number };

/** Rows whose values are the server's text; null is null. */
export type TextRow = readonly (string | null)[];

const BOOL = 16;
/** int8, int2, int4, float4, float8, numeric: as JSON has them; and json and jsonb. */
const AS_THEY_ARE = new Set([20, 21, 23, 700, 701, 1700, 114, 3802]);
const TIMESTAMPTZ = 1184;
const TEXT_ARRAY = 1009;

/** Writes rows with the columns of these names, in the order of the statement; of all when undefined. */
export function rowsToJson(
  columns: readonly TextColumn[],
  rows: readonly TextRow[],
  names: ReadonlySet<string> | undefined,
): string {
  const written = columns.flatMap(({ name, typeId }, at) =>
    names === undefined || names.has(name) ? [{ at, key: `${JSON.stringify(name)}:`, write: writerOf(typeId) }] : [],
  );
  let json = "[";
  for (const row of rows) {
    let separator = json.length === 1 ? "{" : ",{";
    for (const { at, key, write } of written) {
      const value = row[at];
      json += separator + key + (value === null || value === undefined ? "null" : write(value));
      separator = ",";
    }
    json += "}";
  }
  return `${json}]`;
}

function writerOf(typeId: number): (text: string) => string {
  if (AS_THEY_ARE.has(typeId)) return (text) => text;
  switch (typeId) {
    case BOOL:
      return (text) => (text === "t" ? "true" : "false");
    case TIMESTAMPTZ:
      return (text) => `"${isoTime(text)}"`;
    case TEXT_ARRAY:
      return arrayToJson;
    default:
      return JSON.stringify;
  }
}

/** Arrays seen before, as JSON: a category's path is that of ten thousand offers. */
const KNOWN_ARRAYS = new Map<string, string>();
const KNOWN_ARRAYS_MAX = 2_000;

function arrayToJson(array: string): string {
  const known = KNOWN_ARRAYS.get(array);
  if (known !== undefined) return known;
  const json = JSON.stringify(namesOf(array));
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
