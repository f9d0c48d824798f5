import assert from "node:assert/strict";
import { test } from "node:test";
import { GOLDEN_EARLIER, GOLDEN_LATER, takeGoldenBackup } from "../../test/golden/make-delta-vault.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { listBackups } from "../vault/backups.ts";
import { checkVault } from "../vault/check.ts";
import type { Vault } from "../vault/vault.ts";
import type { UnsoundCopy } from "../wal/records/copied-folders.ts";
import type { BackupTools, WalCoverage } from "./backup.ts";

const SEGMENTS = 4;
const MOVED: UnsoundCopy = {
  lsn: parseLsn("0/3000060"),
  source: { tablespace: 1663, database: 16390 },
  target: { tablespace: 16400, database: 16390 },
  why: "moved",
};

/** Takes a backup of which this is found, image by image; answers also with what was told, and asked before what. */
async function takeWith(vault: Vault, found: readonly (UnsoundCopy | undefined)[]) {
  const told: LifeboatError[] = [];
  const asked: string[] = [];
  const wal: WalCoverage = {
    begin: async () => undefined,
    covered: async () => void asked.push("covered"),
    between: {
      holds: async () => "held",
      settings: async ({ to }) => ({ kind: "same", reached: to }),
      unsoundCopy: async ({ from, to }) => {
        assert.deepEqual([from, to], [GOLDEN_LATER.startLsn, GOLDEN_LATER.endLsn]);
        const { unfinished } = await listBackups(vault, {}, {});
        const manifests = [];
        for await (const { key } of vault.store.list("backups/")) if (key.endsWith("/manifest")) manifests.push(key);
        asked.push(`with ${manifests.length} manifests, ${unfinished.length} begun`);
        return found[asked.filter((each) => each !== "covered").length - 1];
      },
    },
  };
  const changes: Partial<BackupTools> = { wal, onMoved: (moved) => void told.push(moved) };
  const taken = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS, changes).catch((error: unknown) => error);
  return { taken, told, asked };
}

test("an image that a database was moved under is taken once more, before any manifest says that it may be announced", async () => {
  const vault = await createTestVault();
  const { taken, told, asked } = await takeWith(vault, [MOVED]);
  assert.ok(!(taken instanceof Error), String(taken));
  assert.deepEqual(
    told.map(({ code }) => code),
    ["backup.database-moved"],
  );
  assert.deepEqual(asked, ["covered", "with 0 manifests, 1 begun", "covered", "with 0 manifests, 1 begun"]);
  const { backups, unfinished } = await listBackups(vault, {}, {});
  assert.deepEqual([backups.length, unfinished], [1, []]);
});

test("a delta under which a database was moved is a delta once more", async () => {
  const vault = await createTestVault();
  const full = await takeGoldenBackup(vault, GOLDEN_EARLIER, SEGMENTS);
  await takeWith(vault, [MOVED]);
  const { backups } = await listBackups(vault, {}, {});
  assert.equal(backups.at(-1)?.parent, full.backupId);
});

test("a backup under which databases are moved again fails, may be tried again, and leaves nothing", async () => {
  const vault = await createTestVault();
  const { taken, told } = await takeWith(vault, [MOVED, { ...MOVED, why: "source-dropped" }]);
  assert.ok(isLifeboatError(taken, "backup.database-moved") && taken.retryable, String(taken));
  assert.match(taken.message, /16390 was copied .* copy base\/16390 to pg_tblspc\/16400\/16390/);
  assert.equal(told.length, 1);
  const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
  assert.deepEqual([report.backups, report.findings, report.unfinished, report.unreferencedPacks], [[], [], [], []]);
});
