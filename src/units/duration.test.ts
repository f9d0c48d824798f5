import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DURATION_MAX_MS, describeDuration, formatDuration, parseDuration } from "./duration.ts";

test("a duration is read with its unit, whole or in parts", () => {
  assert.equal(parseDuration("10s"), 10_000);
  assert.equal(parseDuration("500ms"), 500);
  assert.equal(parseDuration("1h30m"), 5_400_000);
  assert.equal(parseDuration("1.5s"), 1_500);
  assert.equal(parseDuration("2d 3h"), 183_600_000);
  assert.equal(parseDuration("0s"), 0);
});

test("what is not a duration is refused, above all a number without a unit", () => {
  for (const text of ["", "10", "s", "-1s", "10 sec", "1m1h", "1..5s", ".s", "1e3s", "99999999d", "NaNs"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

test("writing a duration and reading it again gives the same duration", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: DURATION_MAX_MS }), (durationMs) => {
      assert.equal(parseDuration(formatDuration(durationMs)), durationMs);
    }),
  );
});

test("a duration for people has two units at most", () => {
  assert.equal(describeDuration(80.4), "80ms");
  assert.equal(describeDuration(3_240), "3.2s");
  assert.equal(describeDuration(48_400), "48s");
  assert.equal(describeDuration(9_960), "10s");
  assert.equal(describeDuration(59_700), "1m");
  assert.equal(describeDuration(80_000), "1m20s");
  assert.equal(describeDuration(7_505_000), "2h5m");
});
