import assert from "node:assert/strict";
import { test } from "node:test";
import { openCuttingProxy } from "../../test/support/cutting-proxy.ts";
import { caughtUp, eventually, openStation, serverSegment } from "../../test/support/receivers.ts";
import { startServer } from "../../test/support/servers.ts";
import { systemClock } from "../platform/clock.ts";
import { checkVault } from "../vault/check.ts";

/** Waits between two tries are cut short, those for other things are not. */
const HASTY_MS = 150;
const HASTY = {
  ...systemClock,
  sleep: (durationMs: number, options: { readonly signal?: AbortSignal | undefined }) =>
    systemClock.sleep(durationMs <= HASTY_MS ? 1 : durationMs, options),
};

test("a receiver whose connection breaks off at one message after the other goes on by itself, to the same bytes", async () => {
  await using server = await startServer({ walSegmentBytes: 1024 * 1024 });
  await using proxy = await openCuttingProxy(server);
  await using station = await openStation();
  const receiver = station.receiver(server, {
    address: { ...station.address(server), ...proxy.address },
    clock: HASTY,
  });
  await receiver.start({});
  await server.query("CREATE TABLE t (i int)");
  let at = 1;
  for (; ; at += 1) {
    await caughtUp(server);
    proxy.cutNow();
    // From here on: of the connection that comes next, by which these rows are received.
    proxy.arm(at);
    await server.query(
      `INSERT INTO t SELECT generate_series(1, 200); ${at % 10 === 0 ? "SELECT pg_switch_wal()" : ""}`,
    );
    const lsn = await server.value("SELECT pg_current_wal_flush_lsn()");
    const confirmed = `SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '${lsn}'`;
    await eventually("it is cut or through", async () => proxy.fired || (await server.value(confirmed)) === "1");
    if (!proxy.fired) break;
    await caughtUp(server);
    const { lastError } = receiver.report();
    // Or the server had not noticed yet when the next connection asked.
    const code = lastError?.code ?? "none";
    assert.match(code, /^postgres\.(unreachable|connection-lost|slot-in-use)$/, `message ${at}: ${code}`);
    for (const [segment, bytes] of await station.held()) {
      const original = await serverSegment(server, segment);
      assert.ok(original === undefined || original.subarray(0, bytes.byteLength).equals(bytes), `message ${at}`);
    }
  }
  assert.ok(at > 20, `only ${at - 1} messages were cut`);
  await eventually("the vault has all complete segments", async () => receiver.report().segmentsWaiting === 0);
  const { findings } = await checkVault(station.vault, { readData: true, onProgress: () => undefined });
  assert.deepEqual(findings, []);
});
