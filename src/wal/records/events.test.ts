import assert from "node:assert/strict";
import { test } from "node:test";
import { formatWalTime, type WalTime, walTimeToInstant } from "./events.ts";

test("a time is printed to the microsecond, and rounded down to milliseconds, also before 1970", () => {
  for (const [time, text, instant] of [
    [1_795_388_030_189_925, "2026-11-22T22:53:50.189925Z", 1_795_388_030_189],
    [1_795_388_030_000_001, "2026-11-22T22:53:50.000001Z", 1_795_388_030_000],
    [-1, "1969-12-31T23:59:59.999999Z", -1],
  ] as const) {
    assert.equal(formatWalTime(time as WalTime), text);
    assert.equal(walTimeToInstant(time as WalTime), instant);
  }
});
