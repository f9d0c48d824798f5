import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import type { Clock, Instant, Monotonic } from "../platform/clock.ts";
import { Histogram } from "./histogram.ts";
import { Measurements } from "./measurements.ts";
import { type Outcome, outcomeOfFailure, outcomeOfWarning, reasonOf } from "./outcome.ts";
import { judgeUnexpected } from "./read-back.ts";

const OK: Outcome = { kind: "ok" };
const START_MS = 1_000_000;

function at(ms: number): Monotonic {
  return ms as Monotonic;
}

/** Measurements that began at monotonic 0, wall time START_MS. */
function measurements(): Measurements {
  const clock: Clock = { now: () => START_MS as Instant, monotonic: () => at(0), sleep: () => Promise.resolve() };
  return new Measurements(clock, "00112233445566778899aabbccddeeff");
}

function end(of: Measurements, write: { due: number; ended: number; outcome?: Outcome; sequence?: number }): void {
  of.arrived("write");
  of.ended({
    kind: "write",
    sequence: write.sequence ?? write.due,
    dueAt: at(write.due),
    endedAt: at(write.ended),
    outcome: write.outcome ?? OK,
  });
}

test("quantiles are exact to two per cent and the maximum is exact", () => {
  const histogram = new Histogram();
  for (let latency = 1; latency <= 1_000; latency++) histogram.add(latency);
  const { count, p50Ms, p90Ms, p99Ms, maxMs } = histogram.report();
  assert.equal(count, 1_000);
  for (const [found, wanted] of [
    [p50Ms, 500],
    [p90Ms, 900],
    [p99Ms, 990],
  ] as const) {
    assert.ok(Math.abs(found / wanted - 1) < 0.021, `${found} for ${wanted}`);
  }
  assert.equal(maxMs, 1_000);
  assert.equal(new Histogram().report().p99Ms, 0);
});

test("latency counts from the scheduled arrival, however late the write was sent", () => {
  const seen = measurements();
  end(seen, { due: 100, ended: 2_100 });
  assert.equal(seen.report(at(2_100)).writes.latency.maxMs, 2_000);
});

test("the outage starts at the earliest scheduled arrival that did not succeed, in whatever order they are given up", () => {
  const seen = measurements();
  const unknown: Outcome = { kind: "unknown", reason: "ECONNRESET" };
  end(seen, { due: 0, ended: 5 });
  end(seen, { due: 40, ended: 60, outcome: { kind: "failed", reason: "57P03", sent: true } });
  end(seen, { due: 20, ended: 70, outcome: unknown });
  end(seen, { due: 60, ended: 90 });
  end(seen, { due: 80, ended: 95, outcome: unknown });
  end(seen, { due: 100, ended: 110 });
  end(seen, { due: 120, ended: 130 });
  const { window } = seen.report(at(130)).writes;
  assert.equal(window.firstFailedMs, START_MS + 20);
  assert.equal(window.firstFailedReason, "ECONNRESET");
  assert.equal(window.lastFailedMs, START_MS + 95);
  assert.equal(window.healthySinceMs, START_MS + 110);
  assert.deepEqual(window.longestGap, { fromMs: START_MS + 5, toMs: START_MS + 90, durationMs: 85 });
});

test("a gap that still runs is counted, and a mark begins a window without what came before", () => {
  const seen = measurements();
  end(seen, { due: 0, ended: 10, outcome: { kind: "failed", reason: "deadline-in-pool-queue", sent: false } });
  end(seen, { due: 20, ended: 30 });
  assert.equal(seen.report(at(1_030)).writes.window.longestGap.durationMs, 1_000);
  seen.mark(at(1_030), { label: "fault" });
  end(seen, { due: 1_040, ended: 1_045 });
  const { window, failedCount } = seen.report(at(1_050)).writes;
  assert.equal(window.beganMs, START_MS + 1_030);
  assert.equal(window.firstFailedMs, undefined);
  assert.equal(window.longestGap.durationMs, 15);
  assert.equal(failedCount, 1);
});

test("counts go by outcome and reason, and sent writes without success are listed", () => {
  const seen = measurements();
  end(seen, { due: 1, ended: 2, outcome: { kind: "failed", reason: "deadline-in-pool-queue", sent: false } });
  end(seen, { due: 2, ended: 3, outcome: { kind: "failed", reason: "25006", sent: true } });
  end(seen, { due: 3, ended: 4, outcome: { kind: "unknown", reason: "warning-01000" } });
  end(seen, { due: 4, ended: 5 });
  seen.arrived("write");
  seen.connectFailed("ECONNREFUSED");
  const report = seen.report(at(6));
  assert.deepEqual(
    [
      report.writes.arrivedCount,
      report.writes.okCount,
      report.writes.failedCount,
      report.writes.unknownCount,
      report.writes.outstandingCount,
    ],
    [5, 1, 2, 1, 1],
  );
  assert.deepEqual(report.writes.failedReasons, { "deadline-in-pool-queue": 1, "25006": 1 });
  assert.deepEqual(report.writes.unknownReasons, { "warning-01000": 1 });
  assert.deepEqual(report.connectReasons, { ECONNREFUSED: 1 });
  assert.deepEqual(report.refusedRanges, [[2, 2]]);
  assert.deepEqual(report.unknownRanges, [[3, 3]]);
});

function serverError(severity: string, code: string): pg.DatabaseError {
  const error = new pg.DatabaseError("words that nobody reads", 0, "error");
  return Object.assign(error, { severity, code, routine: "exec_simple_query" });
}

