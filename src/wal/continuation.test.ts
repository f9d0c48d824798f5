import assert from "node:assert/strict";
import { test } from "node:test";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { comparedOffset, Link } from "./continuation.ts";

const PAGE = 8192;
const SEGMENT = 1024 * 1024;
const AT = BigInt(3 * SEGMENT) as Lsn;
const place = { at: AT, timeline: 1 as Timeline, walSegmentBytes: SEGMENT };

/** Pages of WAL: of each the number of bytes written behind its header. */
function pages(...written: readonly number[]): Buffer {
  const bytes = Buffer.alloc(written.length * PAGE);
  for (const [index, count] of written.entries()) bytes.fill(0xd1, index * PAGE, index * PAGE + 24 + count);
  return bytes;
}

test("compared is the last page that says something, and the one before it", () => {
  assert.equal(comparedOffset(pages(8168, 8168, 8)), PAGE);
  assert.equal(comparedOffset(pages(8168, 8168, 500).subarray(0, 2 * PAGE + 100)), PAGE);
});

test("pages that are blank behind their headers say nothing, nor do pages of zeros, nor a part of one", () => {
  assert.equal(comparedOffset(pages(8168, 8168, 8168, 0, 0)), PAGE);
  assert.equal(comparedOffset(Buffer.concat([pages(8168, 8168, 8168, 0), Buffer.alloc(3 * PAGE)])), PAGE);
  assert.equal(comparedOffset(pages(8168, 8168, 8168, 0).subarray(0, 3 * PAGE + 10)), PAGE);
});

test("bytes that do not reach back to the page before say so", () => {
  assert.equal(comparedOffset(pages(8168)), undefined);
  assert.equal(comparedOffset(pages(8168, 0)), undefined);
  assert.equal(comparedOffset(pages(0, 0)), undefined);
  assert.equal(comparedOffset(Buffer.alloc(0)), undefined);
});

/** Two segments: what is held, and what comes behind `AT`. The last record of the first one reaches into the second by so many bytes. */
function twoSegments(beyond: number): { readonly held: Buffer; readonly next: Buffer } {
  const record = (bytes: number) => ({ rmgr: 10, info: 0, xid: 7, mainData: Buffer.alloc(bytes, 0x5a) });
  const start = BigInt(2 * SEGMENT) as Lsn;
  const before = Array.from({ length: 40 }, () => record(20_000));
  const end = writeSyntheticWal({ start, walSegmentBytes: SEGMENT }, before).records.at(-1)?.end ?? 0;
  const left = SEGMENT - end;
  // Page headers, the record's own, and that of its data.
  const filling = left - Math.floor(left / PAGE) * 24 - 24 - 5 - 7 + beyond;
  const script = [...before, record(filling), record(300), record(50_000), record(10)];
  const { bytes } = writeSyntheticWal({ start, walSegmentBytes: SEGMENT }, script);
  return { held: bytes.subarray(0, SEGMENT), next: bytes.subarray(SEGMENT) };
}

/** What may be written after each piece. */
function passed(link: Link, bytes: Buffer, pieceBytes: number): readonly number[] {
  const written: number[] = [];
  for (let from = 0; from < bytes.byteLength && !link.settled; from += pieceBytes) {
    written.push(link.pass(bytes.subarray(from, from + pieceBytes)).byteLength);
  }
  return written;
}

const refused = (error: unknown): boolean => isLifeboatError(error, "wal.foreign-lineage");

for (const [what, beyond] of [
  ["ends with the segment", 0],
  ["reaches into the next", 3000],
] as const) {
  test(`the last record held ${what}: what the server has behind it is taken, and another's is refused`, () => {
    const { held, next } = twoSegments(beyond);
    for (const pieceBytes of [SEGMENT, 1000, 13]) {
      const link = Link.behind(held, place);
      assert.ok(link !== undefined);
      const written = passed(link, next.subarray(0, PAGE), pieceBytes);
      assert.ok(link.settled);
      assert.deepEqual(written.slice(0, -1), written.slice(0, -1).fill(0), "held back until the first record is whole");
      assert.equal(written.at(-1), Math.min(written.length * pieceBytes, PAGE));
    }
    for (const others of [500, 3000, 5000].filter((each) => each !== beyond)) {
      const link = Link.behind(held, place);
      assert.throws(() => link?.pass(twoSegments(others).next), refused);
    }
    const link = Link.behind(held, place);
    assert.throws(() => link?.pass(Buffer.alloc(SEGMENT)), refused);
  });
}

test("held WAL of which no record can be read to its end refuses nobody", () => {
  assert.equal(Link.behind(Buffer.alloc(SEGMENT), place), undefined);
  const { held } = twoSegments(0);
  assert.equal(
    Link.behind(Buffer.concat([held.subarray(0, SEGMENT / 2), Buffer.alloc(SEGMENT / 2)]), place),
    undefined,
  );
});

test("where a walk has ended the next record must name the last one that it read", () => {
  const { next } = twoSegments(0);
  const previous = next.readBigUInt64LE(40 + 8);
  assert.equal(Link.to(previous as Lsn, place).pass(next).byteLength, SEGMENT);
  assert.throws(() => Link.to((previous + 8n) as Lsn, place).pass(next), refused);
  assert.throws(() => Link.to(previous as Lsn, place).pass(twoSegments(3000).next), refused);
});
