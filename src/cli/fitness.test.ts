import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs, type Engines } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { collation, slotOf } from "../../test/support/inventories.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import type { Check } from "../doctor/decide.ts";
import { EXIT } from "../errors/entry.ts";
import type { Instant } from "../platform/clock.ts";
import type { StatusFacts } from "../status/decide.ts";
import type { KeyId } from "../vault/names.ts";
import { runCli } from "./run.ts";
import { renderStatus } from "./status.ts";
import { createStyle } from "./style.ts";

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

const fine: Check = { id: "version", level: "ok", found: "PostgreSQL 16.14", remedy: undefined };
const unsure: Check = { id: "clock", level: "unknown", found: "the role may not ask", remedy: "Ask another." };

test("doctor tells problems first, each with what to do, and ends with status 3 for one", async () => {
  const checks: readonly Check[] = [
    fine,
    { id: "slot", level: "warning", found: "there is no slot lifeboat_vault", remedy: "Start the receiver." },
    unsure,
    {
      id: "wal-level",
      level: "problem",
      found: "wal_level is minimal",
      remedy: "ALTER SYSTEM SET wal_level = replica;",
    },
  ];
  assert.equal(await keeps("doctor-problem", "doctor", { diagnose: async () => checks }), EXIT.refused);
  assert.equal(await keeps("doctor", "doctor", { diagnose: async () => [fine, unsure] }), 0);
  const blind = { ...unsure, id: "login" };
  assert.equal(await runCli(["doctor"], allVerbs({ diagnose: async () => [blind] }), recordedFrame()), EXIT.refused);
});

const status: StatusFacts = {
  now: Date.UTC(2026, 0, 2) as Instant,
  backupMaxAgeMs: 93_600_000,
  isOfStack: false,
  proofMaxAgeMs: 691_200_000,
  vault: {
    kind: "reached",
    newestBackup: {
      backupId: "20260101t120000z-9f3a61c2",
      endedAt: "2026-01-01T12:00:14.250Z",
      dataBytes: 2_247_131_136,
      storedBytes: 660_602_880,
    },
    newestProof: { backupId: "20260101t110000z-0a1b2c3d", depth: "checked", endedAt: "2026-01-01T20:00:00.000Z" },
    failedProofs: [],
    datedAhead: [],
    newerTablespaces: [],
    tablespacesUnseen: undefined,
    backupCount: 3,
    unfinishedCount: 1,
    damagedBackups: [],
    stranded: [],
    ranges: [
      {
        systemId: "7000",
        timeline: 1,
        from: "0/2000100",
        to: "0/5000000",
        fromTime: Date.UTC(2026, 0, 1, 12) as Instant,
        toTime: Date.UTC(2026, 0, 2) as Instant,
      },
    ],
    gapCount: 0,
    outOfReach: [],
    unreached: [],
    opensNewestKey: true,
    objectCount: 57,
    sizeBytes: 1_400_000_000,
  },
  receiver: {
    kind: "running",
    report: {
      format: "lifeboat-receiver",
      version: 2,
      pid: 4711,
      mode: "streaming",
      startedAt: "2026-01-01T00:00:00.000Z",
      updatedAt: "2026-01-02T00:00:00.000Z",
      systemId: "7000",
      timeline: 1,
      slot: "lifeboat_vault",
      epoch: 0,
      applicationName: "lifeboat_vault",
      writtenLsn: "0/5000000",
      flushedLsn: "0/5000000",
      serverEndLsn: "0/5000060",
      lagBytes: 96,
      segmentsWaiting: 1,
      spoolBytes: 16_777_216,
      spoolBytesMax: 1_073_741_824,
      lastError: null,
      alarms: [],
      gaps: [],
    },
  },
  reportAgeMs: 400,
  receiverSlot: "lifeboat_vault",
  server: { kind: "reached", lsn: "0/5000060", lagBytes: 96, slot: "keeps WAL" },
  risks: {
    kind: "reached",
    limitBytes: 68_719_476_736,
    roomBytes: 1_073_741_824,
    slots: [slotOf({ name: "lifeboat_vault", slotType: "physical", active: true, keptBytes: 96 })],
    changedCollations: [],
    outsideTablespaces: [],
  },
};