test("an ERROR of the server is a failure, a FATAL or a broken connection proves nothing", () => {
  assert.deepEqual(outcomeOfFailure(serverError("ERROR", "23514")), { kind: "failed", reason: "23514", sent: true });
  assert.deepEqual(outcomeOfFailure(serverError("FATAL", "XX000")), { kind: "unknown", reason: "XX000" });
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  assert.deepEqual(outcomeOfFailure(reset), { kind: "unknown", reason: "connection-lost" });
  assert.equal(reasonOf(reset), "ECONNRESET");
  assert.deepEqual(outcomeOfWarning("57P01"), { kind: "unknown", reason: "warning-57P01" });
  assert.equal(reasonOf("nonsense"), "connection-lost");
});

test("a mark dated back keeps the answers that came since, and each closed window stays with its label", () => {
  const seen = measurements();
  end(seen, { due: 0, ended: 10 });
  end(seen, { due: 90, ended: 100 });
  seen.mark(at(110), { label: "fault", at: at(95) });
  end(seen, { due: 400, ended: 500, outcome: { kind: "failed", reason: "25006", sent: true } });
  end(seen, { due: 500, ended: 600 });
  const report = seen.report(at(600));
  assert.deepEqual([report.label, report.closed.map(({ label }) => label)], ["fault", ["start"]]);
  const { window } = report.writes;
  assert.equal(window.beganMs, START_MS + 95);
  assert.deepEqual(window.longestGap, { fromMs: START_MS + 100, toMs: START_MS + 600, durationMs: 500 });
  assert.deepEqual([window.okCount, window.failedCount, window.failedReasons], [2, 1, { "25006": 1 }]);
  assert.equal(report.closed[0]?.writes.okCount, 2);
});

test("a window that is dated back has the failures since its beginning", () => {
  const seen = measurements();
  end(seen, { due: 900, ended: 905 });
  // The kill came at 1000; the mark arrives at 1500 and says so.
  const lost: Outcome = { kind: "unknown", reason: "connection-lost" };
  for (let due = 1000; due < 1500; due += 5) end(seen, { due, ended: due + 1, outcome: lost });
  seen.mark(at(1500), { label: "kill9", at: at(1000) });
  end(seen, { due: 1500, ended: 1505, outcome: lost });
  end(seen, { due: 1600, ended: 1605 });
  const { window } = seen.report(at(1700)).writes;
  assert.deepEqual([window.firstFailedMs, window.unknownCount], [START_MS + 1000, 101]);
  assert.deepEqual(window.longestGap, { fromMs: START_MS + 1000, toMs: START_MS + 1605, durationMs: 605 });
});

test("a window that is dated back over good answers has no gap there", () => {
  const seen = measurements();
  for (let due = 0; due <= 5000; due += 5) end(seen, { due, ended: due + 1 });
  seen.mark(at(5001), { label: "switchover", at: at(1000) });
  end(seen, { due: 5005, ended: 5006 });
  const { window } = seen.report(at(5007)).writes;
  assert.deepEqual([window.longestGap.durationMs, window.okCount], [5, 802]);
});

test("a window is dated back as far as what ended is known, never to before the run or beyond a minute", () => {
  const seen = measurements();
  for (let due = 0; due <= 90_000; due += 100) end(seen, { due, ended: due + 1 });
  seen.mark(at(90_002), { label: "early", at: at(-5_000) });
  const { window } = seen.report(at(90_002)).writes;
  assert.deepEqual([window.beganMs, window.okCount], [START_MS + 29_901, 601]);
  const fresh = measurements();
  fresh.mark(at(10), { label: "early", at: at(-5_000) });
  assert.equal(fresh.report(at(10)).writes.window.beganMs, START_MS);
});

test("writes of unknown outcome that are there are not called failed, however many they are", () => {
  const seen = measurements();
  const count = 50_000;
  const unknown: Outcome = { kind: "unknown", reason: "ledger-failed" };
  const refused: Outcome = { kind: "failed", reason: "23514", sent: true };
  const there: number[] = [];
  for (let n = 1; n <= count; n += 1) {
    // By turns, so that no range grows: more than are kept.
    end(seen, { due: n, ended: n, sequence: n, outcome: n % 2 === 1 ? unknown : OK });
    if (n % 2 === 1) there.push(n);
  }
  end(seen, { due: count + 1, ended: count + 1, sequence: count + 1, outcome: refused });
  const report = seen.report(at(count + 1));
  assert.equal(report.unknownLeftOutCount, 5_000);
  const judged = judgeUnexpected({ unexpected: [...there, count + 1, count + 2] }, report);
  assert.deepEqual(judged, {
    unknownPresent: there.length,
    unknownAbsent: 0,
    failedPresent: [count + 1],
    strangers: [count + 2],
  });
});

test("writes and reads are counted apart, and numbers of different reasons are bounded", () => {
  const seen = measurements();
  end(seen, { due: 1, ended: 2 });
  seen.arrived("read");
  const failed: Outcome = { kind: "failed", reason: "25006", sent: true };
  seen.ended({ kind: "read", sequence: 1, dueAt: at(1), endedAt: at(9), outcome: failed });
  seen.rowMissing();
  for (let number = 0; number < 200; number++) seen.connectFailed(`reason ${number}`);
  const { writes, reads, rowMissingCount, refusedRanges, connectReasons } = seen.report(at(10));
  assert.deepEqual([writes.okCount, writes.failedCount, reads.okCount, reads.failedCount], [1, 0, 0, 1]);
  assert.deepEqual([rowMissingCount, refusedRanges], [1, []]);
  assert.deepEqual([Object.keys(connectReasons).length, connectReasons["more"]], [101, 100]);
});
