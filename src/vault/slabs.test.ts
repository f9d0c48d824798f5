import assert from "node:assert/strict";
import { test } from "node:test";
import { systemRandom } from "../platform/random.ts";
import { Gathering, SlabPool } from "./slabs.ts";

test("what is gathered is what was added, across slabs, and slabs serve the next gathering", () => {
  const pool = new SlabPool();
  const seen = new Set<ArrayBufferLike>();
  for (let round = 0; round < 3; round += 1) {
    const pieces = [0, 1, 1_048_575, 1, 3_000_000, 0, 1_048_576].map((length) => systemRandom(length));
    const gathering = new Gathering(pool);
    for (const piece of pieces) gathering.append(piece);
    const whole = Buffer.concat(pieces);
    assert.equal(gathering.sizeBytes, whole.byteLength);
    assert.ok(Buffer.concat(gathering.parts()).equals(whole));
    for (const part of gathering.parts()) seen.add(part.buffer);
    gathering.release();
  }
  assert.equal(seen.size, 5);
});

test("two gatherings at a time share no slab", () => {
  const pool = new SlabPool();
  const [one, two] = [new Gathering(pool), new Gathering(pool)];
  for (let turn = 0; turn < 40; turn += 1) {
    one.append(Buffer.alloc(50_000, 1));
    two.append(Buffer.alloc(50_000, 2));
  }
  assert.ok(Buffer.concat(one.parts()).every((byte) => byte === 1));
  assert.ok(Buffer.concat(two.parts()).every((byte) => byte === 2));
});
