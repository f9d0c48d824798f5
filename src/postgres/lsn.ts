/**
 * WAL positions and the arithmetic on them.
 *
 * Nouns: an *LSN* is a byte position in the WAL of a cluster, 64 bits, written `hi/lo` in hexadecimal; a *timeline* is
 * the branch of history it lies on; a *segment* is a file of WAL, `walSegmentBytes` long (16 MiB unless the cluster was
 * made otherwise), named by timeline and number.
 * Source: PostgreSQL manual, "WAL Internals"; src/include/access/xlog_internal.h.
 */
import { LifeboatError } from "../errors/error.ts";

/** A position in the WAL, in bytes. 0/0 means "none". */
export type Lsn = bigint & { readonly brand: "Lsn" };

/** A branch of history, 1 or more. */
export type Timeline = number & { readonly brand: "Timeline" };

/** The 64-bit identifier that initdb gives a cluster, as decimal digits. */
export type SystemId = string & { readonly brand: "SystemId" };

/** No position. */
export const LSN_NONE = 0n as Lsn;

/** The segment size initdb chooses unless told otherwise. */
export const WAL_SEGMENT_BYTES_DEFAULT = 16 * 1024 * 1024;

/** Reads `16/B374D848`. Throws `postgres.protocol` on anything else. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) {
    throw new LifeboatError("postgres.protocol", {
      message: `"${text}" is not a WAL position`,
      remedy: "Give a position as PostgreSQL prints it, for example 0/3000060.",
    });
  }
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** Writes an LSN as PostgreSQL prints it: `0/3000060`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Moves a position by a number of bytes. */
export function lsnAdd(lsn: Lsn, bytes: number | bigint): Lsn {
  return (lsn + BigInt(bytes)) as Lsn;
}

/** Bytes from `from` to `to`; negative when `to` lies before. */
export function lsnDistance(range: { readonly from: Lsn; readonly to: Lsn }): number {
  return Number(range.to - range.from);
}

/** The later of two positions. */
export function lsnMax(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}

/** The earlier of two positions. */
export function lsnMin(a: Lsn, b: Lsn): Lsn {
  return a > b ? b : a;
}

/** The first byte of the segment that holds `lsn`. */
export function segmentStart(lsn: Lsn, walSegmentBytes: number): Lsn {
  return (lsn - (lsn % BigInt(walSegmentBytes))) as Lsn;
}

/** The file name of the segment that holds the byte at `lsn`: 24 hexadecimal digits. */
export function segmentName(at: {
  readonly timeline: Timeline;
  readonly lsn: Lsn;
  readonly walSegmentBytes: number;
}): string {
  const number = at.lsn / BigInt(at.walSegmentBytes);
  const perId = 0x100000000n / BigInt(at.walSegmentBytes);
  return timelineDigits(at.timeline) + hex8(number / perId) + hex8(number % perId);
}

/** Timeline and first byte of a segment, from its file name; undefined when it is not a segment's name. */
export function parseSegmentName(
  name: string,
  walSegmentBytes: number,
): { readonly timeline: Timeline; readonly start: Lsn } | undefined {
  const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name);
  if (match === null) return undefined;
  const perId = 0x100000000n / BigInt(walSegmentBytes);
  const low = BigInt(`0x${match[3]}`);
  const timeline = Number.parseInt(match[1] ?? "", 16);
  if (low >= perId || timeline === 0) return undefined;
  const number = BigInt(`0x${match[2]}`) * perId + low;
  return { timeline: timeline as Timeline, start: (number * BigInt(walSegmentBytes)) as Lsn };
}

/** The timeline of a segment, from its file name. */
export function timelineOfSegment(name: string): Timeline {
  return Number.parseInt(name.slice(0, 8), 16) as Timeline;
}

/** The file name of a timeline's history: `00000002.history`. */
export function historyName(timeline: Timeline): string {
  return `${timelineDigits(timeline)}.history`;
}

/** Whether a file's name is that of a history; `timelineOfSegment` tells of which timeline. */
export function isHistoryName(name: string): boolean {
  return /^[0-9A-F]{8}\.history$/.test(name);
}

/** What the names of a timeline's files begin with: 8 hexadecimal digits. */
export function timelineDigits(timeline: Timeline): string {
  return hex8(BigInt(timeline));
}

function hex8(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}
