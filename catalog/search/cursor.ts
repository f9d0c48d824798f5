/** Where a list goes on. Pure. */
import { z } from "zod";
import { SORT_KEYS, SORTS, type Sort } from "./sort.ts";

const schema = z.tuple([z.literal(1), z.enum(SORTS), z.union([z.string().max(40), z.number()]), z.int()]);

/** What the database takes for each type that is sorted by. Anybody can make a cursor: it is input like all other. */
const TAKES: Readonly<Record<(typeof SORT_KEYS)[Sort]["type"], (value: string) => boolean>> = {
  integer: (value) => /^-?\d{1,9}$/.test(value),
  numeric: (value) => /^-?\d{1,15}(\.\d{1,10})?$/.test(value),
  smallint: (value) => /^-?\d{1,5}$/.test(value) && Math.abs(Number(value)) <= 32_767,
  timestamptz: isTime,
};

/** The last row of a page: the value that it is sorted by, and its id. */
export type Cursor = { readonly sort: Sort; readonly value: string | number; readonly id: number };

/** A cursor as callers get it: nothing to take apart. */
export function encodeCursor({ sort, value, id }: Cursor): string {
  return Buffer.from(JSON.stringify([1, sort, value, id])).toString("base64url");
}

/** Undefined for what is no cursor. */
export function decodeCursor(text: string): Cursor | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(Buffer.from(text, "base64url").toString("utf8")));
    if (!parsed.success) return undefined;
    const [, sort, value, id] = parsed.data;
    return TAKES[SORT_KEYS[sort].type](String(value)) ? { sort, value, id } : undefined;
  } catch {
    return undefined;
  }
}

/** A time as PostgreSQL writes it, of a day that the calendar has. */
function isTime(value: string): boolean {
  const [, day, time] =
    /^([12]\d{3}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d{1,6})?[+-](?:0\d|1[0-4])(?::[0-5]\d)?$/.exec(value) ?? [];
  if (day === undefined || time === undefined) return false;
  const written = new Date(`${day}T${time}Z`);
  return !Number.isNaN(written.getTime()) && written.toISOString().startsWith(`${day}T${time}`);
}
