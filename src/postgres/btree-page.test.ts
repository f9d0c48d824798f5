import assert from "node:assert/strict";
import { test } from "node:test";
import { eachTableBlock } from "./btree-page.ts";
import { BLOCK_BYTES } from "./control-file.ts";

const [LEAF, DELETED, META, HALF_DEAD] = [1, 4, 8, 16];
const [NORMAL, DEAD] = [1, 3];

type Entry = { readonly state?: number; readonly blocks: readonly number[]; readonly listed?: boolean };

/** A page of an index as PostgreSQL lays it out, at an offset in a buffer. */
function pageOf(
  entries: readonly Entry[],
  as: { readonly flags?: number; readonly next?: number; readonly level?: number } = {},
): Buffer {
  const buffer = Buffer.alloc(2 * BLOCK_BYTES);
  const page = buffer.subarray(BLOCK_BYTES);
  const special = BLOCK_BYTES - 16;
  let upper = special;
  for (const [item, { state = NORMAL, blocks, listed = false }] of entries.entries()) {
    const bytes = listed ? 16 + blocks.length * 6 : 16;
    upper -= Math.ceil(bytes / 8) * 8;
    page.writeUInt32LE(((bytes << 17) | (state << 15) | upper) >>> 0, 24 + item * 4);
    for (const [at, block] of blocks.entries()) {
      const place = upper + (listed ? 16 + at * 6 : 0);
      page.writeUInt16LE(block >>> 16, place);
      page.writeUInt16LE(block & 0xffff, place + 2);
    }
    if (listed) {
      page.writeUInt16LE(0, upper);
      page.writeUInt16LE(16, upper + 2);
      page.writeUInt16LE(0x2000 | blocks.length, upper + 4);
    }
    page.writeUInt16LE(bytes | (listed ? 0x2000 : 0), upper + 6);
  }
  page.writeUInt16LE(24 + entries.length * 4, 12);
  page.writeUInt16LE(upper, 14);
  page.writeUInt16LE(special, 16);
  page.writeUInt32LE(as.next ?? 0, special + 4);
  page.writeUInt32LE(as.level ?? 0, special + 8);
  page.writeUInt16LE(as.flags ?? LEAF, special + 12);
  return buffer;
}

function blocksOf(buffer: Buffer): readonly number[] {
  const blocks: number[] = [];
  eachTableBlock(buffer, BLOCK_BYTES, (block) => blocks.push(block));
  return blocks;
}

test("entries of a leaf tell their blocks, each of a list of rows as well", () => {
  const page = pageOf([{ blocks: [7] }, { blocks: [8, 70_000, 9], listed: true }, { blocks: [131_072] }]);
  assert.deepEqual(blocksOf(page), [7, 8, 70_000, 9, 131_072]);
});

test("the bound to the page on the right is no entry, nor is one that is marked as dead", () => {
  const entries = [{ blocks: [1] }, { blocks: [2] }, { blocks: [3], state: DEAD }];
  assert.deepEqual(blocksOf(pageOf(entries, { next: 12 })), [2]);
});

test("only a leaf in use is asked", () => {
  const entries = [{ blocks: [1] }];
  for (const flags of [0, META, LEAF | DELETED, LEAF | HALF_DEAD])
    assert.deepEqual(blocksOf(pageOf(entries, { flags })), []);
  assert.deepEqual(blocksOf(pageOf(entries, { level: 1 })), []);
  assert.deepEqual(blocksOf(pageOf(entries)), [1]);
});

test("entries that would lie outside of the page are passed over", () => {
  const page = pageOf([{ blocks: [5] }, { blocks: [6, 7], listed: true }]);
  page.writeUInt32LE(((16 << 17) | (NORMAL << 15) | 0x7ff8) >>> 0, BLOCK_BYTES + 24);
  const list = page.readUInt32LE(BLOCK_BYTES + 28) & 0x7fff;
  page.writeUInt16LE(0x2fff, BLOCK_BYTES + list + 4);
  assert.deepEqual(blocksOf(page), [6, 7]);
  page.writeUInt16LE(0xffff, BLOCK_BYTES + 12);
  assert.ok(blocksOf(page).length >= 2);
});
