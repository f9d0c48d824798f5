import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  DAY,
  dailyBackups,
  namesOf,
  planDaily,
  pruneDaily,
  systemId,
  timeline,
  toldStore,
} from "../../test/support/daily-backups.ts";
import { finishSyntheticBackup, storeSegment, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import type { Store } from "../store/store.ts";
import { checkVault } from "../vault/check.ts";
import { readManifest } from "../vault/manifest.ts";
import { backupName, historyKey, type PackId, packName } from "../vault/names.ts";
import { putBlob, type Vault } from "../vault/vault.ts";
import { putHistory } from "../vault/wal-store.ts";
import { putHold } from "./holds.ts";

describe("while the manifest of a backup that stays is missing", () => {
  test("a prune deletes nothing, and the backup is whole again once it was copied back", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const [held] = records;
    assert.ok(held !== undefined);
    await putHold(vault, { scope: held.backupId, reason: "audit" }, {});
    const manifest = backupName(held, "manifest");
    const bytes = await store.get(manifest);
    await pruneDaily(vault);
    clock.set(clock.now() + DAY);
    await store.delete(manifest);
    const before = await namesOf(store);
    const planned = await planDaily(vault);
    assert.deepEqual([planned.erase, planned.packs, planned.wal], [[], [], []]);
    assert.deepEqual(
      planned.damage.map(({ code, details }) => [code, details["object"]]),
      [["vault.object-missing", manifest]],
    );
    await pruneDaily(vault);
    assert.deepEqual(await namesOf(store), before);
    await store.put(manifest, [bytes]);
    await pruneDaily(vault);
    const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.deepEqual(report.backups.find(({ backup }) => backup.backupId === held.backupId)?.findings, []);
    assert.ok((await namesOf(store)).length < before.length);
  });

  test("also while it waits for its grace: a hold may bring it back", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const [first] = records;
    assert.ok(first !== undefined);
    await pruneDaily(vault);
    await store.delete(backupName(first, "manifest"));
    assert.ok((await planDaily(vault)).damage.some((each) => isLifeboatError(each, "vault.object-missing")));
    clock.set(clock.now() + DAY);
    const due = await planDaily(vault);
    assert.deepEqual(due.damage, []);
    assert.ok(due.erase.some(({ backupId }) => backupId === first.backupId));
  });
});

describe("while the records of a system are not there, as in a copy that is being made", () => {
  /** Takes them away; what is returned puts them back. */
  async function without(store: Store, prefix: string): Promise<() => Promise<void>> {
    const copies = new Map<string, Buffer>();
    for (const name of await namesOf(store, prefix)) {
      copies.set(name, await store.get(name));
      await store.delete(name);
    }
    return async () => {
      for (const [name, bytes] of copies) await store.put(name, [bytes]);
    };
  }
  const findingsOf = async (vault: Vault) =>
    (await checkVault(vault, { readData: false, onProgress: () => undefined })).backups.flatMap(
      ({ findings }) => findings,
    );

  test("a prune deletes no pack, and every backup is whole once they were copied", async () => {
    const { vault, store, clock } = await dailyBackups();
    const putBack = await without(store, "backups/");
    clock.set(clock.now() + 2 * DAY);
    assert.deepEqual(
      (await planDaily(vault)).damage.map(({ code, details }) => [code, details["object"]]),
      [["retention.records-missing", "backups/"]],
    );
    assert.equal((await pruneDaily(vault)).deletedObjects, 0);
    await putBack();
    assert.deepEqual(await findingsOf(vault), []);
    assert.deepEqual((await planDaily(vault)).damage, []);
  });

  test("also while those of another system are there; and it goes on when the system's first backup was begun", async () => {
    const { vault, store, clock } = await dailyBackups();
    const other = "9" as SystemId;
    await storeSyntheticBackup(vault, { systemId: other, segment: 4 });
    const putBack = await without(store, `backups/${other}/`);
    clock.set(clock.now() + 2 * DAY);
    await storeSyntheticBackup(vault, { systemId, segment: 12 });
    const planned = await planDaily(vault);
    assert.deepEqual([planned.packs, planned.damage.map(({ details }) => details["object"])], [[], ["backups/9/"]]);
    assert.equal((await pruneDaily(vault)).deletedObjects, 0);
    await putBack();
    assert.deepEqual(await findingsOf(vault), []);
    await without(store, `backups/${other}/`);
    const begun = await storeSyntheticBackup(vault, { systemId: other, segment: 6, stopBefore: "manifest" });
    assert.deepEqual((await planDaily(vault)).damage, []);
    await finishSyntheticBackup(vault, begun, { segment: 6 });
    const ended = await planDaily(vault);
    assert.deepEqual([ended.packs.length, ended.damage], [1, []]);
  });

  test("a system whose first backup never ended holds up no prune, however long ago it was begun", async () => {
    const { vault, clock } = await dailyBackups();
    const other = "9" as SystemId;
    for (const segment of [4, 5])
      await storeSyntheticBackup(vault, { systemId: other, segment, stopBefore: "manifest" });
    await storeSegment(vault, { systemId: other, timeline: 1 as Timeline, number: 4 });
    let deleted = 0;
    for (let day = 1; day <= 12; day += 1) {
      clock.set(clock.now() + DAY);
      await storeSyntheticBackup(vault, { systemId, segment: 12 + day });
      assert.deepEqual((await planDaily(vault)).damage, [], `day ${day}`);
      deleted = (await pruneDaily(vault)).deletedObjects;
    }
    assert.ok(deleted > 0);
  });
});

