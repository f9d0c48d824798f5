import assert from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import { test } from "node:test";
import * as zlib from "node:zlib";
import fc from "fast-check";
import { crc32, isFolded } from "./crc32.ts";

const BLOCK_BYTES = 8192;

test("a block of one bit has zlib's CRC, whichever bit it is: so has every block, since CRCs of XORs are XORs of CRCs", () => {
  assert.ok(isFolded(), "this machine has vectors");
  const block = Buffer.alloc(BLOCK_BYTES);
  assert.equal(crc32(block), zlib.crc32(block));
  for (let bit = 0; bit < BLOCK_BYTES * 8; bit += 1) {
    const at = bit >> 3;
    block[at] = 1 << (bit & 7);
    if (crc32(block) !== zlib.crc32(block)) assert.fail(`bit ${bit}`);
    block[at] = 0;
  }
});

test("bytes of any length at any place have zlib's CRC, also behind others, and are left as they are", () => {
  const random = randomFillSync(Buffer.alloc(5 * BLOCK_BYTES));
  const copy = Buffer.from(random);
  const places = fc.nat({ max: random.byteLength });
  fc.assert(
    fc.property(places, places, fc.nat({ max: 0xffffffff }), (a, b, before) => {
      const bytes = random.subarray(Math.min(a, b), Math.max(a, b));
      assert.equal(crc32(bytes, before), zlib.crc32(bytes, before));
    }),
    { seed: 1, numRuns: 500 },
  );
  assert.deepEqual(random, copy);
});
