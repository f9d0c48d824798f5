import assert from "node:assert/strict";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { restoreLatest, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { keptPages, placesOf } from "../../test/support/page-places.ts";
import { eventually } from "../../test/support/receivers.ts";
import { dropTemplates, SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import { assertRestores, contentOfAll } from "../../test/support/soundness.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { type BackupRecord, listBackups } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";
import { putSegment } from "../vault/wal-store.ts";
import { parseSegmentSize } from "../wal/segment-size.ts";
import { walBetween } from "../wal/settings-between.ts";
import type { WalCoverage } from "./backup.ts";

const KEEPS_WAL = { wal_keep_size: "4GB", max_wal_size: "4GB" };
const SMALL = { walSegmentBytes: 1_048_576, settings: KEEPS_WAL };

async function fill(server: TestServer): Promise<void> {
  await server.query("CREATE TABLE t (id int, body text)");
  await server.query("INSERT INTO t SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, 5000) g");
  await server.query("CREATE INDEX t_id ON t (id)");
  await dropTemplates(server);
}

/** A copy of a stopped server's data directory. */
async function copyOf(server: TestServer, folder: string, signal: "standby.signal" | undefined): Promise<string> {
  const copy = path.join(folder, "copy");
  await cp(server.dataFolder, copy, { recursive: true, verbatimSymlinks: true });
  if (signal !== undefined) await writeFile(path.join(copy, signal), "");
  return copy;
}

/** The WAL of a standby's backup is the primary's. */
function walOf(primary: TestServer, vault: Vault): WalCoverage {
  const store = async (): Promise<void> => {
    await primary.query("SELECT pg_switch_wal()");
    await storeServerWal(primary, vault);
  };
  const between = walBetween({ vault, files: systemFiles }, parseSegmentSize("1MB"));
  return {
    begin: async () => undefined,
    covered: store,
    between: { ...between, holds: async (stretch, options) => store().then(() => between.holds(stretch, options)) },
  };
}

async function caughtUp(standby: TestServer, primary: TestServer): Promise<void> {
  const lsn = await primary.value("SELECT pg_current_wal_flush_lsn()");
  await eventually(`the standby replays ${lsn}`, async () => {
    return (await standby.value(`SELECT pg_last_wal_replay_lsn() >= '${lsn}'`)) === "true";
  });
}

describe("a delta", () => {
  test("is possible across a promotion that came after the parent", async () => {
    await withFolder(async (folder) => {
      await using primary = await startServer({ ...SMALL });
      await fill(primary);
      const vault = await createTestVault();
      const first = await takeTestBackup(primary, vault);
      await primary.query("UPDATE t SET body = 'on the primary' WHERE id % 5 = 0");
      await primary.query("SELECT pg_switch_wal()");
      await storeServerWal(primary, vault);
      const target = path.join(folder, "promoted");
      await restoreLatest(vault, first, { folder: target });
      const server = { dataFolder: target, until: "recovered", settings: KEEPS_WAL } as const;
      await using promoted = await startServer(server);
      assert.equal(await promoted.value("SELECT timeline_id FROM pg_control_checkpoint()"), "2");
      await promoted.query("UPDATE t SET body = 'after the promotion' WHERE id % 7 = 0");
      const backup = await takeTestBackup(promoted, vault);
      assert.deepEqual([backup.whyFull, backup.parent, backup.timeline], [null, first.backupId, 2]);
      await assertRestores({ server: promoted, vault, backup });
    });
  });

  test("of a standby is full while its restartpoint is older than the parent's end, and keeps a primary's pages after (rule A6)", async () => {
    await withFolder(async (folder) => {
      await using primary = await startServer({ ...SMALL });
      await fill(primary);
      await primary.stop();
      const dataFolder = await copyOf(primary, folder, "standby.signal");
      await primary.start();
      const { socketFolder, port } = primary.server.setup;
      const settings = { ...KEEPS_WAL, primary_conninfo: `host=${socketFolder} port=${port} user=${SUPERUSER.name}` };
      await using standby = await startServer({ name: "standby", dataFolder, settings });
      const vault = await createTestVault();
      const ofStandby = async (): Promise<BackupRecord> => {
        await caughtUp(standby, primary);
        return takeTestBackup(standby, vault, { tools: { wal: walOf(primary, vault) } });
      };
      const parent = await takeTestBackup(primary, vault);
      await primary.query("UPDATE t SET body = 'later' WHERE id % 5 = 0");
      const early = await ofStandby();
      assert.deepEqual([early.whyFull, early.parent], ["starts-before-parent-ended", null]);
      assert.equal(early.startLsn, parent.startLsn);
      const again = await takeTestBackup(primary, vault);
      assert.deepEqual([again.whyFull, again.parent], [null, early.backupId], "a standby's pages serve the primary");
      await primary.query("DELETE FROM t WHERE id % 7 = 0");
      await primary.query("CHECKPOINT");
      const late = await ofStandby();
      assert.deepEqual([late.whyFull, late.parent], [null, again.backupId]);
      const table = await primary.value("SELECT pg_relation_filepath('pg_proc')");
      const kept = keptPages(await placesOf(vault, again), await placesOf(vault, late), table);
      assert.ok(kept.length > 50, `${kept.length} pages of pg_proc were kept`);
      await assertRestores({ server: primary, vault, backup: late });
    });
  });
});

describe("two servers that were one", () => {
  test("the other one's backup is full where it left before the parent's end, and refused where both claim one history (rule A5)", async () => {
    await withFolder(async (folder) => {
      await using one = await startServer({ ...SMALL });
      await fill(one);
      await one.stop();
      const dataFolder = await copyOf(one, folder, undefined);
      await one.start();
      await using other = await startServer({ name: "other", dataFolder, settings: KEEPS_WAL });
      const vault = await createTestVault();
      await one.query("UPDATE t SET body = 'one' WHERE id % 5 = 0");
      // Gets ahead by far.
      for (let segment = 0; segment < 20; segment += 1) {
        await one.query("SELECT pg_logical_emit_message(false, 'test', ''), pg_switch_wal()");
      }
      const parent = await takeTestBackup(one, vault);
      await other.query("UPDATE t SET body = 'other' WHERE id % 5 = 0");
      await refused(takeTestBackup(other, vault, { tools: { wal: honestWal(other, vault) } }), vault, [parent]);
      // Both leave timeline 1 for a timeline 2 of their own, the other one before the parent had ended.
      await promote(other);
      const foreign = await takeTestBackup(other, vault);
      assert.deepEqual([foreign.whyFull, foreign.parent, foreign.timeline], ["other-history", null, 2]);
      assert.notDeepEqual(await contentOfAll(one), await contentOfAll(other));
      await assertRestores({ server: other, vault, backup: foreign });
      await one.query("UPDATE t SET body = 'one again' WHERE id % 3 = 0");
      await promote(one);
      await refused(takeTestBackup(one, vault), vault, [parent, foreign]);
    });
  });
});

async function promote(server: TestServer): Promise<void> {
  await server.stop();
  await writeFile(path.join(server.dataFolder, "standby.signal"), "");
  await server.start();
  await server.query("SELECT pg_promote()");
}

/** Nothing but these backups is there afterwards. */
async function refused(taken: Promise<unknown>, vault: Vault, left: readonly BackupRecord[]): Promise<void> {
  await assert.rejects(taken, (error) => isLifeboatError(error, "wal.segment-conflict"));
  const { backups, unfinished } = await listBackups(vault, {}, {});
  assert.deepEqual([backups, unfinished], [left, []]);
}

/** Offers every segment of a server to the vault, as a receiver would, also those that the vault holds. */
function honestWal(server: TestServer, vault: Vault): WalCoverage {
  return {
    begin: async () => undefined,
    covered: async () => {
      const systemId = (await server.value("SELECT system_identifier FROM pg_control_system()")) as SystemId;
      await server.query("SELECT pg_switch_wal()");
      const current = await server.value("SELECT pg_walfile_name(pg_current_wal_lsn() + 1)");
      const folder = path.join(server.dataFolder, "pg_wal");
      for (const { name: segment } of await systemFiles.list(folder)) {
        if (!/^[0-9A-F]{24}$/.test(segment) || segment >= current) continue;
        const bytes = await systemFiles.readFile(path.join(folder, segment));
        await putSegment(vault, { systemId, segment, bytes }, {});
      }
    },
  };
}
