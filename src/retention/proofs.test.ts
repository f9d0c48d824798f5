import assert from "node:assert/strict";
import { test } from "node:test";
import { syntheticProof } from "../../test/support/proofs.ts";
import { setClock, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { retainedProofs } from "../proof/decide.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { listBackups } from "../vault/backups.ts";
import { createDataKey } from "../vault/keys.ts";
import { proofName } from "../vault/names.ts";
import { listProofs, putProof } from "../vault/proofs.ts";
import { putBlob, type Vault } from "../vault/vault.ts";
import { runPrune } from "./act.ts";
import { planPrune } from "./survey.ts";

const DAY = 86_400_000;
const systemId = "7" as SystemId;
const policy = {
  windows: { hourly: 0, daily: 0, weekly: 0 },
  manualDays: undefined,
  graceMs: DAY,
  named: new Set<never>(),
};

/** Daily backups, oldest first, on a clock that stands two hours after the last. */
async function dailyBackups(count: number) {
  const clock = setClock(Date.UTC(2026, 10, 1, 12));
  const vault: Vault = { ...(await createTestVault(openMemoryStore({ clock }))), clock };
  const records = [];
  for (let number = 0; number < count; number += 1) {
    records.push((await storeSyntheticBackup(vault, { systemId, segment: 2 + number })).record);
    clock.set(clock.now() + DAY);
  }
  clock.set(clock.now() - DAY + DAY / 12);
  return { vault, clock, records };
}

async function plan(vault: Vault) {
  const proofs = await listProofs(vault, {}, {});
  return planPrune(vault, { policy, proofs: retainedProofs(proofs), unopenedProofs: proofs.damaged }, {});
}

test("the newest proven backup stays, until a proof of it failed: then it is the one before it", async () => {
  const { vault, records } = await dailyBackups(4);
  const [first, second, third, newest] = records;
  assert.ok(first !== undefined && second !== undefined && third !== undefined && newest !== undefined);
  await putProof(vault, syntheticProof(first, { minute: 1, asked: "booted" }), {});
  await putProof(vault, syntheticProof(second, { minute: 2, asked: "checked" }), {});
  await putProof(vault, syntheticProof(third, { minute: 3, asked: "intact" }), {});
  const kept = async () => (await plan(vault)).decision.keep.map(({ backup }) => backup.backupId);
  assert.deepEqual(await kept(), [second.backupId, newest.backupId]);
  await putProof(vault, syntheticProof(second, { minute: 4, asked: "intact", failedAt: "intact" }), {});
  assert.deepEqual(await kept(), [first.backupId, newest.backupId]);
  await putProof(vault, syntheticProof(newest, { minute: 5, asked: "present", failedAt: "present" }), {});
  assert.deepEqual(await kept(), [first.backupId, third.backupId]);
});

test("who does not open every proof removes nothing: it may be of the only proven backup", async () => {
  const { vault, clock, records } = await dailyBackups(3);
  const [first] = records;
  assert.ok(first !== undefined);
  await runPrune(vault, await plan(vault), { onProgress: () => undefined });
  clock.set(clock.now() + DAY);
  const dataKey = createDataKey(vault.random);
  const all: Vault = { ...vault, dataKey, dataKeys: new Map([...vault.dataKeys, [dataKey.id, dataKey]]) };
  const early = syntheticProof(first, { minute: 1, asked: "booted" });
  await putBlob(all, { name: proofName(early), plain: Buffer.from(JSON.stringify(early)) }, {});
  const few = await plan(vault);
  assert.deepEqual(
    few.damage.map(({ code }) => code),
    ["vault.key-missing"],
  );
  assert.deepEqual([few.erase, few.packs, few.tombstone], [[], [], []]);
  const { damage, erase, revive } = await plan(all);
  assert.deepEqual([damage, erase.length, revive.map(({ backupId }) => backupId)], [[], 1, [first.backupId]]);
});

test("a proof that is damaged stops no prune; its backup pushes no sound one out, and none pushes it out", async () => {
  const { vault, records } = await dailyBackups(4);
  const [first, second, third, newest] = records;
  assert.ok(first !== undefined && second !== undefined && third !== undefined && newest !== undefined);
  for (const record of [second, newest]) {
    const proof = syntheticProof(record, { minute: 1, asked: "booted" });
    await vault.store.put(proofName(proof), [Buffer.from("damage")]);
  }
  const { damage, tombstone, decision } = await plan(vault);
  assert.deepEqual([damage, tombstone.map(({ backupId }) => backupId)], [[], [first.backupId, second.backupId]]);
  const kept = decision.keep.map(({ backup, reasons }) => [backup.backupId, ...reasons.map(({ kind }) => kind)]);
  assert.deepEqual(kept, [
    [third.backupId, "newest"],
    [newest.backupId, "proof-unreadable"],
  ]);
});

test("a proof that is damaged may be of the only proven backup", async () => {
  const { vault, records } = await dailyBackups(3);
  const proof = syntheticProof(records[0] ?? assert.fail(), { minute: 1, asked: "booted" });
  await vault.store.put(proofName(proof), [Buffer.from("damage")]);
  const { tombstone } = await plan(vault);
  assert.deepEqual(
    tombstone.map(({ backupId }) => backupId),
    [records[1]?.backupId],
  );
});

test("proofs are deleted with their backup", async () => {
  const { vault, clock, records } = await dailyBackups(3);
  const [newest, ...proofs] = records.map((record) => syntheticProof(record, { minute: 1, asked: "intact" })).reverse();
  for (const proof of [newest ?? assert.fail(), ...proofs]) await putProof(vault, proof, {});
  const onProgress = (): void => undefined;
  await runPrune(vault, await plan(vault), { onProgress });
  clock.set(clock.now() + DAY + 1);
  await runPrune(vault, await plan(vault), { onProgress });
  const { backups, tombstoned } = await listBackups(vault, {}, {});
  assert.deepEqual([backups.length, tombstoned.length], [1, 0]);
  assert.equal(proofs.length, 2);
  for (const proof of proofs) assert.equal(await vault.store.head(proofName(proof)), undefined);
});

test("proofs are nothing new: a vault that got only proofs for a week has stopped getting backups", async () => {
  const { vault, clock, records } = await dailyBackups(2);
  clock.set(clock.now() + 8 * DAY);
  await putProof(vault, syntheticProof(records[0] ?? assert.fail(), { minute: 1, asked: "booted" }), {});
  assert.equal((await plan(vault)).decision.blockedBy?.kind, "quiet");
});
