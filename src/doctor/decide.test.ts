import assert from "node:assert/strict";
import { test } from "node:test";
import { collation, logicalSlot, slotOf } from "../../test/support/inventories.ts";
import type { ReplicationSlot } from "../postgres/slots.ts";
import type { ReceiverStatus } from "../wal/report.ts";
import { diagnose, namesStandby } from "./decide.ts";
import type { DoctorFacts, MachineFacts, Observed, ServerFacts } from "./facts.ts";

const GIB = 1_073_741_824;

function seen<T>(value: T): Observed<T> {
  return { kind: "seen", value };
}

function receiver(status: ReceiverStatus, reportAgeMs = 400): MachineFacts["receiver"] {
  return seen({ receiver: status, reportAgeMs });
}

const unseen = { kind: "unseen", why: "not today (x.y)", remedy: "Try tomorrow." } as const;

const settings = {
  data_checksums: "on",
  wal_log_hints: "off",
  full_page_writes: "on",
  fsync: "on",
  wal_level: "replica",
  max_wal_senders: "10",
  max_slot_wal_keep_size: "1024",
  synchronous_standby_names: "ANY 1 (lifeboat_vault)",
  synchronous_commit: "on",
};

const own = slotOf({ name: "lifeboat_vault", slotType: "physical", active: true });

function slots(...all: readonly ReplicationSlot[]): ServerFacts["slots"] {
  return seen({ limitBytes: GIB, roomBytes: GIB, slots: all });
}

const server: ServerFacts = {
  version: seen(160_014),
  replication: seen("7000"),
  settings: seen(new Map(Object.entries(settings))),
  walSendersUsed: seen(1),
  slots: slots(own),
  commitOverrides: seen([]),
  logicalSlots: seen([]),
  collations: seen([collation()]),
  outsideTablespaces: seen({ tablespaces: [], standbysHere: [] }),
  role: seen({
    superuser: false,
    replication: true,
    memberOf: ["pg_monitor", "pg_read_server_files"],
    mayReadFiles: true,
  }),
  clock: seen({ aheadMs: 3, uncertainMs: 1 }),
  sameMachine: seen(false),
  walBytesPerHour: seen(GIB),
  sizeBytes: seen(GIB),
};

const space = seen({ folder: "/srv/x", freeBytes: 100 * GIB, device: 1 });

const machine: MachineFacts = {
  vaultSpace: space,
  spoolSpace: space,
  sandboxSpace: space,
  vault: seen({ dataBytes: GIB, endedAtMs: Date.UTC(2026, 0, 1) }),
  receiver: receiver({
    kind: "running",
    report: {
      format: "lifeboat-receiver",
      version: 2,
      pid: 1,
      mode: "streaming",
      startedAt: "",
      updatedAt: "",
      systemId: "7000",
      timeline: 1,
      slot: "lifeboat_vault",
      epoch: 0,
      applicationName: "lifeboat_vault",
      writtenLsn: "0/0",
      flushedLsn: "0/0",
      serverEndLsn: "0/0",
      lagBytes: 0,
      segmentsWaiting: 0,
      spoolBytes: 0,
      spoolBytesMax: 0,
      lastError: null,
      alarms: [],
      gaps: [],
    },
  }),
  programs: seen("/usr/lib/postgresql/16/bin"),
};

const policy = {
  role: "lifeboat",
  database: "postgres",
  slot: "lifeboat_vault",
  applicationName: "lifeboat_vault",
  isOfStack: false,
};

function checks(change: {
  readonly server?: Partial<ServerFacts>;
  readonly machine?: Partial<MachineFacts>;
  readonly settings?: Readonly<Record<string, string>>;
  readonly policy?: Partial<DoctorFacts["policy"]>;
}) {
  const facts: DoctorFacts = {
    server: {
      ...server,
      settings: seen(new Map(Object.entries({ ...settings, ...change.settings }))),
      ...change.server,
    },
    machine: { ...machine, ...change.machine },
    policy: { ...policy, ...change.policy },
  };
  return diagnose(facts);
}

/** The checks that are not ok, as `id level`. */
function complaints(change: Parameters<typeof checks>[0]): readonly string[] {
  return checks(change)
    .filter(({ level }) => level !== "ok")
    .map(({ id, level }) => `${id} ${level}`);
}

