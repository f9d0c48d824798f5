import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  DAY,
  dailyBackups,
  namesOf,
  planDaily as plan,
  pruneDaily as prune,
  systemId,
  timeline,
  toldStore,
} from "../../test/support/daily-backups.ts";
import { type setClock, storeSegment, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { isLifeboatError } from "../errors/error.ts";
import { faultyStore, type StoreFault } from "../store/faulty/faulty-store.ts";
import type { Store } from "../store/store.ts";
import { listBackups } from "../vault/backups.ts";
import { checkVault } from "../vault/check.ts";
import { type BackupId, backupName, quarantineName, VAULT_MARKER } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { runPrune } from "./act.ts";
import { confirmHold, listHolds, putHold, releaseHolds } from "./holds.ts";

async function assertWhole(vault: Vault, kept: readonly string[]): Promise<void> {
  const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
  const whole = report.backups.filter((each) => each.whole).map(({ backup }) => backup.backupId);
  for (const backupId of kept) assert.ok(whole.includes(backupId as BackupId), `${backupId} is whole`);
  assert.deepEqual(report.findings, []);
}

/** Prunes until every grace is over. The clock moves less than a day a time, so that nothing looks quiet. */
async function pruneTwice(vault: Vault, clock: ReturnType<typeof setClock>) {
  await prune(vault);
  clock.set(clock.now() + DAY);
  return prune(vault);
}

describe("a prune", () => {
  test("deletes nothing while a backup's announcement lies aside that a repair has not made again", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const [, , half] = records;
    assert.ok(half !== undefined);
    const announced = backupName(half, "announced");
    const started = backupName(half, "started");
    const isThere = (await namesOf(store)).includes(started);
    if (!isThere) await store.put(started, [await store.get(announced)]);
    clock.set(clock.now() + 8 * DAY);
    for (const segment of [40, 42]) {
      await storeSegment(vault, { systemId, timeline, number: segment - 1 });
      await storeSyntheticBackup(vault, { systemId, segment, sharedPacks: [] });
      clock.set(clock.now() + DAY);
    }
    const bytes = await store.get(announced);
    await store.put(quarantineName({ repairId: "20261101t120000z-00000000", object: announced }), [bytes]);
    await store.delete(announced);
    const cut = await plan(vault);
    assert.equal(cut.damage.length, 1, "it looks as if it had never been finished");
    assert.deepEqual([cut.erase, cut.packs, cut.wal], [[], [], []]);
    assert.match(cut.damage[0]?.message ?? "", new RegExp(half.backupId));
    const before = await namesOf(store);
    await prune(vault);
    assert.deepEqual(
      (await namesOf(store)).filter((name) => !name.endsWith("/tombstone")),
      before.filter((name) => !name.endsWith("/tombstone")),
    );
    // The repair goes on.
    await store.put(announced, [bytes]);
    assert.deepEqual((await plan(vault)).damage, []);
  });

  test("leaves what an unfinished backup stored while somebody holds it", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const [, , half] = records;
    assert.ok(half !== undefined);
    const announced = backupName(half, "announced");
    const started = backupName(half, "started");
    if (!(await namesOf(store)).includes(started)) await store.put(started, [await store.get(announced)]);
    await putHold(vault, { scope: half.backupId, reason: "evidence" }, {});
    for (const name of [announced, backupName(half, "manifest")]) await store.delete(name);
    clock.set(clock.now() + 8 * DAY);
    await storeSegment(vault, { systemId, timeline, number: 39 });
    await storeSyntheticBackup(vault, { systemId, segment: 40, sharedPacks: [] });
    clock.set(clock.now() + DAY);
    const held = await plan(vault);
    assert.equal(held.decision.abandoned.length, 1);
    assert.ok(held.erase.every(({ backupId }) => backupId !== half.backupId));
    await releaseHolds(vault, half.backupId, {});
    assert.ok((await plan(vault)).erase.some(({ backupId }) => backupId === half.backupId));
  });

  test("puts tombstones, and a grace later deletes records, packs and WAL that nothing needs", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const before = await namesOf(store);
    await prune(vault);
    const added = (await namesOf(store)).filter((name) => !before.includes(name));
    assert.deepEqual(
      added,
      records.slice(0, 3).map((record) => backupName(record, "tombstone")),
    );
    const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
    assert.deepEqual([report.backups.length, report.findings, report.unreferencedPacks], [2, [], []]);
    // The WAL before the first backup is of no use to any, tombstone or not.
    const gone = before.filter((name) => !name.startsWith("wal/7/00000001/000000010000000000000001"));
    await prune(vault);
    assert.equal((await namesOf(store)).length, gone.length + 3);
    clock.set(clock.now() + DAY);
    const { freedBytes } = await prune(vault);
    assert.ok(freedBytes > 0);
    // The fourth was out of its window by then, and names a pack of the third.
    assert.equal((await namesOf(store, "packs/")).length, 3);
    assert.deepEqual(
      (await namesOf(store, "wal/")).map((name) => name.slice(-2)),
      ["08", "09", "0a"],
    );
    assert.equal((await namesOf(store, "backups/")).length, 7);
    await assertWhole(
      vault,
      records.slice(4).map(({ backupId }) => backupId),
    );
    assert.equal((await listBackups(vault, {}, {})).tombstoned.length, 1);
  });

  test("changes nothing when it is only planned, and does what was planned", async () => {
    const { vault, store, clock } = await dailyBackups();
    await prune(vault);
    clock.set(clock.now() + DAY);
    const before = await namesOf(store);
    const planned = await plan(vault);
    assert.deepEqual(await namesOf(store), before);
    await runPrune(vault, planned, { onProgress: () => undefined });
    const gone = [...planned.erase.flatMap(({ objects }) => objects), ...planned.packs, ...planned.wal];
    const after = await namesOf(store);
    assert.deepEqual(before.filter((name) => !after.includes(name)).sort(), gone.map(({ name }) => name).sort());
    assert.equal(gone.length > 10, true);
  });

  test("brings back what is held while its grace lasts, and nothing goes during an incident", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const [first] = records;
    assert.ok(first !== undefined);
    await prune(vault);
    await putHold(vault, { scope: first.backupId, reason: "look at it" }, {});
    await prune(vault);
    const { backups } = await listBackups(vault, {}, {});
    assert.ok(backups.some(({ backupId }) => backupId === first.backupId));
    await putHold(vault, { scope: "all", reason: "incident 12" }, {});
    clock.set(clock.now() + DAY);
    const before = await namesOf(store);
    assert.deepEqual((await plan(vault)).decision.blockedBy, { kind: "incident" });
    await prune(vault);
    assert.deepEqual(await namesOf(store), before);
    await releaseHolds(vault, "all", {});
    await prune(vault);
    assert.ok((await namesOf(store)).length < before.length);
    await assertWhole(vault, [first.backupId]);
  });

  test("stops when something is held between its plan and its first deletion", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    await prune(vault);
    clock.set(clock.now() + DAY);
    const planned = await plan(vault);
    await putHold(vault, { scope: records[0]?.backupId ?? "all", reason: "wait" }, {});
    const packs = await namesOf(store, "packs/");
    await assert.rejects(runPrune(vault, planned, { onProgress: () => undefined }), (error) =>
      isLifeboatError(error, "retention.hold-appeared"),
    );
    assert.deepEqual(await namesOf(store, "packs/"), packs);
  });

  test("stops before the next backup when that is held after the first deletion", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const [, second] = records;
    assert.ok(second !== undefined);
    await prune(vault);
    clock.set(clock.now() + DAY);
    const packs = await namesOf(store, "packs/");
    let deleted = 0;
    const told = toldStore(store, async ({ operation }) => {
      if (operation !== "delete") return;
      deleted += 1;
      if (deleted === 2) await putHold(vault, { scope: second.backupId, reason: "wait" }, {});
    });
    await assert.rejects(
      prune({ ...vault, store: told }),
      (error) => isLifeboatError(error, "retention.hold-appeared") && error.details["deletedObjects"] === deleted,
    );
    assert.deepEqual(await namesOf(store, "packs/"), packs);
    await prune(vault);
    await assertWhole(vault, [second.backupId]);
    const dead = [records[0], records[2]].map((record) => `backups/7/${record?.backupId}/`);
    for (const prefix of dead) assert.deepEqual(await namesOf(store, prefix), []);
  });

  test("puts the announcement back of a backup that is held while it is deleted", async () => {
    const { vault, store, clock, records } = await dailyBackups();
    const [, second] = records;
    assert.ok(second !== undefined);
    await prune(vault);
    clock.set(clock.now() + DAY);
    const announced = backupName(second, "announced");
    const told = toldStore(store, async ({ operation, key }) => {
      // He looks for the announcement after that, and finds it gone or put back.
      if (operation === "delete" && key === announced)
        await putHold(vault, { scope: second.backupId, reason: "wait" }, {});
    });
    await assert.rejects(prune({ ...vault, store: told }), (error) =>
      isLifeboatError(error, "retention.hold-appeared"),
    );
    await prune(vault);
    await assertWhole(vault, [second.backupId]);
  });

  test("stops its sweep of packs and WAL within a second of an incident", async () => {
    const { vault, store, clock } = await dailyBackups();
    await prune(vault);
    clock.set(clock.now() + DAY);
    let swept = 0;
    const told = toldStore(store, async ({ operation, key }) => {
      if (operation !== "delete" || key.startsWith("backups/")) return;
      swept += 1;
      clock.set(clock.now() + 400);
      if (swept === 1) await putHold(vault, { scope: "all", reason: "incident 12" }, {});
    });
    const planned = await plan(vault);
    assert.ok(planned.packs.length + planned.wal.length > 5);
    await assert.rejects(runPrune({ ...vault, store: told }, planned, { onProgress: () => undefined }), (error) =>
      isLifeboatError(error, "retention.hold-appeared"),
    );
    assert.equal(swept, 3);
  });

  test("leaves a backup alone that another process is taking, and its packs however old they are", async () => {
    const { vault, store, clock } = await dailyBackups();
    const underWay = await storeSyntheticBackup(vault, { systemId, segment: 12, stopBefore: "manifest" });
    for (let day = 0; day < 3; day += 1) {
      clock.set(clock.now() + DAY);
      await storeSyntheticBackup(vault, { systemId, segment: 14 + day });
      await prune(vault);
    }
    assert.ok((await namesOf(store)).includes(backupName(underWay.record, "started")));
    for (const pack of underWay.packs) assert.ok((await namesOf(store, "packs/")).some((name) => name.endsWith(pack)));
    // A week later nobody believes in it any more.
    for (let day = 0; day < 7; day += 1) {
      clock.set(clock.now() + DAY);
      await storeSyntheticBackup(vault, { systemId, segment: 20 + day });
      await prune(vault);
    }
    assert.deepEqual(await namesOf(store, `backups/7/${underWay.record.backupId}/`), []);
    for (const pack of underWay.packs) assert.ok(!(await namesOf(store, "packs/")).some((name) => name.endsWith(pack)));
  });

  test("deletes nothing while a record or manifest cannot be read, until the damaged backup is named", async () => {
    for (const part of ["announced", "manifest"] as const) {
      const { vault, store, clock, records } = await dailyBackups();
      const broken = records[3];
      assert.ok(broken !== undefined);
      await prune(vault);
      await store.delete(backupName(broken, part));
      await store.put(backupName(broken, part), [Buffer.from("damage")]);
      clock.set(clock.now() + DAY);
      const before = await namesOf(store);
      assert.deepEqual(
        (await plan(vault)).damage.map(({ code }) => code),
        ["vault.object-damaged"],
      );
      await prune(vault);
      assert.deepEqual(await namesOf(store), before, part);
      await prune(vault, { named: new Set([broken.backupId]) });
      clock.set(clock.now() + DAY);
      await prune(vault);
      assert.deepEqual(await namesOf(store, `backups/7/${broken.backupId}/`), []);
      await assertWhole(vault, [records[4]?.backupId ?? ""]);
    }
  });

  test("refuses a name that no backup has", async () => {
    const { vault } = await dailyBackups();
    const named = new Set(["20260101t000000z-00000000" as BackupId]);
    await assert.rejects(plan(vault, { named }), (error) => isLifeboatError(error, "vault.backup-unknown"));
  });
});

