import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { MAJORS, type TestServer, withServer } from "../../test/support/servers.ts";
import { formatLsn } from "./lsn.ts";
import * as page from "./page.ts";
import { parseRelationPath } from "./relation-file.ts";

const BLOCK_BYTES = 8192;

const SCHEMA = `
  create table t (id int, word text, spot point, many int[], part int4range);
  insert into t select i, md5(i::text), point(i, i), array[i, i + 1], int4range(i, i + 9) from generate_series(1, 3000) i;
  create index on t using btree (id);
  create index on t using hash (word);
  create index on t using gist (spot);
  create index on t using gin (many);
  create index on t using spgist (part);
  create index on t using brin (id);
  create unlogged table u as select * from t;
  create sequence s;
  delete from t where id < 1000`;

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: every page that the server wrote is good, and a changed byte is found`, async () => {
    await withServer({ major, name: "page" }, async (server) => {
      for (const statement of SCHEMA.split(";")) await server.query(statement);
      await server.query("vacuum t");
      await server.stop();
      const forks = new Map<string, number>();
      let missed = 0;
      for await (const { bytes, file } of relationFiles(server)) {
        forks.set(file.fork, (forks.get(file.fork) ?? 0) + bytes.length / BLOCK_BYTES);
        for (let block = 0; block * BLOCK_BYTES < bytes.length; block += 1) missed += checkOne(bytes, block) ? 0 : 1;
      }
      for (const fork of ["main", "fsm", "vm", "init"]) assert.ok((forks.get(fork) ?? 0) > 0, fork);
      // A checksum of 16 bits lets one change in 65535 pass, of some 3000 made here.
      assert.ok(missed < 5, `${missed} changes passed`);
    });
  });

  test(`PostgreSQL ${major}: the fields of a page are what pageinspect says`, async () => {
    await withServer({ major, name: "page" }, async (server) => {
      await server.query("create extension pageinspect");
      await server.query("create table t as select i from generate_series(1, 300) i");
      await server.query("vacuum t");
      const [raw] = await server.query("select get_raw_page('t', 0) as page");
      const bytes = raw?.["page"];
      assert.ok(Buffer.isBuffer(bytes));
      const [theirs] = await server.query("select * from page_header($1::bytea)", [bytes]);
      assert.equal(formatLsn(page.pageLsn(bytes, 0)), theirs?.["lsn"]);
      assert.equal(page.pageFlags(bytes, 0), theirs?.["flags"]);
      assert.equal(page.pageLower(bytes, 0), theirs?.["lower"]);
      assert.equal(page.pageUpper(bytes, 0), theirs?.["upper"]);
      assert.equal(page.pageSpecial(bytes, 0), theirs?.["special"]);
      assert.equal(page.isAllVisible(bytes, 0), true);
      // Also a block of a second segment file, and one in the upper half of the numbers.
      for (const block of ["0", "1", "131073", "4000000000"]) {
        const sum = await server.value("select page_checksum($1, $2::bigint)", [bytes, block]);
        assert.equal(page.computeChecksum(bytes, 0, Number(block)), Number(sum) & 0xffff, block);
      }
    });
  });
}

/** Judges a page, changes it, and tells whether that shows. */
function checkOne(bytes: Buffer, block: number): boolean {
  const offset = block * BLOCK_BYTES;
  const expected = { blockNumber: block, checksums: true };
  const verdict = page.judgePage(bytes, offset, expected);
  if (verdict === "empty") return true;
  assert.equal(verdict, "good", `block ${block}`);
  const at = offset + 24 + ((block * 97) % (BLOCK_BYTES - 24));
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  return page.judgePage(bytes, offset, expected) === "bad-checksum";
}

async function* relationFiles(server: TestServer) {
  for (const name of await readdir(server.dataFolder, { recursive: true })) {
    const file = parseRelationPath(name);
    if (file !== undefined) yield { file, bytes: await readFile(path.join(server.dataFolder, name)) };
  }
}
