import assert from "node:assert/strict";
import { test } from "node:test";
import { dailyBackups, systemId, timeline, toldStore } from "../../test/support/daily-backups.ts";
import { SYNTHETIC_SEGMENT_BYTES } from "../../test/support/synthetic-backups.ts";
import { type Lsn, segmentName } from "../postgres/lsn.ts";
import { checkVault } from "./check.ts";
import { segmentKey } from "./names.ts";

function synthetic(number: number): string {
  const lsn = BigInt(number * SYNTHETIC_SEGMENT_BYTES) as Lsn;
  return segmentKey({ systemId, segment: segmentName({ timeline, lsn, walSegmentBytes: SYNTHETIC_SEGMENT_BYTES }) });
}

test("WAL that a prune removes while a check reads is no damage, unless a backup needs it", async () => {
  const { vault, store } = await dailyBackups();
  const [spare, needed] = [synthetic(1), synthetic(2)];
  const told = toldStore(store, async ({ operation, key }) => {
    if (operation !== "list" || key !== "") return;
    for (const name of [spare, needed]) await store.delete(name);
  });
  const checked = { ...vault, store: told };
  const report = await checkVault(checked, { readData: true, onProgress: () => undefined });
  const wal = [...report.findings, ...report.backups.flatMap(({ findings }) => findings)].filter(({ object }) =>
    object.startsWith("wal/"),
  );
  assert.deepEqual(
    wal.filter(({ object }) => [spare, needed].includes(object)).map(({ object, reason }) => [object, reason.code]),
    [[needed, "store.object-missing"]],
  );
});
