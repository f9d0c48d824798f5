import assert from "node:assert/strict";
import { test } from "node:test";
import type { FailoverRequest, FailoverRun, FaultName } from "./failover-plan.ts";
import { failoverReport } from "./failover-report.ts";

function run(fault: FaultName, different: Partial<FailoverRun> = {}): FailoverRun {
  return {
    fault,
    number: 1,
    at: "2026-01-01T03:00:00.000Z",
    primaryBefore: "db",
    primaryAfter: "db_replica",
    writeOutageS: 0.3,
    faultToWriteOkS: 0.3,
    readOutageS: 0.3,
    faultToLastErrorS: undefined,
    longestOkS: 0.4,
    writesFailed: 0,
    writesUnknown: 0,
    readsFailed: 0,
    reasons: {},
    unknownPresent: 0,
    acknowledged: 1_000,
    lost: 0,
    odd: 0,
    rowMissing: 0,
    healS: 2,
    ...different,
  };
}

/** Goals that are missed, by what they say. */
function missed(runs: readonly FailoverRun[], durability: FailoverRequest["durability"] = "quorum"): readonly string[] {
  const request: FailoverRequest = { faults: [], runs: 1, ratePerSecond: 200, durability, mib: 0 };
  const { text } = failoverReport(runs, { request, versions: {} });
  return text.split("\n").flatMap((line) => /^MISSED +(.*)$/.exec(line)?.[1] ?? []);
}

test("a failover within its times that loses nothing keeps every goal, and stands beside the peers", () => {
  assert.deepEqual(missed([run("killed", { writesUnknown: 3 })]), []);
  const request: FailoverRequest = { faults: [], runs: 1, ratePerSecond: 200, durability: "quorum", mib: 0 };
  const { text } = failoverReport([run("killed", { writesUnknown: 3 })], { request, versions: {} });
  assert.match(text, /^Lifeboat +0\.30; 3$/m);
  assert.match(text, /^Patroni 3\.0, fastest documented +3\.00; 760$/m);
});

test("one lost or odd write is told, unless nothing was promised of it", () => {
  for (const bad of [{ lost: 1 }, { odd: 1 }]) {
    const runs = [run("killed"), run("killed", { number: 2, ...bad })];
    const wanted = "database killed (SIGKILL): acknowledged writes lost or odd: 1 of all runs";
    assert.deepEqual(missed(runs), [wanted]);
    assert.deepEqual(missed(runs, "async"), []);
  }
});

test("writes that could not be read back are no proof that none is lost, and a read that missed one is told", () => {
  const name = "database killed (SIGKILL)";
  const runs = [run("killed"), run("killed", { number: 2, lost: undefined, problem: "nobody came back" })];
  assert.deepEqual(missed(runs), [
    `${name}: commands that failed, stacks that did not heal: 1 of 2`,
    `${name}: acknowledged writes lost or odd: 0 of all runs, unknown of 1`,
  ]);
  const stale = [run("killed", { rowMissing: 2 }), run("killed", { number: 2, rowMissing: 1 })];
  assert.deepEqual(missed(stale), [`${name}: reads that did not see an acknowledged row: 3 of all runs`]);
  assert.deepEqual(missed(stale, "async"), []);
});

test("a failover at a false alarm, none at a fault, and one failed query of a switchover are told", () => {
  assert.deepEqual(missed([run("pause")]), ["primary halted for 2 s: false alarms: 1 of 1"]);
  for (const primaryAfter of ["db", "none"]) {
    assert.deepEqual(missed([run("frozen", { primaryAfter })]), [
      "frozen (SIGSTOP): runs without a new primary: 1 of 1",
    ]);
  }
  assert.deepEqual(missed([run("switchover", { readsFailed: 1 })]), [
    "planned switchover: operations not ok, at most: 1 in a run",
  ]);
});

test("a command that failed and a stack that did not heal are told", () => {
  assert.deepEqual(missed([run("switchover", { problem: "switchover ended with status 6" })]), [
    "planned switchover: commands that failed, stacks that did not heal: 1 of 1",
  ]);
});

test("the median and the worst outage are judged apart", () => {
  const outages = [0.2, 0.3, 2.5].map((writeOutageS, index) => run("killed", { number: index + 1, writeOutageS }));
  assert.deepEqual(missed(outages), ["database killed (SIGKILL): write outage below 2 s at worst: 2.5 s"]);
});
