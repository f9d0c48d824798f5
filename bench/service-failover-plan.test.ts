import assert from "node:assert/strict";
import { test } from "node:test";
import {
  failureKinds,
  longestGapMs,
  remainingFaults,
  type ServiceFailoverRun,
  serviceFailoverReport,
} from "./service-failover-plan.ts";

const FIGURES = { ok: 100, failures: {}, outageS: 0.5, slowestS: 0.6 };
const RUN: ServiceFailoverRun = {
  fault: "killed",
  number: 1,
  at: "2026-11-27T00:00:00Z",
  primaryBefore: "db",
  primaryAfter: "db_replica",
  reads: FIGURES,
  writes: FIGURES,
  lost: 0,
  healS: 2,
};

test("the outage is the longest time without an answer from the fault on, also before the first and behind the last", () => {
  assert.equal(longestGapMs([100, 130, 190, 200], 110, 210), 60);
  assert.equal(longestGapMs([90, 200], 100, 210), 100);
  assert.equal(longestGapMs([105], 100, 300), 195);
  assert.equal(longestGapMs([], 100, 300), 200);
});

test("failures are counted by status and code, or by how they broke off", () => {
  const failures = [
    '503 {"error":{"code":"SERVICE_UNAVAILABLE"}}',
    "502 <html>",
    "TypeError: fetch failed ECONNRESET",
    "502 x",
  ];
  assert.deepEqual(failureKinds(failures), {
    "503 SERVICE_UNAVAILABLE": 1,
    "502": 2,
    "TypeError: fetch failed ECONNRESET": 1,
  });
});

test("what was measured is not measured again, and rounds go on in turns", () => {
  const left = remainingFaults({ faults: ["switchover", "killed"], runs: 2 }, [RUN]);
  assert.deepEqual(
    left.map(({ fault, number }) => `${fault.name} ${number}`),
    ["switchover 1", "killed 2", "switchover 2"],
  );
});

test("a request that fails, a write that is lost, and a role that did not move are told as goals that were missed", () => {
  const kept = (run: Partial<ServiceFailoverRun>) =>
    (serviceFailoverReport([RUN, { ...RUN, number: 2, ...run }], {}).data["verdicts"] as { kept: boolean }[]).map(
      (verdict) => verdict.kept,
    );
  assert.deepEqual(kept({}), [true, true, true, true]);
  assert.deepEqual(kept({ reads: { ...FIGURES, failures: { "503": 1 } } }), [false, true, true, true]);
  assert.deepEqual(kept({ writes: { ...FIGURES, failures: { "503": 1 } } }), [true, false, true, true]);
  assert.deepEqual(kept({ lost: 1 }), [true, true, false, true]);
  assert.deepEqual(kept({ primaryAfter: "db" }), [true, true, true, false]);
  assert.match(serviceFailoverReport([{ ...RUN, writes: { ...FIGURES, failures: { reset: 3 } } }], {}).text, /reset 3/);
});

test("a stack that did not heal, and writes that nobody could be asked for, are told with the run", () => {
  const missed = (run: Partial<ServiceFailoverRun>): string =>
    serviceFailoverReport([RUN, { ...RUN, number: 2, ...run }], {})
      .text.split("\n")
      .filter((line) => /^MISSED|run 2/.test(line))
      .join("\n");
  assert.equal(missed({}), "");
  const problem = "db did not come back by itself in 60 s";
  assert.match(missed({ problem }), /^primary killed \(SIGKILL\), run 2: db did not come back by itself in 60 s$/m);
  assert.match(missed({ problem }), /^MISSED .*stacks that did not heal: 1 of 2$/m);
  assert.match(missed({ primaryAfter: "none" }), /^MISSED .*another than it should be: 1 of 2$/m);
  assert.match(missed({ lost: undefined }), /^MISSED .*not there once: 0 of all runs, unknown of 1$/m);
});
