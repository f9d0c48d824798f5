import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs, type Engines } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { type DemoFacts, scorecardOf } from "../demo/facts.ts";
import { EXIT } from "../errors/entry.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { Standing } from "../proof/decide.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { VaultReport } from "../vault/check.ts";
import type { BackupId, ProofId } from "../vault/names.ts";
import type { ProofRecord } from "../vault/proofs.ts";
import type { RepairPlan } from "../vault/repair-plan.ts";
import type { WalTime } from "../wal/records/events.ts";
import { backupUpdate } from "./backup.ts";
import type { Points } from "./points.ts";
import { type RestorePlanFacts, renderRestored, tablespacesOf } from "./restore.ts";
import { runCli } from "./run.ts";
import { createStyle } from "./style.ts";
import type { Repaired } from "./vault-repair.ts";
import type { ProvenFacts, UnprovenFacts, WalGapFacts } from "./verify.ts";

const systemId = "7301234567890123456" as SystemId;
const timeline = 1 as Timeline;
const at = (minute: number) => Date.UTC(2026, 0, 1, 3, minute) as Instant;

const record: BackupRecord = {
  format: "lifeboat-backup",
  version: 1,
  backupId: "20260101t030000z-0a1b2c3d" as BackupId,
  systemId,
  label: "before the migration",
  tier: "manual",
  serverVersion: 160_014,
  timeline,
  startLsn: "0/2000028",
  endLsn: "0/2000100",
  walSegmentBytes: 16_777_216,
  startedAt: "2026-01-01T03:00:00.000Z",
  endedAt: "2026-01-01T03:00:14.250Z",
  whyFull: "no-parent",
  parent: null,
  fileCount: 1287,
  dataBytes: 2_247_131_136,
  storedBytes: 660_602_880,
  durationMs: 14_250,
};

const damage = new LifeboatError("store.object-truncated", {
  message: "object packs/07/x has 12 bytes, 4096 were wanted",
  remedy: "Restore another backup.",
});

