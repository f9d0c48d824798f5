import assert from "node:assert/strict";
import { appendFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import {
  contentOf,
  restoreLatest,
  restoreTools,
  storeServerWal,
  takeTestBackup,
  withFolder,
} from "../../test/support/backups.ts";
import { makeLargeTable } from "../../test/support/large-table.ts";
import { giveTo, MAJORS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import { checkVault } from "../vault/check.ts";
import { prepareRestore, runRestore } from "./restore.ts";

/** Everything that lies in a data directory in its own way. */
async function fill(server: TestServer, tablespaceFolder: string): Promise<void> {
  await server.query("CREATE TABLE plain (id int PRIMARY KEY, body text)");
  await server.query("INSERT INTO plain SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 20000) g");
  await server.query("CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY)");
  await server.query("INSERT INTO unlogged SELECT generate_series(1, 100)");
  await server.query(`CREATE TABLESPACE elsewhere LOCATION '${tablespaceFolder}'`);
  await server.query("CREATE TABLE moved (id int, body text) TABLESPACE elsewhere");
  await server.query("INSERT INTO moved SELECT g, md5(g::text) FROM generate_series(1, 5000) g");
  if (server.major > 15) {
    // A base backup of 15 leaves such a tablespace out.
    await server.query("CREATE TABLESPACE in_place LOCATION ''");
    await server.query("CREATE TABLE kept_inside TABLESPACE in_place AS SELECT generate_series(1, 500) AS id");
  }
  await server.query("CREATE DATABASE copied TEMPLATE template0 STRATEGY file_copy");
  await server.query("CREATE TABLE inside (id int)", [], { database: "copied" });
  await server.query("INSERT INTO inside SELECT generate_series(1, 77)", [], { database: "copied" });
  await server.query("VACUUM plain");
}

async function restoredServer(server: TestServer, folder: string): Promise<TestServer> {
  await giveTo(await serverUser(), folder);
  return startServer({ major: server.major, dataFolder: folder, until: "recovered", name: "restored" });
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: a restore holds what the server held, in every kind of file, after the backup too`, async () => {
    await withFolder(async (folder) => {
      const tablespaceFolder = path.join(folder, "elsewhere");
      await systemFiles.makeFolder(tablespaceFolder, 0o700);
      await giveTo(await serverUser(), tablespaceFolder);
      await using server = await startServer({ major, settings: { allow_in_place_tablespaces: true } });
      // As of who moved a configuration of Debian's into the data directory: a copy must not work in the original.
      // And a file of access rules that is not on the machine of the copy.
      const moved = `data_directory = '${server.dataFolder}'\nhba_file = '${folder}/elsewhere/pg_hba.conf'\n`;
      await appendFile(path.join(server.dataFolder, "postgresql.conf"), moved);
      await fill(server, tablespaceFolder);
      const vault = await createTestVault();
      const rules = "# of elsewhere\nlocal all all trust\nhost all all 127.0.0.1/32 trust\n";
      const outsideFiles = [{ name: "pg_hba.conf", content: Buffer.from(rules) }];
      const backup = await takeTestBackup(server, vault, { tools: { outsideFiles } });
      await server.query("INSERT INTO plain SELECT g, 'after the backup' FROM generate_series(20001, 21000) g");
      await server.query("DELETE FROM moved WHERE id % 3 = 0");
      await server.query("SELECT pg_switch_wal()");
      await storeServerWal(server, vault);
      const [wanted, wantedInside] = [await contentOf(server), await contentOf(server, "copied")];
      const target = path.join(folder, "restored");
      await restoreLatest(vault, backup, { folder: target, tablespacesUnder: path.join(folder, "tablespaces") });
      assert.equal(`${await systemFiles.readFile(path.join(target, "pg_hba.conf"))}`, rules);
      await using restored = await restoredServer(server, target);
      const found = new Map(await contentOf(restored));
      // Unlogged tables are empty after recovery, by their definition.
      assert.equal(found.get("public.unlogged"), "0 0");
      found.set("public.unlogged", wanted.get("public.unlogged") ?? "");
      assert.deepEqual(found, wanted);
      assert.deepEqual(await contentOf(restored, "copied"), wantedInside);
      // What a copy of the folder is started with by hand; nothing else is read to tell.
      const copy = path.join(folder, "copy");
      await systemFiles.makeFolder(copy);
      await systemFiles.link(path.join(target, "postgresql.conf"), path.join(copy, "postgresql.conf"));
      await giveTo(await serverUser(), copy);
      const command = path.join(server.installation.binFolder, "postgres");
      for (const place of [target, copy]) {
        const said = ["-D", place, "-C", "data_directory"];
        const alone = await systemProcesses.run({ command, args: said, user: await serverUser(), timeoutMs: 10_000 });
        assert.equal(alone.stdout.trim(), place, "started by hand it works where it lies, too");
      }
      await restored.query("INSERT INTO unlogged VALUES (1)");
      await restored.query("INSERT INTO moved VALUES (1, 'writable')");
      await restored.query("CREATE EXTENSION amcheck");
      await restored.query("SELECT bt_index_check(oid, true) FROM pg_class WHERE relname = 'plain_pkey'");
      assert.equal(
        await restored.value("SELECT count(*) FROM pg_class, verify_heapam(oid) WHERE relname = 'plain'"),
        "0",
      );
      const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
      assert.deepEqual(report.findings, []);
      assert.equal(report.backups[0]?.whole, true);
      assert.deepEqual(report.unreferencedPacks, []);
    });
  });
}

describe("restoring", () => {
  test("a relation of more than one gigabyte file comes back whole", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer();
      await makeLargeTable(server);
      assert.ok(Number(await server.value("SELECT pg_relation_size('large')")) > 1024 ** 3);
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      const sums = "SELECT sum(hashint4(id)::bigint) || ' ' || sum(hashtext(body)::bigint) FROM large";
      const wanted = await server.value(sums);
      await server.stop("immediate");
      await restoreLatest(vault, backup, { folder: path.join(folder, "restored") });
      await using restored = await restoredServer(server, path.join(folder, "restored"));
      assert.equal(await restored.value(sums), wanted);
    });
  });

  test("to a time stops before what was committed after it", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer();
      await server.query("CREATE TABLE t (id int)");
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      await server.query("INSERT INTO t VALUES (1)");
      const time = Number(await server.value("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000) + 1"));
      await server.query("SELECT pg_sleep(0.05)");
      await server.query("DELETE FROM t");
      for (let round = 0; round < 3; round += 1) {
        await server.query("INSERT INTO t VALUES (2)");
        await server.query("SELECT pg_switch_wal()");
      }
      await storeServerWal(server, vault);
      const tools = restoreTools(vault, backup);
      const request = { systemId: backup.systemId, acceptGap: false };
      const plan = await prepareRestore(
        tools,
        { ...request, target: { kind: "time", time: time as Instant, inclusive: true } },
        {},
      );
      const whole = await prepareRestore(tools, { ...request, target: { kind: "latest" } }, {});
      assert.ok(plan.segments.length < whole.segments.length, "WAL after the moment is not laid");
      const target = path.join(folder, "restored");
      const place = { folder: target, tablespaces: { byOid: new Map(), under: undefined }, owner: await serverUser() };
      await runRestore(tools, plan, place, {});
      await using restored = await restoredServer(server, target);
      assert.equal(await restored.value("SELECT string_agg(id::text, ',') FROM t"), "1");
      const tooLate = { kind: "time", time: (time + 3_600_000) as Instant, inclusive: true } as const;
      await assert.rejects(prepareRestore(tools, { ...request, target: tooLate }, {}), (error) =>
        isLifeboatError(error, "restore.point-out-of-reach"),
      );
      const tooEarly = { kind: "time", time: (time - 3_600_000) as Instant, inclusive: true } as const;
      await assert.rejects(prepareRestore(tools, { ...request, target: tooEarly }, {}), (error) =>
        isLifeboatError(error, "restore.no-backup"),
      );
    });
  });
});
