import assert from "node:assert/strict";
import { test } from "node:test";
import { collation, slotOf } from "../../test/support/inventories.ts";
import { STREAMING_REPORT } from "../../test/support/receiver-report.ts";
import type { Instant } from "../platform/clock.ts";
import type { ReceiverReport, ReceiverStatus } from "../wal/report.ts";
import { faultsOf, type StatusFacts } from "./decide.ts";

const HOUR_MS = 3_600_000;
const now = Date.UTC(2026, 0, 2) as Instant;

const report: ReceiverReport = {
  ...STREAMING_REPORT,
  pid: 4711,
  startedAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-02T00:00:00.000Z",
  systemId: "7000",
  writtenLsn: "0/5000000",
  flushedLsn: "0/5000000",
  serverEndLsn: "0/5000060",
  lagBytes: 96,
  spoolBytes: 0,
  spoolBytesMax: 1,
};
const running: ReceiverStatus = { kind: "running", report };
const range = {
  systemId: "7000",
  timeline: 1,
  from: "0/2000100",
  to: "0/5000000",
  fromTime: undefined,
  toTime: undefined,
};
const vault = {
  kind: "reached" as const,
  newestBackup: { backupId: "b", endedAt: "2026-01-01T12:00:00.000Z", dataBytes: 1, storedBytes: 1 },
  newestProof: { backupId: "b", depth: "booted", endedAt: "2026-01-01T13:00:00.000Z" },
  failedProofs: [],
  datedAhead: [],
  newerTablespaces: [],
  tablespacesUnseen: undefined,
  backupCount: 1,
  unfinishedCount: 0,
  damagedBackups: [],
  stranded: [],
  ranges: [range],
  gapCount: 0,
  outOfReach: [],
  unreached: [],
  opensNewestKey: true,
  objectCount: 1,
  sizeBytes: 1,
};
const well: StatusFacts = {
  now,
  backupMaxAgeMs: 26 * HOUR_MS,
  proofMaxAgeMs: 26 * HOUR_MS,
  vault,
  receiver: running,
  reportAgeMs: 400,
  isOfStack: false,
  receiverSlot: "vault",
  server: { kind: "reached", lsn: "0/5000060", lagBytes: 96, slot: "keeps WAL" },
  risks: {
    kind: "reached",
    limitBytes: null,
    roomBytes: 1_073_741_824,
    slots: [],
    changedCollations: [],
    outsideTablespaces: [],
  },
};

const foreign = {
  code: "wal.foreign-lineage",
  message: "the server's WAL differs",
  remedy: "Find out which copy is the real one.",
  at: "2026-01-01T23:00:00.000Z",
};
const away = { kind: "unreachable", code: "x.y", message: "nobody answers" } as const;
const keepsNothing = { kind: "reached", lsn: "0/1", lagBytes: undefined, slot: "keeps nothing" } as const;
const risksOf = (given: Partial<Extract<StatusFacts["risks"], { readonly kind: "reached" }>>) => ({
  risks: {
    kind: "reached" as const,
    limitBytes: null,
    roomBytes: 1,
    slots: [],
    changedCollations: [],
    outsideTablespaces: [],
    ...given,
  },
});
const sorted = Array.from({ length: 5 }, (_, n) => collation({ name: `shop${n}`, actual: "2.41" }));

const gap = { timeline: 1, from: "0/1000060", to: "0/3000000" };
/** Running, with the alarm of a gap. */
const lost = (each: typeof gap): ReceiverStatus => ({
  kind: "running",
  report: {
    ...report,
    alarms: [{ kind: "gap", message: "take a backup now", since: "" }],
    gaps: [{ ...each, noticedAt: "2026-01-01T12:00:00.000Z" }],
  },
});
const lostGaps = [{ ...gap, noticedAt: "2026-01-01T12:00:00.000Z" }];
const ahead = { backupId: "b2", endedAt: "2027-01-01T00:00:00.000Z" };
const unfinished = { ...vault, unfinishedCount: 1 };

test("a receiver's alarm of a gap is over when a backup lies behind the gap, though the receiver still tells it", () => {
  assert.deepEqual(faultsOf({ ...well, receiver: lost({ ...gap, to: range.from }) }), []);
});

