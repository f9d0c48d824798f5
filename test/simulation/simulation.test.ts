import assert from "node:assert/strict";
import { test } from "node:test";
import { STEP_EFFECTS } from "../../src/failover/plan.ts";
import { repetitions, testSeed } from "../support/effort.ts";
import { FAULTS } from "./faults.ts";
import { simulate, tellStory } from "./simulate.ts";
import type { Share } from "./worker.ts";

/** A story that goes on repeats itself. */
const STORY_LINES_MAX = 200;
const SEEDS = repetitions(10_000);
/** Each fault, and a cut at each step, in ten thousand seeds: what hardly occurs is hardly tested. */
const OCCURRENCES_MIN = SEEDS / 100;
/** Seeds that once found something, by what it was. */
const KEPT: readonly (readonly [seed: number, found: string])[] = [
  [1564, "a sync of what a segment from the archive has replaced leaves a position without its bytes"],
  [4482, "the same, in quorum"],
  [20_264_385, "in strict, a hole before the vault's WAL failed every promotion of a replica that had everything"],
  [1_728_017_251, "what the old primary may still tell was looked for on the new one's destroyed disk"],
  [1_728_050_475, "the same, with a controller killed in between"],
  [1_728_065_830, "the same, of a primary that was cut off before it froze"],
  [
    1_728_019_533,
    "a replica of a primary that had just died was made anew of a vault that lacked what only it had confirmed",
  ],
  [9_005_004, "with the primary's disk lost, nobody started a replica that had more than the vault"],
];

for (const [seed, found] of KEPT) {
  test(`kept seed ${seed} ends well: ${found}`, async () => {
    const { broken } = await simulate({ first: seed, count: 1, without: [], stopAtViolation: false });
    if (broken.length > 0) console.log((await tellStory(seed)).slice(0, STORY_LINES_MAX).join("\n"));
    assert.deepEqual(broken, []);
  });
}

test("whatever fails, no acknowledged write is lost, one node acknowledges, and clients can write in the end", async () => {
  const share = await simulate({ first: testSeed(), count: SEEDS, without: [], stopAtViolation: false });
  printCounts(share);
  for (const { seed, violations } of share.broken.slice(0, 5)) {
    console.log(`replay: LIFEBOAT_TEST_SEED=${seed} npm test -- test/simulation`, violations);
  }
  const [first] = share.broken;
  if (first !== undefined) console.log((await tellStory(first.seed)).slice(0, STORY_LINES_MAX).join("\n"));
  assert.deepEqual([share.broken.map(({ seed }) => seed), share.seeds], [[], SEEDS]);
  const rare = expectedNames().filter((name) => (countsByStep(share).get(name) ?? 0) < OCCURRENCES_MIN);
  assert.deepEqual(rare, [], "these occur too rarely");
});

function expectedNames(): readonly string[] {
  return [...Object.keys(FAULTS), ...Object.keys(STEP_EFFECTS).map((step) => `cut at ${step}`)];
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
