import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GOLDEN_COMMITS, GOLDEN_EARLIER, GOLDEN_LATER, takeGoldenBackup } from "../../test/golden/make-delta-vault.ts";
import { syntheticProof } from "../../test/support/proofs.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { checkVault } from "../vault/check.ts";
import { readManifest } from "../vault/manifest.ts";
import { packName, proofName } from "../vault/names.ts";
import { putProof } from "../vault/proofs.ts";
import { prepareRepair, runRepair } from "../vault/repair.ts";
import type { Vault } from "../vault/vault.ts";

/** The server of GOLDEN_LATER once more, with the same pages. */
const commit = GOLDEN_COMMITS.get(107);
assert.ok(commit !== undefined);
const LATEST = { ...GOLDEN_LATER, startLsn: commit.lsn, endLsn: commit.end };
const SEGMENTS = 4;

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

async function wholeOnes(vault: Vault): Promise<ReadonlyMap<string, boolean>> {
  const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
  return new Map(report.backups.map(({ backup, whole }) => [backup.backupId, whole]));
}

describe("a backup after one that is known to be damaged", () => {
  test("keeps nothing of one that a repair marked, can be restored, and is kept of itself", async () => {
    const { vault, full, packs } = await vaultWithFull();
    await replace(vault, packs[0] ?? "", flipped);
    const tools = { vault, spooled: async () => undefined, host: "here", onProgress: () => undefined };
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
