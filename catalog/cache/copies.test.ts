import assert from "node:assert/strict";
import { test } from "node:test";
import { copyOf, decodeCopy, encodeCopy, MemoryCopies } from "./copies.ts";

const at = { now: 1_000, times: { softMs: 100, hardMs: 1_000 } };

test("copies made together do not end together: each loses up to a fifth of its time", () => {
  const copies = Array.from({ length: 200 }, (_, index) => copyOf(Buffer.from(`answer ${index}`), at));
  assert.ok(copies.every(({ freshUntil }) => freshUntil >= 1_080 && freshUntil <= 1_100));
  assert.ok(copies.every(({ usableUntil }) => usableUntil >= 1_800 && usableUntil <= 2_000));
  assert.ok(new Set(copies.map(({ freshUntil }) => freshUntil)).size > 10);
});

test("a copy comes back from redis as it went, line ends and all, and what is no copy is none", () => {
  const copy = copyOf(Buffer.from('{"a":"1\n2"}'), at);
  assert.deepEqual(decodeCopy(encodeCopy(copy)), copy);
  for (const text of ["", "2 e 1 2 3\nx", "1 e 1 2\nx", "nonsense"]) assert.equal(decodeCopy(text), undefined);
});

test("memory is bounded: those used longest ago go first, and one too large is not kept", () => {
  const copies = new MemoryCopies(10_000);
  for (const key of ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]) {
    copies.put(key, copyOf(Buffer.alloc(700), at));
    copies.get("a");
  }
  assert.equal(copies.get("b"), undefined);
  assert.ok(copies.get("a") !== undefined && copies.get("l") !== undefined);
  assert.ok(copies.size <= 11);
  copies.put("large", copyOf(Buffer.alloc(5_000), at));
  assert.equal(copies.get("large"), undefined);
});
