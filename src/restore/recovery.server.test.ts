import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { restoreLatest, restoreTools, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { giveTo, PORTS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { captureOutsideFiles } from "../backup/outside-files.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { findFreePort } from "../platform/free-port.ts";
import { systemRandom } from "../platform/random.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import type { Timeline } from "../postgres/lsn.ts";
import { LocalServer } from "../postgres/server.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { historyKey } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { bootRestored } from "./boot.ts";
import type { PricedPlan } from "./restore.ts";
import type { RestoreWal } from "./restore-wal.ts";

async function restored(folder: string, major: TestServer["major"]): Promise<TestServer> {
  return startServer({ major, dataFolder: folder, until: "recovered", name: "restored" });
}

async function textOf(file: string): Promise<string> {
  return (await systemFiles.readFile(file)).toString("utf8");
}

async function rewrite(file: string, change: (text: string) => string): Promise<void> {
  const handle = await systemFiles.open(file, "update");
  const text = Buffer.from(change(await textOf(file)));
  await handle.write(text, 0);
  await handle.truncate(text.byteLength);
  await handle.close();
}

/** A backup, and after it rows in `t` over three segments. */
async function backUpAndWrite(server: TestServer, vault: Vault): Promise<BackupRecord> {
  await server.query("CREATE TABLE t (id int)");
  const backup = await takeTestBackup(server, vault);
  for (let id = 1; id <= 3; id += 1) {
    await server.query("INSERT INTO t VALUES ($1)", [id]);
    await server.query("SELECT pg_switch_wal()");
  }
  await storeServerWal(server, vault);
  return backup;
}

describe("recovery", () => {
  test("stops where WAL that was laid is gone, and never takes that for the end of the log", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer({ walSegmentBytes: 1024 * 1024 });
      const vault = await createTestVault();
      const backup = await backUpAndWrite(server, vault);
      const target = path.join(folder, "restored");
      const plan = await restoreLatest(vault, backup, { folder: target });
      const gone = path.join(target, "pg_wal", plan.segments.at(-2)?.name ?? "");
      const kept = await systemFiles.readFile(gone);
      await systemFiles.remove(gone);
      await assert.rejects(restored(target, server.major), (error) => {
        assert.ok(isLifeboatError(error, "postgres.start-failed"), String(error));
        return true;
      });
      const control = parseControlFile(await systemFiles.readFile(path.join(target, CONTROL_FILE_PATH)));
      assert.equal(control.state, "in archive recovery");
      // Back in its place it goes on to the end.
      const handle = await systemFiles.open(gone, "create");
      await handle.write(kept, 0);
      await handle.close();
      await giveTo(await serverUser(), target);
      await using again = await restored(target, server.major);
      assert.equal(await again.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM t"), "1,2,3");
    });
  });

  test("that ends before the planned point, or does not end, is reported and not handed over", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer({ walSegmentBytes: 1024 * 1024 });
      const vault = await createTestVault();
      const backup = await backUpAndWrite(server, vault);
      const { wal } = restoreTools(vault, backup);
      const states = new Map<string, string>();
      const boot = async (
        name: string,
        change: (target: string, plan: PricedPlan) => Promise<void>,
        from: RestoreWal = wal,
      ) => {
        const target = path.join(folder, name);
        const plan = await restoreLatest(vault, backup, { folder: target });
        await change(target, plan);
        const setup = { ...server.server.setup, dataFolder: target, port: await findFreePort(systemRandom) };
        const local = new LocalServer(PORTS, { ...setup, logFile: `${setup.logFile}-${name}` });
        try {
          const tools = { ...PORTS, server: local, wal: from };
          return { plan, reached: await bootRestored(tools, plan, { timeoutMs: 30_000 }) };
        } finally {
          states.set(name, (await local.state()).kind);
          await local.kill();
        }
      };
      const { plan, reached } = await boot("whole", async () => undefined);
      assert.equal(reached.timeline, 2);
      assert.ok(reached.lsn <= plan.endLsn && reached.lsn > (plan.segments.at(-2)?.start ?? 0n));
      const short = boot("short", async (target, { segments }) => {
        // As if the log ended earlier: neither the WAL nor the list tells of the last two segments.
        for (const { name } of segments.slice(-2)) {
          await systemFiles.remove(path.join(target, "pg_wal", name));
          await rewrite(path.join(target, "lifeboat-restore", "planned"), (text) => text.replace(`${name}\n`, ""));
        }
      });
      await assert.rejects(short, (error) => isLifeboatError(error, "restore.point-not-reached"));
      const lost = new RangeError("the vault's disk is gone");
      const unknown = boot("unknown", async () => undefined, {
        holdings: (options) => wal.holdings(options),
        history: (timeline, options) => wal.history(timeline, options),
        segment: () => Promise.reject(lost),
      });
      await assert.rejects(unknown, (error) => error === lost);
      assert.deepEqual([...states.values()], ["ready", "stopped", "stopped"]);
    });
  });

  test("goes past a raised max_connections, leaves readers welcome, and what it made can be backed up and restored", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer({ walSegmentBytes: 1024 * 1024 });
      const vault = await createTestVault();
      await server.query("CREATE TABLE t (id int)");
      const backup = await takeTestBackup(server, vault);
      await server.query("ALTER SYSTEM SET max_connections = 200");
      await server.restart();
      await server.query("INSERT INTO t VALUES (1)");
      await server.query("SELECT pg_switch_wal()");
      await storeServerWal(server, vault);
      const target = path.join(folder, "restored");
      await restoreLatest(vault, backup, { folder: target });
      await using first = await restored(target, server.major);
      assert.equal(await first.value("SELECT count(*) FROM t"), "1");
      assert.doesNotMatch(await textOf(path.join(target, "postgresql.auto.conf")), /hot_standby/);
      await first.restart();
      assert.equal(await first.value("SHOW hot_standby"), "on");
      await first.query("INSERT INTO t VALUES (2)");
      const second = await takeTestBackup(first, vault);
      assert.equal(second.timeline, 2);
      await storeServerWal(first, vault);
      // The history of a branch left long ago, which does not open: its timeline id is taken all the same (rule B10).
      await vault.store.put(historyKey({ ...second, timeline: 3 as Timeline }), [Buffer.from("damage")]);
      await restoreLatest(vault, second, { folder: path.join(folder, "again") });
      await using again = await restored(path.join(folder, "again"), server.major);
      assert.equal(await again.value("SELECT count(*) FROM t"), "2");
      assert.equal(await again.value("SELECT timeline_id FROM pg_control_checkpoint()"), "4");
    });
  });
});

