import assert from "node:assert/strict";
import { test } from "node:test";
import { backupVerdicts, growthVerdict, memoryVerdict, receiveVerdicts } from "./goals.ts";

const MIB = 1024 ** 2;

test("a ratio goal is judged by the median of the rounds and kept at its limit", () => {
  const [wall, stored] = backupVerdicts({ wall: [0.7, 0.8, 3], stored: [1.2, 1.11, 1.0] });
  assert.deepEqual([wall?.kept, wall?.measured], [true, "0.80 x"]);
  assert.deepEqual([stored?.kept, stored?.measured], [false, "1.11 x"]);
  assert.deepEqual(
    receiveVerdicts({ median: [1.5], p99: [1.51] }).map(({ kept }) => kept),
    [true, false],
  );
});

test("the memory goal is judged by the worst run", () => {
  assert.equal(memoryVerdict([200 * MIB, 399 * MIB]).kept, true);
  assert.equal(memoryVerdict([200 * MIB, 400 * MIB]).kept, false);
});

test("the growth goal compares medians", () => {
  assert.equal(growthVerdict({ small: [200 * MIB], large: [219 * MIB] }).kept, true);
  assert.equal(growthVerdict({ small: [200 * MIB, 100 * MIB, 90 * MIB], large: [219 * MIB] }).kept, false);
});
