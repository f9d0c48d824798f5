import assert from "node:assert/strict";
import { test } from "node:test";
import {
  backupVerdicts,
  duringVerdict,
  growthVerdict,
  inPlaceVerdict,
  memoryVerdict,
  receiveVerdicts,
  repointVerdicts,
  restoreVerdict,
  serviceVerdicts,
  unchangedVerdicts,
  updatedVerdicts,
} from "./goals.ts";

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

test("chains are judged by their ratios, what an unchanged backup stored by the worst", () => {
  const verdicts = [
    ...updatedVerdicts({ wall: [0.5, 0.4, 0.9], stored: [0.61] }),
    ...unchangedVerdicts({ ratios: [1.3], storedShares: [0.001, 0.01] }),
    restoreVerdict("restore", [1.1]),
    inPlaceVerdict([2000, 3001, 3002]),
  ];
  assert.deepEqual(
    verdicts.map(({ kept }) => kept),
    [true, false, true, false, true, false],
  );
  assert.equal(verdicts[3]?.measured, "1 % at most");
});

test("the API is judged by the median of its ratios, the worst searches, and what mistyped queries find", () => {
  const rates = (...values: number[]) => values.map((perSecond) => ({ perSecond }));
  const verdicts = serviceVerdicts({
    throughput: [
      { rows: 10, ours: rates(210, 100, 300), peer: rates(100, 100, 100) },
      { rows: 100, ours: rates(240, 240), peer: rates(100, 100) },
      { rows: 100, ours: rates(240), peer: [] },
    ],
    search: { p99Ms: 99.9, bad: 0 },
    recall: { found: 89, asked: 100 },
    redis: { backInMs: undefined, failed: 0, wrong: 0, hot: { statements: 9 } },
  });
  assert.deepEqual(
    verdicts.map(({ kept }) => kept),
    [true, false, true, false, false, true, true],
  );
  const nothing = { throughput: undefined, recall: undefined, redis: undefined };
  assert.equal(serviceVerdicts({ ...nothing, search: { p99Ms: 1, bad: 1 } })[0]?.kept, false);
});

test("a load may wait longer during a backup than alone when it waits no longer than during pgBackRest's", () => {
  assert.equal(duringVerdict({ alone: [1.5], peer: [2] }).kept, true);
  assert.equal(duringVerdict({ alone: [1.6], peer: [1] }).kept, true);
  assert.equal(duringVerdict({ alone: [1.6], peer: [1.1] }).kept, false);
  assert.equal(duringVerdict({ alone: [1.6], peer: [] }).kept, false);
});

test("loops in which the guard gave up are none without an error", () => {
  const kept = (loops: number, givenUp: number, errors = 0): boolean | undefined =>
    repointVerdicts([{ title: "guarded", loops, givenUp, errors }])[0]?.kept;
  assert.deepEqual([kept(400, 0), kept(400, 400), kept(1_400, 1_000), kept(400, 0, 1)], [true, false, true, false]);
  assert.equal(repointVerdicts([{ title: "guarded", loops: 400, givenUp: 400, errors: 0 }])[0]?.measured, "0 in 0");
});
