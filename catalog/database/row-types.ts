/** How values of rows are read: as JSON wants them. Values come as text. Pure. */
import pg from "pg";

const NUMBERS = new Set([20, 21, 23, 700, 701, 1700]);
const TIMES = new Set([1114, 1184]);
const { getTypeParser } = pg.types;

/**
 * Numbers for all kinds of numbers (ids below 2^53, prices of at most 14 digits), times as ISO 8601 in UTC, all else as
 * node-postgres does.
 */
export const rowTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") => {
    if (format !== "binary") {
      if (NUMBERS.has(oid)) return Number;
      if (TIMES.has(oid)) return isoTime;
    }
    return getTypeParser(oid, format) as (text: string) => unknown;
  }) as pg.CustomTypesConfig["getTypeParser"],
};

/** "2026-04-18 09:30:00.123456+00" is "2026-04-18T09:30:00.123456Z". */
export function isoTime(text: string): string {
  if (text.endsWith("+00")) return `${text.slice(0, 10)}T${text.slice(11, -3)}Z`;
  return new Date(text).toISOString();
}
