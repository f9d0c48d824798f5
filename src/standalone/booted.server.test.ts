import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { contentOf, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { giveTo, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { rotateDataKey } from "../vault/key-ring.ts";
import { keepRestoreProgram, RESTORE_PROGRAMS } from "../vault/restore-program.ts";
import { initVault, openVault, type Vault } from "../vault/vault.ts";

const PROGRAM_NAME = [...RESTORE_PROGRAMS.keys()].at(-1) ?? "";

test("servers start on what the restore program of a vault made: up to a moment, up to the end, and on the timeline that grew from it", async () => {
  await withFolder(async (folder) => {
    const vaultFolder = path.join(folder, "vault");
    const store = await openDiskStore({ folder: vaultFolder, files: systemFiles, random: systemRandom });
    const tools = { store, clock: systemClock, random: systemRandom };
    const made = await initVault(tools, { kind: "passphrase", passphrase: "unused" }, {});
    const secret = { kind: "recovery-key", recoveryKey: made.recoveryKey ?? "" } as const;
    const key = path.join(folder, "recovery-key");
    writeFileSync(key, `${made.recoveryKey}\n`);
    await keepRestoreProgram({ store, files: systemFiles }, {});
    const run = (name: string, ...args: readonly string[]) => {
      const program = path.join(vaultFolder, PROGRAM_NAME);
      const given = [program, "--target", path.join(folder, name), "--recovery-key-file", key, ...args];
      return spawnSync(process.execPath, given, { encoding: "utf8" });
    };
    const restore = async (name: string, ...args: readonly string[]): Promise<string> => {
      const target = path.join(folder, name);
      const { status, stderr } = run(name, ...args);
      assert.equal(status, 0, stderr);
      await giveTo(await serverUser(), `${target}-tablespaces`);
      return target;
    };

    await using server = await startServer({ walSegmentBytes: 1024 * 1024, settings: { wal_keep_size: "256MB" } });
    const space = path.join(server.folder, "space");
    await systemFiles.makeFolder(space);
    await giveTo(await serverUser(), space);
    await server.query("CREATE TABLE plain AS SELECT i, md5(i::text) AS text FROM generate_series(1, 5000) i");
    await server.query(`CREATE TABLESPACE space LOCATION '${space}'`);
    await server.query("CREATE TABLE moved TABLESPACE space AS SELECT i FROM generate_series(1, 500) i");
    appendFileSync(path.join(server.dataFolder, "postgresql.conf"), `data_directory = '${server.dataFolder}'\n`);
    await takeTestBackup(server, made.vault);
    await server.query("UPDATE plain SET text = 'later' WHERE i % 7 = 0");
    // A second data key seals what is new of a delta; the rest lies in packs of the first.
    await rotateDataKey(tools, secret, {});
    const vault = await openVault(tools, secret, {});
    const delta = await takeTestBackup(server, vault);
    assert.ok(delta.parent !== null, String(delta.whyFull));

    await server.query("DELETE FROM moved WHERE i > 100");
    const moment = await server.value("SELECT pg_current_wal_lsn()");
    const atMoment = await contentOf(server);
    await server.query("DELETE FROM moved WHERE i > 50");
    await server.query("SELECT pg_switch_wal()");
    await storeServerWal(server, vault);
    await using early = await startServer({
      dataFolder: await restore("moment", "--until-lsn", moment),
      until: "recovered",
    });
    assert.deepEqual(await contentOf(early), atMoment);
    await early.stop("immediate");
    const before = await contentOf(server);
    await using restored = await startServer({ dataFolder: await restore("end"), until: "recovered" });
    assert.deepEqual(await contentOf(restored), before);

    // What was restored goes on a timeline of its own, and the next restore follows it.
    await restored.query("INSERT INTO moved SELECT generate_series(1000, 1200)");
    const after = await contentOf(restored);
    await restored.query("SELECT pg_switch_wal()");
    await storeServerWal(restored, vault);
    await restored.stop("immediate");
    await using followed = await startServer({ dataFolder: await restore("followed"), until: "recovered" });
    assert.deepEqual(await contentOf(followed), after);
    await beforeStored({ folder, stored: path.join(vaultFolder, "wal", delta.systemId), before, restore });
    await refuseLiveTablespace({ followed, vault, folder, run, restore });
  });
});

/** As long as none of the new timeline's segments is stored, what counts of the old one's last ends where it was left. */
async function beforeStored(story: {
  readonly folder: string;
  readonly stored: string;
  readonly before: unknown;
  readonly restore: (name: string) => Promise<string>;
}): Promise<void> {
  const { folder, before, restore } = story;
  const timeline = path.join(story.stored, "00000002");
  renameSync(timeline, path.join(folder, "away"));
  await using switched = await startServer({ dataFolder: await restore("switched"), until: "recovered" });
  assert.deepEqual(await contentOf(switched), before);
  await switched.stop("immediate");
  renameSync(path.join(folder, "away"), timeline);
}

/** A tablespace that the WAL creates in a folder which holds something here may be a live server's. */
async function refuseLiveTablespace(story: {
  readonly followed: TestServer;
  readonly vault: Vault;
  readonly folder: string;
  readonly run: (name: string) => { readonly status: number | null; readonly stderr: string };
  readonly restore: (name: string, ...args: readonly string[]) => Promise<string>;
}): Promise<void> {
  const { followed, vault, folder, run, restore } = story;
  const position = await followed.value("SELECT pg_current_wal_flush_lsn()");
  const later = path.join(folder, "later");
  await systemFiles.makeFolder(later);
  await giveTo(await serverUser(), later);
  await followed.query(`CREATE TABLESPACE later LOCATION '${later}'`);
  await followed.query("SELECT pg_switch_wal()");
  await storeServerWal(followed, vault);
  const refused = run("refused");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /creates tablespace \d+ at 0\/[0-9A-F]+ in .*later, which holds PG_/);
  assert.equal(existsSync(path.join(folder, "refused", "global/pg_control")), false);
  await restore("earlier", "--until-lsn", position);
  await followed.stop("immediate");
  await systemFiles.removeTree(later);
  const elsewhere = await restore("elsewhere");
  await giveTo(await serverUser(), later);
  const configuration = readFileSync(path.join(elsewhere, "postgresql.conf"), "utf8");
  assert.match(configuration, /^# Taken out .*: data_directory = '/m);
  assert.doesNotMatch(configuration, /^data_directory/m, "it could not be moved");
  await using movedOn = await startServer({ dataFolder: elsewhere, until: "recovered" });
  assert.equal(
    await movedOn.value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'later'"),
    later,
  );
}
