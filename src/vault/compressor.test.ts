import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom } from "../platform/random.ts";
import { CODEC, decompress } from "./codec.ts";
import { Compressor } from "./compressor.ts";

describe("compressing chunks", () => {
  test("each chunk is a frame of its own that opens by itself, however many are under way", async () => {
    for (const choice of [{ level: 1 }, { level: 2 }, { level: 3 }, { level: 19 }]) {
      const compressor = new Compressor(choice);
      const plains = Array.from({ length: 60 }, (_, index) => textOf(index, 1 + ((index * 7919) % 131_072)));
      const packed = await Promise.all(plains.map((plain) => compressor.compress(plain)));
      compressor.close();
      for (const [index, each] of packed.entries()) {
        const plain = plains[index] ?? Buffer.alloc(0);
        assert.ok((await decompress(each, plain.byteLength))?.equals(plain), `chunk ${index} at level ${choice.level}`);
      }
      assert.ok(packed.some((each) => each.codec === CODEC.zstd));
    }
  });

  test("bytes that do not compress are kept as they are", async () => {
    const compressor = new Compressor({ level: 1 });
    const plain = systemRandom(131_072);
    const packed = await compressor.compress(plain);
    compressor.close();
    assert.equal(packed.codec, CODEC.raw);
    assert.equal(packed.bytes, plain);
  });
});

function textOf(seed: number, length: number): Buffer {
  return Buffer.alloc(length, Buffer.from(`row ${seed} of a table with words that come again `));
}