test("WAL that is lost, or does not read on, is answered by a backup, whatever the receiver's last error was", () => {
  const lastError = { code: "postgres.unreachable", message: "no answer", remedy: "Start the server.", at: "" };
  for (const kind of ["gap", "unreadable"] as const) {
    const alarms = [{ kind, message: "take a backup now", since: "" }];
    const receiver: ReceiverStatus = { kind: "running", report: { ...report, lastError, alarms, gaps: lostGaps } };
    const [fault] = faultsOf({ ...well, receiver });
    assert.equal(fault?.code, `receiver-${kind}`);
    assert.match(fault?.remedy ?? "", /^Take a backup now: lifeboat backup\./);
  }
});

test("a tablespace that the newest backup has not is told with the folder that a restore needs empty", () => {
  const newerTablespaces = [
    { oid: 16_384, name: "fast", location: "/mnt/fast" },
    { oid: 16_385, name: "slow", location: "/mnt/slow" },
  ];
  const [fault, ...others] = faultsOf({ ...well, vault: { ...vault, newerTablespaces } });
  assert.deepEqual([fault?.code, others], ["tablespace-not-in-backup", []]);
  assert.match(fault?.message ?? "", /tablespace fast and 1 more are not .* nothing lies in \/mnt\/fast/);
  assert.match(fault?.remedy ?? "", /lifeboat backup/);
});

test("a newest backup whose tablespaces cannot be seen is told with the reason, beside what else is wrong", () => {
  const tablespacesUnseen = { kind: "unreachable", code: "store.failed", message: "cannot read x: EIO" } as const;
  const [fault, ...others] = faultsOf({ ...well, vault: { ...vault, tablespacesUnseen, newestProof: undefined } });
  assert.deepEqual([fault?.code, others.map(({ code }) => code)], ["tablespaces-unseen", ["no-proof"]]);
  assert.match(fault?.message ?? "", /tablespaces .* cannot read x: EIO \(store\.failed\)/);
});

test("nothing is wrong where nothing is, also while a backup is under way", () => {
  assert.deepEqual(faultsOf(well), []);
  assert.deepEqual(faultsOf({ ...well, vault: unfinished }), []);
});

const cases: readonly (readonly [string, Partial<StatusFacts>, readonly string[]])[] = [
  ["a vault that is not reached", { vault: away }, ["vault-unreachable"]],
  ["a server that is down", { server: away }, ["server-unreachable"]],
  ["both at once", { vault: away, server: away }, ["vault-unreachable", "server-unreachable"]],
  ["no backup", { vault: { ...vault, newestBackup: undefined, ranges: [] } }, ["no-backup"]],
  ["a backup that is too old", { backupMaxAgeMs: 11 * HOUR_MS }, ["backup-old"]],
  [
    "a backup without the WAL it needs",
    { vault: { ...vault, ranges: [], stranded: ["b"] } },
    ["no-range", "backup-stranded"],
  ],
  [
    "a backup that is dated ahead",
    { vault: { ...vault, datedAhead: [{ what: "backup", ...ahead }] } },
    ["backup-dated-ahead"],
  ],
  [
    "a proof that is dated ahead",
    { vault: { ...vault, datedAhead: [{ what: "proof", ...ahead }] } },
    ["proof-dated-ahead"],
  ],
  [
    "the silence after a backup that is dated ahead",
    { backupMaxAgeMs: 11 * HOUR_MS, vault: { ...vault, datedAhead: [{ what: "backup", ...ahead }] } },
    ["backup-dated-ahead", "backup-old"],
  ],
  ["a damaged backup", { vault: { ...vault, damagedBackups: ["a"] } }, ["backup-damaged"]],
  ["a backup that was never proven", { vault: { ...vault, newestProof: undefined } }, ["no-proof"]],
  ["a proof that is too old", { proofMaxAgeMs: 10 * HOUR_MS }, ["proof-old"]],
  ["a proof that failed", { vault: { ...vault, failedProofs: ["a"] } }, ["proof-failed"]],
  ["a rotation that left the secret out", { vault: { ...vault, opensNewestKey: false } }, ["newest-key-closed"]],
  ["missing WAL", { vault: { ...vault, gapCount: 1 } }, ["wal-gap"]],
  [
    "missing WAL, and no backup behind it",
    { vault: { ...vault, gapCount: 1, outOfReach: [gap] } },
    ["wal-out-of-reach"],
  ],
  [
    "of two gaps one without a backup behind it",
    { vault: { ...vault, gapCount: 2, outOfReach: [gap] } },
    ["wal-out-of-reach", "wal-gap"],
  ],
  [
    "a newest timeline of which nothing can be restored",
    { vault: { ...vault, unreached: [{ timeline: 2, to: range.to, historyHeld: true }] } },
    ["timeline-out-of-reach"],
  ],
  [
    "a newest timeline whose history is lost",
    { vault: { ...vault, unreached: [{ timeline: 2, to: range.to, historyHeld: false }] } },
    ["timeline-history-lost"],
  ],
  ["a receiver's alarm of a gap, no backup behind it", { receiver: lost(gap) }, ["receiver-gap"]],
  [
    "a receiver's alarm of a gap while the vault is not seen",
    { receiver: lost({ ...gap, to: range.from }), vault: away },
    ["vault-unreachable", "receiver-gap"],
  ],
  ["no receiver", { receiver: { kind: "never-ran" } }, ["receiver-never-ran"]],
  ["a stopped receiver", { receiver: { kind: "not-running", report } }, ["receiver-not-running"]],
  [
    "a receiver that was ended by what it met",
    { receiver: { kind: "not-running", report: { ...report, mode: "failed", lastError: foreign } } },
    ["receiver-not-running"],
  ],
  ["a receiver that runs and has said nothing for long", { reportAgeMs: 14_000 }, ["receiver-silent"]],
  ["a receiver whose report is dated ahead", { reportAgeMs: -HOUR_MS }, ["receiver-silent"]],
  [
    "a receiver's alarm",
    {
      receiver: {
        kind: "running",
        report: { ...report, alarms: [{ kind: "stalled", message: "stands still", since: "" }] },
      },
    },
    ["receiver-stalled"],
  ],
  ["a missing slot", { server: { kind: "reached", lsn: "0/1", lagBytes: undefined, slot: "missing" } }, ["slot"]],
  ["a server that is down and tells nothing", { server: away, risks: away }, ["server-unreachable"]],
  ["slots and collations that cannot be seen", { risks: away }, ["risks-unseen"]],
  ["a slot of others that is lost", risksOf({ slots: [slotOf({ name: "cdc", walStatus: "lost" })] }), ["slot-lost"]],
  [
    "the receiver's slot that is lost, once",
    { server: keepsNothing, ...risksOf({ slots: [slotOf({ name: "vault", walStatus: "lost", keptBytes: null })] }) },
    ["slot-lost"],
  ],
  [
    "the receiver's slot that keeps nothing, beside a lost one",
    { server: keepsNothing, ...risksOf({ slots: [slotOf({ name: "cdc", walStatus: "lost" })] }) },
    ["slot", "slot-lost"],
  ],
  ["a failover that a person paused", { failoverPaused: true }, ["failover-paused"]],
  ["text that is sorted by another version", risksOf({ changedCollations: sorted }), ["collation-changed"]],
];