describe("a backup whose announcement was lost from the disk", () => {
  /** It is older than a week; others were taken since. */
  async function lostAnnouncement() {
    const daily = await dailyBackups();
    const { vault, store, clock, records } = daily;
    const lost = records[4];
    assert.ok(lost !== undefined);
    for (const segment of [20, 22, 24, 26, 28, 30, 32, 34]) {
      clock.set(clock.now() + DAY);
      await storeSyntheticBackup(vault, { systemId, segment, tier: "manual" });
    }
    await store.delete(backupName(lost, "announced"));
    return { ...daily, lost };
  }

  test("is damage once it is a week old: nothing is deleted, and a check finds it", async () => {
    const { vault, store, lost } = await lostAnnouncement();
    const planned = await planDaily(vault);
    const object = backupName(lost, "announced");
    assert.deepEqual(
      planned.damage.map(({ code, details }) => [code, details["object"]]),
      [["vault.object-missing", object]],
    );
    const before = await namesOf(store);
    await pruneDaily(vault);
    assert.deepEqual(await namesOf(store), before);
    const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.deepEqual(
      report.findings.map((finding) => finding.object),
      [object],
    );
  });

  test("goes when it is named, after a tombstone and its grace", async () => {
    const { vault, store, clock, lost } = await lostAnnouncement();
    const own = `backups/7/${lost.backupId}/`;
    await pruneDaily(vault, { named: new Set([lost.backupId]) });
    const waits = await namesOf(store, own);
    assert.deepEqual(
      waits.map((name) => name.slice(own.length)),
      ["manifest", "started", "tombstone"],
    );
    assert.deepEqual((await planDaily(vault)).damage, []);
    await pruneDaily(vault);
    assert.deepEqual(await namesOf(store, own), waits);
    clock.set(clock.now() + DAY);
    await pruneDaily(vault);
    assert.deepEqual(await namesOf(store, own), []);
  });
});

