/** Replication as real servers say it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Pair, REPLICA_NAME, startPair } from "../../test/support/pairs.ts";
import { eventually, openStation, RECEIVER_NAME } from "../../test/support/receivers.ts";
import { MAJORS } from "../../test/support/servers.ts";
import { systemClock } from "../platform/clock.ts";
import type { ConfirmerView, ReplicationView } from "./decide.ts";
import { ReplicationWatch } from "./watch.ts";

const MIB = 1024 ** 2;

/** Where a replica of a test runs that is idle and well: seconds by heartbeat stay far below. */
const WELL_MS_MAX = 1_000;

/** The server by itself writes something every 15 seconds at most. */
const UNSEEN_MS_MAX = 3_000;

function watchOf(pair: Pair): ReplicationWatch {
  return new ReplicationWatch(
    { clock: systemClock },
    {
      nodes: [
        { name: "db", address: pair.primary.server.address({ user: "watcher", password: "watch", over: "tcp" }) },
        {
          name: REPLICA_NAME,
          address: pair.replica.server.address({ user: "watcher", password: "watch", over: "tcp" }),
        },
      ],
      confirmers: async () => [
        { kind: "replica", name: "db", slot: "db" },
        { kind: "replica", name: REPLICA_NAME, slot: REPLICA_NAME },
        { kind: "receiver", name: RECEIVER_NAME, slot: RECEIVER_NAME },
      ],
      policy: { lagMsMax: 2_000, lagBytesMax: 64 * MIB },
    },
  );
}

/** A role that may look and not change, as the watch of a stack uses. */
async function makeWatcher(pair: Pair): Promise<void> {
  await pair.primary.query("CREATE ROLE watcher LOGIN PASSWORD 'watch'");
  await pair.primary.query("GRANT pg_monitor TO watcher");
  const lsn = await pair.primary.value("SELECT pg_current_wal_lsn()");
  await eventually("the replica knows the role", async () => {
    return (await pair.replica.value(`SELECT pg_last_wal_replay_lsn() >= '${lsn}'`)) === "true";
  });
}

/** Transaction ids that the primary has given away. */
async function nextXid(pair: Pair): Promise<string> {
  await pair.primary.query("CHECKPOINT");
  return await pair.primary.value("SELECT next_xid FROM pg_control_checkpoint()");
}

function named(view: ReplicationView, name: string): ConfirmerView {
  const found = view.confirmers.find((each) => each.name === name);
  assert(found !== undefined);
  return found;
}

const replayMs = (view: ReplicationView): number => {
  const { replay } = named(view, REPLICA_NAME).lag;
  return replay.kind === "known" ? replay.ms : -1;
};

const codes = (view: ReplicationView): readonly string[] => view.faults.map(({ code }) => code);

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: an idle primary's confirmers have no lag at the first look, and a replica that stands still shows it`, async () => {
    await using pair = await startPair({ major });
    await using station = await openStation();
    await station.start(pair.primary);
    await makeWatcher(pair);
    const watch = watchOf(pair);
    const first = await watch.look({});
    assert.deepEqual(first.faults, []);
    assert.deepEqual(first.primaries, ["db"]);
    assert.equal(first.timeline, 1);
    for (const name of [REPLICA_NAME, RECEIVER_NAME]) {
      const { connected, state, lag, slotView } = named(first, name);
      assert.deepEqual([connected, state, slotView?.active], [true, "streaming", true]);
      assert.deepEqual(lag.flush, { kind: "known", bytes: 0, ms: 0, atLeast: false });
    }
    assert.deepEqual(named(first, REPLICA_NAME).lag.replay, { kind: "known", bytes: 0, ms: 0, atLeast: false });
    const { reception, conflicts } = named(first, REPLICA_NAME);
    assert.deepEqual([reception?.status, reception?.timeline, reception?.slot], ["streaming", 1, REPLICA_NAME]);
    assert.equal(conflicts?.["lock"], 0);
    assert.deepEqual(new Set(Object.values(conflicts ?? {})), new Set([0]));
    const xid = await nextXid(pair);
    // Idle it stays at nothing from look to look, and a replica that stands still falls behind for longer and longer.
    await eventually("a later look of an idle primary", async () => replayMs(await watch.look({})) < WELL_MS_MAX);
    await pair.replica.query("SELECT pg_wal_replay_pause()");
    const pausedAt = systemClock.monotonic();
    const stuck = await eventually("two seconds behind, with nothing written but heartbeats", async () => {
      const view = await watch.look({});
      return replayMs(view) > 2_000 && view;
    });
    // From the first heartbeat on, and not from when the server had something to write of its own.
    const unseenMs = systemClock.monotonic() - pausedAt - replayMs(stuck);
    assert.ok(unseenMs < UNSEEN_MS_MAX, `${unseenMs} ms`);
    assert.deepEqual(codes(stuck), ["replay-paused", "lagging"]);
    const { flush } = named(stuck, REPLICA_NAME).lag;
    assert.ok(flush.kind === "known" && flush.ms < WELL_MS_MAX, JSON.stringify(flush));
    assert.equal(await nextXid(pair), xid);
    await pair.replica.query("SELECT pg_wal_replay_resume()");
    const well = await eventually("well again", async () => {
      const view = await watch.look({});
      return view.faults.length === 0 && view;
    });
    assert.ok(replayMs(well) < WELL_MS_MAX);
  });
}

