import assert from "node:assert/strict";
import { test } from "node:test";
import { dailyBackups, namesOf, systemId, timeline, toldStore } from "../../test/support/daily-backups.ts";
import { SYNTHETIC_SEGMENT_BYTES } from "../../test/support/synthetic-backups.ts";
import { LifeboatError } from "../errors/error.ts";
import { type Lsn, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { Store } from "../store/store.ts";
import { checkVault } from "./check.ts";
import { type BackupId, historyKey, holdName, type ProofId, proofName, segmentKey } from "./names.ts";
import { PROGRAMS_PREFIX } from "./restore-program.ts";
import { tellingUnread } from "./unread.ts";

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

const KINDS = [/announced$/, /manifest$/, /started$/, /^keys/, /^packs/, /^wal/];

/** A store whose disk does not give some objects. */
function giving(store: Store, fails: (key: string) => boolean): Store {
  const failed = (key: string): void => {
    if (!fails(key)) return;
    throw new LifeboatError("store.failed", { message: `cannot read /v/${key}: EIO`, remedy: "Look at the disk." });
  };
  return {
    ...toldStore(store, async () => {}),
    get: async (key, options) => {
      failed(key);
      return await store.get(key, options);
    },
    getRange: async (key, range, options) => {
      failed(key);
      return await store.getRange(key, range, options);
    },
  };
}

test("whichever object its disk does not give, a check names it with the reason, and goes on to the end", async () => {
  const { vault, store, records } = await dailyBackups();
  // Of each kind one, that of what these backups lack made up.
  const [{ backupId } = { backupId: "" as BackupId }] = records;
  const madeUp = [
    historyKey({ systemId, timeline: 2 as Timeline }),
    holdName({ scope: "all", holdId: "0123456789abcdef" }),
    proofName({ systemId, backupId, proofId: "20261101t000000z-00000000" as ProofId }),
    `${PROGRAMS_PREFIX}restore-0123456789abcdef.mjs`,
  ];
  for (const key of madeUp) await store.put(key, [Buffer.from("made up")]);
  const check = (fails: (key: string) => boolean) =>
    checkVault(tellingUnread({ ...vault, store: giving(store, fails) }), {
      readData: true,
      onProgress: () => undefined,
    });
  const found = ({ findings, backups }: Awaited<ReturnType<typeof check>>) =>
    [...findings, ...backups.flatMap((backup) => backup.findings)].map(({ object, reason }) => [
      object,
      reason.message,
    ]);
  // What these backups, made up as they are, lack at any rate.
  const usual = new Set(found(await check(() => false)).map(([object]) => object));
  const stored = await namesOf(store);
  const keys = [...madeUp, ...KINDS.map((kind) => stored.find((key) => kind.test(key)) ?? assert.fail(`${kind}`))];
  for (const unread of keys) {
    const told = found(await check((key) => key === unread)).filter(
      ([object = "", message = ""]) => !usual.has(object) || message.includes("EIO"),
    );
    assert.ok(told.length > 0, unread);
    for (const [object, message] of told) {
      assert.equal(object, unread);
      assert.ok(message?.endsWith(`it cannot be read: cannot read /v/${unread}: EIO`), message);
    }
  }
  const [first = "", second = ""] = stored.filter((key) => key.endsWith("/manifest"));
  const two = found(await check((key) => key === first || key === second)).map(([object]) => object);
  assert.ok(two.includes(first) && two.includes(second), "one hides no other");
  await assert.rejects(
    check(() => true),
    { code: "store.failed" },
    "a disk that is gone damages nothing",
  );
});
