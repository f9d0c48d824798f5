import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GOLDEN_COMMITS, GOLDEN_EARLIER, GOLDEN_LATER, takeGoldenBackup } from "../../test/golden/make-delta-vault.ts";
import { connectSynthetic } from "../../test/golden/synthetic-server.ts";
import { namesOf } from "../../test/support/daily-backups.ts";
import { syntheticProof } from "../../test/support/proofs.ts";
import { createTestVault, repairTools } from "../../test/support/vaults.ts";
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { type Monotonic, systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import type { Timeline } from "../postgres/lsn.ts";
import type { BaseBackupSink } from "../postgres/replication.ts";
import { type BackupRecord, listBackups } from "../vault/backups.ts";
import { checkVault, type VaultReport } from "../vault/check.ts";
import { type ManifestFile, readManifest } from "../vault/manifest.ts";
import { historyKey, packName, proofName } from "../vault/names.ts";
import { putProof } from "../vault/proofs.ts";
import { prepareRepair, runRepair } from "../vault/repair.ts";
import type { Vault } from "../vault/vault.ts";
import type { WalCoverage } from "./backup.ts";

/** The server of GOLDEN_LATER once more, with the same pages. */
const commit = GOLDEN_COMMITS.get(107);
assert.ok(commit !== undefined);
const LATEST = { ...GOLDEN_LATER, startLsn: commit.lsn, endLsn: commit.end };
const SEGMENTS = 4;
const MIB = 1024 * 1024;

/** A vault with a full backup and the names of its packs. */
async function vaultWithFull() {
  const vault = await createTestVault();
  const full = await takeGoldenBackup(vault, GOLDEN_EARLIER, SEGMENTS);
  return { vault, full, packs: await packsOf(vault, full) };
}

async function packsOf(vault: Vault, backup: BackupRecord): Promise<readonly string[]> {
  return (await readManifest(vault, backup, {}, {})).chunks.packs.map(({ id }) => packName(id));
}

async function replace(vault: Vault, name: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const bytes = await vault.store.get(name);
  await vault.store.delete(name);
  await vault.store.put(name, [change(bytes)]);
}

function flipped(bytes: Buffer): Buffer {
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  return bytes;
}

function checked(vault: Vault): Promise<VaultReport> {
  return checkVault(vault, { readData: true, onProgress: () => undefined });
}

async function wholeOnes(vault: Vault): Promise<ReadonlyMap<string, boolean>> {
  const report = await checked(vault);
  return new Map(report.backups.map(({ backup, whole }) => [backup.backupId, whole]));
}

test("a backup after a promotion keeps nothing of one whose timeline has a history that does not open", async () => {
  const { vault, full } = await vaultWithFull();
  const { history } = GOLDEN_LATER;
  await replace(vault, historyKey(full), flipped);
  const promoted = { ...LATEST, timeline: 3 as Timeline, history: `${history}2\t${full.endLsn}\tno reason\n` };
  const timelineHistory = async () => ({ name: "00000003.history", content: Buffer.from(promoted.history) });
  const connection = { ...connectSynthetic(promoted), timelineHistory };
  const wal = { begin: async () => undefined, covered: async () => undefined };
  const next = await takeGoldenBackup(vault, promoted, 0, { connection, wal });
  assert.deepEqual([next.parent, next.whyFull], [null, "other-history"]);
});

describe("a backup after one that is known to be damaged", () => {
  test("keeps nothing of one that a repair marked, can be restored, and is kept of itself", async () => {
    const { vault, full, packs } = await vaultWithFull();
    await replace(vault, packs[0] ?? "", flipped);
    const tools = repairTools(vault);
    await runRepair(tools, await prepareRepair(tools, {}), {});
    const after = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS);
    assert.deepEqual([after.parent, after.whyFull], [null, "parent-failed-proof"]);
    const whole = await wholeOnes(vault);
    assert.deepEqual([whole.get(full.backupId), whole.get(after.backupId)], [false, true]);
    assert.equal((await takeGoldenBackup(vault, LATEST, SEGMENTS)).parent, after.backupId);
  });

  test("keeps nothing of one whose newest proof does not open", async () => {
    const { vault, full } = await vaultWithFull();
    const proof = syntheticProof(full, { minute: 1, asked: "booted" });
    await putProof(vault, proof, {});
    await replace(vault, proofName(proof), flipped);
    assert.equal((await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS)).whyFull, "parent-failed-proof");
  });

  test("keeps nothing of one that shares a pack which a failed proof of another names, until every byte of it was read", async () => {
    const { vault, full, packs } = await vaultWithFull();
    const delta = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS);
    assert.equal(delta.parent, full.backupId);
    const failed = syntheticProof(full, { minute: 1, asked: "intact", failedAt: "intact" });
    const finding = { object: packs[0] ?? "", code: "vault.object-damaged", message: "m" };
    await putProof(vault, { ...failed, findings: [finding], findingCount: 1 }, {});
    await putProof(vault, syntheticProof(delta, { minute: 2, asked: "present" }), {});
    const latest = await takeGoldenBackup(vault, LATEST, SEGMENTS);
    assert.equal(latest.whyFull, "parent-failed-proof");
    for (const part of ["announced", "started"]) {
      await vault.store.delete(`backups/${latest.systemId}/${latest.backupId}/${part}`);
    }
    await putProof(vault, syntheticProof(delta, { minute: 3, asked: "intact" }), {});
    assert.equal((await takeGoldenBackup(vault, LATEST, SEGMENTS)).parent, delta.backupId);
  });

  test("is not disturbed by a failed proof that names nothing it shares", async () => {
    const { vault, full } = await vaultWithFull();
    const delta = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS);
    await putProof(vault, syntheticProof(full, { minute: 1, asked: "booted", failedAt: "booted" }), {});
    assert.equal((await takeGoldenBackup(vault, LATEST, SEGMENTS)).parent, delta.backupId);
  });

  test("keeps nothing of one of which a pack is gone or has another size", async () => {
    for (const damage of ["gone", "shorter"] as const) {
      const { vault, packs } = await vaultWithFull();
      const pack = packs[0] ?? "";
      if (damage === "gone") await vault.store.delete(pack);
      else await replace(vault, pack, (bytes) => bytes.subarray(0, -1));
      const after = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS);
      assert.equal(after.whyFull, "parent-damaged", damage);
      assert.equal((await wholeOnes(vault)).get(after.backupId), true, damage);
    }
  });
});

