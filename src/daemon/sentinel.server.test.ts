import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { eventually } from "../../test/support/receivers.ts";
import { startServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { sentinelService, wakeableClock } from "./sentinel.ts";

test("who sleeps is woken at once, or by the time, or by the signal", async () => {
  const manual = new ManualClock();
  const { clock, wake } = wakeableClock(manual);
  const woken = clock.sleep(1_000, {});
  wake();
  await woken;
  assert.equal(clock.monotonic(), 0);
  const timed = clock.sleep(1_000, {});
  await manual.advance(1_000);
  await timed;
  const stopping = new AbortController();
  const stopped = clock.sleep(1_000, { signal: stopping.signal });
  stopping.abort();
  await assert.rejects(stopped, (error) => isLifeboatError(error, "platform.aborted"));
});

test("who was awake when all were woken does not sleep next, but not for a long sleep or later on", async () => {
  const manual = new ManualClock();
  const { clock, wake } = wakeableClock(manual);
  const asleep = async (durationMs: number): Promise<boolean> => {
    const woken = clock.sleep(durationMs, {}).then(() => false);
    const still = await Promise.race([woken, new Promise<boolean>((resolve) => setImmediate(() => resolve(true)))]);
    await manual.advance(durationMs);
    await woken;
    return still;
  };
  wake();
  assert.deepEqual([await asleep(5_000), await asleep(50)], [true, true]);
  wake();
  assert.deepEqual([await asleep(50), await asleep(50)], [false, true]);
  wake();
  await manual.advance(2_000);
  assert.equal(await asleep(50), true);
});

test("the end of a server is told within a tenth of a second, and the next one is watched again", async () => {
  await using server = await startServer({ major: 16 });
  let lostAt: number[] = [];
  const sentinels = sentinelService(systemClock, [{ ...server.server.address(), host: server.folder }], () => {
    lostAt.push(systemClock.monotonic());
  });
  await sentinels.start({});
  const posted = async () =>
    (await server.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat_sentinel'")) === "1";
  for (let round = 0; round < 2; round += 1) {
    await eventually("the sentinel is posted", posted);
    lostAt = [];
    const killed = systemClock.monotonic();
    await server.server.kill();
    await eventually("its loss is told", async () => lostAt.length > 0);
    assert.ok((lostAt[0] ?? 0) - killed < 500, `told after ${(lostAt[0] ?? 0) - killed} ms`);
    await server.start();
  }
  await eventually("the sentinel is posted", posted);
  lostAt = [];
  await sentinels.stop();
  assert.equal(lostAt.length, 0);
});
