/** Indexes out of order: which of them say that text is sorted by another version here, and that asking so loses nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { changePage, fileOf } from "../../test/support/planted-faults.ts";
import { prove } from "../../test/support/proofs.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { withSorting } from "./sorted-elsewhere.ts";

test("an index that is out of order on this machine says so where text is sorted by another version here", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    await server.query("CREATE COLLATION german (provider = icu, locale = 'de')");
    await server.query("CREATE TABLE t (name text COLLATE german)");
    await server.query("INSERT INTO t VALUES ('a'), ('B'), ('c')");
    // Sorted by bytes, and read as sorted by the collation: as by another version of its library.
    await server.query('CREATE INDEX by_name ON t (name COLLATE "C")');
    const german = "(SELECT oid::text::oidvector FROM pg_collation WHERE collname = 'german')";
    await server.query(`UPDATE pg_index SET indcollation = ${german} WHERE indexrelid = 'by_name'::regclass`);
    const messageOf = async (): Promise<string> => {
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      const proof = await prove({ vault, backup, server, folder }, "checked");
      assert.deepEqual(
        proof.findings.map(({ code, object }) => [code, object]),
        [["index", "database postgres, index public.by_name"]],
      );
      return proof.findings[0]?.message ?? "";
    };
    assert.doesNotMatch(await messageOf(), /another version/);
    await server.query("UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'german'");
    assert.match(await messageOf(), /may be sound where it was sorted: collation \S*german by ICU [\d.]+, was by 1.0/);
  });
});

/** Makes an index of a table in a database that goes down where it says that it goes up: it is out of order on every machine. */
async function reversed(
  server: TestServer,
  database: string,
  index: { readonly name: string; readonly key: string },
): Promise<void> {
  await server.query(`CREATE INDEX ${index.name} ON t (${index.key} DESC)`, [], { database });
  await server.query("UPDATE pg_index SET indoption = '0' WHERE indexrelid = $1::regclass", [index.name], { database });
}

test("of a database whose text is sorted by another version here, only indexes that sort text by it may be sound", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    const database = "sorted";
    await server.query("CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' ENCODING 'UTF8'");
    for (const statement of [
      "CREATE COLLATION french (provider = icu, locale = 'fr')",
      "CREATE COLLATION german (provider = icu, locale = 'de')",
      "CREATE TABLE t (id bigint, name text, code char(3))",
      "INSERT INTO t VALUES (1, 'a', 'a'), (2, 'B', 'b'), (3, 'c', 'c')",
    ]) {
      await server.query(statement, [], { database });
    }
    for (const [name, key] of Object.entries({
      by_id: "id",
      by_bytes: 'name COLLATE "C"',
      by_french: "name COLLATE french",
      by_pattern: "name text_pattern_ops",
      by_code_pattern: "code bpchar_pattern_ops",
      by_name: "name",
      by_id_and_name: "id DESC, name",
      // Numbers, which a collation makes.
      by_rank: "(id + (name > 'B' COLLATE german)::int)",
    })) {
      await reversed(server, database, { name, key });
    }
    await server.query("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorted'");
    await server.query("UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'german'", [], { database });
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "checked");
    const found = proof.findings.map(({ object, message }) => [
      object.replace("database sorted, index public.", ""),
      /may be sound where it was sorted: (.*) by ICU [\d.]+, was by 1.0\)$/.exec(message)?.[1]?.replace("public.", ""),
    ]);
    assert.deepEqual(Object.fromEntries(found), {
      by_id: undefined,
      by_bytes: undefined,
      by_french: undefined,
      by_pattern: undefined,
      by_code_pattern: undefined,
      by_name: "database sorted",
      by_id_and_name: "database sorted",
      by_rank: "collation german",
    });
  });
});

test("where the catalogue cannot tell how text is sorted, since it is damaged too, the indexes that were found stay named", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    await server.query("CREATE COLLATION german (provider = icu, locale = 'de')");
    await server.query("CREATE TABLE t (id int, name text COLLATE german)");
    await server.query("INSERT INTO t VALUES (1, 'a'), (2, 'B'), (3, 'c')");
    await reversed(server, "postgres", { name: "by_id", key: "id" });
    await reversed(server, "postgres", { name: "by_name", key: "name" });
    const file = await fileOf(server, "pg_collation_oid_index");
    await server.stop();
    // The first page does not say any more that it is an index's.
    changePage(file, 0, (page) => void page.writeUInt32LE(0, 24));
    await server.start();
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "checked");
    assert.deepEqual(
      proof.findings
        .map(({ code, object }) => `${code}: ${object.replace("database postgres, index ", "")}`)
        .toSorted(),
      ["index: pg_catalog.pg_collation_oid_index", "index: public.by_id", "index: public.by_name"],
    );
  });
});

test("a proof that is stopped while it asks how text is sorted ends", async () => {
  await using server = await startServer();
  const session = await server.server.connect({}, {});
  try {
    const finding = { object: "index public.t_pkey", code: "index", message: "it is out of order" };
    const asked = withSorting(session, [{ oid: 1, finding }], { signal: AbortSignal.abort() });
    await assert.rejects(asked, { code: "platform.aborted" });
  } finally {
    await session.close();
  }
});
