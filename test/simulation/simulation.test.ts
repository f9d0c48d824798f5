import assert from "node:assert/strict";
import { test } from "node:test";
import { STEP_EFFECTS } from "../../src/failover/plan.ts";
import { repetitions, testSeed } from "../support/effort.ts";
import { FAULTS } from "./faults.ts";
import { KEPT } from "./kept.ts";
import { BY_HAND_STEP } from "./script.ts";
import { simulate, tellStory } from "./simulate.ts";
import type { Share } from "./worker.ts";

/** A story that goes on repeats itself. */
const STORY_LINES_MAX = 200;
const SEEDS = repetitions(10_000);
/** Each fault, and a cut at each step, in ten thousand seeds: what hardly occurs is hardly tested. */
const OCCURRENCES_MIN = SEEDS / 100;
/** Chance that a kept scenario leaves, tried so often. */
const KEPT_SEEDS = 40;

/** All at once, for both threads to have something to do. */
const keptRuns = KEPT.map(({ script }) => {
  const run = simulate({ first: 1, count: KEPT_SEEDS, without: [], script });
  // It is told by its test.
  run.catch(() => undefined);
  return run;
});

for (const [index, { found, script, shows }] of KEPT.entries()) {
  test(`a kept scenario ends well: ${found}`, async () => {
    const { broken, counts } = (await keptRuns[index]) ?? { broken: [], counts: new Map<string, number>() };
    const [first] = broken;
    if (first !== undefined) console.log((await tellStory({ ...first, script })).slice(0, STORY_LINES_MAX).join("\n"));
    assert.deepEqual(broken, []);
    const missing = shows.filter((name) => ![...counts.keys()].some((counted) => counted.startsWith(name)));
    assert.deepEqual(missing, [], "what it was kept for no longer occurs");
  });
}

test("whatever fails, no acknowledged write is lost, one node acknowledges, and clients can write in the end", async () => {
  const share = await simulate({ first: testSeed(), count: SEEDS, without: [] });
  printCounts(share);
  for (const { seed, violations } of share.broken.slice(0, 5)) {
    console.log(`replay: LIFEBOAT_TEST_SEED=${seed} npm test -- test/simulation`, violations);
  }
  const [first] = share.broken;
  if (first !== undefined)
    console.log((await tellStory({ seed: first.seed, script: undefined })).slice(0, STORY_LINES_MAX).join("\n"));
  assert.deepEqual([share.broken.map(({ seed }) => seed), share.seeds], [[], SEEDS]);
  const rare = expectedNames().filter((name) => (countsByStep(share).get(name) ?? 0) < OCCURRENCES_MIN);
  assert.deepEqual(rare, [], "these occur too rarely");
});

function expectedNames(): readonly string[] {
  const steps = Object.keys(STEP_EFFECTS).filter((step) => step !== BY_HAND_STEP);
  return [...Object.keys(FAULTS), ...steps.map((step) => `cut at ${step}`)];
}

/** Cuts of all kinds at a step are counted together. */
function countsByStep({ counts }: Share): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [name, count] of counts) {
    const step = name.replace(/, (intent|outcome|midway)$/, "");
    sums.set(step, (sums.get(step) ?? 0) + count);
  }
  return sums;
}

function printCounts(share: Share): void {
  console.log(
    `${share.seeds} seeds, ${Math.round(share.simulatedMs / 60_000)} simulated minutes, ${share.events} events`,
  );
  for (const [name, count] of [...share.counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`${String(count).padStart(7)}  ${name}`);
  }
}
