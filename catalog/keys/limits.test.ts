import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import type { Redis } from "../cache/redis.ts";
import { Limits } from "./limits.ts";

test("calls are counted together where redis answers, and here while it does not: a limit holds without it", async () => {
  const clock = new ManualClock();
  let shared: { readonly count: number; readonly text: string | undefined } | undefined;
  const redis = { countAndGet: async () => shared } as unknown as Redis;
  const limits = new Limits(clock, redis);
  const take = async () => {
    const { remaining, isOver } = await limits.take("who", 3);
    return isOver ? "over" : remaining;
  };
  shared = { count: 2, text: undefined };
  assert.equal(await take(), 1);
  // Gone, with what it had counted: what came here counts, also of before.
  shared = undefined;
  assert.deepEqual([await take(), await take(), await take()], [1, 0, "over"]);
  assert.equal((await limits.take("another", 3)).remaining, 2);
  await clock.advance(60_000);
  assert.equal(await take(), 2);
});

test("what is counted by the hour is counted on when a minute ends, and anew when the hour does", async () => {
  const clock = new ManualClock();
  const limits = new Limits(clock, undefined);
  const take = async () => await limits.take("who", 2, "hour");
  await take();
  await clock.advance(59 * 60_000);
  assert.equal((await take()).isOver, false);
  const { isOver, resetS } = await take();
  assert.deepEqual([isOver, resetS], [true, 60]);
  await clock.advance(60_000);
  assert.equal((await take()).remaining, 1);
});
