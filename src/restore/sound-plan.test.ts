import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { syntheticProof } from "../../test/support/proofs.ts";
import {
  SYNTHETIC_SEGMENT_BYTES,
  setClock,
  storeSegment,
  storeSyntheticBackup,
} from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemFiles } from "../platform/files.ts";
import { formatLsn, type Lsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { type BackupRecord, listBackups } from "../vault/backups.ts";
import { historyKey, proofName, segmentKey } from "../vault/names.ts";
import { listProofs, type ProofDepth, putProof } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import { putHistory } from "../vault/wal-store.ts";
import type { UnsoundCopy } from "../wal/records/copied-folders.ts";
import { recoveryPoints } from "../wal/recovery-points.ts";
import { HeldWal } from "./held-wal.ts";
import type { PlanRequest, RestorePlan } from "./plan.ts";
import { planSound } from "./sound-plan.ts";

const systemId = "71" as SystemId;
const HOUR_MS = 3_600_000;
const MOVED: UnsoundCopy = {
  lsn: 0x300060n as Lsn,
  source: { tablespace: 1663, database: 16390 },
  target: { tablespace: 16400, database: 16390 },
  why: "moved",
};

/** A vault with backups at segments 3, 6 and 9, an hour apart, and all WAL from 3 to 10 but the segments that are left out. */
async function vaultOf(holes: readonly number[] = []) {
  const clock = setClock(Date.UTC(2026, 0, 1));
  const vault = { ...(await createTestVault()), clock };
  const backups: BackupRecord[] = [];
  for (const segment of [3, 6, 9]) {
    clock.set(clock.now() + HOUR_MS);
    backups.push((await storeSyntheticBackup(vault, { systemId, segment })).record);
  }
  for (const number of [4, 5, 7, 8, 10]) {
    if (!holes.includes(number)) await storeSegment(vault, { systemId, timeline: 1 as Timeline, number });
  }
  const [oldest, middle, newest] = backups;
  assert.ok(oldest !== undefined && middle !== undefined && newest !== undefined);
  return { vault, oldest, middle, newest };
}

async function soundPlan(
  vault: Vault,
  request: Partial<PlanRequest> = {},
  movedUnder?: (plan: RestorePlan) => Promise<UnsoundCopy | undefined>,
) {
  const wal = new HeldWal({ vault, files: systemFiles, systemId }, SYNTHETIC_SEGMENT_BYTES);
  const latest = { target: { kind: "latest" }, backupId: undefined, timeline: undefined, acceptGap: false } as const;
  const proofs = await listProofs(vault, { systemId }, {});
  const tools = { vault, wal, proofs, onSegment: () => undefined, movedUnder };
  return planSound(tools, { ...latest, ...request, systemId }, {});
}

/** `moved`: backups whose WAL shows that a database was moved while they were taken. */
async function planned(vault: Vault, request: Partial<PlanRequest> = {}, moved: readonly BackupRecord[] = []) {
  const isMoved = ({ backupId }: BackupRecord): boolean => moved.some((each) => each.backupId === backupId);
  const { plan, doubts } = await soundPlan(vault, request, async ({ backup }) => (isMoved(backup) ? MOVED : undefined));
  return {
    taken: plan.backup.backupId,
    doubted: doubts.isDoubted,
    passedOver: doubts.passedOver.map(({ backupId }) => backupId),
  };
}

test("a history that does not open leaves what lies on other timelines to be restored, and is no end of what there is", async () => {
  const { vault, newest } = await vaultOf();
  const second = { systemId, timeline: 2 as Timeline };
  await storeSegment(vault, { ...second, number: 10 });
  await vault.store.put(historyKey(second), [Buffer.from("damage")]);
  await assert.rejects(planned(vault), { code: "restore.history-lost" });
  await assert.rejects(planned(vault, { timeline: second.timeline }), { code: "vault.object-damaged" });
  for (const request of [{ timeline: 1 as Timeline }, { target: { kind: "immediate" } }] as const) {
    assert.equal((await planned(vault, request)).taken, newest.backupId);
  }
  const third = { systemId, timeline: 3 as Timeline };
  await storeSyntheticBackup({ ...vault, clock: setClock(Date.UTC(2026, 0, 2)) }, { ...third, segment: 12 });
  await vault.store.put(historyKey(third), [Buffer.from("damage")]);
  await assert.rejects(planned(vault, { target: { kind: "immediate" } }), { code: "vault.object-damaged" });
});

describe("the lost history of a backup's own timeline", () => {
  const ofSecond = { systemId, timeline: 2 as Timeline };
  const text = `1\t${formatLsn(BigInt(11 * SYNTHETIC_SEGMENT_BYTES) as Lsn)}\tno recovery target specified\n`;

  async function withSecond(history?: string) {
    const { vault } = await vaultOf();
    const clock = setClock(Date.UTC(2026, 0, 2));
    const { record } = await storeSyntheticBackup(
      { ...vault, clock },
      { ...ofSecond, segment: 12, ...(history && { history }) },
    );
    return { vault, backupId: record.backupId };
  }

  for (const damage of [undefined, "damage"]) {
    test(`is the one in its manifest, for points, plan and what is laid, where the vault's ${damage === undefined ? "is gone" : "does not open"}`, async () => {
      const { vault, backupId } = await withSecond(text);
      if (damage !== undefined) await vault.store.put(historyKey(ofSecond), [Buffer.from(damage)]);
      const wal = new HeldWal({ vault, files: systemFiles, systemId }, SYNTHETIC_SEGMENT_BYTES);
      const { stranded, untold } = recoveryPoints((await listBackups(vault, {}, {})).backups, await wal.holdings({}));
      assert.deepEqual([stranded, untold], [[], []]);
      assert.equal((await planned(vault)).taken, backupId);
      assert.equal(`${await wal.history(ofSecond.timeline, {})}`, text);
    });
  }

  test("is what a later one repeats of it, byte for byte, where no backup has it: WAL behind the later one's place is told and restored", async () => {
    const { vault } = await vaultOf();
    for (const number of [11, 12, 13]) await storeSegment(vault, { ...ofSecond, number });
    const putLater = (own: string, timeline: number) =>
      putHistory(
        vault,
        { systemId, timeline: timeline as Timeline, content: Buffer.from(`${own}\n2\t0/C00000\tx\n`) },
        {},
      );
    await putLater(text, 3);
    const wal = new HeldWal({ vault, files: systemFiles, systemId }, SYNTHETIC_SEGMENT_BYTES);
    const seen = async () => {
      const points = recoveryPoints((await listBackups(vault, {}, {})).backups, await wal.holdings({}));
      return points.leftBehind.map(({ timeline, from, to }) => `${timeline}: ${formatLsn(from)}-${formatLsn(to)}`);
    };
    assert.deepEqual(await seen(), ["2: 0/C00000-0/E00000"]);
    assert.equal((await soundPlan(vault)).plan.untold?.timeline, ofSecond.timeline, "it is left out, and that is said");
    assert.equal((await soundPlan(vault, { timeline: ofSecond.timeline })).plan.untold, undefined);
    assert.equal(`${await wal.history(ofSecond.timeline, {})}`, text);
    // It does not open.
    await vault.store.put(historyKey(ofSecond), [Buffer.from("damage")]);
    assert.deepEqual(await seen(), ["2: 0/C00000-0/E00000"]);
    assert.equal(`${await wal.history(ofSecond.timeline, {})}`, text);
    await vault.store.delete(historyKey(ofSecond));
    // Two tell of two branches: nobody knows which is held.
    await putLater("1\t0/900000\tx\n", 4);
    assert.deepEqual(await seen(), []);
    assert.equal(await wal.history(ofSecond.timeline, {}), undefined);
    await assert.rejects(planned(vault, { timeline: ofSecond.timeline }), { code: "restore.history-lost" });
  });

  test("ends each restore along it where its manifest has none: no server recovers so", async () => {
    const { vault } = await withSecond();
    for (const target of [{ kind: "latest" }, { kind: "immediate" }] as const) {
      await assert.rejects(planned(vault, { target }), { code: "restore.history-lost" });
    }
    await assert.rejects(planned(vault, { timeline: ofSecond.timeline }), { code: "restore.history-lost" });
    assert.ok((await planned(vault, { timeline: 1 as Timeline })).taken);
  });
});

async function record(vault: Vault, backup: BackupRecord, asked: ProofDepth, failedAt?: ProofDepth, minute = 1) {
  const proof = syntheticProof(backup, { minute, asked, ...(failedAt === undefined ? {} : { failedAt }) });
  await putProof(vault, proof, {});
  return proof;
}

describe("a restore of which no backup is named", () => {
  test("is planned from the newest, whatever was shown of others", async () => {
    const { vault, middle, newest } = await vaultOf();
    await record(vault, middle, "booted", "intact");
    await record(vault, newest, "booted");
    assert.deepEqual(await planned(vault), { taken: newest.backupId, doubted: false, passedOver: [] });
  });

  test("passes over the newest ones whose proofs failed or do not open, and says which", async () => {
    const { vault, oldest, middle, newest } = await vaultOf();
    const proof = await record(vault, middle, "booted");
    const bytes = await vault.store.get(proofName(proof));
    await vault.store.delete(proofName(proof));
    await vault.store.put(proofName(proof), [bytes.subarray(0, -1)]);
    await record(vault, newest, "checked", "intact");
    const passedOver = [middle.backupId, newest.backupId];
    assert.deepEqual(await planned(vault), { taken: oldest.backupId, doubted: false, passedOver });
    const immediate = await planned(vault, { target: { kind: "immediate" } });
    assert.deepEqual(immediate, { taken: oldest.backupId, doubted: false, passedOver });
  });

  test("takes one that was shown again at the depth that had failed", async () => {
    const { vault, newest } = await vaultOf();
    await record(vault, newest, "booted", "intact");
    await record(vault, newest, "booted", undefined, 2);
    assert.deepEqual(await planned(vault), { taken: newest.backupId, doubted: false, passedOver: [] });
  });

  test("takes one whose proof failed where no other serves, and says so: behind a hole in the WAL, and where there is none", async () => {
    const { vault, newest } = await vaultOf([7]);
    await record(vault, newest, "booted", "intact");
    assert.deepEqual(await planned(vault), { taken: newest.backupId, doubted: true, passedOver: [] });
    const every = await vaultOf();
    for (const backup of [every.oldest, every.middle, every.newest])
      await record(every.vault, backup, "intact", "intact");
    assert.deepEqual(await planned(every.vault), { taken: every.newest.backupId, doubted: true, passedOver: [] });
  });

  test("ends before a hole when that is accepted, from a sound one, and says which would have gone on behind it", async () => {
    const { vault, middle, newest } = await vaultOf([7]);
    await record(vault, newest, "booted", "intact");
    const passedOver = [newest.backupId];
    assert.deepEqual(await planned(vault, { acceptGap: true }), { taken: middle.backupId, doubted: false, passedOver });
  });

  test("passes over those under which a database was moved, beside those whose proof failed; where no other serves it takes one and says so", async () => {
    const { vault, oldest, middle, newest } = await vaultOf();
    await record(vault, middle, "booted", "intact");
    const passedOver = [middle.backupId, newest.backupId];
    const sound = { taken: oldest.backupId, doubted: false, passedOver };
    assert.deepEqual(await planned(vault, {}, [newest]), sound);
    const doubted = { taken: newest.backupId, doubted: true, passedOver: [] };
    assert.deepEqual(await planned(vault, {}, [newest, oldest]), doubted);
    assert.deepEqual(await planned(vault, { backupId: newest.backupId }, [newest]), doubted);
  });

  test("does not call one passed over that lacks WAL of its own", async () => {
    const { vault, oldest, middle } = await vaultOf([7, 8, 10]);
    await vault.store.delete(segmentKey({ systemId, segment: "000000010000000000000009" }));
    await record(vault, middle, "booted", "intact");
    assert.deepEqual(await planned(vault), { taken: oldest.backupId, doubted: false, passedOver: [middle.backupId] });
  });
});

describe("a restore of which the backup is named", () => {
  test("is planned from that, and says when its proof failed", async () => {
    const { vault, middle, newest } = await vaultOf();
    await record(vault, newest, "booted", "intact");
    const named = (backup: BackupRecord) => planned(vault, { backupId: backup.backupId });
    assert.deepEqual(await named(newest), { taken: newest.backupId, doubted: true, passedOver: [] });
    assert.deepEqual(await named(middle), { taken: middle.backupId, doubted: false, passedOver: [] });
  });
});