/** Moves a server's configuration out of its data directory, as Debian has it. */
async function moveConfigurationOut(server: TestServer, folder: string): Promise<LocalServer> {
  await systemFiles.makeFolder(folder);
  for (const name of ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"]) {
    await systemFiles.rename(path.join(server.dataFolder, name), path.join(folder, name));
  }
  const lines = [
    await textOf(path.join(folder, "postgresql.conf")),
    `data_directory = '${server.dataFolder}'`,
    `hba_file = '${folder}/pg_hba.conf'`,
    `ident_file = '${folder}/pg_ident.conf'`,
    "max_connections = 200",
    "",
  ];
  await rewrite(path.join(folder, "postgresql.conf"), () => lines.join("\n"));
  await giveTo(await serverUser(), folder);
  return new LocalServer(PORTS, { ...server.server.setup, settings: { config_file: `${folder}/postgresql.conf` } });
}

test("a cluster whose configuration lies outside comes back with one that starts, and what was captured beside it", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer({ major: "system", started: false });
    const configuration = path.join(server.folder, "etc");
    const local = await moveConfigurationOut(server, configuration);
    await local.start({ until: "accepting", timeoutMs: 30_000 });
    const vault = await createTestVault();
    await server.query("CREATE TABLE t (id int)");
    const complain = (text: string): never => assert.fail(text);
    const outsideFiles = await captureOutsideFiles(local.address(), { signal: undefined, warn: complain });
    assert.deepEqual(
      outsideFiles.map(({ name }) => name),
      ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"],
    );
    const backup = await takeTestBackup(server, vault, { tools: { outsideFiles } });
    await local.stop({ mode: "fast", timeoutMs: 30_000 });
    const target = path.join(folder, "restored");
    await restoreLatest(vault, backup, { folder: target });
    for (const { name, content } of outsideFiles) {
      assert.equal(await textOf(path.join(target, "lifeboat-restore", "outside", name)), content.toString("utf8"));
    }
    assert.match(await textOf(path.join(target, "pg_hba.conf")), /^local all all peer$/m);
    await using again = await startServer({
      major: "system",
      dataFolder: target,
      until: "recovered",
      name: "restored",
    });
    assert.equal(await again.value("SELECT count(*) FROM t"), "0");
    assert.equal(await again.value("SHOW max_connections"), "200");
  });
});
