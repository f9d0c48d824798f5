import assert from "node:assert/strict";
import { test } from "node:test";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { keysByAge } from "./key-order.ts";
import type { KeyId } from "./names.ts";

/** Each holder with the data keys it opens, and when each was wrapped for it. */
function order(holders: Readonly<Record<string, Readonly<Record<string, number>>>>): string {
  const wraps = Object.entries(holders).flatMap(([wrapId, dates]) =>
    Object.entries(dates).map(([keyId, date]) => ({
      wrapId,
      wrap: { keyId: keyId as KeyId, createdAt: formatInstant(date as Instant) },
    })),
  );
  assert.deepEqual(keysByAge(wraps.toReversed()), keysByAge(wraps));
  return keysByAge(wraps).join("");
}

test("data keys are in the order in which each holder got them, whatever date another holder has", () => {
  assert.equal(order({ one: { a: 1, b: 2, c: 3 } }), "abc");
  // Added once more by one whom the rotation left out.
  assert.equal(order({ one: { a: 1, b: 2 }, two: { a: 9 } }), "ab");
  assert.equal(order({ one: { a: 1, b: 2 }, two: { a: 8, b: 9 } }), "ab");
  // Added first by one whom the making of b left out, then a rotation, then by one who opens all.
  assert.equal(order({ one: { a: 1, c: 3 }, two: { a: 7, b: 8, c: 9 } }), "abc");
  // By way of a third holder.
  assert.equal(order({ one: { b: 1, c: 2 }, two: { a: 5, b: 6 } }), "abc");
});

test("where no holder has both data keys, and where two contradict each other, the first dates decide", () => {
  assert.equal(order({ one: { a: 1 }, two: { b: 2 }, three: { a: 9 } }), "ab");
  assert.equal(order({ one: { a: 1, b: 2 }, two: { b: 5, a: 9 } }), "ab");
  assert.equal(order({ one: { b: 5, a: 9 }, two: { a: 1, b: 2 }, three: { c: 3 } }), "abc");
  assert.equal(order({}), "");
});