test("a replica that is away is disconnected and never at zero, its slot keeps WAL, and it is well when it is back", async () => {
  await using pair = await startPair();
  await using station = await openStation();
  const receiver = await station.start(pair.primary);
  await makeWatcher(pair);
  const watch = watchOf(pair);
  await watch.look({});
  await pair.replica.stop();
  await receiver.stop();
  const away = await eventually("both are gone", async () => {
    const view = await watch.look({});
    return view.confirmers.every(({ connected }) => !connected) && view;
  });
  assert.deepEqual(codes(away), ["node-unreachable", "disconnected", "disconnected"]);
  for (const { lag } of away.confirmers) assert.deepEqual(lag.replay, { kind: "disconnected" });
  await pair.primary.query("CREATE TABLE bulk AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 5000)");
  const kept = named(await watch.look({}), REPLICA_NAME).slotView;
  assert.ok((kept?.keptBytes ?? 0) > MIB, JSON.stringify(kept));
  assert.equal(kept?.active, false);
  await pair.replica.start();
  await eventually("the replica is well again", async () => {
    const view = await watch.look({});
    return named(view, REPLICA_NAME).lag.replay.kind === "known" && replayMs(view) < WELL_MS_MAX;
  });
});

test("a frozen primary is a fault within the time of a look, and a replica that hears nothing is not called connected", async () => {
  await using pair = await startPair({ settings: { wal_receiver_timeout: "60s" } });
  await makeWatcher(pair);
  const watch = watchOf(pair);
  await watch.look({});
  await pair.primary.server.halt();
  try {
    const begun = systemClock.monotonic();
    const view = await watch.look({});
    const tookMs = systemClock.monotonic() - begun;
    assert.ok(tookMs < 5_000, `${tookMs} ms`);
    assert.deepEqual(codes(view).slice(0, 2), ["node-unreachable", "no-primary"]);
    await eventually("the replica's word is not believed any more", async () => {
      const later = await watch.look({});
      const { reception, connected } = named(later, REPLICA_NAME);
      return reception?.status === "streaming" && !connected;
    });
  } finally {
    await pair.primary.server.resume();
  }
});

test("after a promotion the new primary is found, two primaries are told, and lag begins anew on its timeline", async () => {
  await using pair = await startPair();
  await makeWatcher(pair);
  const watch = watchOf(pair);
  await watch.look({});
  await pair.replica.query("SELECT pg_promote()");
  const both = await watch.look({});
  assert.deepEqual(both.primaries, ["db", REPLICA_NAME]);
  assert.ok(codes(both).includes("two-primaries"));
  await pair.primary.stop();
  const one = await watch.look({});
  assert.deepEqual([one.primaries, one.timeline], [[REPLICA_NAME], 2]);
  assert.deepEqual(
    one.confirmers.map(({ name, connected }) => [name, connected]),
    [
      ["db", false],
      [RECEIVER_NAME, false],
    ],
  );
});

test("watching ends well when it is stopped, after every look was handed on", async () => {
  await using pair = await startPair();
  await makeWatcher(pair);
  const watch = watchOf(pair);
  const stop = new AbortController();
  const seen: ReplicationView[] = [];
  const onView = async (view: ReplicationView): Promise<void> => {
    seen.push(view);
    if (seen.length === 3) stop.abort();
  };
  await watch.run({ intervalMs: 50, onView }, { signal: stop.signal });
  assert.equal(seen.length, 3);
  assert.deepEqual(seen.at(-1)?.primaries, ["db"]);
});
