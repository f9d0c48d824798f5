import assert from "node:assert/strict";
import { test } from "node:test";
import { conninfoOf, REPLICA_NAME, startPair } from "../../test/support/pairs.ts";
import { eventually } from "../../test/support/receivers.ts";
import { MAJORS, SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import { SwallowingRelay } from "../../test/support/swallowing-relay.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Cost, costsOf } from "../failover/costs.ts";
import { systemClock } from "../platform/clock.ts";
import { COLLATIONS_MAX } from "../postgres/collations.ts";
import { LOGICAL_SLOTS_SQL } from "../postgres/logical-slots.ts";
import { askInventory } from "./inventory.ts";

const CALL = { timeoutMs: 5_000 };

function ask({ server }: TestServer, database = "postgres"): ReturnType<typeof askInventory> {
  const { socketFolder: host, port } = server.setup;
  const { name: user, password } = SUPERUSER;
  const address = {
    host,
    port,
    user,
    password,
    database,
    tls: { mode: "disable" },
    applicationName: "survey",
  } as const;
  const place = { ...address, connectTimeoutMs: 5_000 };
  return askInventory({ server: place, database: place }, CALL);
}

async function costs(of: { readonly primary: TestServer; readonly replica: TestServer }): Promise<readonly Cost[]> {
  const [primary, candidate] = await Promise.all([ask(of.primary), ask(of.replica)]);
  assert.deepEqual([primary.isStandby, candidate.isStandby], [false, true]);
  return costsOf({
    primary: { name: "db", inventory: primary },
    candidate: { name: REPLICA_NAME, inventory: candidate },
  });
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: a logical slot that the replica does not have is a cost of promoting it; a physical one, and one of a session, are not`, async () => {
    await using pair = await startPair({ major, settings: { wal_level: "logical" } });
    assert.deepEqual(await costs(pair), []);
    const session = await pair.primary.server.connect({}, {});
    await session.query("SELECT pg_create_logical_replication_slot('passing', 'pgoutput', true)", [], CALL);
    await pair.primary.query("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
    const [cost, ...others] = await costs(pair);
    assert.deepEqual(
      (await ask(pair.primary)).slots.map(({ name }) => name),
      ["cdc"],
    );
    await session.close();
    assert.deepEqual([cost?.code, cost?.of, others], ["slot-missing", "cdc", []]);
    assert.match(cost?.says ?? "", major < 17 ? /copies none/ : /not marked failover/);
  });
}

for (const major of MAJORS.filter((each) => each < 17)) {
  test(`PostgreSQL ${major}: the slot that an old primary kept is no copy of the one that was made anew since`, async () => {
    await using pair = await startPair({ major, settings: { wal_level: "logical" } });
    const make = "SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')";
    await pair.primary.query(make);
    const before = await ask(pair.primary);
    await pair.replica.query("SELECT pg_promote()");
    await pair.replica.query(make);
    const after = await ask(pair.replica);
    assert.equal(before.timelineStart, undefined);
    // At the latest where the reign began: nothing was written in between.
    assert.ok((after.timelineStart ?? -1n) >= (before.slots[0]?.confirmed ?? 0n));
    const found = costsOf({
      primary: { name: REPLICA_NAME, inventory: after },
      candidate: { name: "db", inventory: { ...before, isStandby: true } },
    });
    assert.deepEqual(
      found.map(({ code, of }) => `${code} ${of}`),
      ["slot-missing cdc"],
    );
    assert.match(found[0]?.says ?? "", /one of its own on db, which stands still/);
  });
}

for (const major of MAJORS.filter((each) => each >= 17)) {
  test(`PostgreSQL ${major}: a slot that is marked failover costs nothing once the replica has it, and is gone on from there when it was promoted`, async () => {
    await using pair = await startPair({ major, settings: { wal_level: "logical", hot_standby_feedback: true } });
    const { primary, replica } = pair;
    const changes =
      "SELECT count(*) FROM pg_logical_slot_get_binary_changes('cdc', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')";
    await primary.query("CREATE TABLE t (id int)");
    await primary.query("CREATE PUBLICATION p FOR ALL TABLES");
    await primary.query("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput', false, false, true)");
    assert.match((await costs(pair))[0]?.says ?? "", /though it is marked failover/);
    const conninfo = `${conninfoOf(primary, REPLICA_NAME)} dbname=postgres`;
    await replica.query(`ALTER SYSTEM SET primary_conninfo = '${conninfo}'`);
    await replica.query("ALTER SYSTEM SET sync_replication_slots = on");
    await replica.query("SELECT pg_reload_conf()");
    await eventually("the replica has the slot", async () => {
      // It is whole there once the primary's has moved on to what the replica can decode.
      await primary.query("SELECT pg_log_standby_snapshot()");
      await primary.query(changes);
      return (await costs(pair)).length === 0;
    });
    await replica.query("SELECT pg_promote()");
    await replica.query("INSERT INTO t VALUES (1)");
    assert.ok(Number(await replica.value(changes)) > 0);
  });
}

test("what was sorted by another version is told, of databases and of collations that something uses, with statements that put it right", async () => {
  await using server = await startServer({ major: 16 });
  await server.query("CREATE DATABASE shop TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'");
  await server.query("CREATE COLLATION german (provider = icu, locale = 'de')");
  await server.query("CREATE COLLATION unused (provider = icu, locale = 'fr')");
  await server.query('CREATE TABLE t (a text COLLATE german, b text COLLATE "sv-x-icu")');
  await server.query("CREATE INDEX ON t (a)");
  const well = await ask(server);
  assert.deepEqual(
    well.collations.map(({ kind, name, library }) => `${kind} ${name} ${library}`),
    ["database shop ICU", 'collation "sv-x-icu" ICU', "collation public.german ICU"],
  );
  const judged = async (): Promise<readonly Cost[]> => {
    const inventory = await ask(server);
    return costsOf({ primary: { name: "db", inventory }, candidate: { name: REPLICA_NAME, inventory } });
  };
  assert.deepEqual(await judged(), []);
  await server.query("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'shop'");
  await server.query("UPDATE pg_collation SET collversion = '1.0' WHERE collname IN ('german', 'unused')");
  const changed = await judged();
  assert.deepEqual(
    changed.map(({ code, of }) => `${code} ${of}`),
    ["collation-changed shop", "collation-changed public.german"],
  );
  const [shop = "", german = ""] = changed.map(({ remedy }) => remedy);
  for (const statement of /In it: (.*);$/.exec(shop)?.[1]?.split("; ") ?? []) {
    await server.query(statement, [], { database: "shop" });
  }
  await server.query(/(ALTER COLLATION .*);$/.exec(german)?.[1] ?? "");
  assert.deepEqual(await judged(), []);
});

test("slots of sessions crowd out none that last; who has more collations than are read says so", async () => {
  await using server = await startServer({ major: 16, settings: { wal_level: "logical" } });
  const session = await server.server.connect({}, {});
  await session.query("SELECT pg_create_logical_replication_slot('a_passing', 'pgoutput', true)", [], CALL);
  await server.query("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
  const asked = (await server.query(LOGICAL_SLOTS_SQL)) as readonly { readonly slot: { readonly slot_name: string } }[];
  assert.deepEqual(
    asked.map(({ slot }) => slot.slot_name),
    ["cdc"],
  );
  const before = await ask(server);
  await session.close();
  await server.query(`DO $$ BEGIN FOR i IN 1..${COLLATIONS_MAX + 1} LOOP
    EXECUTE format('CREATE COLLATION c%s (provider = icu, locale = ''de'')', i);
    EXECUTE format('CREATE DOMAIN d%s AS text COLLATE c%s', i, i);
  END LOOP; END $$`);
  assert.deepEqual([before.isCut, (await ask(server)).isCut], [false, true]);
});

test("a server that freezes after the login has been asked for long enough once the call's time is over", async () => {
  await using server = await startServer({ major: 16 });
  await using relay = await SwallowingRelay.open(server.server.setup.port);
  await using blocking = await heldLock(server, "pg_collation");
  const { name: user, password } = SUPERUSER;
  const address = { host: "127.0.0.1", port: relay.port, user, password, tls: { mode: "disable" } } as const;
  const begun = systemClock.monotonic();
  const place = { ...address, database: "postgres", applicationName: "survey", connectTimeoutMs: 5_000 };
  const asking = askInventory({ server: place, database: place }, { timeoutMs: 1_500 });
  asking.catch(() => undefined);
  await eventually("its last statement waits", async () => blocking.waiting("survey"));
  relay.cut();
  await assert.rejects(asking, (error) => isLifeboatError(error, "postgres.timeout"));
  assert.ok(systemClock.monotonic() - begun < 2_500, `after ${systemClock.monotonic() - begun} ms`);
});

test("who owns the protected database does not become a superuser by being asked", async () => {
  await using server = await startServer({ major: 16 });
  await server.query("CREATE ROLE app LOGIN");
  await server.query("CREATE DATABASE catalog OWNER app");
  await server.onOneSession({ database: "catalog", user: "app" }, async (ask) => {
    const take = "LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE app SUPERUSER'; RETURN NULL; END $$";
    // Matches better than the server's own, of bigint; and is found first.
    await ask(`CREATE FUNCTION pg_read_file(text, int, int, boolean) RETURNS text ${take}`);
    await ask(`CREATE FUNCTION pg_is_in_recovery() RETURNS boolean ${take}`);
    await ask("ALTER DATABASE catalog SET search_path = public, pg_catalog");
  });
  await ask(server, "catalog");
  assert.equal(await server.value("SELECT rolsuper::text FROM pg_roles WHERE rolname = 'app'"), "false");
});

/** A lock on a table that is kept until it is disposed of. */
async function heldLock({ server }: TestServer, table: string) {
  const session = await server.connect({}, {});
  await session.query("BEGIN", [], CALL);
  await session.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`, [], CALL);
  const waiters = "SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
  return {
    waiting: async (name: string) => {
      // What it has seen once it sees until the transaction ends.
      await session.query("SELECT pg_stat_clear_snapshot()", [], CALL);
      return (await session.query(waiters, [name], CALL)).length > 0;
    },
    [Symbol.asyncDispose]: () => session.close(),
  };
}
