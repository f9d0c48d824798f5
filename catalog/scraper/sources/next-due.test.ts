import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { testSeed } from "../../../test/support/effort.ts";
import { nextDueMs } from "./next-due.ts";

test("after failures any time up to a doubling back-off, never before what the server asked for", () => {
  const facts = fc.record({
    intervalMs: fc.integer({ min: 1_000, max: 86_400_000 }),
    failures: fc.integer({ min: 0, max: 100 }),
    retryAfterMs: fc.option(fc.integer({ min: 0, max: 86_400_000 }), { nil: undefined }),
    chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  });
  const property = fc.property(facts, (each) => {
    const ms = nextDueMs(each);
    const longest = each.failures === 0 ? each.intervalMs : Math.min(60_000 * 2 ** (each.failures - 1), 21_600_000);
    assert.ok(ms >= (each.retryAfterMs ?? 0) && ms > 0 && ms <= Math.max(longest, each.retryAfterMs ?? 0));
  });
  fc.assert(property, { seed: testSeed() });
  assert.equal(nextDueMs({ intervalMs: 600_000, failures: 0, chance: 0 }), 600_000);
  assert.equal(nextDueMs({ intervalMs: 600_000, failures: 3, chance: 0.5 }), 120_000);
});
