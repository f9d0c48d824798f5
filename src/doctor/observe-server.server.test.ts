import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { startPair } from "../../test/support/pairs.ts";
import { eventually } from "../../test/support/receivers.ts";
import { writeSegments } from "../../test/support/segments.ts";
import { giveTo, MAJORS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import type { LogIn } from "../postgres/server.ts";
import { type Check, diagnose } from "./decide.ts";
import type { MachineFacts } from "./facts.ts";
import { observeServer } from "./observe-server.ts";

const unseen = { kind: "unseen", why: "not looked at", remedy: "None." } as const;
const machine: MachineFacts = {
  vaultSpace: unseen,
  spoolSpace: unseen,
  sandboxSpace: unseen,
  vault: unseen,
  receiver: unseen,
  programs: unseen,
};

async function examine(server: TestServer, login: LogIn = {}) {
  const address = server.server.address({ over: "tcp", ...login });
  const policy = {
    role: address.user,
    database: "postgres",
    slot: "vault",
    applicationName: "lifeboat_vault",
    isOfStack: false,
  };
  const facts = await observeServer({ clock: systemClock }, address, {});
  const checks = diagnose({ server: facts, machine, policy });
  return (id: string): Check => {
    const found = checks.find((check) => check.id === id);
    assert.ok(found !== undefined, id);
    return found;
  };
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: everything is seen, and what is off is told with its remedy`, async () => {
    await using server = await startServer({
      major,
      name: "doctor",
      dataChecksums: false,
      settings: { max_slot_wal_keep_size: "-1" },
    });
    const check = await examine(server);
    for (const id of [
      "login",
      "replication-login",
      "version",
      "role",
      "wal-level",
      "wal-senders",
      "clock",
      "logical-slots",
      "collations",
      "tablespaces",
    ]) {
      assert.equal(check(id).level, "ok", `${id}: ${check(id).found}`);
    }
    assert.equal(check("checksums").level, "problem");
    assert.equal(check("slot").level, "warning");
    assert.equal(check("slot-limit").level, "warning");
    assert.equal(check("failure-domain").level, "warning");
    assert.match(check("synchronous").remedy ?? "", /'ANY 1 \(lifeboat_vault\)'/);
    await server.query("CREATE ROLE importer");
    await server.query("ALTER ROLE importer SET synchronous_commit = local");
    await server.query("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (lifeboat_vault)'");
    await server.server.reload();
    await eventually("the setting is loaded", async () =>
      /role importer/.test((await examine(server))("synchronous").found),
    );
    await server.query("ALTER SYSTEM SET synchronous_commit = off");
    await server.server.reload();
    await eventually("the setting is loaded", async () => (await examine(server))("synchronous").level === "problem");
  });
}

test("a standby on the same machine is told of, by name, once a tablespace lies outside", async () => {
  await using pair = await startPair();
  const { primary } = pair;
  assert.equal((await examine(primary))("tablespaces").level, "ok");
  const location = path.join(primary.folder, "space");
  await systemFiles.makeFolder(location, 0o700);
  await giveTo(await serverUser(), location);
  await primary.query(`CREATE TABLESPACE space LOCATION '${location}'`);
  const { level, found } = (await examine(primary))("tablespaces");
  assert.equal(level, "warning", found);
  assert.match(found, /^tablespace space lies .*\/space; db_replica on the same machine/);
});

test("a role without rights sees logical slots, and what was sorted by another version", async () => {
  await using server = await startServer({ major: 17, name: "doctor", settings: { wal_level: "logical" } });
  await server.query("CREATE ROLE poor LOGIN PASSWORD 'poor'");
  await server.query("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
  await server.query("CREATE DATABASE shop TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'");
  await server.query("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'shop'");
  const check = await examine(server, { user: "poor", password: "poor" });
  assert.match(check("logical-slots").found, /logical slot cdc stops/);
  assert.match(check("collations").found, /database shop by ICU [\d.]+, was by 1.0/);
});

test("a role without rights still sees most, and its statements, once run, leave nothing to complain of", async () => {
  await using server = await startServer({ major: 16, name: "doctor" });
  await server.query("CREATE ROLE poor LOGIN PASSWORD 'poor'");
  const login = { user: "poor", password: "poor" };
  const before = await examine(server, login);
  assert.equal(before("replication-login").level, "unknown");
  assert.equal(before("role").level, "problem");
  assert.equal(before("wal-level").level, "ok");
  const statements = (before("role").remedy ?? "").split("; ").map((each) => each.replace(/;$/, ""));
  assert.equal(statements.length, 4);
  for (const statement of statements) await server.query(statement);
  const after = await examine(server, login);
  assert.equal(after("role").level, "ok");
  assert.equal(after("replication-login").level, "ok");
});

test("wal_level minimal is a problem, and that replication is not possible is told by the server itself", async () => {
  await using server = await startServer({
    major: 15,
    name: "doctor",
    settings: { wal_level: "minimal", max_wal_senders: "0", full_page_writes: "off" },
  });
  const check = await examine(server);
  assert.equal(check("wal-level").level, "problem");
  assert.equal(check("wal-senders").level, "problem");
  assert.equal(check("full-page-writes").level, "problem");
  assert.equal(check("replication-login").level, "unknown");
});

test("an idle slot is a warning; invalidated, it is a problem with the way out", async () => {
  await using server = await startServer({
    major: 17,
    name: "doctor",
    walSegmentBytes: 1_048_576,
    settings: { max_slot_wal_keep_size: "1MB", max_wal_size: "2MB", min_wal_size: "2MB", wal_keep_size: "0" },
  });
  await server.query("SELECT pg_create_physical_replication_slot('vault', true)");
  assert.equal((await examine(server))("slot").level, "warning");
  await writeSegments(server, 8);
  await server.query("CHECKPOINT");
  const slot = (await examine(server))("slot");
  assert.equal(slot.level, "problem");
  assert.match(slot.remedy ?? "", /pg_drop_replication_slot\('vault'\)/);
  assert.equal((await examine(server))("slots").level, "ok");
  await server.query("SELECT pg_create_physical_replication_slot('archive', true)");
  await writeSegments(server, 8);
  await server.query("CHECKPOINT");
  const slots = (await examine(server))("slots");
  assert.equal(slots.level, "warning");
  assert.match(slots.found, /^slot archive is invalidated/);
});

test("a server that is not there is unknown in everything, with the reason once", async () => {
  await using server = await startServer({ major: 15, name: "doctor" });
  await server.server.kill();
  const check = await examine(server);
  assert.equal(check("login").level, "unknown");
  assert.equal(check("slot").found, "no ordinary connection to the server");
});
