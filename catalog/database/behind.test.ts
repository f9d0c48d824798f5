import assert from "node:assert/strict";
import { test } from "node:test";
import type { Monotonic } from "../../src/platform/clock.ts";
import { PrimaryPositions } from "./behind.ts";

const at = (seconds: number): Monotonic => (seconds * 1_000) as Monotonic;

/** By how many seconds a replica is behind that was looked at now. */
function behind(
  positions: PrimaryPositions,
  replica: { readonly position: bigint; readonly commitAgeS?: number },
  now = 1_000,
) {
  const commitAgeMs = replica.commitAgeS === undefined ? undefined : replica.commitAgeS * 1_000;
  return positions.behindMs({ at: at(now), position: replica.position, commitAgeMs }) / 1_000;
}

/** A primary that was seen each second from 900 to 1,000, and wrote ten bytes between two looks. */
function busy(): PrimaryPositions {
  const positions = new PrimaryPositions();
  for (let second = 900; second <= 1_000; second++) positions.saw({ at: at(second), position: BigInt(second * 10) });
  return positions;
}

test("a replica is behind by the time since it had all that the primary had", () => {
  const positions = busy();
  assert.equal(behind(positions, { position: 10_000n }), 0);
  assert.equal(behind(positions, { position: 10_003n }), 0);
  assert.equal(behind(positions, { position: 9_999n }), 1);
  assert.equal(behind(positions, { position: 9_500n }), 50);
});

test("while no primary is seen a replica falls no further behind, and while none writes it is not behind at all", () => {
  const positions = busy();
  assert.equal(behind(positions, { position: 10_000n }, 9_999), 0);
  assert.equal(behind(positions, { position: 9_999n }, 9_999), 1);
  for (let second = 1_001; second <= 2_000; second++) positions.saw({ at: at(second), position: 10_000n });
  assert.equal(behind(positions, { position: 10_000n }, 2_000), 0);
  assert.equal(behind(positions, { position: 9_999n }, 2_000), 1_001, "999 s, and what was written before");
});

test("a replica that is further behind than the primary was seen is so by its newest commit, and no less than that", () => {
  const positions = busy();
  assert.equal(behind(positions, { position: 1n, commitAgeS: 86_400 }), 86_400);
  assert.equal(behind(positions, { position: 1n, commitAgeS: 1 }), 100);
  assert.equal(behind(positions, { position: 1n }), 100);
  // Positions of more than a quarter of an hour ago are forgotten, but for one.
  for (let second = 1_001; second <= 3_000; second++) positions.saw({ at: at(second), position: BigInt(second * 10) });
  assert.equal(behind(positions, { position: 10_000n }, 3_000), 901);
  assert.equal(behind(new PrimaryPositions(), { position: 1n, commitAgeS: 86_400 }), 0, "nothing newer is known");
});

test("a primary that took another's place and has less: what the other one had counts no more", () => {
  const positions = busy();
  positions.saw({ at: at(1_001), position: 9_985n });
  assert.equal(behind(positions, { position: 9_985n }), 0);
  assert.equal(behind(positions, { position: 9_984n }), 3);
});
