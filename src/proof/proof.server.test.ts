import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { outermost } from "../../test/support/majors.ts";
import { prove, proveFully } from "../../test/support/proofs.ts";
import { giveTo, MAJORS, serverUser, startServer } from "../../test/support/servers.ts";
import { makeShortRelations } from "../../test/support/short-relations.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemFiles } from "../platform/files.ts";
import { listProofs } from "../vault/proofs.ts";

test("functions that an application has put beside those of amcheck are not what checks its tables", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    await server.query("CREATE TABLE plain AS SELECT 1 AS id");
    for (const name of ["amcheck", "pg_visibility"]) await server.query(`CREATE EXTENSION ${name} SCHEMA public`);
    // Matches our call better: fewer parameters are left to their defaults.
    await server.query(`CREATE FUNCTION verify_heapam(relation regclass, check_toast boolean,
        OUT blkno bigint, OUT offnum int, OUT attnum int, OUT msg text) RETURNS SETOF record LANGUAGE sql
      AS $$ SELECT 1::bigint, 1, 1, 'run by ' || current_user $$`);
    const vault = await createTestVault();
    const of = { vault, backup: await takeTestBackup(server, vault), server, folder };
    assert.deepEqual((await prove(of, "checked")).findings, []);
  });
});

for (const major of outermost(MAJORS)) {
  test(`PostgreSQL ${major}: a sound backup is shown at every depth, to the newest point, and nothing stays`, async () => {
    await withFolder(async (folder) => {
      await using server = await startServer({ major, settings: { max_prepared_transactions: 1 } });
      const elsewhere = path.join(folder, "elsewhere");
      await systemFiles.makeFolder(elsewhere, 0o700);
      await giveTo(await serverUser(), elsewhere);
      await server.query("CREATE TABLE plain (id int PRIMARY KEY, body text)");
      await server.query("INSERT INTO plain SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 2000) g");
      await server.query(`CREATE TABLESPACE elsewhere LOCATION '${elsewhere}'`);
      await server.query("CREATE TABLE moved (id int) TABLESPACE elsewhere");
      await server.query("CREATE DATABASE shop");
      await server.query("VACUUM (FREEZE) plain");
      await makeShortRelations(server, "before");
      // A session of ours finds the second function by the names of the database only, as amcheck itself does not from 17 on.
      const indexed = major < 17 ? ["public.fold", "near"] : ["public.fold"];
      for (const [at, called] of indexed.entries()) {
        await server.query(`CREATE FUNCTION ${called}(text) RETURNS text IMMUTABLE RETURN lower($1)`);
        await server.query(
          `CREATE FUNCTION key_${at}(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ${called}($1); END'`,
        );
        await server.query(`CREATE INDEX plain_${at} ON plain (key_${at}(body))`);
      }
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      await makeShortRelations(server, "after");
      await server.query("INSERT INTO plain VALUES (2001, 'after the backup')");
      await server.query("ALTER FUNCTION public.fold RENAME TO gone");
      await server.query("SELECT pg_switch_wal()");
      await storeServerWal(server, vault);
      const sandboxes = path.join(folder, "sandboxes");
      const { record: proof, notCompared } = await proveFully({ vault, backup, server, folder: sandboxes }, "checked", {
        invariants: [
          { name: "newest row", database: "postgres", expect: "is-true", sql: "SELECT max(id) = 2001 FROM plain" },
          { name: "no holes", database: "postgres", expect: "no-rows", sql: "SELECT id FROM plain WHERE id > 2001" },
        ],
      });
      assert.deepEqual(proof.findings, []);
      assert.deepEqual(
        notCompared.map(({ object }) => object),
        ["database postgres, index public.plain_0"],
      );
      assert.deepEqual(
        [proof.reached, proof.failedAt, proof.serverVersion],
        ["checked", null, server.installation.version],
      );
      assert.deepEqual(
        proof.phases.map(({ phase }) => phase),
        ["present", "intact", "restore", "recover", "check"],
      );
      assert.equal(proof.pointTimeline, 2);
      assert.ok(proof.readBytes > 0 && proof.restoredBytes > backup.dataBytes && proof.walBytes > 0);
      const { databases = 0, heaps = 0, indexes = 0, pages = 0, invariants = 0 } = proof.checked ?? {};
      assert.deepEqual([databases, invariants], [4, 2]);
      assert.ok(heaps > 200 && indexes > 300 && pages > 2000, `${heaps} ${indexes} ${pages}`);
      assert.deepEqual(await systemFiles.list(sandboxes), []);
      assert.deepEqual((await listProofs(vault, {}, {})).proofs, [proof]);
    });
  });
}
