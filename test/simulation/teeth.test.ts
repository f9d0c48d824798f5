import assert from "node:assert/strict";
import { test } from "node:test";
import { RULE_NAMES } from "./rules.ts";
import { simulate } from "./simulate.ts";

/** A rule that can go for longer without being missed is not tested. */
const SEEDS_MAX = 2_000;

for (const rule of RULE_NAMES) {
  test(`without the rule "${rule}" the simulation finds a violation`, async (context) => {
    const share = await simulate({ first: 1, count: SEEDS_MAX, without: [rule], stopAtViolation: true });
    const [found] = share.broken;
    assert.ok(found !== undefined, `nothing found in ${share.seeds} seeds`);
    const [violation] = found.violations;
    context.diagnostic(`${rule}: seed ${found.seed}, after ${share.seeds} seeds: ${violation?.kind}`);
  });
}
