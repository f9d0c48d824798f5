import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../src/platform/clock.ts";
import { Measurements } from "../src/probe/measurements.ts";
import { runOf } from "./failover.ts";
import { FAULTS } from "./failover-plan.ts";

test("a run whose writes nobody could read back has the outage of its load's last report, and lost an unknown number", () => {
  const [fault] = FAULTS;
  assert.ok(fault !== undefined);
  const measurements = new Measurements(systemClock, "client");
  measurements.mark(systemClock.monotonic(), { label: fault.name });
  const report = measurements.report(systemClock.monotonic());
  const [writes, longestGap] = [report.writes, { ...report.writes.window.longestGap, durationMs: 120_400 }];
  const run = runOf({
    fault,
    number: 1,
    before: "db",
    after: "none",
    report: { ...report, writes: { ...writes, okCount: 77, window: { ...writes.window, longestGap } } },
    probe: undefined,
    healMs: 300_000,
  });
  assert.deepEqual([run.writeOutageS, run.acknowledged, run.lost, run.primaryAfter], [120.4, 77, undefined, "none"]);
});