test("status fits one screen when all is well, when the server is at risk, and when vault and server are away", async () => {
  assert.equal(await keeps("status", "status", { lookAtStatus: async () => status }), 0);
  const away = (what: string) => ({ kind: "unreachable" as const, code: "x.y", message: `no ${what} here` });
  const dark = { ...status, vault: away("vault"), server: away("server") };
  const risks = {
    kind: "reached" as const,
    limitBytes: null,
    roomBytes: 1_073_741_824,
    slots: [
      slotOf({ name: "cdc", keptBytes: 5_368_709_120, walStatus: "extended", idleMs: 259_200_000 }),
      slotOf({ name: "audit", keptBytes: null, walStatus: "lost", lostBy: "wal_removed" }),
    ],
    changedCollations: [collation({ name: "shop", recorded: "2.36", actual: "2.41" })],
    outsideTablespaces: [],
  };
  assert.equal(
    await keeps("status-at-risk", "status", { lookAtStatus: async () => ({ ...status, risks }) }),
    EXIT.damaged,
  );
  assert.equal(await keeps("status-wrong", "status", { lookAtStatus: async () => dark }), EXIT.damaged);
  assert.ok(status.receiver.kind === "running");
  const lastError = { code: "wal.foreign-lineage", message: "another lineage", remedy: "Find out.", at: "2026-01-02" };
  const ended = { kind: "not-running", report: { ...status.receiver.report, mode: "failed", lastError } } as const;
  const shown = renderStatus({ ...status, receiver: ended }, [], createStyle({ colours: false, columns: 100 }));
  assert.match(shown, /server: +0\/5000060, not received from$/m);
});

const list = {
  dataKeyCount: 2,
  holders: [
    {
      wrapId: "9f3a61c2b1d04e77",
      kind: "passphrase" as const,
      label: undefined,
      recipient: undefined,
      createdAt: "2026-01-01T00:00:00.000Z",
      dataKeyCount: 2,
      opensNewest: true,
      proven: true,
    },
    {
      wrapId: "0f3a61c2b1d04e77",
      kind: "age" as const,
      label: "safe",
      recipient: "age1xyz",
      createdAt: "2026-01-01T00:00:00.001Z",
      dataKeyCount: 1,
      opensNewest: false,
      proven: false,
    },
  ],
  unreadable: ["keys/x.json"],
};
const added = {
  wrapId: "9f3a61c2b1d04e77",
  dataKeyCount: 1,
  allDataKeyCount: 1,
  opensNewest: true,
  recoveryKey: "ABCD-EFGH",
  pin: undefined,
};
const rotation = {
  keyId: "0123456789abcdef0123456789abcdef" as KeyId,
  wrappedFor: ["a"],
  leftOut: ["0f3a61c2b1d04e77"],
  pin: undefined,
  recoveryKey: "ABCD-EFGH",
  dataKeyCount: 2,
  allDataKeyCount: 2,
};

test("keys are listed, added, removed, replaced and rotated in words that say what follows", async () => {
  const keys: Engines["keys"] = {
    list: async () => list,
    add: async ({ holder }) =>
      holder.kind === "age" ? { ...added, recoveryKey: undefined, pin: "# lifeboat-vault 1 2" } : added,
    remove: async () => ({ kind: "passphrase", wrapCount: 1 }),
    rewrap: async () => ({ added: { ...added, recoveryKey: undefined }, removed: ["0f3a61c2b1d04e77"] }),
    rotate: async () => rotation,
  };
  assert.equal(await keeps("vault-key-list", "vault key list", { keys }), 0);
  assert.equal(await keeps("vault-key-add", "vault key add --recovery-key", { keys }), 0);
  assert.equal(await keeps("vault-key-add-age", "vault key add --age age1xyz", { keys }), 0);
  assert.equal(await keeps("vault-key-remove", "vault key remove 9f3a61c2b1d04e77", { keys }), 0);
  assert.equal(await keeps("vault-key-rewrap", "vault key rewrap", { keys }), 0);
  assert.equal(await keeps("vault-key-rotate", "vault key rotate", { keys }), 0);
  const part = { ...added, allDataKeyCount: 2, opensNewest: false, recoveryKey: undefined };
  const byOneLeftOut = { ...keys, add: async () => part, rewrap: async () => ({ added: part, removed: [] }) };
  assert.equal(await keeps("vault-key-add-part", "vault key add --passphrase-file p", { keys: byOneLeftOut }), 0);
  const partly = { ...keys, rotate: async () => ({ ...rotation, pin: "# lifeboat-vault 1 2", allDataKeyCount: 3 }) };
  assert.equal(await keeps("vault-key-rotate-part", "vault key rotate", { keys: partly }), 0);
  assert.equal(await keeps("vault-key-rewrap-part", "vault key rewrap", { keys: byOneLeftOut }), 0);
});

test("a key command that says too little or too much is refused before anything happens", async () => {
  for (const line of [
    "vault key add",
    "vault key add --age a --recovery-key",
    "vault key remove",
    "vault key list 12",
  ]) {
    assert.equal(await runCli(line.split(" "), allVerbs(), recordedFrame()), EXIT.usage, line);
  }
});
