import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { writeSegments } from "../../test/support/segments.ts";
import { giveTo, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import type { LogIn } from "../postgres/server.ts";
import { slotRisks } from "../postgres/slots.ts";
import { observeRisks } from "./observe-risks.ts";

const receiver = { slot: "vault", start: "lifeboat wal receive" };
const MIB = 1_048_576;
const small = { max_wal_size: "2MB", min_wal_size: "2MB", wal_keep_size: "0", wal_level: "logical" };

async function look(server: TestServer, login: LogIn = {}) {
  const seen = await observeRisks(server.server.address({ over: "tcp", ...login }), {});
  const risks = slotRisks(seen, receiver).map(({ slot, kind }) => `${slot} ${kind}`);
  return { ...seen, risks };
}

for (const major of [15, 18] as const) {
  test(`PostgreSQL ${major}: a role without rights sees what slots cost, step by step, and what is sorted by another version`, async () => {
    await using server = await startServer({ major, name: "risks", walSegmentBytes: MIB, settings: small });
    await server.query("CREATE ROLE poor LOGIN PASSWORD 'poor'");
    const login = { user: "poor", password: "poor" };
    const untouched = await look(server, login);
    assert.deepEqual(untouched, {
      kind: "reached",
      limitBytes: null,
      roomBytes: 2 * MIB,
      slots: [],
      changedCollations: [],
      outsideTablespaces: [],
      risks: [],
    });

    await server.query("SELECT pg_create_physical_replication_slot('vault', true)");
    await server.query("SELECT pg_create_physical_replication_slot('unused')");
    await server.query("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
    assert.deepEqual((await look(server, login)).risks, []);

    await writeSegments(server, 4);
    const idle = await look(server, login);
    assert.deepEqual(idle.risks.toSorted(), ["cdc slot-idle", "vault slot-idle"]);
    const cdc = idle.slots.find(({ name }) => name === "cdc");
    assert.ok(cdc !== undefined && cdc.keptBytes !== null && cdc.keptBytes > 3 * MIB && cdc.keptBytes < 6 * MIB);
    assert.equal(cdc.slotType, "logical");
    // Only versions from 17 on tell since when nobody reads.
    assert.equal(cdc.idleMs !== null, major >= 17);
    assert.ok(cdc.idleMs === null || (cdc.idleMs >= 0 && cdc.idleMs < 60_000));
    assert.equal(idle.slots.find(({ name }) => name === "unused")?.keptBytes, null);

    // The one that so much WAL had the server begin has ended: what comes with a limit comes with the next one.
    await server.query("CHECKPOINT");
    await server.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    await server.server.reload();
    const losing = await look(server, login);
    assert.equal(losing.limitBytes, MIB);
    assert.deepEqual(losing.risks.toSorted(), ["cdc slot-unreserved", "vault slot-unreserved"]);

    await server.query("CHECKPOINT");
    assert.deepEqual((await look(server, login)).risks.toSorted(), ["cdc slot-lost", "vault slot-lost"]);

    await server.query("CREATE DATABASE shop TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'");
    await server.query("CREATE COLLATION german (provider = icu, locale = 'de')");
    await server.query("CREATE TABLE words (word text COLLATE german)");
    await server.query("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'shop'");
    await server.query("UPDATE pg_collation SET collversion = '2.0' WHERE collname = 'german'");
    const { changedCollations } = await look(server, login);
    assert.deepEqual(
      changedCollations.map(({ kind, name, library, recorded }) => ({ kind, name, library, recorded })),
      [
        { kind: "database", name: "shop", library: "ICU", recorded: "1.0" },
        { kind: "collation", name: "public.german", library: "ICU", recorded: "2.0" },
      ],
    );
    // What the remedy says is the end of it.
    await server.query("ALTER COLLATION german REFRESH VERSION");
    await server.query("ALTER DATABASE shop REFRESH COLLATION VERSION");
    assert.deepEqual((await look(server, login)).changedCollations, []);

    const location = path.join(server.folder, "space");
    await systemFiles.makeFolder(location, 0o700);
    await giveTo(await serverUser(), location);
    await server.query(`CREATE TABLESPACE space LOCATION '${location}'`);
    const { outsideTablespaces } = await look(server, login);
    assert.deepEqual(
      outsideTablespaces.map(({ oid, ...named }) => [oid > 16_383, named]),
      [[true, { name: "space", location }]],
    );
  });
}

test("a role that may not ask for the position is refused by a code, not by a bug", async () => {
  await using server = await startServer({ major: 18, name: "risks" });
  await server.query("CREATE ROLE poor LOGIN PASSWORD 'poor'");
  await server.query("REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC");
  await assert.rejects(look(server, { user: "poor", password: "poor" }), (error) =>
    isLifeboatError(error, "postgres.not-permitted"),
  );
});
