import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { systemRandom } from "../platform/random.ts";
import { CODEC } from "./codec.ts";
import { Decompressor } from "./decompressor.ts";
import { frameOverhead, ZstdContext } from "./zstd-context.ts";

const PARAMS = { [constants.ZSTD_c_compressionLevel]: 2 };

function plainOf(seed: number): Buffer {
  const length = 1 + ((seed * 7919) % 131_072);
  const noise = systemRandom(length >> 2);
  return Buffer.concat([Buffer.alloc(length - noise.byteLength, `row ${seed} of a table `), noise]);
}

describe("a zstd context that is kept", () => {
  test("is there with this Node.js: a backup and a restore are a third slower without", () => {
    for (const context of [ZstdContext.compressor(PARAMS), ZstdContext.decompressor()]) {
      assert.ok(context !== undefined);
      context.close();
    }
  });

  test("makes frames that the documented functions read, and reads theirs, one after the other", () => {
    const compressor = ZstdContext.compressor(PARAMS);
    const decompressor = ZstdContext.decompressor();
    assert.ok(compressor !== undefined && decompressor !== undefined);
    for (let seed = 0; seed < 60; seed += 1) {
      const plain = plainOf(seed);
      const frame = Buffer.alloc(plain.byteLength + frameOverhead(plain.byteLength));
      const made = frame.subarray(0, compressor.run(plain, frame));
      assert.ok(zstdDecompressSync(made).equals(plain), `frame ${seed}`);
      const read = Buffer.from(new SharedArrayBuffer(plain.byteLength));
      assert.equal(decompressor.run(seed % 2 === 0 ? made : zstdCompressSync(plain), read), plain.byteLength);
      assert.ok(read.equals(plain), `chunk ${seed}`);
    }
    compressor.close();
    decompressor.close();
  });

  test("finds room for bytes that no compression makes shorter", () => {
    const compressor = ZstdContext.compressor(PARAMS);
    for (const length of [0, 1, 255, 5000, 131_072]) {
      const plain = systemRandom(length);
      const frame = Buffer.alloc(length + frameOverhead(length));
      const made = frame.subarray(0, compressor?.run(plain, frame));
      assert.ok(zstdDecompressSync(made).equals(plain), `${length} bytes`);
    }
    compressor?.close();
  });

  test("says nothing once it failed or was closed", () => {
    const frame = zstdCompressSync(plainOf(1000));
    const into = Buffer.alloc(plainOf(1000).byteLength);
    for (const bad of [Buffer.from("no frame"), frame.subarray(1)]) {
      const context = ZstdContext.decompressor();
      assert.equal(context?.run(bad, into), undefined);
      assert.equal(context?.run(frame, into), undefined);
      context?.close();
    }
    const closed = ZstdContext.decompressor();
    closed?.close();
    assert.equal(closed?.run(frame, into), undefined);
  });
});

describe("a decompressor", () => {
  test("tells a frame that is damaged, cut, too long or too short, and opens the next one all the same", () => {
    const plain = plainOf(12);
    const frame = zstdCompressSync(plain);
    const decompressor = new Decompressor();
    const opens = (bytes: Uint8Array, length: number) =>
      decompressor.decompress({ codec: CODEC.zstd, bytes }, Buffer.alloc(length));
    const damaged = Buffer.from(frame);
    damaged[0] = 0;
    for (const [bytes, length] of [
      [damaged, plain.byteLength],
      [frame.subarray(0, frame.byteLength - 10), plain.byteLength],
      [frame, plain.byteLength - 1],
      [frame, plain.byteLength + 1],
      [Buffer.alloc(0), plain.byteLength],
    ] as const) {
      assert.equal(opens(bytes, length), false);
      const into = Buffer.alloc(plain.byteLength);
      assert.equal(decompressor.decompress({ codec: CODEC.zstd, bytes: frame }, into), true);
      assert.ok(into.equals(plain));
    }
    decompressor.close();
    assert.equal(opens(frame, plain.byteLength), true, "without a context too");
  });

  test("opens frames that do not say how long they are, as versions before wrote them", async () => {
    const stream = createZstdCompress({ params: PARAMS });
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    const decompressor = new Decompressor();
    for (let seed = 0; seed < 40; seed += 1) {
      const plain = plainOf(seed);
      stream.write(plain);
      await new Promise<void>((resolve) => stream.flush(constants.ZSTD_e_end, resolve));
      const into = Buffer.alloc(plain.byteLength);
      assert.equal(decompressor.decompress({ codec: CODEC.zstd, bytes: Buffer.concat(parts.splice(0)) }, into), true);
      assert.ok(into.equals(plain), `chunk ${seed}`);
    }
    stream.destroy();
    decompressor.close();
  });

  test("takes bytes that were not compressed as they are", () => {
    const decompressor = new Decompressor();
    const plain = systemRandom(100);
    const into = Buffer.alloc(100);
    assert.equal(decompressor.decompress({ codec: CODEC.raw, bytes: plain }, into), true);
    assert.ok(into.equals(plain));
    assert.equal(decompressor.decompress({ codec: CODEC.raw, bytes: plain }, Buffer.alloc(99)), false);
    decompressor.close();
  });
});