/** Where in which pack the fingerprints of the full backup's first table lie. */
async function fingerprintsOf(
  vault: Vault,
  backup: BackupRecord,
): Promise<{ readonly pack: string; readonly at: number }> {
  let chunk = -1;
  const onFile = (file: ManifestFile): void => {
    if (file.kind === "pages" && file.path === "base/5/16384") chunk = file.fingerprints[0] ?? -1;
  };
  const { chunks } = await readManifest(vault, backup, { onFile }, {});
  const pack = chunks.packs[chunks.packOf[chunk] ?? -1];
  assert.ok(pack !== undefined);
  return { pack: packName(pack.id), at: chunks.offsets[chunk] ?? 0 };
}

describe("a backup whose parent turns out to be damaged while it is taken", () => {
  test("is taken anew, whole, when the parent's fingerprints do not open", async () => {
    const { vault, full } = await vaultWithFull();
    const { pack, at } = await fingerprintsOf(vault, full);
    await replace(vault, pack, (bytes) => {
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes;
    });
    const told: LifeboatError[] = [];
    const onParentDamaged = (damage: LifeboatError): void => void told.push(damage);
    // More than fits into one pack follows.
    const more = {
      kind: "file",
      path: "base/5/16391",
      mode: 0o600,
      modifiedS: 0,
      content: systemRandom(40 * MIB),
    } as const;
    const connection = connectSynthetic({ ...GOLDEN_LATER, files: [...GOLDEN_LATER.files, more] });
    const after = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS, { connection, onParentDamaged });
    assert.deepEqual([after.parent, after.whyFull], [null, "parent-damaged"]);
    assert.deepEqual(
      told.map(({ code, details }) => [code, details["object"]]),
      [["vault.object-damaged", pack]],
    );
    assert.deepEqual(
      (await checked(vault)).unreferencedPacks,
      [],
      "what the server went on to send was not stored twice",
    );
    const whole = await wholeOnes(vault);
    assert.deepEqual([whole.get(full.backupId), whole.get(after.backupId)], [false, true]);
    assert.equal((await takeGoldenBackup(vault, LATEST, SEGMENTS)).parent, after.backupId);
  });

  test("is taken anew when a pack of the parent goes before its fingerprints are read, or after the server has sent all", async () => {
    for (const when of ["before", "after"] as const) {
      const { vault, packs } = await vaultWithFull();
      const direct = connectSynthetic(GOLDEN_LATER);
      let sent = 0;
      const connection: typeof direct = {
        ...direct,
        baseBackup: async (request, sink, options) => {
          if (when === "before") {
            // Once it has chosen its parent.
            const begin: typeof sink.begin = async (facts) => {
              await sink.begin(facts);
              for (const pack of packs) await vault.store.delete(pack);
            };
            const { archive, data, manifest } = methodsOf(sink);
            sent += 1;
            return direct.baseBackup(request, { begin, archive, data, manifest }, options);
          }
          const end = await direct.baseBackup(request, sink, options);
          sent += 1;
          for (const pack of packs) await vault.store.delete(pack);
          return end;
        },
      };
      const after = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS, { connection });
      assert.deepEqual([sent, after.parent, after.whyFull], [2, null, "parent-damaged"], when);
      assert.equal((await wholeOnes(vault)).get(after.backupId), true, when);
    }
  });
});

