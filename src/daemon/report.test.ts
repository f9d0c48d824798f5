import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesGolden } from "../../test/support/golden.ts";
import type { Epoch, JournalEntry } from "../failover/ports.ts";
import type { Instant, Monotonic } from "../platform/clock.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { PARTS, renderReport, reportOf, type TimedEntry, withGap } from "./report.ts";
import { reportedClients } from "./report-clients.ts";

const START = Date.UTC(2026, 10, 26, 12);

function at(ms: number, kind: JournalEntry["kind"], name: string, facts: JournalEntry["facts"] = {}): TimedEntry {
  const epoch = 8 as Epoch;
  return { entry: { epoch, kind, name, facts }, at: (START + ms) as Instant, monotonic: ms as Monotonic };
}

function step(from: number, to: number, name: string, failed?: string): readonly TimedEntry[] {
  return [at(from, "intent", name), at(to, "outcome", name, failed === undefined ? {} : { failed })];
}

const POSITIONS = [
  { of: "db", timeline: 1, flushed: parseLsn("0/3000060"), whole: undefined, seenAgoMs: 120 },
  { of: "db_replica", timeline: 1, flushed: parseLsn("0/3000040"), whole: parseLsn("0/3000000"), seenAgoMs: 3 },
  { of: "receiver", timeline: 1, flushed: parseLsn("0/3000058"), whole: parseLsn("0/3000050"), seenAgoMs: 2 },
];

const FAILOVER: readonly TimedEntry[] = [
  at(0, "decision", "healthy"),
  at(110, "decision", "suspect", { since: 40 }),
  at(160, "decision", "promotable", { candidate: "db_replica", loss: { kind: "none" }, positions: POSITIONS }),
  at(165, "intent", "failover", { from: "db", to: "db_replica" }),
  ...step(170, 230, "withdraw-witness"),
  ...step(170, 260, "stop-receiving"),
  ...step(260, 400, "await-replay"),
  ...step(400, 480, "see-promoted"),
  ...step(480, 500, "repoint-poolers", "it does not answer"),
  ...step(500, 520, "resume-poolers"),
  ...step(520, 560, "prove-writes"),
  at(565, "outcome", "failover", { shortcomings: ["a pooler"], at: parseLsn("0/10") }),
];

test("an outage is split from the first look that failed to the first write, and its parts add up", () => {
  const withoutGap = reportOf(FAILOVER, { stack: "shop", journalHead: "ab" });
  assert.ok(withoutGap);
  const told = { errors: [{ reason: "pgb-server-crashed", executed: "perhaps", count: 3 }], complete: false } as const;
  const report = { ...withGap(withoutGap, parseLsn("0/3000050")), clients: reportedClients(told) };
  assert.deepEqual(report.parts, { detect: 120, decide: 5, fence: 95, promote: 220, route: 40, prove: 40 });
  assert.equal(report.outageMs, 480);
  const sum = PARTS.filter((part) => part !== "prove").reduce((total, part) => total + (report.parts[part] ?? 0), 0);
  assert.equal(sum, report.outageMs);
  assert.equal(report.beganAt, "2026-11-26T12:00:00.040Z");
  assert.deepEqual([report.from, report.to, report.epoch, report.shortcomings], ["db", "db_replica", 8, ["a pooler"]]);
  matchesGolden("daemon/report.json", `${JSON.stringify(report, undefined, 2)}\n`);
  matchesGolden("daemon/report.txt", renderReport(report));
});

test("a switchover has no detection, and begins with its plan", () => {
  const entries = [
    at(0, "decision", "healthy"),
    at(900, "decision", "switchover", { asked: true, positions: POSITIONS.slice(1) }),
    at(1_000, "intent", "switchover", { from: "db", to: "db_replica" }),
    ...step(1_000, 1_100, "stop-primary"),
    ...step(1_100, 1_200, "resume-poolers"),
    at(1_210, "outcome", "switchover", { shortcomings: [] }),
  ];
  const report = reportOf(entries, { stack: "shop", journalHead: "ab" });
  assert.deepEqual([report?.outageMs, report?.parts.detect, report?.decision], [200, null, null]);
  assert.deepEqual([report?.positions.length, report?.gap, report?.lost.acknowledged], [2, null, 0]);
});

test("a switchover's report knows nothing of a trouble that had passed by itself days before", () => {
  const later = 4 * 86_400_000;
  for (const kind of ["blocked", "promotable"]) {
    const entries = [
      at(110, "decision", "suspect", { since: 40 }),
      at(5_160, "decision", kind, { reasons: [], positions: [] }),
      at(9_000, "decision", "healthy"),
      at(later, "decision", "switchover", { asked: true, positions: POSITIONS.slice(1) }),
      at(later + 100, "intent", "switchover", { from: "db", to: "db_replica" }),
      ...step(later + 100, later + 200, "stop-primary"),
      ...step(later + 200, later + 300, "resume-poolers"),
      at(later + 310, "outcome", "switchover", { shortcomings: [] }),
    ];
    const report = reportOf(entries, { stack: "shop", journalHead: "ab" });
    assert.deepEqual([report?.outageMs, report?.parts.detect, report?.decision], [200, null, null]);
    assert.equal(report?.beganAt, "2026-11-30T12:00:00.100Z");
  }
});

test("what was decided stands until the primary is well: a look that knows less in between ends no outage", () => {
  for (const kind of ["suspect", "hold", "unknown"]) {
    const entries = [...FAILOVER.slice(0, 3), at(162, "decision", kind), ...FAILOVER.slice(3)];
    assert.equal(reportOf(entries, { stack: "shop", journalHead: "ab" })?.outageMs, 480);
  }
});

test("an outage that a person ended by hand began with the first look that failed, not when it was typed", () => {
  const [healthy, suspect, promotable, ...plan] = FAILOVER;
  assert.ok(healthy && suspect && promotable);
  const typed = 600_000;
  // The second: for a while no node answered, and then the replica did.
  for (const kind of ["blocked", "unknown"]) {
    const entries = [
      at(-900, "decision", "suspect", { since: -1_000 }),
      healthy,
      suspect,
      at(5_160, "decision", kind, { reasons: [] }),
      { ...promotable, monotonic: typed as Monotonic },
      ...plan.map((each) => ({ ...each, monotonic: (each.monotonic + typed) as Monotonic })),
    ];
    const report = reportOf(entries, { stack: "shop", journalHead: "ab" });
    assert.deepEqual([report?.outageMs, report?.parts.detect], [typed + 480, typed - 40], kind);
  }
});

test("entries of no plan that ended make no report", () => {
  assert.equal(reportOf([], { stack: "shop", journalHead: "" }), undefined);
  assert.equal(reportOf([at(0, "outcome", "failover")], { stack: "shop", journalHead: "" }), undefined);
});