describe("what another secret opens", () => {
  /** The fourth backup is sealed with a data key that the second vault here does not have, as after a rotation. */
  async function rotated() {
    const daily = await dailyBackups();
    const { vault, clock } = daily;
    const { dataKey } = await createTestVault();
    const dataKeys = new Map([...vault.dataKeys, [dataKey.id, dataKey]]);
    const all: Vault = { ...vault, dataKey, dataKeys };
    const { record } = await storeSyntheticBackup(all, { systemId, segment: 12, tier: "manual" });
    clock.set(clock.now() + 1000);
    await storeSyntheticBackup(vault, { systemId, segment: 14 });
    return { ...daily, all, few: vault, record };
  }

  test("is not removed by name, and nothing else is while it does not open", async () => {
    const { few, store, record } = await rotated();
    const before = await namesOf(store);
    await assert.rejects(pruneDaily(few, { named: new Set([record.backupId]) }), (error) =>
      isLifeboatError(error, "vault.key-missing"),
    );
    await pruneDaily(few);
    assert.deepEqual(await namesOf(store), before);
  });

  test("is not erased when its tombstone's grace is over, but by those who can read it", async () => {
    const { few, all, store, clock, record } = await rotated();
    await pruneDaily(all, { named: new Set([record.backupId]) });
    clock.set(clock.now() + DAY);
    const planned = await planDaily(few);
    assert.deepEqual(planned.erase, []);
    assert.ok(planned.damage.length > 0);
    assert.ok(planned.damage.every(({ code }) => code === "vault.key-missing"));
    await pruneDaily(all);
    assert.deepEqual(await namesOf(store, `backups/7/${record.backupId}/`), []);
    assert.deepEqual((await planDaily(few)).damage, []);
  });

  test("is not removed by name either when its record opens and its manifest does not", async () => {
    const { few, store, record } = await rotated();
    const announced = backupName(record, "announced");
    await store.delete(announced);
    await putBlob(few, { name: announced, plain: Buffer.from(JSON.stringify(record)) }, {});
    await assert.rejects(planDaily(few, { named: new Set([record.backupId]) }), (error) =>
      isLifeboatError(error, "vault.key-missing"),
    );
  });
});

test("a clock that leaps ahead beside a running receiver erases nothing that waits for its grace, also where it was at 1970 once", async () => {
  const { vault, store, clock } = await dailyBackups();
  await pruneDaily(vault);
  const right = clock.now();
  clock.set(0);
  await store.put(packName("1970".repeat(8) as PackId), [Buffer.alloc(100)]);
  clock.set(right + 400 * DAY);
  assert.equal((await planDaily(vault)).decision.blockedBy?.kind, "quiet");
  await storeSegment(vault, { systemId, timeline, number: 11 });
  const { decision, erase } = await planDaily(vault);
  assert.deepEqual([decision.blockedBy?.kind, erase], ["leapt", []]);
  clock.set(right + DAY / 2);
  assert.equal((await planDaily(vault)).decision.blockedBy, undefined);
});

describe("a backup that was begun while the clock was ahead", () => {
  /** The clock was put right after that, and the backup stored a pack more; a day and two hours passed. */
  async function begunAhead() {
    const daily = await dailyBackups();
    const { vault, store, clock } = daily;
    const right = clock.now();
    clock.set(right + 3 * DAY);
    const begun = await storeSyntheticBackup(vault, { systemId, segment: 12, stopBefore: "manifest" });
    clock.set(right);
    const second = vault.random(16).toString("hex") as PackId;
    await store.put(packName(second), [Buffer.alloc(100)]);
    clock.set(right + DAY + DAY / 12);
    await storeSegment(vault, { systemId, timeline, number: 11 });
    return { ...daily, record: begun.record, packs: [...begun.packs, second] };
  }

  test("keeps its packs while the clock is put right", async () => {
    const { vault, record, packs } = await begunAhead();
    assert.deepEqual(
      (await planDaily(vault)).damage.map(({ code }) => code),
      ["retention.begun-ahead"],
    );
    assert.equal((await pruneDaily(vault)).deletedObjects, 0);
    await finishSyntheticBackup(vault, { record, packs }, { segment: 12 });
    const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.ok(report.backups.find(({ backup }) => backup.backupId === record.backupId)?.whole);
    assert.deepEqual((await planDaily(vault)).damage, []);
  });

  test("and left behind goes when it is named, after a tombstone and its grace", async () => {
    const { vault, store, clock, record, packs } = await begunAhead();
    await pruneDaily(vault, { named: new Set([record.backupId]) });
    assert.deepEqual((await planDaily(vault)).damage, []);
    clock.set(clock.now() + 4 * DAY);
    await storeSegment(vault, { systemId, timeline, number: 12 });
    await pruneDaily(vault);
    assert.deepEqual(await namesOf(store, `backups/7/${record.backupId}/`), []);
    const left = await namesOf(store, "packs/");
    for (const pack of packs) assert.ok(!left.includes(packName(pack)), pack);
  });
});