describe("whatever fails while it prunes", () => {
  test("every backup that stays is whole, and the next prune ends with the same objects", async () => {
    const reference = await dailyBackups();
    await pruneTwice(reference.vault, reference.clock);
    await prune(reference.vault);
    const counts = async (store: Store) =>
      Promise.all(["backups/", "packs/", "wal/"].map(async (prefix) => (await namesOf(store, prefix)).length));
    const wanted = await counts(reference.store);
    for (const kind of ["fail-before", "fail-after"] as const) {
      for (let at = 1; ; at += 1) {
        const { vault, store, clock, records } = await dailyBackups();
        const kept = records.slice(4).map(({ backupId }) => backupId);
        await prune(vault);
        clock.set(clock.now() + DAY);
        const fault: StoreFault = { kind, at };
        const faulty = faultyStore({ store, clock, faults: [fault] });
        let failed = false;
        try {
          await prune({ ...vault, store: faulty.store });
        } catch (error) {
          assert.ok(isLifeboatError(error, "store.failed") || isLifeboatError(error, "retention.removal-failed"));
          failed = true;
        }
        if (faulty.effects.length < at) break;
        // After the tombstones: the copy of an announcement that is being deleted is for whoever holds its backup meanwhile: nobody here.
        const hit = faulty.effects[at - 1];
        const isCopy =
          hit?.operation === "get" &&
          hit.key.endsWith("/announced") &&
          faulty.effects.slice(0, at).some(({ operation }) => operation === "put");
        // The copy of the marker says the same.
        const isMarker = hit?.operation === "get" && hit.key === VAULT_MARKER;
        assert.ok(
          failed || isCopy || isMarker,
          `effect ${at} was not missed: ${JSON.stringify(faulty.effects[at - 1])}`,
        );
        await assertWhole(vault, kept);
        await prune(vault);
        await assertWhole(vault, kept);
        assert.deepEqual(await counts(store), wanted, `${kind} at ${at}`);
      }
    }
  });

  test("a full vault is freed of what is due, and gets its new tombstones when there is room for them then", async () => {
    for (const isFreed of [true, false]) {
      const { vault, store, clock, records } = await dailyBackups();
      await prune(vault);
      clock.set(clock.now() + DAY);
      const planned = await plan(vault);
      assert.deepEqual([planned.erase.length, planned.tombstone.length], [3, 1]);
      const faults: StoreFault[] = (isFreed ? [1] : [1, 2]).map((at) => ({ kind: "disk-full", on: "put", at }));
      const faulty = faultyStore({ store, clock, faults });
      const run = runPrune({ ...vault, store: faulty.store }, planned, { onProgress: () => undefined });
      const gone = [...planned.erase.flatMap(({ objects }) => objects), ...planned.packs, ...planned.wal];
      if (isFreed) assert.equal((await run).deletedObjects, gone.length);
      else {
        await assert.rejects(
          run,
          (error) => isLifeboatError(error, "platform.disk-full") && error.details["deletedObjects"] === gone.length,
        );
      }
      faulty.assertFired();
      const after = new Set(await namesOf(store));
      assert.deepEqual(
        gone.filter(({ name }) => after.has(name)),
        [],
      );
      assert.equal(after.has(backupName(records[3] ?? assert.fail(), "tombstone")), isFreed);
      await assertWhole(vault, [records[4]?.backupId ?? ""]);
    }
  });

  test("packs and WAL stay while a record that needs them could not be deleted", async () => {
    const { vault, store, clock } = await dailyBackups();
    await prune(vault);
    clock.set(clock.now() + DAY);
    const shared = async () => [await namesOf(store, "packs/"), await namesOf(store, "wal/")];
    const before = await shared();
    const faulty = faultyStore({ store, clock, faults: [{ kind: "fail-before", on: "delete", at: 1 }] });
    await assert.rejects(prune({ ...vault, store: faulty.store }), (error) =>
      isLifeboatError(error, "retention.removal-failed"),
    );
    assert.deepEqual(await shared(), before);
  });

  test("a listing that fails halfway deletes nothing", async () => {
    const { vault, store, clock } = await dailyBackups();
    await prune(vault);
    clock.set(clock.now() + DAY);
    const before = await namesOf(store);
    for (let at = 1; at <= 5; at += 1) {
      const faulty = faultyStore({ store, clock, faults: [{ kind: "fail-after", on: "list", at }] });
      await assert.rejects(prune({ ...vault, store: faulty.store }), (error) => isLifeboatError(error, "store.failed"));
      faulty.assertFired();
      assert.deepEqual(await namesOf(store), before);
    }
  });
});

