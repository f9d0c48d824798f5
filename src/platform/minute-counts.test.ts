import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { MinuteCounts } from "./minute-counts.ts";

test("counts begin anew with each minute, and one that there is no room for is counted by nobody", async () => {
  const clock = new ManualClock();
  const counts = new MinuteCounts(clock, 2);
  assert.deepEqual([counts.add("a"), counts.add("a"), counts.add("b")], [1, 2, 1]);
  assert.deepEqual([counts.add("c"), counts.add("c"), counts.of("c")], [1, 1, undefined]);
  assert.deepEqual([counts.of("a"), counts.add("b")], [2, 2]);
  const { window, resetS } = counts.now();
  await clock.advance(resetS * 1_000 - 1);
  assert.deepEqual([counts.of("a"), counts.now()], [2, { window, resetS: 1 }]);
  await clock.advance(1);
  assert.deepEqual([counts.of("a"), counts.add("c"), counts.now().window], [0, 1, window + 1]);
});