function remedyOf(id: string, change: Parameters<typeof checks>[0]): string {
  return checks(change).find((check) => check.id === id)?.remedy ?? "";
}

test("a server and a machine without a fault have only checks that are ok, and nothing to do", () => {
  assert.deepEqual(complaints({}), []);
  assert.ok(checks({}).every(({ remedy }) => remedy === undefined));
});

test("minors whose commits may not wait after a start are a problem where commits shall wait, else a warning", () => {
  for (const [version, level] of [
    [150_012, "problem"],
    [150_013, undefined],
    [160_008, "problem"],
    [170_004, "problem"],
    [170_005, undefined],
    [180_000, undefined],
    [140_020, "problem"],
  ] as const) {
    const expected = level === undefined ? [] : [`version ${level}`];
    assert.deepEqual(complaints({ server: { version: seen(version) } }), expected, String(version));
  }
  const alone = { server: { version: seen(150_012) }, settings: { synchronous_standby_names: "" } };
  assert.deepEqual(complaints(alone), ["version warning", "synchronous warning"]);
});

test("without checksums the remedy depends on wal_log_hints", () => {
  const off = { settings: { data_checksums: "off" } };
  assert.deepEqual(complaints(off), ["checksums problem"]);
  assert.match(remedyOf("checksums", off), /pg_checksums --enable/);
  assert.deepEqual(complaints({ settings: { data_checksums: "off", wal_log_hints: "on" } }), ["checksums warning"]);
});

test("settings that undo protection are problems with the statement that mends them", () => {
  for (const [name, value, id] of [
    ["full_page_writes", "off", "full-page-writes"],
    ["fsync", "off", "fsync"],
    ["wal_level", "minimal", "wal-level"],
  ] as const) {
    const change = { settings: { [name]: value } };
    assert.deepEqual(complaints(change), [`${id} problem`]);
    assert.match(remedyOf(id, change), new RegExp(`^ALTER SYSTEM SET ${name} = `));
  }
  assert.deepEqual(complaints({ settings: { max_slot_wal_keep_size: "-1" } }), ["slot-limit warning"]);
  assert.deepEqual(complaints({ settings: { allow_alter_system: "off" } }), ["alter-system warning"]);
  assert.deepEqual(complaints({ settings: { allow_alter_system: "on" } }), []);
});

test("WAL senders that are all taken are a problem, too few free ones a warning", () => {
  assert.deepEqual(complaints({ server: { walSendersUsed: seen(10) } }), ["wal-senders problem"]);
  assert.deepEqual(complaints({ server: { walSendersUsed: seen(8) } }), ["wal-senders warning"]);
  assert.deepEqual(complaints({ server: { walSendersUsed: unseen } }), ["wal-senders unknown"]);
});

test("a slot that is missing, idle, logical, invalidated or about to be is told apart", () => {
  for (const [value, level] of [
    [[], "warning"],
    [[{ ...own, active: false }], "warning"],
    [[{ ...own, active: false, keptBytes: 2 * GIB, walStatus: "extended" }], "warning"],
    [[{ ...own, slotType: "logical" }], "problem"],
    [[{ ...own, active: false, walStatus: "lost" }], "problem"],
    [[{ ...own, walStatus: "unreserved" }], "problem"],
  ] as const) {
    assert.deepEqual(complaints({ server: { slots: slots(...value) } }), [`slot ${level}`], JSON.stringify(value));
  }
});

test("slots of others that cost are a warning, with a remedy for each", () => {
  const others = [
    slotOf({ walStatus: "lost" }),
    slotOf({ name: "audit", keptBytes: 2 * GIB }),
    slotOf({ name: "fine" }),
  ];
  const change = { server: { slots: slots(own, ...others) } };
  assert.deepEqual(complaints(change), ["slots warning"]);
  assert.match(remedyOf("slots", change), /drop_replication_slot\('cdc'\).*drop_replication_slot\('audit'\)/);
  assert.doesNotMatch(remedyOf("slots", change), /fine/);
});

test("a role gets the exact statements for what it lacks, its name quoted", () => {
  const role = { superuser: false, replication: false, memberOf: [], mayReadFiles: false };
  const facts = { server: { ...server, role: seen(role) }, machine, policy: { ...policy, role: 'a"b' } };
  const check = diagnose(facts).find(({ id }) => id === "role");
  assert.equal(check?.level, "problem");
  assert.equal(
    check.remedy,
    'ALTER ROLE "a""b" REPLICATION; GRANT pg_monitor TO "a""b"; GRANT pg_read_server_files TO "a""b"; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO "a""b";',
  );
  assert.deepEqual(complaints({ server: { role: seen({ ...role, replication: true }) } }), ["role warning"]);
});

