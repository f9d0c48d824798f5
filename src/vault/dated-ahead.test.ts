import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instant } from "../platform/clock.ts";
import { aheadMs, newestOf } from "./dated-ahead.ts";

const now = Date.UTC(2026, 0, 2) as Instant;
const early = { endedAt: "2026-01-01T12:00:00.000Z" };
const late = { endedAt: "2026-01-02T00:04:00.000Z" };
const wrong = { endedAt: "2027-01-02T00:00:00.000Z" };

test("a time is ahead beyond what clocks differ by", () => {
  assert.deepEqual(
    [early, late, wrong].map(({ endedAt }) => aheadMs(endedAt, now)),
    [undefined, undefined, 365 * 86_400_000],
  );
});

test("what is dated ahead is the newest only where there is no other", () => {
  assert.equal(newestOf([early, late, wrong], now), late);
  assert.equal(newestOf([wrong], now), wrong);
  assert.equal(newestOf([], now), undefined);
});
