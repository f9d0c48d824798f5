import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { createTestVault } from "../../test/support/vaults.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { ZERO_CHUNK } from "../vault/manifest.ts";
import { CHUNK_BYTES } from "../vault/pack.ts";
import type { OpenChunk } from "../vault/pack-writer.ts";
import { PackWriter } from "../vault/pack-writer.ts";
import { ByteStream } from "./byte-stream.ts";
import { PageStream, type StoredPages } from "./page-stream.ts";

/** A writer that keeps what was submitted, before compression, by chunk number. */
class KeepingWriter extends PackWriter {
  readonly chunks = new Map<number, Buffer>();

  override submit(chunk: OpenChunk, plainBytes: number): void {
    this.chunks.set(chunk.number, Buffer.from(chunk.buffer.subarray(0, plainBytes)));
    super.submit(chunk, plainBytes);
  }
}

async function storeFiles(
  files: readonly Buffer[],
  cut: number,
): Promise<{ readonly stored: readonly StoredPages[]; readonly chunks: ReadonlyMap<number, Buffer> }> {
  const writer = new KeepingWriter(await createTestVault(), { compression: { level: 1 }, onPack: () => undefined });
  const fingerprints = new ByteStream(writer);
  const pages = new PageStream(writer, fingerprints);
  const stored: StoredPages[] = [];
  for (const file of files) {
    pages.beginFile(file.byteLength);
    for (let at = 0; at < file.byteLength; at += cut) pages.write(file.subarray(at, at + cut));
    stored.push(pages.endFile());
    await writer.room();
  }
  pages.finish();
  fingerprints.finish();
  await writer.finish();
  return { stored, chunks: writer.chunks };
}

function rebuild(stored: StoredPages, sizeBytes: number, chunks: ReadonlyMap<number, Buffer>): Buffer {
  const file = Buffer.alloc(sizeBytes);
  for (let at = 0; at < stored.extents.length; at += 4) {
    const [page = 0, count = 0, chunk = 0, slot = 0] = stored.extents.slice(at, at + 4);
    if (chunk === ZERO_CHUNK) continue;
    chunks.get(chunk)?.copy(file, page * BLOCK_BYTES, slot * BLOCK_BYTES, (slot + count) * BLOCK_BYTES);
  }
  return file;
}

function pageOf(seed: number): Buffer {
  return seed === 0 ? Buffer.alloc(BLOCK_BYTES) : Buffer.alloc(BLOCK_BYTES, Buffer.from(`page ${seed} `));
}

describe("cutting files into chunks", () => {
  test("every file comes back from its extents, zero pages and chunk borders included, however the bytes arrive", async () => {
    const file = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 40 });
    const property = fc.asyncProperty(
      fc.array(file, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(1000, 8192, 32_768, 65_000, 500_000),
      async (drawn, cut) => {
        const files = drawn.map((pages) => Buffer.concat(pages.map(pageOf)));
        const { stored, chunks } = await storeFiles(files, cut);
        for (const [index, bytes] of files.entries()) {
          const pages = stored[index];
          assert.ok(pages !== undefined && rebuild(pages, bytes.byteLength, chunks).equals(bytes));
        }
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  test("a page of zeros is stored nowhere and a thousand small files share chunks", async () => {
    const zeros = Buffer.alloc(50 * BLOCK_BYTES);
    const small = Array.from({ length: 64 }, (_, index) => pageOf(index + 1));
    const { stored, chunks } = await storeFiles([zeros, ...small], 32_768);
    assert.deepEqual(stored[0]?.extents, [0, 50, ZERO_CHUNK, 0]);
    const pageChunks = new Set(stored.slice(1).map((pages) => pages.extents[2]));
    assert.equal(pageChunks.size, (64 * BLOCK_BYTES) / CHUNK_BYTES);
    assert.ok([...chunks.values()].every((chunk) => chunk.byteLength <= CHUNK_BYTES));
  });

  test("each page's fingerprint is its LSN and the CRC of its bytes", async () => {
    const pages = [pageOf(1), pageOf(0), pageOf(2)];
    const { stored, chunks } = await storeFiles([Buffer.concat(pages)], 10_000);
    const [chunk = 0, from = 0, length = 0] = stored[0]?.fingerprints ?? [];
    const prints = chunks.get(chunk)?.subarray(from, from + length) ?? Buffer.alloc(0);
    assert.equal(prints.byteLength, pages.length * 12);
    for (const [index, page] of pages.entries()) {
      assert.ok(prints.subarray(index * 8, index * 8 + 8).equals(page.subarray(0, 8)), `LSN of page ${index}`);
      assert.equal(prints.readUInt32LE(pages.length * 8 + index * 4), crc32(page), `CRC of page ${index}`);
    }
  });
});
