import assert from "node:assert/strict";
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { fileOf } from "../../test/support/planted-faults.ts";
import { prove } from "../../test/support/proofs.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";

const remove = (file: string): void => rmSync(file);
const empty = (file: string): void => truncateSync(file, 0);
const cut = (file: string): void => truncateSync(file, Math.floor(statSync(file).size / BLOCK_BYTES / 2) * BLOCK_BYTES);
const blankEnd = (file: string): void => {
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0, bytes.byteLength - BLOCK_BYTES));
};

/** What is done to which file, and what is found. */
const DAMAGES = [
  ["emptied", empty, /^table public\.emptied: index public\.emptied_\w+ has entries .* it has 0 blocks/],
  ["halved", cut, /^table public\.halved: index public\.halved_\w+ has entries .* it has \d+ blocks/],
  ["blanked", blankEnd, /^table public\.blanked: index public\.blanked_\w+ .* which is all zero/],
  ["listed", cut, /^table public\.listed: index public\.listed_few_idx has entries/],
  ["unindexed", cut, /^table public\.unindexed: the visibility map knows rows in block/],
  ["gone", remove, /^table public\.gone: the file of public\.gone, base\/\d+\/\d+, is not there$/],
  ["gone_btree", remove, /^index public\.gone_btree: the file of .* is not there$/],
  ["gone_gin", remove, /^index public\.gone_gin: the file of .* is not there$/],
  ["empty_hash", empty, /^index public\.empty_hash: the file of .* is empty/],
  ["sound_id_seq", remove, /^sequence public\.sound_id_seq: the file of .* is not there$/],
] as const;

async function fill(server: TestServer): Promise<void> {
  for (const table of ["emptied", "halved", "blanked", "gone", "sound"]) {
    await server.query(`CREATE TABLE ${table} (id serial PRIMARY KEY, body text, words text[])`);
    await server.query(
      `INSERT INTO ${table} (body, words) SELECT md5(g::text), ARRAY[g::text] FROM generate_series(1, 2000) g`,
    );
  }
  // The index lists the rows of its one value.
  await server.query("CREATE TABLE listed AS SELECT 1 AS few, body FROM sound");
  await server.query("CREATE INDEX ON listed (few)");
  await server.query("CREATE TABLE unindexed AS SELECT body FROM sound");
  await server.query("CREATE INDEX gone_btree ON sound (body)");
  await server.query("CREATE INDEX gone_gin ON sound USING gin (words)");
  await server.query("CREATE INDEX empty_hash ON sound USING hash (body)");
  await server.query("VACUUM (ANALYZE) unindexed");
  await server.query("CHECKPOINT");
}

test("files that the server had lost, wholly or their end, before the backup was taken are each found at depth checked", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    await fill(server);
    const files = new Map<string, string>();
    for (const [relation] of DAMAGES) files.set(relation, await fileOf(server, relation));
    await server.stop();
    for (const [relation, damage] of DAMAGES) damage(files.get(relation) ?? "");
    await server.start();
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "checked");
    assert.deepEqual([proof.reached, proof.failedAt], ["booted", "checked"]);
    const found = proof.findings
      .filter(({ code }) => code === "file")
      .map(({ object, message }) => `${object.replace("database postgres, ", "")}: ${message}`);
    for (const [, , pattern] of DAMAGES)
      assert.equal(found.filter((each) => pattern.test(each)).length, 1, `${pattern} in\n${found.join("\n")}`);
    assert.equal(found.length, DAMAGES.length, found.join("\n"));
  });
});