test("in a stack the names that commits wait for are the controller's to set, and a withdrawn receiver is known by its last reign", () => {
  const inStack = (names: string, applicationName: string) => ({
    settings: { synchronous_standby_names: names },
    policy: { isOfStack: true, applicationName },
  });
  for (const [names, named] of [
    ["", "lifeboat_vault_e3"],
    ["ANY 1 (db_replica)", "lifeboat_vault_e3"],
  ] as const) {
    assert.deepEqual(complaints(inStack(names, named)), ["synchronous warning"], names);
    const remedy = remedyOf("synchronous", inStack(names, named));
    assert.match(remedy, /lifeboat durability quorum/);
    assert.doesNotMatch(remedy, /ALTER SYSTEM/);
  }
  const withdrawn = inStack("ANY 1 (db_replica, lifeboat_vault_e3)", "lifeboat_vault");
  assert.deepEqual(complaints(withdrawn), []);
  assert.deepEqual(complaints({ ...withdrawn, policy: { isOfStack: false } }), ["synchronous warning"]);
});

test("a standby is found in every form of synchronous_standby_names", () => {
  for (const list of ["a", "b, a", "ANY 1 (a)", "first 2 (b, A)", '2 ("a", b)', "*", "ANY 1 (*)"]) {
    assert.ok(namesStandby(list, "a"), list);
  }
  for (const list of ["", "b", "ANY 1 (b)", "ab", '"a b"']) assert.ok(!namesStandby(list, "a"), list);
  assert.ok(!namesStandby("ANY 1 (b)", "any"));
});

test("commits that do not wait for the standby that is named are a problem, of some roles or databases a warning", () => {
  for (const commit of ["off", "local", "remote_write"]) {
    const off = { settings: { synchronous_commit: commit } };
    assert.deepEqual(complaints(off), ["synchronous problem"], commit);
    assert.equal(remedyOf("synchronous", off), "ALTER SYSTEM RESET synchronous_commit; SELECT pg_reload_conf();");
  }
  assert.deepEqual(complaints({ settings: { synchronous_commit: "remote_apply" } }), []);
  const overrides = [
    { role: "importer", database: undefined, value: "off" },
    { role: "careful", database: undefined, value: "on" },
  ];
  const some = { server: { commitOverrides: seen(overrides) } };
  assert.deepEqual(complaints(some), ["synchronous warning"]);
  assert.match(remedyOf("synchronous", some), /ALTER ROLE "importer" RESET synchronous_commit;$/);
  assert.deepEqual(complaints({ server: { commitOverrides: unseen } }), ["synchronous unknown"]);
});

test("a receiver on the server's machine is said to be there, never promised against (rule B12)", () => {
  assert.deepEqual(complaints({ server: { sameMachine: seen(true) } }), ["failure-domain warning"]);
});

test("clocks apart are a warning only beyond what measuring them can tell", () => {
  assert.deepEqual(complaints({ server: { clock: seen({ aheadMs: -5_000, uncertainMs: 10 }) } }), ["clock warning"]);
  assert.deepEqual(complaints({ server: { clock: seen({ aheadMs: 5_000, uncertainMs: 4_500 }) } }), []);
});

test("space is judged by the newest backup, the spool by the rate of WAL", () => {
  const little = seen({ folder: "/srv/x", freeBytes: 1.1 * GIB, device: 1 });
  assert.deepEqual(complaints({ machine: { vaultSpace: little } }), ["vault-space warning"]);
  assert.deepEqual(complaints({ machine: { sandboxSpace: little } }), ["sandbox-space warning"]);
  assert.deepEqual(complaints({ machine: { spoolSpace: little } }), ["spool-space warning"]);
  const none = seen({ folder: "/srv/x", freeBytes: 1, device: 1 });
  assert.deepEqual(complaints({ machine: { spoolSpace: none } }), ["spool-space problem"]);
});

