import assert from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { CRC32C_START, crc32c, extendCrc32c, finishCrc32c } from "./crc32c.ts";

test("the published values come out", () => {
  // RFC 3720, appendix B.4.
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, index) => index))), 0x46dd794e);
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(0)), 0);
});

test("a checksum in pieces, at any alignment, equals the checksum of the whole", () => {
  const data = Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 131) & 0xff));
  for (let cut = 0; cut < 40; cut += 1) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const state = extendCrc32c(extendCrc32c(CRC32C_START, view, 3, 3 + cut), view, 3 + cut, 300);
    assert.equal(finishCrc32c(state), crc32c(data.subarray(3)));
  }
});

test("many bytes have the checksum that they have bit by bit, however they are cut", () => {
  const data = randomFillSync(Buffer.alloc(3 * 8192));
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const places = fc.nat({ max: data.byteLength });
  fc.assert(
    fc.property(places, places, places, (...cuts) => {
      const [start, cut, end] = cuts.sort((a, b) => a - b);
      const state = extendCrc32c(extendCrc32c(CRC32C_START, view, start, cut), view, cut, end);
      assert.equal(finishCrc32c(state), bitByBit(data.subarray(start, end)));
    }),
    { seed: 1, numRuns: 200 },
  );
});

test("one bit among zeros has the checksum that it has bit by bit, whichever it is: so have all bits, since checksums are linear", () => {
  const data = Buffer.alloc(1536);
  for (let bit = 0; bit < data.byteLength * 8; bit += 1) {
    data[bit >> 3] = 1 << (bit & 7);
    if (crc32c(data) !== bitByBit(data)) assert.fail(`bit ${bit}`);
    data[bit >> 3] = 0;
  }
});

function bitByBit(data: Uint8Array): number {
  let crc = -1;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
