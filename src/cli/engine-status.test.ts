import assert from "node:assert/strict";
import { test } from "node:test";
import { syntheticProof } from "../../test/support/proofs.ts";
import { setClock, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { faultyStore, type StoreFault } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { listBackups } from "../vault/backups.ts";
import { backupName } from "../vault/names.ts";
import { listProofs, putProof } from "../vault/proofs.ts";
import { compareTablespaces, datedFacts, reachFacts } from "./engine-status.ts";

const systemId = "7" as SystemId;
const HOUR_MS = 3_600_000;

test("a backup and a proof that a wrong clock dated ahead are told, and hide none that came after", async () => {
  const now = Date.UTC(2026, 10, 22, 22, 0);
  const clock = setClock(now + 1000 * HOUR_MS);
  const vault = { ...(await createTestVault(openMemoryStore({ clock }))), clock };
  const look = async () => {
    clock.set(now);
    return datedFacts(await listBackups(vault, {}, {}), await listProofs(vault, {}, {}), {
      now: clock.now(),
      systemId,
    });
  };
  const take = async (segment: number) => {
    const { record } = await storeSyntheticBackup(vault, { systemId, segment });
    const proof = syntheticProof(record, { minute: segment, asked: "booted" });
    await putProof(vault, { ...proof, endedAt: record.endedAt }, {});
    return record.backupId;
  };
  const wrong = await take(1);
  const alone = await look();
  assert.deepEqual([alone.newestBackup?.backupId, alone.newestProof?.backupId], [wrong, wrong]);
  clock.set(now - 30 * HOUR_MS);
  const right = await take(2);
  const { newestBackup, newestProof, datedAhead } = await look();
  assert.deepEqual([newestBackup?.backupId, newestProof?.backupId], [right, right]);
  assert.deepEqual(
    datedAhead.map(({ what, backupId }) => [what, backupId]),
    [
      ["backup", wrong],
      ["proof", wrong],
    ],
  );
});

test("a tablespace that the newest backup has not is found by its manifest, and one whose manifest is gone is damaged", async () => {
  const vault = await createTestVault();
  const tablespaces = [{ oid: 16_384, location: "/mnt/old" }];
  const { record } = await storeSyntheticBackup(vault, { systemId, segment: 1, tablespaces });
  const outside = [
    { oid: 16_384, name: "old", location: "/elsewhere" },
    { oid: 16_385, name: "new", location: "/mnt/new" },
  ];
  const compare = () => compareTablespaces(vault, { outside, newest: record }, {});
  assert.deepEqual(await compare(), { newer: outside.slice(1), damaged: [], unseen: undefined });
  await vault.store.delete(backupName(record, "manifest"), {});
  assert.deepEqual(await compare(), { newer: [], damaged: [record.backupId], unseen: undefined });
  const none = await compareTablespaces(vault, { outside: [], newest: record }, {});
  assert.deepEqual(none, { newer: [], damaged: [], unseen: undefined });
});

test("a manifest that the store does not give, or that does not open for us, leaves the tablespaces unseen and nothing else", async () => {
  const vault = await createTestVault();
  const { record } = await storeSyntheticBackup(vault, { systemId, segment: 1 });
  const outside = [{ oid: 16_385, name: "new", location: "/mnt/new" }];
  const compare = async (fault: StoreFault, options = {}) => {
    const { store, assertFired } = faultyStore({ store: vault.store, clock: vault.clock, faults: [fault] });
    const found = await compareTablespaces({ ...vault, store }, { outside, newest: record }, options);
    const { newer, damaged, unseen } = found;
    assertFired();
    return [newer.length, damaged.length, unseen?.code];
  };
  assert.deepEqual(await compare({ kind: "fail-before", at: 1 }), [0, 0, "store.failed"]);
  // Of the header's bytes: the version, and the data key.
  assert.deepEqual(await compare({ kind: "flipped", at: 1, offset: 8 }), [0, 0, "vault.format-unknown"]);
  assert.deepEqual(await compare({ kind: "flipped", at: 1, offset: 16 }), [0, 0, "vault.key-missing"]);
  assert.deepEqual(await compare({ kind: "torn", at: 1, keptBytes: 20 }), [0, 1, undefined]);
  const stopped = compare({ kind: "delay", at: 1, durationMs: 0 }, { signal: AbortSignal.abort() });
  await assert.rejects(stopped, { code: "platform.aborted" });
});

test("backups and proofs of another system say nothing of the one that runs", async () => {
  const vault = await createTestVault();
  const { record: old } = await storeSyntheticBackup(vault, { systemId, segment: 1 });
  await putProof(vault, syntheticProof(old, { minute: 1, asked: "booted" }), {});
  const other = "8" as SystemId;
  const { record: own } = await storeSyntheticBackup(vault, { systemId: other, segment: 2 });
  const now = vault.clock.now();
  const [listing, proofs] = [await listBackups(vault, {}, {}), await listProofs(vault, {}, {})];
  const of = datedFacts(listing, proofs, { now, systemId: other });
  assert.deepEqual([of.newestBackup?.backupId, of.newestProof], [own.backupId, undefined]);
  // Where nobody can tell which it is, all of them count.
  const all = datedFacts(listing, proofs, { now, systemId: undefined });
  assert.equal(all.newestProof?.backupId, old.backupId);
});

test("gaps, ranges and stranded backups of another system are none of the one that runs", async () => {
  const vault = await createTestVault();
  const own = "8" as SystemId;
  const { record: old } = await storeSyntheticBackup(vault, { systemId, segment: 1 });
  await storeSyntheticBackup(vault, { systemId: own, segment: 2 });
  const place = { timeline: 1 as Timeline, from: 0x300000n as Lsn, to: 0x500000n as Lsn };
  const gap = { ...place, systemId, firstSegment: "000000010000000000000003", segmentCount: 2 };
  const range = { ...place, systemId, fromTime: undefined, toTime: undefined, backupIds: [] };
  const points = {
    ranges: [range],
    gaps: [gap, { ...gap, systemId: own }],
    outOfReach: [gap],
    unreached: [{ ...place, systemId }],
    untold: [{ ...place, systemId: own }],
    leftBehind: [],
    stranded: [old.backupId],
  };
  const listing = await listBackups(vault, {}, {});
  const counted = (of: SystemId | undefined) => {
    const { stranded, ranges, gapCount, outOfReach, unreached } = reachFacts(points, listing, of);
    return [stranded.length, ranges.length, gapCount, outOfReach.length, unreached.length];
  };
  assert.deepEqual(
    [counted(own), counted(systemId), counted(undefined)],
    [
      [0, 0, 1, 0, 0],
      [1, 1, 1, 1, 1],
      [1, 1, 2, 1, 1],
    ],
  );
});
