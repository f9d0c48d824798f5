import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom } from "../platform/random.ts";
import { CODEC, decompress } from "./codec.ts";
import { Compressor, compressedRoom } from "./compressor.ts";
import { CHUNK_BYTES } from "./pack.ts";
import { BATCH_CHUNKS, PackerPool } from "./threads/packer-pool.ts";

function textOf(seed: number, length: number): Buffer {
  return Buffer.alloc(length, Buffer.from(`row ${seed} of a table with words that come again `));
}

describe("compressing chunks", () => {
  test("each chunk is a frame of its own that opens by itself, at every level", async () => {
    for (const level of [1, 2, 3, 19]) {
      const compressor = new Compressor({ level });
      for (let seed = 0; seed < 60; seed += 1) {
        const plain = textOf(seed, 1 + ((seed * 7919) % CHUNK_BYTES));
        const into = Buffer.alloc(compressedRoom(plain.byteLength));
        const length = compressor.compress(plain, into);
        const packed =
          length === 0 ? { codec: CODEC.raw, bytes: plain } : { codec: CODEC.zstd, bytes: into.subarray(0, length) };
        assert.ok((await decompress(packed, plain.byteLength))?.equals(plain), `chunk ${seed} at level ${level}`);
        assert.ok(length > 0 || plain.byteLength < 100, `chunk ${seed} became shorter`);
      }
      compressor.close();
    }
  });

  test("bytes that do not compress are told as such", () => {
    const compressor = new Compressor({ level: 1 });
    assert.equal(compressor.compress(systemRandom(CHUNK_BYTES), Buffer.alloc(compressedRoom(CHUNK_BYTES))), 0);
    compressor.close();
  });

  test("gives the same without a context that is kept", () => {
    const kept = new Compressor({ level: 2 });
    const without = new Compressor({ level: 2 });
    without.close();
    const plain = textOf(1, 50_000);
    const [one, other] = [kept, without].map((compressor) => {
      const into = Buffer.alloc(compressedRoom(plain.byteLength));
      return into.subarray(0, compressor.compress(plain, into));
    });
    assert.ok(one !== undefined && other !== undefined && one.equals(other));
    kept.close();
  });
});

describe("compressing chunks beside the main thread", () => {
  test("gives what was given, in threads, before they are started, and without a place in their memory", async () => {
    const pool = new PackerPool({ level: 1 });
    try {
      const batches = Array.from({ length: 30 }, (_, batch) =>
        Array.from({ length: BATCH_CHUNKS }, (_, index) => {
          const plain =
            index === 3 ? systemRandom(CHUNK_BYTES) : textOf(batch * BATCH_CHUNKS + index, 1000 + batch * 2000 + index);
          const buffer = pool.take();
          plain.copy(buffer);
          return { plain, buffer, plainBytes: plain.byteLength };
        }),
      );
      const packing = batches.map(async (chunks) => {
        const { packed, release } = await pool.pack(chunks);
        for (const [index, { plain }] of chunks.entries()) {
          const each = packed[index];
          assert.ok(each !== undefined && (await decompress(each, plain.byteLength))?.equals(plain));
        }
        assert.equal(packed[3]?.codec, CODEC.raw);
        assert.equal(packed[4]?.codec, CODEC.zstd);
        for (const { buffer } of chunks) pool.giveBack(buffer);
        release();
      });
      await Promise.all(packing);
    } finally {
      await pool.close();
    }
  });
});