describe("a backup under way whose packs are dated before its marker: the clock was set back while it stored them", () => {
  /** It is right again; the first of the daily backups is due. */
  async function setBackMeanwhile() {
    const daily = await dailyBackups();
    const { vault, store, clock } = daily;
    await pruneDaily(vault);
    clock.set(clock.now() + DAY);
    const right = clock.now();
    const setBack = toldStore(store, async ({ operation, key }) => {
      if (operation === "put" && key.endsWith("/started")) clock.set(right - 2 * DAY);
    });
    const child = { systemId, segment: 12, stopBefore: "manifest" } as const;
    const begun = await storeSyntheticBackup({ ...vault, store: setBack }, child);
    clock.set(right);
    return { ...daily, begun, child };
  }

  test("keeps them beside a prune, which erases what is due with the packs that only that named", async () => {
    const { vault, records, begun, child } = await setBackMeanwhile();
    // The second names a pack of the first, and the fourth stays with one of the third.
    const { chunks } = await readManifest(vault, records[1] ?? assert.fail(), {}, {});
    const { packs, erase } = await planDaily(vault);
    assert.deepEqual(
      [packs.map(({ name }) => name), erase.map(({ backupId }) => backupId)],
      [chunks.packs.map(({ id }) => packName(id)).sort(), records.slice(0, 3).map(({ backupId }) => backupId)],
    );
    await pruneDaily(vault);
    await finishSyntheticBackup(vault, begun, child);
    const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.ok(report.backups.every(({ whole }) => whole));
  });

  test("and left by a crash keeps packs that nothing names for a week, and no longer", async () => {
    const { vault, store, clock, begun } = await setBackMeanwhile();
    const [own] = begun.packs.map(packName);
    const left = async () => (await namesOf(store, "packs/")).includes(own ?? "");
    for (let day = 1; day <= 8; day += 1) {
      assert.ok(await left(), `day ${day}`);
      clock.set(clock.now() + DAY);
      await storeSyntheticBackup(vault, { systemId, segment: 12 + day });
      await pruneDaily(vault);
    }
    assert.ok(!(await left()));
  });
});

test("a fork without a backup of its own: what leads to it stays, beside the newest of the branch left behind", async () => {
  const { vault, store, clock, records } = await dailyBackups();
  const forked = 2 as Timeline;
  // Before the last backup ended.
  await putHistory(vault, { systemId, timeline: forked, content: Buffer.from("1\t0/980000\tno reason\n") }, {});
  await storeSegment(vault, { systemId, timeline, number: 11 });
  for (let number = 9; number < 20; number += 1) await storeSegment(vault, { systemId, timeline: forked, number });
  for (let number = 20; number < 25; number += 1) {
    clock.set(clock.now() + DAY);
    await storeSegment(vault, { systemId, timeline: forked, number });
    await pruneDaily(vault);
  }
  const { keep, remove } = (await planDaily(vault)).decision;
  assert.deepEqual(remove, []);
  assert.deepEqual(
    keep.map(({ backup: { backupId, reaches } }) => [backupId, reaches.timeline]),
    [
      [records[3]?.backupId, 2],
      [records[4]?.backupId, 1],
    ],
  );
  const segments = (await namesOf(store, "wal/7/0000000")).map((name) => name.slice(-2));
  assert.deepEqual(segments.slice(0, 3), ["08", "09", "0a"]);
});

test("a fork whose history is lost: nothing goes until it is there again, and then what leads to it stays", async () => {
  const { vault, store, clock, records } = await dailyBackups();
  const forked = 2 as Timeline;
  const history = { systemId, timeline: forked, content: Buffer.from("1\t0/980000\tno reason\n") };
  for (let number = 9; number < 20; number += 1) await storeSegment(vault, { systemId, timeline: forked, number });
  for (let number = 20; number < 25; number += 1) {
    clock.set(clock.now() + DAY);
    await storeSegment(vault, { systemId, timeline: forked, number });
    await pruneDaily(vault);
  }
  assert.deepEqual(
    (await planDaily(vault)).damage.map(({ code, details }) => [code, details["object"]]),
    [["vault.object-missing", historyKey(history)]],
  );
  const left = await namesOf(store, "backups/");
  for (const { backupId } of records.slice(2))
    assert.ok(
      left.some((name) => name.includes(backupId)),
      backupId,
    );
  // What a later history names, that tells of what lies before it.
  const later = { systemId, timeline: 3 as Timeline };
  for (const [switchLsn, damage] of [
    ["0/2000000", 0],
    ["0/1800000", 1],
  ] as const) {
    const content = Buffer.from(`1\t0/980000\tx\n2\t${switchLsn}\tx\n`);
    await putHistory(vault, { ...later, content }, {});
    assert.equal((await planDaily(vault)).damage.length, damage, switchLsn);
    await store.delete(historyKey(later));
  }
  await putHistory(vault, history, {});
  const { keep } = (await planDaily(vault)).decision;
  assert.ok(
    keep.some(({ backup: { backupId, reaches } }) => backupId === records[3]?.backupId && reaches.timeline === 2),
  );
});

