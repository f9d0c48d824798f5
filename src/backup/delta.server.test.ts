import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { contentOf, restoreLatest, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import { giveTo, MAJORS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { checkVault } from "../vault/check.ts";
import type { Vault } from "../vault/vault.ts";

/** A generator of whole numbers below a bound, from a seed: mulberry32. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** In place of the slot of a receiver: WAL since the last backup stays on the server. */
const SMALL_SEGMENTS = { walSegmentBytes: 1_048_576, settings: { wal_keep_size: "4GB", max_wal_size: "4GB" } };

/** One change of a database that a delta must carry over. */
const CHANGES: readonly ((server: TestServer, draw: (below: number) => number) => Promise<unknown>)[] = [
  (server, draw) =>
    server.query(`INSERT INTO a SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, ${draw(3000)}) g`),
  (server, draw) => server.query(`UPDATE a SET body = md5(random()::text) WHERE id % 37 = ${draw(37)}`),
  (server, draw) => server.query(`DELETE FROM a WHERE id % 11 = ${draw(11)}`),
  (server) => server.query("VACUUM (FREEZE) a"),
  (server) => server.query("VACUUM FULL b"),
  (server, draw) =>
    server
      .query(`TRUNCATE b`)
      .then(() => server.query(`INSERT INTO b SELECT g, g FROM generate_series(1, ${draw(5000)}) g`)),
  (server) => server.query("REINDEX TABLE a"),
  async (server, draw) => {
    await server.query("DROP TABLE IF EXISTS c");
    await server.query(
      `CREATE TABLE c AS SELECT g AS id, md5(g::text) AS body FROM generate_series(1, ${draw(4000)}) g`,
    );
  },
  async (server, draw) => {
    await server.query("DROP DATABASE IF EXISTS other");
    await server.query(`CREATE DATABASE other STRATEGY ${draw(2) === 0 ? "file_copy" : "wal_log"}`);
  },
  async (server) => {
    await server.stop("immediate");
    await server.start();
  },
  (server) => server.query("CHECKPOINT"),
];

async function prepare(server: TestServer): Promise<void> {
  for (const extension of ["amcheck", "pg_visibility"]) await server.query(`CREATE EXTENSION ${extension}`);
  await server.query("CREATE TABLE a (id int, body text)");
  await server.query("INSERT INTO a SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, 20000) g");
  await server.query("CREATE INDEX a_id ON a (id)");
  await server.query("CREATE TABLE b (id int PRIMARY KEY, n int)");
  await server.query("INSERT INTO b SELECT g, g FROM generate_series(1, 10000) g");
}

/** Restores the newest point and compares; everything that PostgreSQL can check of itself must be in order. */
async function restoresTo(server: TestServer, vault: Vault, backup: BackupRecord): Promise<void> {
  await server.query("SELECT pg_switch_wal()");
  await storeServerWal(server, vault);
  const wanted = await contentOf(server);
  await withFolder(async (folder) => {
    const target = path.join(folder, "restored");
    const plan = await restoreLatest(vault, backup, { folder: target });
    assert.equal(plan.backup.backupId, backup.backupId);
    await giveTo(await serverUser(), target);
    await using restored = await startServer({ major: server.major, dataFolder: target, until: "recovered" });
    assert.deepEqual(await contentOf(restored), wanted);
    assert.equal(
      await restored.value("SELECT count(*) FROM pg_class c, verify_heapam(c.oid) WHERE c.relkind = 'r'"),
      "0",
    );
    await restored.query(
      "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am m ON m.oid = c.relam WHERE c.relkind = 'i' AND m.amname = 'btree'",
    );
    assert.equal(
      await restored.value("SELECT count(*) FROM pg_class c, pg_check_visible(c.oid) WHERE c.relkind = 'r'"),
      "0",
    );
  });
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: ten deltas in a row under a random workload restore to what the server held`, async () => {
    await using server = await startServer({ major, ...SMALL_SEGMENTS });
    await prepare(server);
    const seed = testSeed() + major;
    const draw = numbersFrom(seed);
    const log: string[] = [];
    const vault = await createTestVault();
    const first = await takeTestBackup(server, vault);
    assert.equal(first.whyFull, "no-parent");
    for (let delta = 1; delta <= 10; delta += 1) {
      for (let change = 0; change < 3; change += 1) {
        const drawn = draw(CHANGES.length);
        log.push(`${delta}: ${CHANGES[drawn]?.toString().slice(0, 80)}`);
        await CHANGES[drawn]?.(server, draw);
      }
      const backup = await takeTestBackup(server, vault);
      const context = `seed ${seed}, operations:\n${log.join("\n")}`;
      assert.equal(backup.whyFull, null, context);
      if (delta === 1 || delta === 5 || delta === 10 || repetitions(1) > 1) {
        await restoresTo(server, vault, backup).catch((cause: unknown) => {
          throw new Error(context, { cause });
        });
      }
    }
    const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
    assert.deepEqual(report.findings, []);
    assert.ok(report.backups.every((each) => each.whole));
  });
}

describe("a delta", () => {
  test("of a server on which nothing happened stores next to nothing and restores without its parent", async () => {
    await using server = await startServer({ major: 18, ...SMALL_SEGMENTS });
    await prepare(server);
    const vault = await createTestVault();
    const full = await takeTestBackup(server, vault);
    const delta = await takeTestBackup(server, vault);
    assert.equal(delta.parent, full.backupId);
    assert.ok(delta.storedBytes < full.storedBytes / 10, `${delta.storedBytes} of ${full.storedBytes} bytes`);
    for (const part of ["announced", "manifest", "started"]) {
      await vault.store.delete(`backups/${full.systemId}/${full.backupId}/${part}`);
    }
    await restoresTo(server, vault, delta);
  });
});
