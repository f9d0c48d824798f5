import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { setClock, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { EXIT } from "../errors/entry.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { RetainedBackup } from "../retention/decide.ts";
import type { PrunePlan } from "../retention/survey.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import type { BackupId } from "../vault/names.ts";
import { openVault } from "../vault/vault.ts";
import { holdEngine, makeVault, pruneConfiguredVault } from "./compose.ts";
import type { Pruned } from "./prune.ts";
import { runCli } from "./run.ts";

const systemId = "7301234567890123456" as SystemId;

function backup(day: number, changes: Partial<RetainedBackup> = {}): RetainedBackup {
  return {
    backupId: `202601${String(day).padStart(2, "0")}t030000z-0a1b2c3d` as BackupId,
    systemId,
    tier: "hourly",
    endedMs: Date.UTC(2026, 0, day, 3) as Instant,
    timeline: 1 as Timeline,
    startLsn: 0x2000028n as Lsn,
    endLsn: 0x2000100n as Lsn,
    restorable: true,
    reaches: { timeline: 1 as Timeline, storedMs: 0 },
    tombstone: undefined,
    ...changes,
  };
}

const plan: PrunePlan = {
  decision: {
    now: Date.UTC(2026, 0, 20) as Instant,
    keep: [
      {
        backup: backup(19),
        reasons: [{ kind: "newest" }, { kind: "tier", tier: "daily", window: "2026-01-19" }],
      },
      { backup: backup(9), reasons: [{ kind: "held" }] },
    ],
    remove: [
      { backup: backup(8, { tier: "manual" }), why: "named", stage: "tombstone", proofFailed: false },
      { backup: backup(7, { restorable: false }), why: "retention", stage: "grace", proofFailed: false },
      { backup: backup(6), why: "retention", stage: "erase", proofFailed: false },
      { backup: backup(5), why: "retention", stage: "tombstone", proofFailed: true },
    ],
    abandoned: [],
    blockedBy: undefined,
  },
  holds: [{ scope: backup(9).backupId, holdId: "0123456789abcdef", heldMs: Date.UTC(2026, 0, 10), reason: "audit" }],
  revive: [],
  tombstone: [{ systemId, backupId: backup(8).backupId, why: "named" }],
  erase: [{ systemId, backupId: backup(6).backupId, objects: [{ name: "backups/x", sizeBytes: 10 }] }],
  packs: [{ name: "packs/00/x", sizeBytes: 33_554_432 }],
  wal: [{ name: "wal/x", sizeBytes: 1_000_000 }],
  walKeepFrom: [{ systemId, timeline: 1 as Timeline, segment: "000000010000000000000003" }],
  damage: [],
};

async function keeps(golden: string, pruned: Pruned, line = "prune"): Promise<number> {
  const verbs = allVerbs({ prune: async () => pruned });
  const people = recordedFrame();
  const status = await runCli(line.split(" "), verbs, people);
  matchesGolden(`results/${golden}.txt`, people.stdout.written());
  const programs = recordedFrame();
  assert.equal(await runCli([...line.split(" "), "--json"], verbs, programs), status);
  matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.stdout.written()), null, 2)}\n`);
  return status;
}

describe("a prune tells", () => {
  test("why each backup stays or goes, and what it deleted", async () => {
    assert.equal(await keeps("prune-plan", { plan, result: undefined }, "prune --dry-run"), 0);
    const result = { deletedObjects: 3, freedBytes: 34_554_442 };
    assert.equal(await keeps("prune", { plan, result }), 0);
  });

  test("that nothing goes during an incident, while the vault is quiet, or while it is damaged", async () => {
    const blocked = (blockedBy: PrunePlan["decision"]["blockedBy"]): Pruned => ({
      plan: {
        ...plan,
        decision: { ...plan.decision, blockedBy, remove: [] },
        holds: [{ scope: "all", holdId: "0123456789abcdef", heldMs: 0, reason: "incident 12" }],
      },
      result: undefined,
    });
    assert.equal(await keeps("prune-incident", blocked({ kind: "incident" })), 0);
    const newestStoredMs = Date.UTC(2026, 0, 1);
    assert.equal(await keeps("prune-quiet", blocked({ kind: "quiet", newestStoredMs })), EXIT.refused);
    const resumedMs = Date.UTC(2026, 5, 1);
    const leapt = { kind: "leapt", newestStoredMs, resumedMs, untilMs: resumedMs + 86_400_000 } as const;
    assert.equal(await keeps("prune-leapt", blocked(leapt)), EXIT.refused);
    const damage = (["vault.object-damaged", "vault.key-missing"] as const).map(
      (code) => new LifeboatError(code, { message: `manifest x tells ${code}`, remedy: "Look." }),
    );
    assert.equal(await keeps("prune-damaged", { plan: { ...plan, damage }, result: undefined }), EXIT.damaged);
  });

  test("what it waits for though nothing is damaged, without advice to repair it", async () => {
    const damage = (["retention.records-missing", "retention.begun-ahead"] as const).map(
      (code) => new LifeboatError(code, { message: `backups/x tells ${code}: copy it`, remedy: "Copy it." }),
    );
    const frame = recordedFrame();
    const verbs = allVerbs({ prune: async () => ({ plan: { ...plan, damage }, result: undefined }) });
    assert.equal(await runCli(["prune"], verbs, frame), EXIT.damaged);
    const written = frame.stdout.written();
    assert.match(
      written,
      /^Nothing is deleted while this is so:\n {2}backups\/x tells .*: copy it .*\n {2}backups\/x tells .*\n\n/,
    );
    assert.doesNotMatch(written, /missing or cannot be read|vault repair|data key/);
  });
});

describe("on a vault in a folder", () => {
  let folder = "";
  let flags: readonly string[] = [];
  const verbs = allVerbs({ prune: pruneConfiguredVault, holds: holdEngine, makeVault });
  const ids: string[] = [];

  const run = async (...args: readonly string[]) => {
    const frame = recordedFrame();
    const state = args[0] === "prune" ? ["--folders-state", path.join(folder, "state")] : [];
    const status = await runCli([...args, ...flags, ...state, "--json"], verbs, frame);
    const [out, err] = [frame.stdout.written(), frame.stderr.written()];
    const code = err.includes('"error"') ? JSON.parse(err).error.code : undefined;
    return { status, json: out === "" ? undefined : JSON.parse(out), code };
  };

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), "lifeboat-prune-"));
    const vaultFolder = path.join(folder, "vault");
    flags = ["--vault-path", vaultFolder, "--vault-encryption", "off"];
    assert.equal((await run("vault", "init")).status, 0);
    const clock = setClock(Date.UTC(2025, 9, 1));
    const tools = { files: systemFiles, random: systemRandom, clock };
    const store = await openDiskStore({ ...tools, folder: vaultFolder, access: "write" });
    const vault = await openVault({ ...tools, store }, { kind: "open" }, {});
    for (const segment of [1, 2, 3]) {
      ids.push((await storeSyntheticBackup(vault, { systemId, segment })).record.backupId);
      clock.set(clock.now() + 86_400_000);
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  test("a dry run plans what the prune then does; holding brings back, releasing lets go", async () => {
    const planned = await run("prune", "--dry-run");
    assert.deepEqual(
      planned.json.remove.map((each: { backupId: string; stage: string }) => [each.backupId, each.stage]),
      ids.slice(0, 2).map((id) => [id, "tombstone"]),
    );
    assert.deepEqual((await run("prune", "--dry-run")).json, planned.json);
    const done = await run("prune");
    assert.deepEqual({ ...done.json, result: null }, planned.json);
    assert.equal((await run("backup", "hold", ids[0] ?? "", "--reason", "audit")).status, 0);
    const held = await run("prune");
    assert.deepEqual(
      held.json.revive.map(({ backupId }: { backupId: string }) => backupId),
      [ids[0]],
    );
    assert.equal((await run("backup", "hold", "--all", "--reason", "incident")).status, 0);
    assert.deepEqual((await run("prune")).json.blockedBy, { kind: "incident" });
    for (const scope of ["--all", ids[0] ?? ""]) assert.equal((await run("backup", "release", scope)).status, 0);
    assert.equal((await run("prune")).json.tombstone.length, 1);
  });

  test("a setting may stand before the inner verb's name as well", async () => {
    const frame = recordedFrame();
    const line = ["backup", ...flags, "hold", "--all", "--reason", "x"];
    assert.equal(await runCli(line, verbs, frame), 0, frame.stderr.written());
    assert.equal((await run("backup", "release", "--all")).json.length, 1);
  });

  test("what is not there, not held, or contradicts itself is refused", async () => {
    const unknown = "20260101t000000z-00000000";
    assert.equal((await run("backup", "hold", unknown, "--reason", "x")).code, "vault.backup-unknown");
    assert.equal((await run("prune", "--remove", unknown)).code, "vault.backup-unknown");
    assert.equal((await run("backup", "release", "--all")).code, "retention.not-held");
    assert.equal((await run("backup", "release")).code, "config.usage");
    assert.equal((await run("backup", "hold", unknown, "--all", "--reason", "x")).code, "config.usage");
    assert.equal((await run("backup", "hold", unknown)).code, "config.usage");
  });

  test("a second prune on the same machine is refused while the first runs", async () => {
    await run("prune");
    const lock = systemLocks.tryAcquire(path.join(folder, "state", "prune.lock"));
    const refused = await run("prune");
    assert.equal(refused.status, EXIT.refused);
    assert.equal(refused.code, "retention.prune-running");
    lock?.release();
    assert.equal((await run("prune")).status, 0);
  });
});