test("backups of a timeline whose history is lost: none goes until it is there again, whatever a later history says; one that is named does", async () => {
  const { vault, store, clock, records } = await dailyBackups();
  const [own, later] = [2 as Timeline, 3 as Timeline];
  const history = "1\t0/980000\tno reason\n";
  await putHistory(vault, { systemId, timeline: own, content: Buffer.from(history) }, {});
  for (let number = 9; number < 20; number += 1) await storeSegment(vault, { systemId, timeline: own, number });
  const taken = [];
  for (const segment of [12, 14, 16]) {
    clock.set(clock.now() + DAY);
    const { record } = await storeSyntheticBackup(vault, { systemId, segment, timeline: own, history });
    taken.push(record.backupId);
  }
  // A copy was promoted once; the server goes on on timeline 2.
  const content = Buffer.from(`${history}\n2\t0/A00000\tno reason\n`);
  await putHistory(vault, { systemId, timeline: later, content }, {});
  await store.delete(historyKey({ systemId, timeline: own }));
  for (let days = 0; days < 3; days += 1) {
    clock.set(clock.now() + DAY);
    await pruneDaily(vault);
  }
  const left = async () => (await namesOf(store, "backups/")).filter((name) => name.endsWith("/announced")).join();
  for (const backupId of [...taken, records[4]?.backupId ?? ""]) assert.ok((await left()).includes(backupId), backupId);
  assert.deepEqual(
    (await planDaily(vault)).damage.map(({ code, details }) => [code, details["object"]]),
    [["vault.object-missing", historyKey({ systemId, timeline: own })]],
  );
  await putHistory(vault, { systemId, timeline: own, content: Buffer.from(history) }, {});
  await pruneDaily(vault);
  clock.set(clock.now() + DAY);
  await pruneDaily(vault);
  assert.ok((await left()).includes(taken[2] ?? "") && !(await left()).includes(records[0]?.backupId ?? ""));
  // Nobody needs that timeline any more.
  for (const name of [...(await namesOf(store, "wal/7/00000002/")), historyKey({ systemId, timeline: own })]) {
    await store.delete(name);
  }
  assert.equal((await planDaily(vault)).damage.length, 1);
  assert.deepEqual((await planDaily(vault, { named: new Set(taken.slice(2)) })).damage, []);
});

test("a backup that ends between the two listings of a prune keeps its packs and its parent's", async () => {
  const { vault, store, clock, records } = await dailyBackups();
  const [parent] = records;
  assert.ok(parent !== undefined);
  await pruneDaily(vault);
  const { chunks } = await readManifest(vault, parent, {}, {});
  const sharedPacks = chunks.packs.map(({ id }) => id);
  const child = { systemId, segment: 12, stopBefore: "manifest", sharedPacks } as const;
  const stored = await storeSyntheticBackup(vault, child);
  for (const segment of [14, 16]) {
    clock.set(clock.now() + DAY);
    await storeSyntheticBackup(vault, { systemId, segment });
  }
  let ended = false;
  const told = toldStore(store, async ({ operation, key }) => {
    if (ended || operation !== "list" || key !== "backups/") return;
    ended = true;
    await finishSyntheticBackup(vault, stored, { segment: child.segment });
  });
  const planned = await planDaily({ ...vault, store: told });
  assert.ok(ended && planned.packs.length > 0, "other packs go");
  for (const pack of stored.packs) assert.ok(!planned.packs.some(({ name }) => name === packName(pack)), pack);
});
