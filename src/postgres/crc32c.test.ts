import assert from "node:assert/strict";
import { test } from "node:test";
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
