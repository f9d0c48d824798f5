import assert from "node:assert/strict";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { prove } from "../../test/support/proofs.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";

/** Makes a database; answers where its folder is, once what is new in it is there. */
async function makeDatabase(server: TestServer, name: string): Promise<string> {
  await server.query(`CREATE DATABASE ${name}`);
  const oid = await server.value("SELECT oid FROM pg_database WHERE datname = $1", [name]);
  await server.query("CHECKPOINT");
  return path.join(server.dataFolder, "base", oid);
}

test("a database that is missing, one without its version and one whose map is gone fail at depth booted, all named", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    for (const name of ["shop", "stock"]) await rm(await makeDatabase(server, name), { recursive: true });
    await rm(path.join(await makeDatabase(server, "bare"), "PG_VERSION"));
    await rm(path.join(await makeDatabase(server, "mapless"), "pg_filenode.map"));
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "checked");
    assert.deepEqual([proof.reached, proof.failedAt], ["intact", "booted"]);
    assert.deepEqual(
      proof.findings.map(({ object, code }) => [object, code]),
      ["shop", "stock", "bare", "mapless"].map((name) => [`database ${name}`, "database"]),
    );
    assert.match(proof.findings[0]?.message ?? "", /"shop" does not exist/);
  });
});

test("a missing database that nobody may log in to fails at depth checked", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    const gone = await makeDatabase(server, "shop");
    await server.query("ALTER DATABASE shop ALLOW_CONNECTIONS false");
    await rename(gone, path.join(server.folder, "elsewhere"));
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "checked");
    assert.deepEqual([proof.reached, proof.failedAt], ["booted", "checked"]);
    assert.deepEqual(
      proof.findings.map(({ object, code }) => [object, code]),
      [["database shop", "database"]],
    );
  });
});

test("a database whose sessions load a library that is not here, or are refused by a trigger, is there all the same", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer({ major: 17 });
    for (const name of ["loading", "guarded"]) await server.query(`CREATE DATABASE ${name}`);
    await server.onOneSession({ database: "guarded" }, async (ask) => {
      await ask("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$");
      await ask("CREATE EVENT TRIGGER refusing ON login EXECUTE FUNCTION refuse()");
      await ask("ALTER EVENT TRIGGER refusing ENABLE ALWAYS");
    });
    await server.query("ALTER DATABASE loading SET session_preload_libraries = 'of_another_machine'");
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "booted");
    assert.deepEqual([proof.reached, proof.findings], ["booted", []]);
  });
});
