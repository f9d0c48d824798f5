/** A real PgBouncer before real servers. What every pooler does is in failover/conformance/pooler.ts. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { describe, test } from "node:test";
import type { PoolerControllerOptions } from "../../test/support/pooler-controller-process.ts";
import { startPooler, type TestPooler } from "../../test/support/poolers.ts";
import { eventually } from "../../test/support/receivers.ts";
import { addressOf, prepareRepoint, type RepointRequest, runRepointLoops } from "../../test/support/repoint-loops.ts";
import { startServer, withServer } from "../../test/support/servers.ts";
import { withSlowLogins } from "../../test/support/slow-logins.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { consoleOf, isLoginRefused } from "./console.ts";
import { isAtLeast } from "./pooler.ts";
import { type WatchEvent, watchPoolers } from "./watchdog.ts";

const LONG = process.env["LIFEBOAT_TEST_LONG"] !== undefined;
const FEW_LOOPS = 20;
const MANY_LOOPS = 400;
/** Logins take so long that one is in flight when the next pause comes. */
const LOGIN_MS = 15;

describe("two servers", { concurrency: 1 }, () => {
  test("led from one to the other and back under load, no client is refused; without the guard, many are", async () => {
    await using first = await startServer({ major: 16, name: "first" });
    await using second = await startServer({ major: 16, name: "second" });
    await Promise.all([prepareRepoint(first), prepareRepoint(second)]);
    await withSlowLogins(addressOf(first), async (slowFirst) => {
      await withSlowLogins(addressOf(second), async (slowSecond) => {
        slowFirst.delayMs = LOGIN_MS;
        slowSecond.delayMs = LOGIN_MS;
        const servers = [slowFirst.address, slowSecond.address] as const;
        const load = { servers, sessions: 150, perSecond: 200, holdMs: 0, gapMs: LOGIN_MS / 2 };
        const guarded = await loopsOf({ ...load, loops: LONG ? MANY_LOOPS : FEW_LOOPS, pause: "guarded" });
        assert.deepEqual(guarded.failed, []);
        // On a busy machine it may find logins in flight for as long as it waits, and then does nothing.
        assert.ok(guarded.loops.filter(({ done }) => done).length >= guarded.loops.length / 2);
        const bare = await loopsOf({ ...load, loops: FEW_LOOPS, pause: "bare" });
        assert.ok(bare.failed.length > 0, "PAUSE with a login in flight costs clients errors");
        assert.match(bare.failed[0]?.error ?? "", /login has been failing/);
      });
    });
    const rows = await Promise.all([first, second].map((server) => server.value("SELECT count(*) FROM operations")));
    assert.ok(
      rows.every((count) => Number(count) > 0),
      `both took writes: ${rows.join(", ")}`,
    );
  });

  async function loopsOf(request: Omit<RepointRequest, "pooler">) {
    await using pooler = await startPooler({ server: request.servers[0] });
    return await runRepointLoops({ ...request, pooler });
  }
});