test("a receiver that never ran, does not run or raises an alarm is told", () => {
  const status = machine.receiver.kind === "seen" ? machine.receiver.value.receiver : undefined;
  assert.ok(status?.kind === "running");
  assert.deepEqual(complaints({ machine: { receiver: receiver({ kind: "never-ran" }) } }), ["receiver warning"]);
  const gone = receiver({ ...status, kind: "not-running" as const });
  assert.deepEqual(complaints({ machine: { receiver: gone } }), ["receiver problem"]);
  const lastError = { code: "x.y", message: "another lineage", remedy: "Find out which is the real one.", at: "" };
  const ended = {
    ...status,
    kind: "not-running" as const,
    report: { ...status.report, mode: "failed" as const, lastError },
  };
  assert.equal(remedyOf("receiver", { machine: { receiver: receiver(ended) } }), lastError.remedy);
  const alarm = { kind: "gap" as const, message: "WAL is lost", since: "" };
  const alarmed = receiver({ ...status, report: { ...status.report, alarms: [alarm] } });
  assert.deepEqual(complaints({ machine: { receiver: alarmed } }), ["receiver problem"]);
  for (const ageMs of [14_000, -3_600_000]) {
    assert.deepEqual(complaints({ machine: { receiver: receiver(status, ageMs) } }), ["receiver problem"], `${ageMs}`);
  }
});

test("what was not seen is unknown with the reason, and never ok", () => {
  const blind = Object.fromEntries(Object.keys(server).map((key) => [key, unseen]));
  const dark = Object.fromEntries(Object.keys(machine).map((key) => [key, unseen]));
  const all = checks({ server: blind, machine: dark });
  assert.ok(all.every(({ level, remedy }) => level === "unknown" && remedy !== undefined));
  const few = checks({ server: { settings: seen(new Map()) } });
  assert.match(few.find(({ id }) => id === "fsync")?.remedy ?? "", /GRANT pg_read_all_settings TO "lifeboat"/);
});

test("tablespaces outside are a warning only where a standby on the same machine may share them", () => {
  const tablespaces = [{ name: "fast", location: "/mnt/fast" }];
  const outsideTablespaces = (standbysHere: readonly string[]) => ({
    server: { outsideTablespaces: seen({ tablespaces, standbysHere }) },
  });
  assert.deepEqual(complaints(outsideTablespaces([])), []);
  assert.deepEqual(complaints(outsideTablespaces(["db_replica"])), ["tablespaces warning"]);
  assert.match(remedyOf("tablespaces", outsideTablespaces(["db_replica"])), /stop db_replica/);
});

test("logical slots that no standby has are a warning, with what to do on this version; those that are copied are none", () => {
  const slots = [logicalSlot(), logicalSlot({ name: "audit" }), logicalSlot({ name: "kept", failover: true })];
  const on16 = { server: { logicalSlots: seen(slots) } };
  assert.deepEqual(complaints(on16), ["logical-slots warning"]);
  assert.match(remedyOf("logical-slots", on16), /^After either, make it anew/);
  const on17 = { server: { version: seen(170_006), logicalSlots: seen(slots) } };
  assert.match(remedyOf("logical-slots", on17), /^Of a subscription.*failover = true/);
  const { found } = checks(on17).find(({ id }) => id === "logical-slots") ?? { found: "" };
  assert.match(found, /logical slots cdc, audit stops/);
  assert.deepEqual(complaints({ server: { version: seen(170_006), logicalSlots: seen(slots.slice(2)) } }), []);
});

test("text that was sorted by another version is a warning, with the statements that put it right", () => {
  const collations = [collation(), collation({ name: "shop", actual: "2.41" })];
  const change = { server: { collations: seen(collations) } };
  assert.deepEqual(complaints(change), ["collations warning"]);
  assert.match(remedyOf("collations", change), /^In it: REINDEX DATABASE "shop"; .*REFRESH COLLATION VERSION;$/);
});

test("segments of WAL so large that some of them fill a small machine's memory are a warning", () => {
  const sized = (bytes: number) => {
    const facts = {
      ...server,
      settings: seen(new Map([...Object.entries(settings), ["wal_segment_size", `${bytes}`]])),
    };
    return diagnose({ server: facts, machine, policy }).find(({ id }) => id === "segment-size");
  };
  assert.equal(sized(GIB / 64), undefined);
  const large = sized(GIB);
  assert.equal(large?.level, "warning");
  assert.match(large.found, /^segments of WAL have 1.0 GiB: .* in memory, 4.0 GiB$/);
});
