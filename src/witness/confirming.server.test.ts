/** What must be before WAL is confirmed to a governed witness's server, and what stops it (rules B9 and B10). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene } from "../../test/support/quorum-scene.ts";
import { caughtUp, eventually, openStation, RECEIVER_NAME } from "../../test/support/receivers.ts";
import { startServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { getHistory } from "../vault/wal-store.ts";
import { WitnessClient } from "./client.ts";
import { controlSocket } from "./control.ts";

const MIB = 1024 * 1024;
const CALL = { timeoutMs: 10_000 };

test("behind a gap nothing is confirmed until the replica has all that lies before what is held", async () => {
  const settings = { wal_keep_size: 0, min_wal_size: "2MB", max_wal_size: "4MB" };
  await using server = await startServer({ walSegmentBytes: MIB, settings });
  await using station = await openStation();
  const first = await station.start(server);
  const witness = new WitnessClient(controlSocket(station.spoolFolder));
  const { host, port } = server.server.address();
  const terms = { reign: 1, upstream: { host, port }, systemId: undefined, timeline: undefined, switchLsn: undefined };
  await witness.follow(terms, CALL);
  await server.query("CREATE TABLE before AS SELECT repeat('x', 900) AS t FROM generate_series(1, 300)");
  const replicaEnd = parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));
  const grant = { epoch: 1, reign: 1, duration: undefined };
  await witness.grant({ ...grant, contiguousWith: replicaEnd }, CALL);
  const confirmed = (): Promise<string> =>
    server.value("SELECT coalesce(max(flush_lsn), '0/0') FROM pg_stat_replication WHERE state = 'streaming'");
  await eventually("it confirms", async () => parseLsn(await confirmed()) >= replicaEnd);
  await first.stop();
  await eventually("the slot is free", async () => {
    return (await server.value("SELECT active FROM pg_replication_slots")) === "false";
  });
  await server.query("SELECT pg_drop_replication_slot($1)", [RECEIVER_NAME]);
  for (const round of [1, 2, 3]) {
    await server.query(`CREATE TABLE lost${round} AS SELECT repeat('x', 900) AS t FROM generate_series(1, 3000)`);
    await server.query("CHECKPOINT");
  }

  const second = await station.start(server, { stallAfterMs: 300 });
  await server.query("CREATE TABLE after AS SELECT repeat('x', 900) AS t FROM generate_series(1, 300)");
  const end = parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));
  await eventually("it is held", async () => parseLsn(second.report().flushedLsn) >= end);
  assert.equal(second.report().gaps.length, 1);
  const { rangeFrom, mayConfirm } = await witness.status(CALL);
  assert.equal(rangeFrom, parseLsn(second.report().gaps[0]?.to ?? ""));
  assert.equal(mayConfirm, false);
  await witness.grant({ ...grant, contiguousWith: undefined }, CALL);
  assert.equal(await confirmed(), "0/0", "neither the lasting grant nor one that knows nothing makes up for the gap");
  const stalled = (): string | undefined => second.report().alarms.find(({ kind }) => kind === "stalled")?.message;
  const alarm = await eventually("it says that it confirms nothing", async () => stalled());
  assert.match(alarm, /what is held begins at .* and the replica is at /);
  await witness.grant({ ...grant, contiguousWith: rangeFrom }, CALL);
  await eventually("it confirms again", async () => parseLsn(await confirmed()) >= end);
  assert.equal(stalled(), undefined);
});

test("a new timeline is confirmed only when its history is registered in the vault", async () => {
  const store = openMemoryStore({ clock: systemClock });
  const vault = { down: false };
  const refusing: Store = {
    ...store,
    name: store.name,
    get: (...given) => store.get(...given),
    getRange: (...given) => store.getRange(...given),
    head: (...given) => store.head(...given),
    list: (...given) => store.list(...given),
    delete: (...given) => store.delete(...given),
    put: async (...given) => {
      if (vault.down) {
        throw new LifeboatError("store.failed", { message: "planned outage", remedy: "Wait.", retryable: true });
      }
      await store.put(...given);
    },
  };
  await using scene = await Scene.open(18, { vault: await createTestVault(refusing) });
  await scene.write(20);
  await scene.primary.server.kill();
  const { held } = await scene.witness.withdraw(2, CALL);
  vault.down = true;
  const failingOver = scene.failOver(held);
  await eventually("the history cannot be registered", async () => {
    return (await scene.witness.status(CALL)).receiver.lastError?.code === "store.failed";
  });
  await eventually("the first commit waits", async () => {
    return (await scene.replica.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")) === "1";
  });
  vault.down = false;
  await failingOver;
  const systemId = held?.systemId ?? ("" as SystemId);
  assert.ok((await getHistory(scene.station.vault, { systemId, timeline: 2 as Timeline }, {})) !== undefined);
  await caughtUp(scene.replica, "lifeboat_vault_e2");
  await scene.assertNothingLost();
});
