import assert from "node:assert/strict";
import { test } from "node:test";
import { dailyBackups, systemId, timeline, toldStore } from "../../test/support/daily-backups.ts";
import { SYNTHETIC_SEGMENT_BYTES, storeSegment } from "../../test/support/synthetic-backups.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { type Lsn, segmentName, type Timeline } from "../postgres/lsn.ts";
import { historyKey, segmentKey } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { putHistory } from "../vault/wal-store.ts";
import { objectsOf, vaultGaps } from "./vault-gaps.ts";

function nameOf(number: number, of: number = timeline): string {
  const lsn = BigInt(number * SYNTHETIC_SEGMENT_BYTES) as Lsn;
  return segmentName({ timeline: of as Timeline, lsn, walSegmentBytes: SYNTHETIC_SEGMENT_BYTES });
}
const keyOf = (number: number): string => segmentKey({ systemId, segment: nameOf(number) });

async function gapsOf(vault: Vault) {
  const { outOfReach, between } = await vaultGaps({ vault, files: memoryFiles().files }, {});
  const names = (gap: Parameters<typeof objectsOf>[0]) => [...objectsOf(gap)].map(({ object }) => object);
  return {
    outOfReach: outOfReach.map((gap) => [gap.finding.object, gap.finding.reason.code, ...names(gap)]),
    between: between.map(names),
  };
}

test("a gap is told apart by whether a backup begins behind it; what lies before the oldest backup is none", async () => {
  const { vault, store } = await dailyBackups();
  await storeSegment(vault, { systemId, timeline, number: 11 });
  assert.deepEqual(await gapsOf(vault), { outOfReach: [], between: [] });
  await storeSegment(vault, { systemId, timeline, number: 0 });
  await store.delete(keyOf(1));
  await store.delete(keyOf(5));
  for (const number of [14, 15]) await storeSegment(vault, { systemId, timeline, number });
  const expected = { outOfReach: [[keyOf(12), "vault.object-missing", keyOf(12), keyOf(13)]], between: [[keyOf(5)]] };
  assert.deepEqual(await gapsOf(vault), expected);
  await storeSegment(vault, { systemId, timeline, number: 12 });
  await storeSegment(vault, { systemId, timeline, number: 13 });
  assert.deepEqual((await gapsOf(vault)).outOfReach, []);
});

test("the middle of a switch, and WAL that is stored while the vault is listed, are no gap", async () => {
  const { vault, store } = await dailyBackups();
  const content = Buffer.from("1\t0/BF0000\tno reason\n");
  await putHistory(vault, { systemId, timeline: 2 as Timeline, content }, {});
  assert.deepEqual(await gapsOf(vault), { outOfReach: [], between: [] });
  await storeSegment(vault, { systemId, timeline: 2 as Timeline, number: 11 });
  assert.deepEqual(await gapsOf(vault), { outOfReach: [], between: [] });
  await store.delete(historyKey({ systemId, timeline: 2 as Timeline }));
  // Listed as it was before the two in the middle were stored.
  for (const number of [12, 13, 14]) await storeSegment(vault, { systemId, timeline, number });
  await storeSegment(vault, { systemId, timeline, number: 11 });
  const list: typeof store.list = async function* (prefix, options) {
    for await (const facts of store.list(prefix, options)) if (facts.key !== keyOf(12)) yield facts;
  };
  const watched = { ...toldStore(store, async () => undefined), list };
  assert.deepEqual(await gapsOf({ ...vault, store: watched }), { outOfReach: [], between: [] });
});
