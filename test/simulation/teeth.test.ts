import assert from "node:assert/strict";
import { test } from "node:test";
import { RULE_NAMES } from "./rules.ts";
import { searchViolation } from "./simulate.ts";

/** A rule that can go for longer without being missed is not tested. */
const SEEDS_MAX = 2_000;

/** All at once: the threads are the limit, and a rule that is missed soon leaves its thread to the next one. */
const searches = RULE_NAMES.map((rule) => {
  const share = searchViolation({ first: 1, count: SEEDS_MAX, without: [rule] });
  // It is told by its test.
  share.catch(() => undefined);
  return { rule, share };
});

for (const { rule, share: searching } of searches) {
  test(`without the rule "${rule}" the simulation finds a violation`, async (context) => {
    const share = await searching;
    const [found] = share.broken;
    assert.ok(found !== undefined, `nothing found in ${share.seeds} seeds`);
    const [violation] = found.violations;
    context.diagnostic(`${rule}: seed ${found.seed}, after ${share.seeds} seeds: ${violation?.kind}`);
  });
}