describe("a hold", () => {
  test("that came too late for its backup is refused, and lies on nothing", async () => {
    const { vault, store, records } = await dailyBackups();
    const [late, early] = records;
    assert.ok(late !== undefined && early !== undefined);
    const hold = await putHold(vault, { scope: early.backupId, reason: "in time" }, {});
    await confirmHold(vault, { ...early, hold }, {});
    await store.delete(backupName(late, "announced"));
    const tooLate = await putHold(vault, { scope: late.backupId, reason: "too late" }, {});
    await assert.rejects(confirmHold(vault, { ...late, hold: tooLate }, {}), (error) =>
      isLifeboatError(error, "vault.backup-unknown"),
    );
    assert.deepEqual(
      (await listHolds(vault, {})).map(({ scope }) => scope),
      [early.backupId],
    );
  });

  test("holds by its name, also when it does not open, and is released with all others on the same", async () => {
    const { vault, store, records } = await dailyBackups();
    const scope = records[0]?.backupId ?? "all";
    await putHold(vault, { scope, reason: "one" }, {});
    await store.put(`holds/${scope}/${"0".repeat(16)}`, [Buffer.from("damage")]);
    assert.deepEqual((await listHolds(vault, {})).map(({ reason }) => reason).sort(), ["one", undefined]);
    assert.equal((await releaseHolds(vault, scope, {})).length, 2);
    await assert.rejects(releaseHolds(vault, scope, {}), (error) => isLifeboatError(error, "retention.not-held"));
  });
});
