import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Lsn } from "./lsn.ts";
import { computeChecksum, hasSoundHeader, isNormalLsn, isPageBefore, judgePage, lsnBound, pageLsn } from "./page.ts";

const SEGMENT_BYTES = 16 * 1024 * 1024;
const lsns = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

/** A heap page of one tuple, without a checksum, at an odd place in a larger buffer. */
function page(lsn = 0x1_0200_0000n): { readonly buffer: Buffer; readonly offset: number } {
  const offset = 3;
  const buffer = Buffer.alloc(8192 + 8, 0xaa);
  buffer.fill(0, offset, offset + 8192);
  buffer.writeUInt32LE(Number(lsn >> 32n), offset);
  buffer.writeUInt32LE(Number(lsn & 0xffffffffn), offset + 4);
  buffer.writeUInt16LE(28, offset + 12);
  buffer.writeUInt16LE(8100, offset + 14);
  buffer.writeUInt16LE(8192, offset + 16);
  buffer.writeUInt16LE(8192 | 4, offset + 18);
  return { buffer, offset };
}

test("comparing by halves is comparing the positions", () => {
  fc.assert(
    fc.property(lsns, lsns, (a, b) => {
      const { buffer, offset } = page(a);
      assert.equal(pageLsn(buffer, offset), a);
      assert.equal(isPageBefore(buffer, offset, lsnBound(b as Lsn)), a < b);
      const [high] = [a >> 32n];
      // Positions that share the upper half are rare among random ones.
      const near = ((high << 32n) | (b & 0xffffffffn)) as Lsn;
      assert.equal(isPageBefore(buffer, offset, lsnBound(near)), a < near);
      assert.equal(isNormalLsn(buffer, offset, SEGMENT_BYTES), a >= BigInt(SEGMENT_BYTES));
    }),
    { seed: 1 },
  );
});

test("zero, the mark of an index build and the last byte of the first segment are no normal positions", () => {
  for (const [lsn, normal] of [
    [0n, false],
    [1n, false],
    [0xffffffn, false],
    [0x1000000n, true],
    [0x1_0000_0000n, true],
  ] as const) {
    const { buffer, offset } = page(lsn);
    assert.equal(isNormalLsn(buffer, offset, SEGMENT_BYTES), normal, String(lsn));
  }
});

test("a checksum depends on every byte but its own two, and on the block's number", () => {
  const { buffer, offset } = page();
  const before = computeChecksum(buffer, offset, 7);
  buffer.writeUInt16LE(0xffff, offset + 8);
  assert.equal(computeChecksum(buffer, offset, 7), before);
  assert.notEqual(computeChecksum(buffer, offset, 8), before);
  for (let at = 0; at < 8192; at += 1) {
    if (at === 8 || at === 9) continue;
    buffer[offset + at] = (buffer[offset + at] ?? 0) ^ 1;
    assert.notEqual(computeChecksum(buffer, offset, 7), before, `byte ${at}`);
    buffer[offset + at] = (buffer[offset + at] ?? 0) ^ 1;
  }
});

test("pages are judged", () => {
  const { buffer, offset } = page();
  assert.equal(judgePage(buffer, offset, { blockNumber: 0, checksums: false }), "good");
  assert.equal(judgePage(buffer, offset, { blockNumber: 0, checksums: true }), "bad-checksum");
  buffer.writeUInt16LE(computeChecksum(buffer, offset, 5), offset + 8);
  assert.equal(judgePage(buffer, offset, { blockNumber: 5, checksums: true }), "good");
  assert.equal(judgePage(buffer, offset, { blockNumber: 6, checksums: true }), "bad-checksum");
  buffer.writeUInt16LE(8104, offset + 16);
  assert.equal(judgePage(buffer, offset, { blockNumber: 5, checksums: false }), "good");
  for (const [at, value] of [
    [10, 8],
    [12, 20],
    [12, 8101],
    [14, 8105],
    [16, 8101],
    [16, 8200],
    [18, 16384 | 4],
    [18, 8192 | 3],
  ] as const) {
    const copy = Buffer.from(buffer);
    copy.writeUInt16LE(value, offset + at);
    assert.equal(hasSoundHeader(copy, offset), false, `${value} at ${at}`);
    assert.equal(judgePage(copy, offset, { blockNumber: 5, checksums: false }), "bad-header");
  }
});

test("a page of zeros is empty; one that claims to be empty and is not is told apart", () => {
  const buffer = Buffer.alloc(8192 * 2);
  assert.equal(judgePage(buffer, 8192, { blockNumber: 1, checksums: true }), "empty");
  buffer[8192 * 2 - 1] = 1;
  assert.equal(judgePage(buffer, 8192, { blockNumber: 1, checksums: true }), "half-empty");
  assert.equal(judgePage(buffer, 0, { blockNumber: 0, checksums: true }), "empty");
});
