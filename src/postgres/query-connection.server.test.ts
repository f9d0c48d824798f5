import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MAJORS, startServer, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { openQuery, type QueryConnection } from "./query-connection.ts";
import { newSession } from "./session.ts";

const LIMIT = { timeoutMs: 30_000 };

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: queries take parameters, give rows, keep their time limit and name what went wrong`, async (t) => {
    await using server = await startServer({ major, name: "query" });
    const connection = await open(t, server);
    assert.equal(Math.floor(connection.serverVersion / 10000), major);
    assert.deepEqual(
      await connection.query("SELECT $1::int + 1 AS sum, $2::text AS word, 5::int8 AS big", [1, "a'b"], LIMIT),
      [{ sum: 2, word: "a'b", big: "5" }],
    );
    await assert.rejects(connection.query("SELECT pg_sleep(60)", [], { timeoutMs: 50 }), isCode("postgres.timeout"));
    await assert.rejects(connection.query("SELECT nothing", [], LIMIT), (error) => {
      assert.ok(isLifeboatError(error, "postgres.query-failed"), String(error));
      assert.equal(error.details["sqlstate"], "42703");
      return true;
    });
    await connection.query("CREATE ROLE guest LOGIN", [], LIMIT);
    await connection.query("SET ROLE guest", [], LIMIT);
    await assert.rejects(connection.query("SELECT * FROM pg_authid", [], LIMIT), isCode("postgres.not-permitted"));
    // None of these ended the session.
    assert.deepEqual(await connection.query("SELECT 1 AS one", [], LIMIT), [{ one: 1 }]);
    await connection.close();
    await connection.close();
  });
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: neither PGOPTIONS nor role, database or cluster say what holds in a session`, async (t) => {
    await using server = await startServer({ major, name: "query" });
    const theirs = {
      search_path: "public, pg_catalog",
      default_transaction_isolation: "serializable",
      default_transaction_read_only: "on",
      lock_timeout: "1s",
      idle_in_transaction_session_timeout: "1s",
      idle_session_timeout: "1s",
      ...(major < 17 ? {} : { transaction_timeout: "1min" }),
    };
    await server.onOneSession({}, async (ask) => {
      for (const [name, value] of Object.entries(theirs)) {
        await ask(`ALTER DATABASE postgres SET ${name} = ${name === "search_path" ? value : `'${value}'`}`);
        await ask(`ALTER ROLE ALL SET ${name} = ${name === "search_path" ? value : `'${value}'`}`);
      }
    });
    process.env["PGOPTIONS"] = "-c search_path=public -c synchronous_commit=local";
    process.env["PGREPLICATION"] = "database";
    t.after(() => {
      delete process.env["PGOPTIONS"];
      delete process.env["PGREPLICATION"];
    });
    const connection = await open(t, server);
    const session = newSession(server.server.address());
    await session.connect();
    t.after(() => session.end());
    const sql = `SELECT name, setting FROM pg_settings WHERE name = ANY ($1)`;
    const names = [...Object.keys(theirs), "synchronous_commit"];
    const seen = (await connection.query(sql, [names], LIMIT)).map(({ name, setting }) => [name, setting]);
    assert.deepEqual(Object.fromEntries(seen), {
      search_path: "pg_catalog,pg_temp",
      default_transaction_isolation: "read committed",
      default_transaction_read_only: "off",
      lock_timeout: "0",
      idle_in_transaction_session_timeout: "0",
      idle_session_timeout: "0",
      ...(major < 17 ? {} : { transaction_timeout: "0" }),
      synchronous_commit: "on",
    });
    const commit = await session.query("SHOW synchronous_commit");
    assert.deepEqual(commit.rows, [{ synchronous_commit: "on" }]);
  });
}

test("a session ended by an administrator, a killed server and an abort are told apart", async (t) => {
  await using server = await startServer({ major: 16, name: "query" });
  const ended = await open(t, server);
  const rows = await ended.query("SELECT pg_backend_pid() AS pid", [], LIMIT);
  const waiting = assert.rejects(ended.query("SELECT pg_sleep(60)", [], LIMIT), isCode("postgres.shutting-down"));
  await server.query("SELECT pg_terminate_backend($1)", [rows[0]?.["pid"]]);
  await waiting;

  const aborted = await open(t, server);
  const stop = new AbortController();
  const running = assert.rejects(
    aborted.query("SELECT pg_sleep(60)", [], { timeoutMs: 1000, signal: stop.signal }),
    isCode("platform.aborted"),
  );
  stop.abort();
  await running;
  await assert.rejects(aborted.query("SELECT 1", [], LIMIT), isCode("postgres.connection-lost"));

  const killed = await open(t, server);
  const lost = assert.rejects(killed.query("SELECT pg_sleep(60)", [], LIMIT), isCode("postgres.connection-lost"));
  await server.server.kill();
  await lost;
});

test("a server that does not answer at all is given up shortly after the query's limit", async (t) => {
  await using server = await startServer({ major: 16, name: "query" });
  const connection = await open(t, server);
  await connection.query("SELECT 1", [], { timeoutMs: 100 });
  await server.server.halt();
  await assert.rejects(connection.query("SELECT 1", [], { timeoutMs: 100 }), isCode("postgres.timeout"));
  await server.server.resume();
});

async function open(t: TestContext, server: TestServer): Promise<QueryConnection> {
  const connection = await openQuery(server.server.address(), {});
  t.after(() => connection.close());
  return connection;
}

function isCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isLifeboatError(error), String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}