describe("one server", { concurrency: 1 }, () => {
  test("a controller that is killed has clients go on in time; one that lives never does", async () => {
    await withServer({ major: 16 }, async (server) => {
      await using pooler = await startPooler({ server: addressOf(server) });
      await withWatchdog(pooler, async (events) => {
        const client = await pooler.client();
        const holdMs = 800;
        const controller = startController(pooler, holdMs);
        try {
          await controller.paused;
          const begun = systemClock.monotonic();
          let answeredMs: number | undefined;
          const answer = client.query("SELECT 1").then(() => {
            answeredMs = systemClock.monotonic() - begun;
          });
          await eventually("three holds have passed", async () => systemClock.monotonic() - begun > 3 * holdMs);
          assert.deepEqual([answeredMs, events], [undefined, []]);
          const killed = systemClock.monotonic();
          controller.child.kill("SIGKILL");
          await answer;
          const tookMs = systemClock.monotonic() - killed;
          assert.ok(tookMs < holdMs + 1_000, `clients went on ${tookMs} ms after the controller was killed`);
          // The pooler serves before it has answered the watchdog.
          await eventually("it is told", async () => events.length > 0);
          assert.deepEqual(
            events.map(({ kind }) => kind),
            ["resumed"],
          );
        } finally {
          controller.child.kill("SIGKILL");
          await client.end();
        }
      });
    });
  });

  test("a pooler that was started anew is paused and resumed through the sessions that were open before", async () => {
    await withServer({ major: 16 }, async (server) => {
      await using pooler = await startPooler({ server: addressOf(server) });
      const driver = await pooler.driver();
      const pausing = { epoch: 1, drain: true, drainMs: 2_000, holdMsMax: 10_000 };
      await driver.pause(pausing, {});
      await pooler.kill();
      await assert.rejects(driver.state({}), { code: "pooler.unreachable" });
      await pooler.start();
      assert.equal((await driver.state({})).mode, "serving");
      assert.equal((await driver.pause(pausing, {})).kind, "done");
      assert.deepEqual(await driver.resume({ epoch: 1 }, {}), { kind: "done" });
      assert.equal(await driver.waitForClose({ timeoutMs: 2_000 }, {}), true);
    });
  });

  test("a pause that is given up at any moment leaves nobody paused or suspended, then or later", async () => {
    await withServer({ major: 16 }, async (server) => {
      await withSlowLogins(addressOf(server), async (slow) => {
        await using pooler = await startPooler({ server: slow.address });
        const driver = await pooler.driver();
        const client = await pooler.client();
        await client.query("BEGIN");
        for (let drainMs = 1; drainMs <= (LONG ? 300 : 30); drainMs += 1) {
          slow.delayMs = drainMs % 3 === 0 ? 2 * LOGIN_MS : 0;
          // Somebody needs a login while it is suspended.
          const another = pooler.client().then(async (each) => {
            await each.query("SELECT 1");
            await each.end();
          });
          const given = await driver.pause({ epoch: 1, drain: true, drainMs: drainMs % 60, holdMsMax: 60_000 }, {});
          assert.equal(given.kind, "not-drained");
          assert.equal((await driver.state({})).mode, "serving", `after ${drainMs} ms`);
          await another;
          // The sessions are anew at every second turn.
          if (drainMs % 2 === 0) await driver.close();
        }
        await client.query("COMMIT");
        await client.end();
      });
    });
  });

  test("a statement that runs on holds up its old connection, until it ends", async () => {
    await withServer({ major: 16 }, async (server) => {
      await using pooler = await startPooler({ server: addressOf(server) });
      const driver = await pooler.driver();
      const client = await pooler.client();
      await client.query("BEGIN");
      const elsewhere = { host: "127.0.0.1", port: 1 };
      await driver.repoint({ epoch: 1, server: elsewhere }, {});
      assert.equal(await driver.waitForClose({ timeoutMs: 100 }, {}), false);
      // Since 1.24 a single client can be dropped.
      const kind = isAtLeast((await driver.state({})).version, { major: 1, minor: 24 }) ? "dropped" : "left";
      assert.deepEqual(await driver.dropDead({ epoch: 1, server: addressOf(server) }, {}), { kind, clients: 1 });
      if (kind === "left") await client.query("COMMIT");
      else await assert.rejects(client.query("COMMIT"));
      assert.equal(await driver.waitForClose({ timeoutMs: 2_000 }, {}), true);
      await client.end();
    });
  });

  test("what is no console, or not ours, is told", async () => {
    await withServer({ major: 16 }, async (server) => {
      await using pooler = await startPooler({ server: addressOf(server) });
      const call = { timeoutMs: 2_000 };
      const wrong = consoleOf({ ...pooler.consoleAddress, password: "wrong" });
      await assert.rejects(wrong.run("SHOW POOLS", call), (error) => {
        assert.ok(isLoginRefused(error), "it is the login that was refused");
        return true;
      });
      const nobody = consoleOf({ ...pooler.consoleAddress, port: 1 });
      await assert.rejects(nobody.run("SHOW POOLS", call), { code: "pooler.unreachable" });
      await server.query("CREATE ROLE lifeboat_pooler LOGIN PASSWORD 'console'");
      await server.query("CREATE DATABASE pgbouncer");
      const postgres = consoleOf({ ...pooler.consoleAddress, port: addressOf(server).port });
      await assert.rejects(postgres.run("SHOW POOLS", call), { code: "pooler.refused" });
      const ours = consoleOf(pooler.consoleAddress);
      await assert.rejects(ours.run("SHOW NOTHING", call), (error) => {
        assert(isLifeboatError(error, "pooler.refused"));
        assert.equal(isLoginRefused(error), false);
        return true;
      });
      assert.deepEqual((await ours.version(call)).major, 1);
      pooler.signal("SIGSTOP");
      await assert.rejects(ours.run("SHOW POOLS", { timeoutMs: 100 }), { code: "pooler.unreachable" });
      pooler.signal("SIGCONT");
      assert.ok((await ours.run("SHOW POOLS", call)).length > 0);
      // What comes together is answered one after the other, by the one session that is open.
      const together = ["SHOW POOLS", "SHOW CLIENTS", "SHOW DATABASES"].map((each) => ours.run(each, call));
      const [, clients] = await Promise.all(together);
      const sessions = clients?.filter((row) => row.get("application_name")?.startsWith("lifeboat-") === true);
      assert.equal(sessions?.length, 1);
      await Promise.all([wrong, nobody, postgres, ours].map((console) => console.close()));
    });
  });
});

async function withWatchdog(pooler: TestPooler, work: (events: readonly WatchEvent[]) => Promise<void>): Promise<void> {
  const stopping = new AbortController();
  const events: WatchEvent[] = [];
  const console = consoleOf(pooler.consoleAddress);
  const watching = watchPoolers(
    { clock: systemClock, files: systemFiles, locks: systemLocks, onEvent: (event) => void events.push(event) },
    [{ name: pooler.name, console, databasesFile: pooler.databasesFile }],
    { signal: stopping.signal },
  );
  try {
    await work(events);
  } finally {
    stopping.abort();
    await watching;
    await console.close();
  }
}

function startController(pooler: TestPooler, holdMs: number) {
  const options: PoolerControllerOptions = {
    name: pooler.name,
    console: pooler.consoleAddress,
    databasesFile: pooler.databasesFile,
    holdMs,
  };
  const program = path.resolve(import.meta.dirname, "../../test/support/pooler-controller-process.ts");
  const args = ["--disable-warning=ExperimentalWarning", program, JSON.stringify(options)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  return { child, paused: once(child.stdout, "data") };
}
