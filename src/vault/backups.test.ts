import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setClock, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { announce, findBackup, listBackups } from "./backups.ts";
import { backupName } from "./names.ts";

const systemId = "7" as SystemId;

/** A vault with three backups, a minute apart. */
async function threeBackups() {
  const clock = setClock(Date.UTC(2026, 10, 22, 22, 0));
  const vault = { ...(await createTestVault(openMemoryStore({ clock }))), clock };
  const records = [];
  for (const segment of [1, 2, 3]) {
    records.push((await storeSyntheticBackup(vault, { systemId, segment })).record);
    clock.set(clock.now() + 60_000);
  }
  return { vault, records, now: clock.now() };
}

describe("a backup with a tombstone", () => {
  test("is listed apart, oldest first, and found by nobody who wants to restore it", async () => {
    const { vault, records, now } = await threeBackups();
    const [one, two, three] = records;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    for (const each of [two, one]) await vault.store.put(backupName(each, "tombstone"), [Buffer.from("x")]);
    const listing = await listBackups(vault, {}, {});
    assert.deepEqual(listing.backups, [three]);
    assert.deepEqual(
      listing.tombstoned,
      [one, two].map((record) => {
        const { backupId } = record;
        return { systemId, backupId, tombstonedMs: now, announced: true, record };
      }),
    );
    await assert.rejects(findBackup(vault, one.backupId, {}), (error) =>
      isLifeboatError(error, "vault.backup-unknown"),
    );
  });

  test("is neither unfinished nor damaged, however little of it is left", async () => {
    const { vault, records } = await threeBackups();
    const [one, two] = records;
    assert.ok(one !== undefined && two !== undefined);
    for (const each of [one, two]) await vault.store.put(backupName(each, "tombstone"), [Buffer.from("x")]);
    await vault.store.delete(backupName(one, "announced"));
    await vault.store.delete(backupName(two, "announced"));
    await vault.store.put(backupName(two, "announced"), [Buffer.from("damaged")]);
    const { damaged, unfinished, tombstoned } = await listBackups(vault, {}, {});
    assert.deepEqual([damaged, unfinished], [[], []]);
    assert.deepEqual(
      tombstoned.map(({ announced, record }) => [announced, record]),
      [
        [false, undefined],
        [true, undefined],
      ],
    );
  });
});

test("a backup whose started marker a prune has removed is not announced", async () => {
  const { vault } = await threeBackups();
  const { record } = await storeSyntheticBackup(vault, { systemId, segment: 4, stopBefore: "announced" });
  await vault.store.delete(backupName(record, "started"));
  await assert.rejects(announce(vault, record, {}), (error) => isLifeboatError(error, "vault.backup-abandoned"));
  assert.equal((await listBackups(vault, {}, {})).backups.length, 3);
});
