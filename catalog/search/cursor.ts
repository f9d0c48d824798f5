/** Where a list goes on. Pure. */
import { z } from "zod";
import { SORTS, type Sort } from "./sort.ts";

const schema = z.tuple([z.literal(1), z.enum(SORTS), z.union([z.string(), z.number()]), z.int()]);

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
    return { sort, value, id };
  } catch {
    return undefined;
  }
}