test("a backup is not announced when a pack that it stored or kept goes while its WAL is waited for", async () => {
  for (const which of ["stored", "kept"] as const) {
    const { vault, full, packs } = await vaultWithFull();
    const before = await namesOf(vault.store);
    let gone: readonly string[] = [];
    let waitedMs = 0;
    const clock = { ...systemClock, monotonic: () => (systemClock.monotonic() + waitedMs) as Monotonic };
    const wal: WalCoverage = {
      begin: async () => undefined,
      covered: async () => {
        if (gone.length > 0) return;
        const stored = (await namesOf(vault.store, "packs/")).filter((name) => !packs.includes(name));
        gone = which === "stored" ? stored : packs;
        for (const name of gone) await vault.store.delete(name);
        if (which === "kept") waitedMs = 10_000;
      },
      between: {
        holds: async () => "held",
        settings: async ({ to }) => ({ kind: "same", reached: to }),
        unsoundCopy: async () => undefined,
      },
    };
    const taking = takeGoldenBackup({ ...vault, clock }, GOLDEN_LATER, SEGMENTS, { wal });
    await assert.rejects(taking, (error) => isLifeboatError(error, "backup.pack-lost"), which);
    assert.ok(gone.length > 0);
    const { backups } = await listBackups(vault, {}, {});
    assert.deepEqual(
      backups.map(({ backupId }) => backupId),
      [full.backupId],
    );
    const left = before.filter((name) => which === "stored" || !packs.includes(name));
    assert.deepEqual(await namesOf(vault.store), left, which);
  }
});

function methodsOf(sink: BaseBackupSink): Omit<BaseBackupSink, "begin"> {
  return {
    archive: (facts) => sink.archive(facts),
    data: (view) => sink.data(view),
    manifest: (json) => sink.manifest(json),
  };
}
