import assert from "node:assert/strict";
import { test } from "node:test";
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { type AlarmFacts, alarmsOf, reportedError } from "./alarms.ts";

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0) as Instant;
const QUIET: AlarmFacts = {
  now: NOW,
  mode: "streaming",
  modeAt: (NOW - 60_000) as Instant,
  lastError: undefined,
  stalledMs: 0,
  stallAfterMs: 10_000,
  hindrance: undefined,
  uploadFailure: undefined,
  uploadingSince: undefined,
  lostGaps: [],
  unreadable: [],
};

function kinds(facts: Partial<AlarmFacts>): readonly string[] {
  return alarmsOf({ ...QUIET, ...facts }).map(({ kind }) => kind);
}

test("a receiver that streams and keeps up raises no alarm", () => {
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(kinds({ stalledMs: 10_000 }), []);
});

test("a server that advances while nothing is confirmed is an alarm after a while, since the beginning", () => {
  const [alarm] = alarmsOf({ ...QUIET, stalledMs: 10_001 });
  assert.equal(alarm?.kind, "stalled");
  assert.equal(alarm?.since, "2026-11-22T11:59:49.999Z");
});

test("what was not confirmed while there was no stream is no alarm of the stream", () => {
  assert.deepEqual(kinds({ stalledMs: 3_600_000, modeAt: (NOW - 9_000) as Instant }), []);
  const [alarm] = alarmsOf({ ...QUIET, stalledMs: 3_600_000, modeAt: (NOW - 11_000) as Instant });
  assert.equal(alarm?.since, "2026-11-22T11:59:49.000Z");
});

test("where nothing may be confirmed the alarm says why", () => {
  const told = (hindrance: AlarmFacts["hindrance"]): string =>
    alarmsOf({ ...QUIET, stalledMs: 10_001, hindrance })[0]?.message ?? "";
  assert.match(told({ kind: "no-grant", reign: 3 }), /no grant in reign 3/);
  assert.match(
    told({ kind: "not-contiguous", rangeFrom: 0x3000000n as Lsn, contiguousWith: 0x2000000n as Lsn }),
    /held begins at 0\/3000000, and the replica is at 0\/2000000/,
  );
  assert.match(told({ kind: "not-contiguous", rangeFrom: undefined, contiguousWith: undefined }), /not told/);
});

test("not streaming is an alarm once a reconnection should be over, and at once when it failed", () => {
  assert.deepEqual(kinds({ mode: "backing-off", modeAt: (NOW - 1_000) as Instant }), []);
  assert.deepEqual(kinds({ mode: "backing-off", modeAt: (NOW - 6_000) as Instant }), ["not-streaming"]);
  assert.deepEqual(kinds({ mode: "failed", modeAt: NOW }), ["not-streaming"]);
});

test("lack of space, a failing vault and a gap are told together, each with its reason", () => {
  const failure = new LifeboatError("store.failed", { message: "disk:/v is gone", remedy: "Mount it." });
  const gap = { timeline: 1 as Timeline, from: 16n as Lsn, to: 32n as Lsn, noticedAt: "2026-11-22T11:00:00.000Z" };
  const alarms = alarmsOf({
    ...QUIET,
    mode: "waiting-for-space",
    lastError: reportedError(failure, NOW),
    uploadFailure: { error: failure, since: (NOW - 5) as Instant },
    lostGaps: [gap],
  });
  assert.deepEqual(
    alarms.map(({ kind }) => kind),
    ["no-space", "vault-failing", "gap"],
  );
  assert.match(alarms[0]?.message ?? "", /disk:\/v is gone/);
  assert.match(alarms[1]?.message ?? "", /disk:\/v is gone/);
  assert.match(alarms[2]?.message ?? "", /0\/10 to 0\/20 on timeline 1/);
});

test("WAL that does not read on is told with its place, its reason and what to do", () => {
  const stretch = { timeline: 1 as Timeline, from: 16n as Lsn, to: 32n as Lsn, noticedAt: "2026-11-22T11:00:00.000Z" };
  const unreadable = [{ ...stretch, systemId: "7" as SystemId, reason: "bad-checksum" }];
  const [alarm] = alarmsOf({ ...QUIET, unreadable });
  assert.deepEqual([alarm?.kind, alarm?.since], ["unreadable", stretch.noticedAt]);
  assert.match(alarm?.message ?? "", /at 0\/10 on timeline 1 \(bad-checksum\).*: take a backup now$/);
});

test("a vault that does not answer at all is an alarm when one segment has been on its way for two minutes", () => {
  assert.deepEqual(kinds({ uploadingSince: (NOW - 119_000) as Instant }), []);
  const [alarm] = alarmsOf({ ...QUIET, uploadingSince: (NOW - 121_000) as Instant });
  assert.deepEqual([alarm?.kind, alarm?.since], ["vault-failing", "2026-11-22T11:57:59.000Z"]);
});

test("an error that is not ours is reported as the bug it is", () => {
  assert.equal(reportedError(new TypeError("x is not a function"), NOW).code, "platform.assertion-failed");
});