test("one line names the first of many databases that are sorted by another version, and counts the others", () => {
  const [fault] = faultsOf({ ...well, ...risksOf({ changedCollations: sorted }) });
  assert.match(fault?.message ?? "", /shop0 .*shop2 by glibc 2\.41, was by 2\.36; and 2 more$/);
  assert.match(fault?.remedy ?? "", /REINDEX DATABASE "shop0"; ALTER DATABASE "shop0" REFRESH COLLATION VERSION;/);
});

test("a stack's receiver is started with its stack, any other by itself", () => {
  const remedy = (isOfStack: boolean) => faultsOf({ ...well, receiver: { kind: "never-ran" }, isOfStack })[0]?.remedy;
  assert.match(remedy(true) ?? "", /lifeboat up\.$/);
  assert.match(remedy(false) ?? "", /lifeboat wal receive\.$/);
});

for (const [what, change, codes] of cases) {
  test(`status calls ${what} wrong, by its code`, () => {
    const faults = faultsOf({ ...well, ...change });
    assert.deepEqual(
      faults.map(({ code }) => code),
      codes,
    );
    assert.ok(faults.every(({ message, remedy }) => message !== "" && remedy !== ""));
  });
}

test("of a receiver that was ended by what it met its reason is told, and its remedy in place of a start", () => {
  const of = (mode: "failed" | "streaming") => {
    const receiver = { kind: "not-running", report: { ...report, mode, lastError: foreign } } as const;
    return faultsOf({ ...well, receiver }).map(({ message, remedy }) => [message, remedy]);
  };
  const why = "the receiver ended at 2026-01-01T23:00:00.000Z: the server's WAL differs (wal.foreign-lineage)";
  assert.deepEqual(of("failed"), [[why, foreign.remedy]]);
  // It was killed later: what it had met before is no reason.
  const killed = "the receiver does not run; last seen streaming at 2026-01-02T00:00:00.000Z";
  assert.deepEqual(of("streaming"), [[killed, "Start it: lifeboat wal receive."]]);
});
