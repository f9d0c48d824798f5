import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../../test/support/servers.ts";
import { systemFiles } from "../platform/files.ts";
import { parseLsn, type Timeline } from "../postgres/lsn.ts";
import { lookBeyondFork } from "./beyond-fork.ts";

const PROBE = "SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'lifeboat', '')";

test("commits of clients beyond the fork are counted on a server that crashed, probes and what was rolled back are not", async () => {
  await using server = await startServer({ major: 16 });
  await server.query("CREATE TABLE t (id int)");
  await server.query("INSERT INTO t VALUES (0)");
  const fork = parseLsn(await server.value("SELECT pg_current_wal_insert_lsn()"));
  for (const id of [1, 2]) await server.query(`INSERT INTO t VALUES (${id})`);
  await server.query(PROBE);
  await assert.rejects(server.query("DO $$ BEGIN INSERT INTO t VALUES (3); RAISE 'no'; END $$"));
  // A client's transaction that says something besides, one with a savepoint, and one that only reads.
  await server.query("WITH m AS (SELECT pg_logical_emit_message(true, 'x', '')) INSERT INTO t SELECT 4 FROM m");
  await server.query("DO $$ BEGIN BEGIN INSERT INTO t VALUES (5); EXCEPTION WHEN OTHERS THEN NULL; END; END $$");
  await server.query("SELECT count(*) FROM t");
  await server.query(PROBE);
  const end = parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));
  const bytes = await server.value("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'");
  const place = { timelineAt: () => 1 as Timeline, fork, walSegmentBytes: Number(bytes) };
  await server.server.kill();
  const found = await lookBeyondFork(systemFiles, server.dataFolder, place, {});
  assert.equal(found?.commits, 4);
  assert.equal(found.fork, fork);
  assert.ok(found.end >= end);
  const nowhere = await lookBeyondFork(
    systemFiles,
    server.dataFolder,
    { ...place, timelineAt: () => 9 as Timeline },
    {},
  );
  assert.deepEqual(nowhere, { fork, end: fork, commits: 0 });
});
