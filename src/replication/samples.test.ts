import assert from "node:assert/strict";
import { test } from "node:test";
import type { Monotonic } from "../platform/clock.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { LagSamples } from "./samples.ts";

const at = (seconds: number): Monotonic => (seconds * 1_000) as Monotonic;
const lsn = (position: number): Lsn => BigInt(position) as Lsn;

/** A primary that writes 100 bytes a second, looked at every second from second 0 on. */
function watched(seconds: number, source = "db/1"): LagSamples {
  const samples = new LagSamples();
  for (let second = 0; second <= seconds; second += 1) samples.add(source, at(second), lsn(1_000 + 100 * second));
  return samples;
}

test("whoever has all of the newest sample has no lag, whatever the time", () => {
  const samples = watched(10);
  assert.deepEqual(samples.lagOf(lsn(2_000), at(10)), { ms: 0, atLeast: false });
  assert.deepEqual(samples.lagOf(lsn(2_500), at(60)), { ms: 0, atLeast: false });
});

test("the lag of whoever stands still is the age of the oldest sample it lacks, and grows", () => {
  const samples = watched(10);
  assert.deepEqual(samples.lagOf(lsn(1_500), at(10)), { ms: 4_000, atLeast: false });
  assert.deepEqual(samples.lagOf(lsn(1_500), at(100)), { ms: 94_000, atLeast: false });
  assert.deepEqual(samples.lagOf(lsn(1_501), at(10)), { ms: 4_000, atLeast: false });
  assert.deepEqual(samples.lagOf(lsn(1_600), at(10)), { ms: 3_000, atLeast: false });
});

test("of whoever lacks even the first sample only the least lag is known", () => {
  assert.deepEqual(watched(10).lagOf(lsn(999), at(10)), { ms: 10_000, atLeast: true });
});

test("nothing is known before the first sample, and of another primary or timeline everything begins anew", () => {
  assert.equal(new LagSamples().lagOf(lsn(1), at(1)), undefined);
  const samples = watched(10);
  samples.add("db_replica/2", at(11), lsn(2_200));
  assert.deepEqual(samples.lagOf(lsn(1_500), at(12)), { ms: 1_000, atLeast: true });
});

test("a primary that writes nothing adds no samples, so that what is lacked keeps its age", () => {
  const samples = watched(10);
  for (let second = 11; second < 100; second += 1) samples.add("db/1", at(second), lsn(2_000));
  assert.deepEqual(samples.lagOf(lsn(1_900), at(100)), { ms: 90_000, atLeast: false });
});

test("after a day at a look a second the lag of minutes and of hours is still right, within a twentieth", () => {
  const day = 86_400;
  const samples = watched(day);
  for (const secondsAgo of [5, 60, 600, 3_600, 43_200, 80_000]) {
    const lag = samples.lagOf(lsn(1_000 + 100 * (day - secondsAgo) - 1), at(day));
    const wrong = Math.abs((lag?.ms ?? 0) / 1_000 - secondsAgo);
    assert.ok(wrong <= secondsAgo / 20, `${secondsAgo} s ago: ${lag?.ms} ms`);
  }
});
