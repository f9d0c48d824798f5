/**
 * WAL made by the rules instead of by a server, to test its readers quickly and with any damage.
 *
 * Nouns: a *script* is a list of records; *laid out*, each has the pieces it takes on the pages.
 */
import { crc32c } from "../../src/postgres/crc32c.ts";
import type { Lsn } from "../../src/postgres/lsn.ts";
import { PAGE_FLAG, PAGE_HEADER_BYTES, SEGMENT_HEADER_BYTES, WAL_PAGE_BYTES } from "../../src/wal/records/page.ts";

/** One record to write. `mainData` is wrapped as PostgreSQL does. */
export type SyntheticRecord = {
  readonly rmgr: number;
  readonly info: number;
  readonly xid: number;
  readonly mainData: Uint8Array;
  /** Headers of blocks of which it has neither image nor data. */
  readonly blocks?: Uint8Array;
};

/** A record as it lies in the WAL, in bytes from the beginning of `bytes`. */
export type LaidRecord = {
  readonly start: number;
  /** Behind its last byte, and behind its padding. */
  readonly rawEnd: number;
  readonly end: number;
  readonly pieces: readonly { readonly start: number; readonly end: number }[];
};

/** Where and how to write. */
export type SyntheticPlace = {
  readonly start: Lsn;
  readonly walSegmentBytes: number;
  readonly magic?: number;
  readonly timeline?: number;
  readonly systemId?: bigint;
};

/** WAL of whole segments, beginning at `start`, which is the start of a segment; zeros behind the last record. */
export type SyntheticWal = { readonly bytes: Buffer; readonly records: readonly LaidRecord[] };

/** Writes records one after another. */
export function writeSyntheticWal(place: SyntheticPlace, script: readonly SyntheticRecord[]): SyntheticWal {
  const writer = new Writer(place);
  const records = script.map((record) => writer.write(record));
  return { bytes: writer.finish(), records };
}

class Writer {
  readonly #place: SyntheticPlace;
  #bytes = Buffer.alloc(0);
  #at = 0;
  #previous = 0n;

  constructor(place: SyntheticPlace) {
    this.#place = place;
  }

  write(record: SyntheticRecord): LaidRecord {
    this.#enterPage(0);
    const start = this.#at;
    const image = recordImage(record, this.#previous);
    const pieces: { start: number; end: number }[] = [];
    let done = 0;
    while (done < image.byteLength) {
      if (done > 0) this.#enterPage(image.byteLength - done);
      const length = Math.min(image.byteLength - done, WAL_PAGE_BYTES - (this.#at % WAL_PAGE_BYTES));
      image.copy(this.#bytes, this.#at, done, done + length);
      pieces.push({ start: this.#at, end: this.#at + length });
      this.#at += length;
      done += length;
    }
    const rawEnd = this.#at;
    this.#at += -this.#at & 7;
    this.#previous = this.#place.start + BigInt(start);
    return { start, rawEnd, end: this.#at, pieces };
  }

  finish(): Buffer {
    return this.#bytes;
  }

  #enterPage(restBytes: number): void {
    const { start, walSegmentBytes, magic = 0xd118, timeline = 1, systemId = 7_000_000_000_000_000_001n } = this.#place;
    if (this.#at % WAL_PAGE_BYTES !== 0) return;
    const first = this.#at % walSegmentBytes === 0;
    if (first) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(walSegmentBytes)]);
    const page = this.#bytes.subarray(this.#at);
    page.writeUInt16LE(magic, 0);
    page.writeUInt16LE((first ? PAGE_FLAG.long : 0) | (restBytes > 0 ? PAGE_FLAG.continues : 0), 2);
    page.writeUInt32LE(timeline, 4);
    page.writeBigUInt64LE(start + BigInt(this.#at), 8);
    page.writeUInt32LE(restBytes, 16);
    if (first) {
      page.writeBigUInt64LE(systemId, 24);
      page.writeUInt32LE(walSegmentBytes, 32);
      page.writeUInt32LE(WAL_PAGE_BYTES, 36);
    }
    this.#at += first ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES;
  }
}

function recordImage(record: SyntheticRecord, previous: bigint): Buffer {
  const short = record.mainData.byteLength < 256;
  const wrap = Buffer.alloc(short ? 2 : 5);
  wrap.writeUInt8(short ? 255 : 254, 0);
  if (short) wrap.writeUInt8(record.mainData.byteLength, 1);
  else wrap.writeUInt32LE(record.mainData.byteLength, 1);
  const data = record.mainData.byteLength === 0 ? [] : [wrap, record.mainData];
  const body = Buffer.concat([...(record.blocks === undefined ? [] : [record.blocks]), ...data]);
  const header = Buffer.alloc(24);
  header.writeUInt32LE(24 + body.byteLength, 0);
  header.writeUInt32LE(record.xid, 4);
  header.writeBigUInt64LE(previous, 8);
  header.writeUInt8(record.info, 16);
  header.writeUInt8(record.rmgr, 17);
  header.writeUInt32LE(crc32c(Buffer.concat([body, header.subarray(0, 20)])), 20);
  return Buffer.concat([header, body]);
}
