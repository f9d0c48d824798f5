/** Text that PostgreSQL takes: it has no NUL in text, no half of a character in JSON, and a stack for JSON that ends. Pure. */
import { z } from "zod";

/** More levels than what a shop tells of a ware has; the server refuses JSON of some ten thousand. */
const DEPTH_MAX = 16;

/** What is said of text that is refused. */
export const NOT_STORABLE = "has control characters, halves of characters, or too many levels";

/** Whether text has no control characters but those that lay it out, and no halves of characters that UTF-16 writes in two. */
function isStorableText(value: string): boolean {
  return value.isWellFormed() && !/[^\P{Cc}\t\n\r]/u.test(value);
}

/** Whether all text of a JSON value is, names too, and its levels are few. */
export function isStorable(value: unknown, levels = DEPTH_MAX): boolean {
  if (typeof value === "string") return isStorableText(value);
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) return value.every((each) => isStorable(each, levels - 1));
  return Object.entries(value).every(([name, each]) => isStorableText(name) && isStorable(each, levels - 1));
}

/** A schema of text that can be stored. */
export function storableText(max: number) {
  return z.string().max(max).refine(isStorableText, NOT_STORABLE);
}

/** As much of any text as can be kept to tell of it. */
export function storableOf(value: string, max: number): string {
  return value
    .slice(0, max)
    .toWellFormed()
    .replaceAll(/[^\P{Cc}\t\n\r]/gu, "\u{fffd}");
}
