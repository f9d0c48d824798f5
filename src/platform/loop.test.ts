import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { Loop } from "./loop.ts";

test("a loop turns until it is stopped, once however often it is started, and its end waits for the turn under way", async () => {
  const clock = new ManualClock();
  const seen: string[] = [];
  const loop = new Loop(async (signal) => {
    seen.push("turn");
    await clock.sleep(10, { signal }).catch(() => undefined);
    if (signal.aborted) await clock.sleep(5, {}).then(() => seen.push("tidied"));
  });
  loop.start();
  loop.start();
  await clock.advance(20);
  assert.deepEqual(seen, ["turn", "turn", "turn"]);
  const stopped = Promise.all([loop.stop(), loop.stop()]).then(() => seen.push("over"));
  await clock.advance(0);
  await clock.advance(10);
  await stopped;
  assert.deepEqual(seen.slice(3), ["tidied", "over"]);
});

test("a loop that was stopped before it began does nothing", async () => {
  const loop = new Loop(async () => assert.fail("it turns"));
  await loop.stop();
  loop.start();
  await loop.stop();
});
