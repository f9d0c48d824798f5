import assert from "node:assert/strict";
import { test } from "node:test";
import { dailyBackups, systemId, toldStore } from "../../test/support/daily-backups.ts";
import { storeSegment } from "../../test/support/synthetic-backups.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import type { Timeline } from "../postgres/lsn.ts";
import { checkVault } from "./check.ts";
import { historyKey } from "./names.ts";
import { prepareRepair, runRepair } from "./repair.ts";
import type { Vault } from "./vault.ts";
import { getHistory, putHistory } from "./wal-store.ts";

const second = { systemId, timeline: 2 as Timeline, content: Buffer.from("1\t0/980000\tno reason\n") };
const third = { systemId, timeline: 3 as Timeline, content: Buffer.from("1\t0/980000\tx\n2\t0/2000000\tx\n") };

/** What a check finds outside of backups, whose segments are too short here. */
async function found(vault: Vault): Promise<readonly (readonly [string, string])[]> {
  const { findings } = await checkVault(vault, { readData: false, onProgress: () => undefined });
  return findings.map(({ object, reason }) => [object, reason.code] as const);
}

test("the history of a timeline without a backup is missed where WAL of that timeline is, and made again from a spool", async () => {
  const { vault } = await dailyBackups();
  await storeSegment(vault, { systemId, timeline: second.timeline, number: 9 });
  assert.deepEqual(await found(vault), [[historyKey(second), "vault.object-missing"]]);
  const tools = { vault, files: systemFiles, host: "test", onProgress: () => undefined };
  const elsewhere = { ...tools, spooled: async () => undefined };
  assert.deepEqual(
    (await prepareRepair(elsewhere, {})).left
      .map(({ object }) => object)
      .filter((object) => object === historyKey(second)),
    [historyKey(second)],
  );
  const spooling = {
    ...tools,
    spooled: async (wanted: { readonly kind: string }) => (wanted.kind === "history" ? second.content : undefined),
  };
  await runRepair(spooling, await prepareRepair(spooling, {}), {});
  assert.deepEqual(await getHistory(vault, second, {}), second.content);
  assert.deepEqual(await found(vault), []);
});

test("an ancestor's history that the server no longer had is not missed: a later one says the same of all before the place where it left it", async () => {
  const { vault } = await dailyBackups();
  for (const timeline of [2, 3]) await storeSegment(vault, { systemId, timeline: timeline as Timeline, number: 20 });
  await putHistory(vault, third, {});
  assert.deepEqual(await found(vault), []);
  // The last one before it, and the first behind it: a server of that timeline sent it, and had its history.
  for (const number of [31, 32]) {
    assert.deepEqual(await found(vault), []);
    await storeSegment(vault, { systemId, timeline: second.timeline, number });
  }
  assert.deepEqual(await found(vault), [[historyKey(second), "vault.object-missing"]]);
});

test("a history that is stored, with its first segment, while a check lists is not missed", async () => {
  const { vault } = await dailyBackups();
  const { store } = vault;
  const list: typeof store.list = async function* (prefix, options) {
    const listed = [];
    for await (const facts of store.list(prefix, options)) listed.push(facts);
    if (prefix === "") {
      await putHistory(vault, second, {});
      await storeSegment(vault, { systemId, timeline: second.timeline, number: 9 });
      for await (const facts of store.list("wal/7/00000002/", options)) listed.push(facts);
    }
    yield* listed;
  };
  const watched = { ...toldStore(store, async () => undefined), list };
  assert.deepEqual(await found({ ...vault, clock: systemClock, store: watched }), []);
});