/** Runs a line for people and for programs, and keeps both. */
async function keeps(golden: string, line: string, engines: Partial<Engines>): Promise<number> {
  const people = recordedFrame();
  const status = await runCli(line.split(" "), allVerbs(engines), people);
  assert.equal(people.stderr.written(), "");
  matchesGolden(`results/${golden}.txt`, people.stdout.written());
  const programs = recordedFrame();
  assert.equal(await runCli([...line.split(" "), "--json"], allVerbs(engines), programs), status);
  matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.stdout.written()), null, 2)}\n`);
  return status;
}

test("a made vault shows its recovery key once, and says what losing it means", async () => {
  const made = { vaultId: "0123abcd", store: "disk:/var/backups/lifeboat", recoveryKey: "ABCD-EFGH-JKMN" };
  assert.equal(await keeps("vault-init", "vault init", { makeVault: async () => made }), 0);
  const open = { ...made, recoveryKey: undefined };
  assert.equal(await keeps("vault-init-open", "vault init", { makeVault: async () => open }), 0);
});

test("a whole vault is said to be whole; of a damaged one the damage comes first, with status 5", async () => {
  const whole: VaultReport = {
    backups: [{ backup: record, whole: true, findings: [] }],
    ...{ findings: [], lacking: [] },
    unfinished: [],
    unreferencedPacks: ["packs/00/y"],
    walSegmentCount: 12,
    readBytes: 4096,
  };
  const checks = (report: VaultReport) => ({ checkVault: async () => ({ ...report, gaps: [] }) });
  assert.equal(await keeps("vault-check", "vault check", checks(whole)), 0);
  const damaged: VaultReport = {
    ...whole,
    backups: [...whole.backups, { backup: record, whole: false, findings: [{ object: "packs/07/x", reason: damage }] }],
  };
  assert.equal(await keeps("vault-check-damaged", "vault check", checks(damaged)), EXIT.damaged);
});

test("a repair tells what it did, what failed and what is left; a whole vault needs none", async () => {
  const reason = damage;
  const plan: RepairPlan = {
    steps: [
      { kind: "refill", object: "wal/7/00000001/000000010000000000000003", missing: true },
      { kind: "set-aside", object: "wal/7/00000001/000000010000000000000009", finding: { object: "", reason } },
      { kind: "announce-again", object: `backups/${systemId}/${record.backupId}/announced`, backup: record },
      { kind: "mark", backup: record, findings: [{ object: "packs/07/x", reason }] },
    ],
    left: [{ object: "packs/07/x", reason }],
  };
  const outcomes = plan.steps.map((step, index) => ({ step, failure: index === 1 ? damage : undefined }));
  const repairs = (repaired: Repaired) => ({ repairVault: async () => repaired });
  assert.equal(await keeps("vault-repair", "vault repair", repairs({ plan, outcomes })), EXIT.damaged);
  const planned = repairs({ plan, outcomes: undefined });
  assert.equal(await keeps("vault-repair-plan", "vault repair --dry-run", planned), EXIT.damaged);
  const nothing = repairs({ plan: { steps: [], left: [] }, outcomes: [] });
  assert.equal(await keeps("vault-repair-whole", "vault repair", nothing), 0);
});

test("a taken backup is told with what it covers", async () => {
  assert.equal(await keeps("backup", "backup", { takeBackup: async () => record }), 0);
});

test("a backup is asked for as options and configuration say, the option first", async () => {
  const seen: object[] = [];
  const takeBackup: Engines["takeBackup"] = async ({ choice }) => {
    seen.push(choice);
    return record;
  };
  const verbs = allVerbs({ takeBackup });
  await runCli(["backup", "--backup-checkpoint", "spread"], verbs, recordedFrame());
  await runCli(
    [
      "backup",
      "--backup-checkpoint",
      "spread",
      "--checkpoint",
      "fast",
      "--label",
      "x y",
      "--adopt-system",
      "--tier",
      "daily",
    ],
    verbs,
    recordedFrame(),
  );
  assert.deepEqual(seen, [
    { label: "manual", tier: "manual", checkpoint: "spread", full: false, adoptSystem: false },
    { label: "x y", tier: "daily", checkpoint: "fast", full: false, adoptSystem: true },
  ]);
});

test("a backup's progress has a percentage only where bytes are counted", () => {
  assert.deepEqual(backupUpdate({ phase: "checkpoint", doneBytes: 0, totalBytes: 0 }), {
    phase: "waiting for the checkpoint",
  });
  assert.deepEqual(backupUpdate({ phase: "copy", doneBytes: 1, totalBytes: 2 }), {
    phase: "copying the server's files",
    done: 1,
    total: 2,
  });
});

const passed: ProofRecord = {
  format: "lifeboat-proof",
  version: 1,
  proofId: "20260101t040000z-1a2b3c4d" as ProofId,
  backupId: record.backupId,
  systemId,
  asked: "checked",
  reached: "checked",
  failedAt: null,
  findings: [],
  findingCount: 0,
  startedAt: "2026-01-01T04:00:00.000Z",
  endedAt: "2026-01-01T04:01:12.500Z",
  durationMs: 72_500,
  phases: [
    { phase: "present", durationMs: 20 },
    { phase: "intact", durationMs: 9_000 },
    { phase: "restore", durationMs: 11_000 },
    { phase: "recover", durationMs: 2_400 },
    { phase: "check", durationMs: 50_000 },
  ],
  readBytes: 660_602_880,
  restoredBytes: 2_263_908_352,
  walBytes: 12_345_678,
  pointLsn: "0/5000060",
  pointTimeline: 2,
  serverVersion: "16.14",
  host: "vault-1",
  checked: { databases: 3, pages: 274_307, heaps: 211, indexes: 350, invariants: 2 },
};

const failed: ProofRecord = {
  ...passed,
  reached: "booted",
  failedAt: "checked",
  findings: [
    {
      object: "database shop, index public.orders_pkey",
      code: "index",
      message: 'item order invariant violated for index "orders_pkey"',
    },
    {
      object: "base/16384/16390, block 7 (database shop, public.orders)",
      code: "page",
      message: "block 7 of base/16384/16390 (database shop, public.orders): its checksum does not fit its content",
    },
  ],
  findingCount: 14,
};

test("a proof says what was shown; one that failed says where, with status 5, and what is still proven", async () => {
  const other = {
    backupId: "20251231t030000z-0a1b2c3d",
    depth: "booted",
    endedAt: "2025-12-31T04:00:00.000Z",
  } as const;
  const verify = (
    proofs: readonly ProofRecord[],
    proven: readonly ProvenFacts[],
    unproven: readonly UnprovenFacts[] = [],
    walGaps: readonly WalGapFacts[] = [],
  ) => ({ verify: async () => ({ proofs, walGaps, unproven, proven }) });
  assert.equal(await keeps("verify", "verify --depth checked", verify([passed], [other])), 0);
  const lost: ProofRecord = {
    ...passed,
    reached: null,
    failedAt: "present",
    findings: [{ object: "packs/07/x", code: damage.code, message: damage.message }],
    findingCount: 1,
    phases: [{ phase: "present", durationMs: 20 }],
    readBytes: 0,
    pointLsn: null,
    pointTimeline: null,
    serverVersion: null,
    checked: null,
  };
  assert.equal(await keeps("verify-failed", "verify --all", verify([failed, passed], [other])), EXIT.damaged);
  const library = new LifeboatError("proof.library-missing", { message: "no postgis-3", remedy: "Install it." });
  const lacking = [{ backupId: "20251230t030000z-0b1c2d3e", error: library }];
  assert.equal(await keeps("verify-unproven", "verify --all", verify([passed], [other], lacking)), EXIT.refused);
  const hole = { afterLsn: "0/5000000", firstSegment: "000000010000000000000005", segmentCount: 3 };
  const stopped = verify([passed], [other], [], [{ backupId: passed.backupId, ...hole }]);
  assert.equal(await keeps("verify-gap", "verify", stopped), 0);
  const both = recordedFrame({ workingFolder: "/srv" });
  assert.equal(await runCli(["verify", "--all"], allVerbs(verify([failed], [], lacking)), both), EXIT.damaged);
  assert.equal(await keeps("verify-nothing-left", "verify", verify([lost], [])), EXIT.damaged);
});

test("a proof is asked for as the options say, and a backup together with --all is refused", async () => {
  const seen: object[] = [];
  const verbs = allVerbs({
    verify: async ({ choice }) => {
      seen.push(choice);
      return { proofs: [], walGaps: [], unproven: [], proven: [] };
    },
  });
  const frame = () => recordedFrame({ workingFolder: "/srv" });
  assert.equal(await runCli(["verify"], verbs, frame()), 0);
  assert.equal(
    await runCli(["verify", "b", "--depth", "intact", "--system", "1", "--sandbox", "s"], verbs, frame()),
    0,
  );
  assert.equal(await runCli(["verify", "b", "--all"], verbs, frame()), EXIT.usage);
  assert.equal(await runCli(["verify", "--depth", "deep"], verbs, frame()), EXIT.usage);
  const otherwise = { backupId: undefined, all: false, depth: "booted", system: undefined, sandboxFolder: undefined };
  assert.deepEqual(seen, [
    otherwise,
    { ...otherwise, backupId: "b", depth: "intact", system: "1", sandboxFolder: "/srv/s" },
  ]);
});

test("backups are listed apart from what cannot be restored", async () => {
  const none = { backups: [], tombstoned: [], unfinished: [], damaged: [], standings: new Map() };
  const id = (digit: string) => `20260101t0${digit}0000z-00000000` as BackupId;
  const engines = {
    listBackups: async () => ({
      backups: [record],
      tombstoned: [
        { systemId, backupId: id("2"), tombstonedMs: at(60), announced: true, record },
        { systemId, backupId: id("3"), tombstonedMs: at(60), announced: false, record: undefined },
      ],
      unfinished: [{ systemId, backupId: id("4"), startedMs: at(60) }],
      damaged: [{ systemId, backupId: id("5"), reason: damage }],
      standings: new Map([[record.backupId, { kind: "proven", depth: "booted", proof: passed } as const]]),
    }),
  };
  assert.equal(await keeps("backups", "backups", engines), EXIT.damaged);
  assert.equal(await keeps("backups-all", "backups --all", engines), EXIT.damaged);
  const failing = {
    listBackups: async () => ({
      ...none,
      backups: [record, { ...record, backupId: id("6") }, { ...record, backupId: id("7") }],
      standings: new Map<BackupId, Standing>([
        [record.backupId, { kind: "failed", proof: failed }],
        [id("6"), { kind: "unreadable" }],
      ]),
    }),
  };
  assert.equal(await keeps("backups-unproven", "backups", failing), 0);
  assert.equal(await keeps("backups-none", "backups", { listBackups: async () => none }), 0);
});

test("recovery ranges are shown with the gaps between them; none at all is status 4", async () => {
  const range = {
    systemId,
    timeline,
    from: 0x2000100n as Lsn,
    to: 0x5000000n as Lsn,
    fromTime: at(0),
    toTime: at(30),
    backupIds: [record.backupId],
  };
  const points: Omit<Points, "untold"> = {
    ranges: [range],
    gaps: [
      {
        systemId,
        timeline,
        from: 0x5000000n as Lsn,
        to: 0x7000000n as Lsn,
        firstSegment: "000000010000000000000005",
        segmentCount: 2,
      },
    ],
    leftBehind: [{ ...range, from: 0x4000100n as Lsn, to: 0x4800000n as Lsn, fromTime: at(20), toTime: at(25) }],
    stranded: ["20260101t060000z-00000000"],
  };
  assert.equal(await keeps("points", "points", { findPoints: async () => ({ ...points, untold: [] }) }), 0);
  const none = { findPoints: async () => ({ ranges: [], gaps: [], untold: [], leftBehind: [], stranded: [] }) };
  assert.equal(await keeps("points-none", "points", none), EXIT.notFound);
});

const plan: RestorePlanFacts = {
  backupId: record.backupId,
  postgresMajor: 16,
  targetFolder: "/srv/r",
  delta: undefined,
  target: { kind: "time", time: at(30), inclusive: true },
  stop: {
    kind: "record",
    side: "before",
    record: {
      lsn: 0x5000000n as Lsn,
      end: 0x5000030n as Lsn,
      what: "commit",
      xid: 81_274,
      time: 1_767_238_200_250_125 as WalTime,
    },
    reaches: 0x5000000n as Lsn,
    others: [],
  },
  reaches: { timeline, lsn: 0x5000000n as Lsn, time: at(30) },
  dataBytes: record.dataBytes,
  needs: [{ folders: ["/srv/r"], freeBytes: 64_424_509_440, neededBytes: 3_221_225_472 }],
  fetchBytes: 660_602_880,
  walSegmentCount: 3,
  walBytes: 50_331_648,
  fedBytes: 16_777_216,
  estimatedMs: 95_000,
  warnings: ["the backup was never booted"],
};

test("a dry run prints the plan that would be carried out, and carries out nothing", async () => {
  let closed = 0;
  const close = async (): Promise<void> => {
    closed += 1;
  };
  const engines = {
    restore: { plan: async () => ({ facts: plan, carryOut: () => assert.fail("carried out"), close }) },
  };
  assert.equal(await keeps("restore-plan", "restore --target /srv/r --dry-run", engines), 0);
  const delta = { keptBytes: 2_000_000_000, writeBytes: 147_000_000, removedCount: 12 };
  const inPlace = {
    restore: {
      ...engines.restore,
      plan: async () => ({ ...(await engines.restore.plan()), facts: { ...plan, delta } }),
    },
  };
  assert.equal(await keeps("restore-delta-plan", "restore --target /srv/r --delta --dry-run", inPlace), 0);
  // Each is run for people and for programs.
  assert.equal(closed, 4);
});

test("a restore says how long it took and what answers now", async () => {
  const reached = { timeline: 2 as Timeline, lsn: 0x5000060n as Lsn };
  const binFolder = "/usr/lib/postgresql/16/bin";
  const socketFolder = "/srv/r/lifeboat-restore/socket";
  const server = { host: "127.0.0.1", port: 5499, pid: 4711, binFolder, socketFolder, recoveryMs: 12_000, reached };
  const restored = {
    plan,
    owner: "postgres",
    durationMs: 83_000,
    filesMs: 71_000,
    writtenBytes: plan.dataBytes,
    server,
  };
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
  };
  const engines = { restore: { plan: async () => ({ facts: plan, carryOut: async () => restored, close }) } };
  assert.equal(await keeps("restore", "restore --target /srv/r --boot", engines), 0);
  assert.ok(closed);
  const there = { ...plan, targetFolder: "/srv/the shop's" };
  const unbooted = { ...restored, plan: there, owner: undefined, server: undefined };
  assert.equal(
    renderRestored(unbooted, createStyle({ colours: false, columns: 100 }))
      .split("\n")
      .at(-1),
    "start it, with the pg_ctl of PostgreSQL 16:  pg_ctl -D '/srv/the shop'\\''s' -l '/srv/the shop'\\''s/lifeboat-restore/server.log' -o '-c archive_mode=off -c max_logical_replication_workers=0 -c external_pid_file=lifeboat-restore/server.pid -c logging_collector=off -c log_destination=stderr' -w -t 86400 start",
  );
});

test("a restore's goal is the newest point or a moment; contradictions are refused", async () => {
  const goals: object[] = [];
  const engines: Partial<Engines> = {
    restore: {
      plan: async ({ choice }) => {
        goals.push(choice);
        return { facts: plan, carryOut: () => assert.fail("carried out"), close: async () => undefined };
      },
    },
  };
  const say = (line: string) => {
    const args = ["restore", "--target", "r", "--dry-run", ...line.split(" ").filter((word) => word !== "")];
    return runCli(args, allVerbs(engines), recordedFrame({ workingFolder: "/srv" }));
  };
  assert.equal(await say(""), 0);
  assert.equal(await say("--to latest --boot --port 5499"), 0);
  assert.equal(await say("--to-time 2026-01-01T03:30:00Z --backup b"), 0);
  assert.equal(await say("--to time --to-time 2026-01-01T03:30:00Z --boot"), 0);
  assert.equal(await say("--to-time 2026-01-01T03:30:00Z --exclusive --timeline 3"), 0);
  assert.equal(await say("--to-lsn 0/3000060 --timeline latest"), 0);
  assert.equal(await say("--to-xid 4294967299 --exclusive"), 0);
  assert.equal(await say("--to name --to-name before_import"), 0);
  assert.equal(await say("--immediate"), 0);
  assert.equal(await say("--to immediate"), 0);
  assert.equal(await say("--delta"), 0);
  for (const bad of [
    "--to time",
    "--to xid --to-lsn 0/3000060",
    "--to latest --to-time 2026-01-01T03:30:00Z",
    "--immediate --to-xid 81274",
    "--exclusive",
    "--exclusive --to-name before_import",
    "--to-xid 2",
    "--to-xid 4294967298",
    "--to-lsn 3000060",
    "--timeline 0",
    `--to-name ${"x".repeat(64)}`,
    "--port 5499",
  ]) {
    assert.equal(await say(bad), EXIT.usage, bad);
  }
  const time = { kind: "time", time: at(30), inclusive: true };
  const unsaid = { backupId: undefined, boot: undefined, system: undefined, timeline: undefined };
  const otherwise = {
    ...unsaid,
    targetFolder: "/srv/r",
    acceptGap: false,
    giveUpCommits: false,
    delta: false,
    tablespaces: { byOid: new Map(), under: undefined },
  };
  assert.deepEqual(goals, [
    { ...otherwise, target: { kind: "latest" } },
    { ...otherwise, target: { kind: "latest" }, boot: { port: 5499 } },
    { ...otherwise, target: time, backupId: "b" },
    { ...otherwise, target: time, boot: { port: undefined } },
    { ...otherwise, target: { ...time, inclusive: false }, timeline: 3 },
    { ...otherwise, target: { kind: "lsn", lsn: 0x3000060n, inclusive: true } },
    { ...otherwise, target: { kind: "xid", xid: 4_294_967_299n, inclusive: false } },
    { ...otherwise, target: { kind: "name", name: "before_import" } },
    { ...otherwise, target: { kind: "immediate" } },
    { ...otherwise, target: { kind: "immediate" } },
    { ...otherwise, target: { kind: "latest" }, delta: true },
  ]);
});

test("tablespaces go where --tablespace and --tablespaces-under say", async () => {
  assert.deepEqual(
    tablespacesOf("16385=/srv/a,16386=/srv/b=c"),
    new Map([
      [16_385, "/srv/a"],
      [16_386, "/srv/b=c"],
    ]),
  );
  for (const bad of ["16385", "16385=relative", "x=/srv/a", "16385=/srv/a,"]) {
    assert.throws(() => tablespacesOf(bad), { code: "config.usage" }, bad);
  }
});

const measured: Pick<DemoFacts, "writes" | "recovery" | "deletion"> = {
  writes: {
    acknowledged: 2_101,
    missing: 0,
    damaged: 0,
    missingSpanMs: 0,
    unknown: 7,
    unknownPresent: 1,
    acknowledgedAfter: 207,
    latencyP50Ms: 8.2,
    latencyP99Ms: 121,
  },
  recovery: {
    totalMs: 9_400,
    parts: [
      { what: "notice that writes fail", durationMs: 900 },
      { what: "write the backup's files", durationMs: 8_500 },
    ],
  },
  deletion: {
    table: "price_history",
    before: "2026-01-01T03:00:14.250Z",
    deletedRows: 658_411,
    rowsAtNewestPoint: 0,
    foundRows: 658_411,
    same: true,
    samples: ["2026-03-19  139.00 MYR  Running Shoes, EU 41"],
    durationMs: 8_900,
    parts: [{ what: "write the backup's files", durationMs: 8_900 }],
    acknowledgedBefore: 896,
    missing: 0,
  },
};

const demo: DemoFacts = {
  ...measured,
  durability: "quorum",
  receiverDelayMs: 0,
  postgresVersion: "16.14",
  database: { sizeBytes: 321_912_832, productCount: 219_266, priceCount: 658_411 },
  backup: {
    backupId: record.backupId,
    dataBytes: 344_981_504,
    storedBytes: 102_131_712,
    durationMs: 6_500,
    acknowledgedMeanwhile: 668,
  },
  scorecard: scorecardOf(measured),
  titles: ["Robot Vacuum, Blue", "Geodesic Tent, Grey"],
  durationMs: 77_000,
  kept: undefined,
};

const kept: DemoFacts["kept"] = {
  folder: "/var/lib/lifeboat/sandbox/demo-1a2b3c4d",
  command: "bin/lifeboat",
  configFile: "/var/lib/lifeboat/sandbox/demo-1a2b3c4d/lifeboat.yaml",
  database: "catalog",
  user: "postgres",
  socketFolder: "/var/lib/lifeboat/sandbox/demo-1a2b3c4d/run",
  servers: [
    { what: "the newest point", port: 20_001, dataFolder: "/var/lib/lifeboat/sandbox/demo-1a2b3c4d/restored" },
    { what: "just before the DELETE", port: 20_002, dataFolder: "/var/lib/lifeboat/sandbox/demo-1a2b3c4d/before" },
  ],
  removeScript: "/var/lib/lifeboat/sandbox/demo-1a2b3c4d/remove.sh",
};

/** The same demo with a lossy recovery. */
function lossy(durability: DemoFacts["durability"]): DemoFacts {
  const writes = { ...measured.writes, missing: 270, missingSpanMs: 2_640 };
  const scorecard = scorecardOf({ ...measured, writes });
  return { ...demo, durability, writes, scorecard, receiverDelayMs: durability === "async" ? 1_500 : 0 };
}

test("a demo ends with what was measured, beside the targets, and how to look at what was kept", async () => {
  assert.equal(await keeps("demo", "demo", { runDemo: async () => demo }), 0);
  assert.equal(await keeps("demo-kept", "demo --keep", { runDemo: async () => ({ ...demo, kept }) }), 0);
});

test("an acknowledged write missing in quorum mode is status 5, in async mode it is what was to be shown", async () => {
  const asked = (durability: DemoFacts["durability"]) => ({ runDemo: async () => lossy(durability) });
  assert.equal(await keeps("demo-async", "demo --durability async", asked("async")), 0);
  assert.equal(await keeps("demo-lost", "demo", asked("quorum")), EXIT.damaged);
});

test("damaged writes, and deleted rows that do not come back, are status 5 in every mode", async () => {
  const damaged = { ...lossy("async"), writes: { ...measured.writes, damaged: 1 } };
  assert.equal(await keeps("demo-damaged", "demo --durability async", { runDemo: async () => damaged }), EXIT.damaged);
  const notFound = { ...demo, deletion: { ...measured.deletion, foundRows: 3, same: false } };
  assert.equal(await keeps("demo-not-found", "demo", { runDemo: async () => notFound }), EXIT.damaged);
});

test("rendered configuration is told with the file it is for", async () => {
  const renderConfigured: Engines["renderConfigured"] = async ({ component }) => [
    {
      component: component ?? "db",
      file: "/srv/stacks/shop/data/db/lifeboat.conf",
      text: "port = 5432\n",
      lies: "data",
    },
    {
      component: "redis",
      file: "/srv/stacks/shop/config/redis/redis.conf",
      text: "port 6379\nrequirepass ********\n",
      lies: "config",
    },
  ];
  assert.equal(await keeps("config-render", "config render", { renderConfigured }), 0);
});
