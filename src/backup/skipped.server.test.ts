import assert from "node:assert/strict";
import { lchown, mkdir, rename, symlink } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { takeTestBackup } from "../../test/support/backups.ts";
import { type Major, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { listBackups } from "../vault/backups.ts";
import { captureOutsideFiles } from "./outside-files.ts";

/** Moves what lies at a path of the data directory elsewhere, and leaves a link there. */
async function moveAway(server: TestServer, at: string): Promise<void> {
  const from = path.join(server.dataFolder, at);
  const to = path.join(server.folder, at.replaceAll("/", "-"));
  await rename(from, to);
  await symlink(to, from);
  const user = await serverUser();
  if (user !== undefined) await lchown(from, user.uid, user.gid);
}

for (const major of [15, 18] satisfies Major[]) {
  test(`PostgreSQL ${major}: a database behind a link, which the server leaves out, is no backup; other links are told`, async () => {
    await using server = await startServer({ major });
    await server.query("CREATE DATABASE shop");
    const oid = await server.value("SELECT oid FROM pg_database WHERE datname = 'shop'");
    await server.stop("fast");
    await mkdir(path.join(server.dataFolder, "logs"));
    await moveAway(server, "logs");
    await moveAway(server, "postgresql.conf");
    await server.start();
    const vault = await createTestVault();
    const told: string[] = [];
    const onSkipped = (paths: readonly string[]): void => void told.push(...paths);
    await takeTestBackup(server, vault, { tools: { onSkipped } });
    assert.deepEqual(told.sort(), ["logs", "postgresql.conf"]);
    await server.stop("fast");
    await moveAway(server, `base/${oid}`);
    await server.start();
    await assert.rejects(takeTestBackup(server, vault, { tools: { onSkipped } }), (error) => {
      assert.ok(isLifeboatError(error, "backup.file-skipped"), String(error));
      assert.match(error.message, new RegExp(`^the server left base/${oid} out of the backup`));
      return true;
    });
    assert.equal((await listBackups(vault, {}, {})).backups.length, 1);
  });
}

test("a tablespace made in place, which PostgreSQL 15 leaves out without a word, is refused by its name", async () => {
  await using server = await startServer({ major: 15, settings: { allow_in_place_tablespaces: true } });
  const capture = () => captureOutsideFiles(server.server.address(), { warn: (text) => assert.fail(text) });
  assert.deepEqual(await capture(), []);
  await server.query("CREATE TABLESPACE inside LOCATION ''");
  await assert.rejects(capture(), (error) => {
    assert.ok(isLifeboatError(error, "backup.file-skipped"), String(error));
    assert.match(error.message, /in place .*: inside$/);
    return true;
  });
});
