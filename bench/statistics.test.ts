import assert from "node:assert/strict";
import { test } from "node:test";
import { percentile, ratiosByRound, spreadOf } from "./statistics.ts";

test("a spread is the median and the ends, whatever the order", () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
  assert.deepEqual(spreadOf([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  assert.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7 });
});

test("a percentile lies between its neighbours", () => {
  const values = Array.from({ length: 101 }, (_, index) => index);
  assert.equal(percentile(values, 0.99), 99);
  assert.ok(Math.abs(percentile([10, 20], 0.25) - 12.5) < 1e-9);
  assert.throws(() => percentile([], 0.5), RangeError);
});

test("ratios are taken within a round, not of medians", () => {
  assert.deepEqual(ratiosByRound([8, 20, 9], [10, 10, 10]), [0.8, 2, 0.9]);
  assert.deepEqual(ratiosByRound([8, 20], [10]), [0.8]);
});
