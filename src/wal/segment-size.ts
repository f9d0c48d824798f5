/**
 * The segment size as a server tells it.
 */
import { LifeboatError } from "../errors/error.ts";
import { isSegmentSize } from "./records/page.ts";

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["kB", 1024],
  ["MB", 1024 ** 2],
  ["GB", 1024 ** 3],
]);

/** Reads the answer of `SHOW wal_segment_size`: `16MB`, `1GB`. Throws `postgres.protocol`. */
export function parseSegmentSize(text: string): number {
  const match = /^(\d+)([kMG]?B)$/.exec(text);
  const bytes = Number(match?.[1]) * (UNIT_BYTES.get(match?.[2] ?? "") ?? Number.NaN);
  if (isSegmentSize(bytes)) return bytes;
  throw new LifeboatError("postgres.protocol", {
    message: `the server's wal_segment_size is "${text}", which is no size of a segment`,
    remedy: "Check that this is a PostgreSQL server of version 15 or newer.",
  });
}
