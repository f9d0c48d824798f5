import assert from "node:assert/strict";
import { test } from "node:test";
import { severalAtOnce } from "./several-at-once.ts";

test("things are begun in their order, so many at a time", async () => {
  const begun: number[] = [];
  let [now, most] = [0, 0];
  await severalAtOnce([1, 2, 3, 4, 5, 6, 7], 3, async (thing) => {
    begun.push(thing);
    now += 1;
    most = Math.max(most, now);
    await new Promise((resolve) => setImmediate(resolve));
    now -= 1;
  });
  assert.deepEqual([begun, most, now], [[1, 2, 3, 4, 5, 6, 7], 3, 0]);
  await severalAtOnce([], 3, async () => assert.fail("there is nothing"));
});

test("after a failure what was begun ends, nothing else begins, and the first failure is told", async () => {
  const [gate, first, second] = [Promise.withResolvers<void>(), new Error("first"), new Error("second")];
  const begun: string[] = [];
  let ended = false;
  const all = severalAtOnce(["fails", "goes on", "fails too", "never"], 3, async (thing) => {
    begun.push(thing);
    if (thing === "fails") throw first;
    await gate.promise;
    if (thing === "fails too") throw second;
    ended = true;
  });
  let over = false;
  const told = all.catch((error: unknown) => {
    over = true;
    return error;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(over, false);
  gate.resolve();
  assert.equal(await told, first);
  assert.ok(ended);
  assert.deepEqual(begun, ["fails", "goes on", "fails too"]);
});
