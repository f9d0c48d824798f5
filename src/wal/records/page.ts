/**
 * Pages of WAL and their headers.
 *
 * Nouns: a *page* is 8 KiB of WAL with a header of 24 bytes, or of 40 on the first page of a segment; its *magic* tells
 * the major version of PostgreSQL; *rest bytes* are what a record that began on an earlier page still needs.
 * Invariant: what is read here may be anything: a segment that PostgreSQL recycled holds old pages, a power cut leaves
 * zeros; a header that does not fit its place is a result, never an exception.
 * Source: PostgreSQL's src/include/access/xlog_internal.h.
 */
import { formatLsn, type Lsn, type SystemId, type Timeline } from "../../postgres/lsn.ts";

/** Bytes of a WAL page. A server built with another --with-wal-blocksize is refused. */
export const WAL_PAGE_BYTES = 8192;

/** Bytes of the header of an ordinary page. */
export const PAGE_HEADER_BYTES = 24;

/** Bytes of the header of a segment's first page. */
export const SEGMENT_HEADER_BYTES = 40;

/** The page magic of each major version. */
export const WAL_MAGIC: ReadonlyMap<number, number> = new Map([
  [0xd110, 15],
  [0xd113, 16],
  [0xd116, 17],
  [0xd118, 18],
]);

/** Page flags. */
export const PAGE_FLAG = { continues: 0x1, long: 0x2, removable: 0x4, overwrites: 0x8, all: 0xf } as const;

/** What a page header says. A field is undefined where only the header of a segment has it. */
export type PageHeader = {
  readonly magic: number;
  readonly flags: number;
  readonly timeline: Timeline;
  /** Where the page claims to lie. */
  readonly address: number;
  readonly restBytes: number;
  readonly headerBytes: number;
};

/** What the header of a segment says beyond that of a page. */
export type SegmentHeader = PageHeader & {
  readonly postgresMajor: number;
  readonly systemId: SystemId;
  readonly walSegmentBytes: number;
};

/** Why the first page of a segment is not the one expected. */
export type SegmentHeaderFault =
  | "too-short"
  | "magic"
  | "flags"
  | "address"
  | "timeline"
  | "system-id"
  | "segment-size"
  | "page-size";

/** The outcome of a check; `found` and `expected` are for people. */
export type SegmentHeaderCheck =
  | { readonly kind: "good"; readonly header: SegmentHeader }
  | {
      readonly kind: "bad";
      readonly reason: SegmentHeaderFault;
      readonly found: string;
      readonly expected: string;
    };

/** What the first page of a segment must say. What is undefined is not checked. */
export type SegmentExpectation = {
  readonly start?: Lsn | undefined;
  readonly systemId?: SystemId | undefined;
  /**
   * The timeline of the segment's name. The first page may say an earlier one where that timeline begins inside this
   * segment, since PostgreSQL copies what came before.
   */
  readonly timeline?: Timeline | undefined;
  readonly walSegmentBytes?: number | undefined;
  readonly postgresMajor?: number | undefined;
};

/** Reads the header of the page at `offset`; undefined when fewer bytes are there than a header has. */
export function readPageHeader(view: DataView, offset: number): PageHeader | undefined {
  if (offset + PAGE_HEADER_BYTES > view.byteLength) return undefined;
  const flags = view.getUint16(offset + 2, true);
  const headerBytes = (flags & PAGE_FLAG.long) === 0 ? PAGE_HEADER_BYTES : SEGMENT_HEADER_BYTES;
  if (offset + headerBytes > view.byteLength) return undefined;
  return {
    magic: view.getUint16(offset, true),
    flags,
    timeline: view.getUint32(offset + 4, true) as Timeline,
    address: readPosition(view, offset + 8),
    restBytes: view.getUint32(offset + 16, true),
    headerBytes,
  };
}

/** A 64-bit position as a number: exact below 2^53, which is eight thousand terabytes of WAL. */
export function readPosition(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x100000000 + view.getUint32(offset, true);
}

/**
 * Checks the first page of a segment, given at least its first 40 bytes, against what it should be: magic, flags,
 * address, timeline, system id, segment and page size. Cheap: nothing beyond the header is looked at.
 */
export function checkSegmentHeader(bytes: Uint8Array, expected: SegmentExpectation): SegmentHeaderCheck {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < SEGMENT_HEADER_BYTES) {
    return bad("too-short", `${bytes.byteLength} bytes`, `${SEGMENT_HEADER_BYTES} bytes or more`);
  }
  const magic = view.getUint16(0, true);
  const postgresMajor = WAL_MAGIC.get(magic);
  const majorWanted = expected.postgresMajor ?? postgresMajor;
  if (postgresMajor === undefined || postgresMajor !== majorWanted) {
    const wanted = [...WAL_MAGIC].filter(([, major]) => majorWanted === undefined || major === majorWanted);
    return bad("magic", hex(magic), wanted.map(([known, major]) => `${hex(known)} (PostgreSQL ${major})`).join(", "));
  }
  const page = readPageHeader(view, 0);
  if (page === undefined || (page.flags & PAGE_FLAG.long) === 0 || (page.flags & ~PAGE_FLAG.all) !== 0) {
    return bad("flags", hex(view.getUint16(2, true)), "the flags of a segment's first page");
  }
  return checkIdentity(view, { page, postgresMajor }, expected);
}

function checkIdentity(
  view: DataView,
  found: { readonly page: PageHeader; readonly postgresMajor: number },
  expected: SegmentExpectation,
): SegmentHeaderCheck {
  const { page, postgresMajor } = found;
  const address = view.getBigUint64(8, true) as Lsn;
  const systemId = view.getBigUint64(24, true).toString() as SystemId;
  const walSegmentBytes = view.getUint32(32, true);
  const pageBytes = view.getUint32(36, true);
  if (systemId !== (expected.systemId ?? systemId)) return bad("system-id", systemId, `${expected.systemId}`);
  if (walSegmentBytes !== (expected.walSegmentBytes ?? walSegmentBytes)) {
    return bad("segment-size", `${walSegmentBytes} bytes`, `${expected.walSegmentBytes} bytes`);
  }
  if (!isSegmentSize(walSegmentBytes)) {
    return bad("segment-size", `${walSegmentBytes} bytes`, "a power of two from 1 MiB to 1 GiB");
  }
  if (pageBytes !== WAL_PAGE_BYTES) return bad("page-size", `${pageBytes} bytes`, `${WAL_PAGE_BYTES} bytes`);
  if (address !== (expected.start ?? address)) {
    return bad("address", formatLsn(address), formatLsn(expected.start ?? address));
  }
  if (address % BigInt(walSegmentBytes) !== 0n || address > BigInt(Number.MAX_SAFE_INTEGER)) {
    return bad("address", formatLsn(address), "the beginning of a segment");
  }
  if (page.timeline === 0 || page.timeline > (expected.timeline ?? page.timeline)) {
    return bad("timeline", `${page.timeline}`, `${expected.timeline ?? "1 or more"} or an ancestor of it`);
  }
  return { kind: "good", header: { ...page, postgresMajor, systemId, walSegmentBytes } };
}

/** True for the sizes initdb allows: a power of two from 1 MiB to 1 GiB. */
export function isSegmentSize(bytes: number): boolean {
  return bytes >= 2 ** 20 && bytes <= 2 ** 30 && (bytes & (bytes - 1)) === 0;
}

function bad(reason: SegmentHeaderFault, found: string, expected: string): SegmentHeaderCheck {
  return { kind: "bad", reason, found, expected };
}

function hex(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(4, "0")}`;
}
