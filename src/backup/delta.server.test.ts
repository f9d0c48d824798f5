import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { takeTestBackup } from "../../test/support/backups.ts";
import { keptPages, placesOf } from "../../test/support/page-places.ts";
import { dropTemplates, giveTo, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { assertRestores, countBothWays } from "../../test/support/soundness.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemFiles } from "../platform/files.ts";

/** In place of the slot of a receiver: WAL since the last backup stays on the server. */
const SMALL = { walSegmentBytes: 1_048_576, settings: { wal_keep_size: "4GB", max_wal_size: "4GB" } };

async function run(server: TestServer, statements: readonly string[], database = "postgres"): Promise<void> {
  for (const statement of statements) await server.query(statement, [], { database });
}

const rows = (table: string, from: number, to: number): string =>
  `INSERT INTO ${table} SELECT g, repeat(md5(g::text), 4) FROM generate_series(${from}, ${to}) g`;

const BEFORE: readonly string[] = [
  ...["plain", "dropped", "grown", "packed", "going"].map((table) => `CREATE TABLE ${table} (id int, body text)`),
  "CREATE TABLE moved (id int PRIMARY KEY USING INDEX TABLESPACE elsewhere, body text) TABLESPACE elsewhere",
  "CREATE UNLOGGED TABLE unlogged (id int, body text)",
  ...["plain", "dropped", "grown", "packed", "going", "moved", "unlogged"].map((table) => rows(table, 1, 2000)),
  "CREATE TABLE kinds (place point, words tsvector, name text, n int)",
  "INSERT INTO kinds SELECT point(g % 100, g / 100), to_tsvector('simple', 'w' || g % 50), md5(g::text), g % 500 FROM generate_series(1, 5000) g",
  ...["gist (place)", "gin (words)", "spgist (name)", "hash (n)", "brin (n)"].map(
    (kind) => `CREATE INDEX ON kinds USING ${kind}`,
  ),
  "CREATE DATABASE shop",
];

const AFTER: readonly string[] = [
  "DROP TABLE dropped",
  "CREATE TABLE dropped (id int, body text)",
  rows("dropped", 5001, 6000),
  "TRUNCATE grown",
  rows("grown", 7001, 10_000),
  "DELETE FROM packed WHERE id % 2 = 0",
  "VACUUM FULL packed",
  "ALTER TABLE going SET TABLESPACE elsewhere",
  "UPDATE moved SET body = 'once' WHERE id = 1000",
  "DELETE FROM kinds WHERE n % 7 = 0",
  "VACUUM kinds",
  "INSERT INTO kinds SELECT point(g % 100, 77), to_tsvector('simple', 'w' || g % 60), md5(g::text), g FROM generate_series(1, 3000) g",
  "CREATE DATABASE copied TEMPLATE shop STRATEGY file_copy",
  "CREATE DATABASE logged TEMPLATE shop STRATEGY wal_log",
];

/** Rows of the table that has an index of each kind, and whether that index can be read in order. */
const BY_KIND = [
  ["place <@ box '((10,10),(30,80))'", "index"],
  ["words @@ 'w7'::tsquery", "bitmap"],
  ["name ^@ 'a'", "index"],
  ["n = 123", "index"],
  ["n BETWEEN 100 AND 900", "bitmap"],
] as const;

describe("a delta", () => {
  test("over everything that moves, empties or makes anew the files of tables, and a crash, restores to what the server held", async () => {
    await using server = await startServer({ ...SMALL });
    const elsewhere = path.join(server.folder, "elsewhere");
    await systemFiles.makeFolder(elsewhere, 0o700);
    await giveTo(await serverUser(), elsewhere);
    await run(server, [`CREATE TABLESPACE elsewhere LOCATION '${elsewhere}'`, ...BEFORE]);
    await run(server, ["CREATE TABLE item (id int, body text)", rows("item", 1, 2000)], "shop");
    await dropTemplates(server);
    const vault = await createTestVault();
    const before = await placesOf(vault, await takeTestBackup(server, vault));
    const fileOf = (relation: string): Promise<string> => server.value(`SELECT pg_relation_filepath('${relation}')`);
    await run(server, AFTER);
    for (const database of ["copied", "logged"]) {
      await run(server, ["UPDATE item SET body = current_database() WHERE id % 5 = 0"], database);
    }
    await server.stop("immediate");
    await server.start();
    await run(server, [rows("plain", 2001, 2500), rows("unlogged", 1, 5)]);
    const backup = await takeTestBackup(server, vault);
    assert.equal(backup.whyFull, null);
    const after = await placesOf(vault, backup);
    assert.equal(after.get(await fileOf("unlogged")), undefined, "of an unlogged table only the empty form is taken");
    for (const relation of ["plain", "moved", "moved_pkey"]) {
      const kept = keptPages(before, after, await fileOf(relation)).length;
      assert.ok(kept > 3, `${kept} pages of ${relation} were kept`);
    }
    await assertRestores({ server, vault, backup }, async (restored) => {
      await run(restored, [rows("unlogged", 1, 5)]);
      for (const [where, by] of BY_KIND) {
        const { sequential, indexed } = await countBothWays(restored, `kinds WHERE ${where}`, by);
        assert.ok(sequential > 0 && sequential === indexed, `${where}: ${sequential} rows, ${indexed} by the index`);
      }
    });
  });

  test("of a server on which nothing happened stores next to nothing and restores without its parent", async () => {
    await using server = await startServer({ ...SMALL });
    await run(server, ["CREATE TABLE plain (id int, body text)", rows("plain", 1, 10_000)]);
    const vault = await createTestVault();
    const full = await takeTestBackup(server, vault);
    const delta = await takeTestBackup(server, vault);
    assert.equal(delta.parent, full.backupId);
    assert.ok(delta.storedBytes < full.storedBytes / 10, `${delta.storedBytes} of ${full.storedBytes} bytes`);
    for (const part of ["announced", "manifest", "started"]) {
      await vault.store.delete(`backups/${full.systemId}/${full.backupId}/${part}`);
    }
    await assertRestores({ server, vault, backup: delta });
  });

  test("stores what is left of a chunk whole again once less than three eighths of it is in use, and only then", async () => {
    await using server = await startServer({ ...SMALL });
    await dropTemplates(server);
    // One row a page, which stays on its page when it is updated.
    await run(server, [
      "CREATE TABLE spread (id int, body text) WITH (fillfactor = 50)",
      "ALTER TABLE spread ALTER body SET STORAGE plain",
      "INSERT INTO spread SELECT g, repeat('x', 3000) FROM generate_series(0, 159) g",
      // So that looking at a row does not change its page.
      "VACUUM (FREEZE) spread",
    ]);
    const vault = await createTestVault();
    const table = await server.value("SELECT pg_relation_filepath('spread')");
    const take = async () => placesOf(vault, await takeTestBackup(server, vault));
    const first = await take();
    const pages = first.get(table) ?? [];
    const chunkOf = (page: number): string | undefined => pages[page]?.split("/").slice(0, 2).join("/");
    const ofChunk = (chunk: string | undefined): readonly number[] =>
      pages.flatMap((_, page) => (chunkOf(page) === chunk ? [page] : []));
    const [scattered, enough, whole] = [32, 64, 96].map((page) => ofChunk(chunkOf(page)));
    assert.ok(scattered?.length === 8 && enough?.length === 8 && whole?.length === 8, "eight pages a chunk");
    // 2 of 8 pages are left of one chunk, 3 of another.
    const updated = [...scattered.slice(0, 6), ...enough.slice(0, 5)];
    await run(server, [`UPDATE spread SET body = repeat('y', 3000) WHERE id IN (${updated.join(", ")})`]);
    const second = await take();
    assert.deepEqual(
      keptPages(first, second, table),
      pages.flatMap((_, page) => (updated.includes(page) ? [] : [page])),
    );
    const third = await take();
    const again = new Set(scattered.slice(6));
    assert.deepEqual(
      keptPages(second, third, table),
      pages.flatMap((_, page) => (again.has(page) ? [] : [page])),
    );
    const backup = await takeTestBackup(server, vault);
    assert.deepEqual(keptPages(third, await placesOf(vault, backup), table), [...pages.keys()]);
    await assertRestores({ server, vault, backup });
  });
});
