/** What every pooler does, a real PgBouncer and the simulated one. Each driver's test calls this with a pooler of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../platform/clock.ts";
import type { Epoch, NodeName, PoolerPort } from "../ports.ts";

/** A pooler to be tested, which leads to the first node and serves. */
export type PoolerUnderTest = {
  readonly pooler: PoolerPort;
  /** Two nodes that both take statements. */
  readonly nodes: readonly [NodeName, NodeName];
  readonly clock: Clock;
  /** A new client's statement; ends with the name of the node that ran it, rejects where the pooler refuses it. */
  readonly ask: () => Promise<NodeName>;
  /** The same from a client that has been there before. */
  readonly askAgain: () => Promise<NodeName>;
  /** Resolves when a statement runs on a node; `end` ends it, and with it the client's answer. */
  readonly begin: () => Promise<{ readonly end: () => void; readonly answer: Promise<NodeName> }>;
  /** Holds back every login of the pooler to a node until it is called with false. */
  readonly holdLogins: (held: boolean) => void;
  /** Resolves when a login of the pooler is held back; has one begin where need be. */
  readonly loginHeld: () => Promise<void>;
  /** The same pooler in the hands of another controller. */
  readonly another: () => Promise<PoolerPort>;
};

/** Runs `work` with a pooler that no controller has touched yet. */
export type WithPooler = (work: (under: PoolerUnderTest) => Promise<void>) => Promise<void>;

const CALL = { timeoutMs: 5_000 };
const HOLD_MS_MAX = 20_000;
/** Long enough for a test's statement to show that it waits. */
const WHILE_MS = 40;
const FIRST = epoch(1);

/** Declares the tests. */
export function poolerConformance(withPooler: WithPooler): void {
  pausingConformance(withPooler);
  repointingConformance(withPooler);
  loginConformance(withPooler);
  sparingConformance(withPooler);
  controllerConformance(withPooler);
}

function pausingConformance(withPooler: WithPooler): void {
  test("a pause waits for what runs, has new clients wait, and what waited goes on with the resume", async () => {
    await withPooler(async ({ pooler, nodes: [first], clock, ask, begin }) => {
      const running = await begin();
      const pausing = pooler.pause(draining({ drainMs: 3_000 }), CALL);
      const paused = settled(pausing);
      await clock.sleep(WHILE_MS, {});
      assert.equal(paused(), false);
      running.end();
      assert.equal(await running.answer, first);
      assert.equal((await pausing).kind, "done");
      const waiting = ask();
      const answered = settled(waiting);
      await clock.sleep(WHILE_MS, {});
      assert.equal(answered(), false);
      assert.equal((await pooler.view(CALL)).mode, "paused");
      assert.equal((await pooler.resume({ epoch: FIRST }, CALL)).kind, "done");
      assert.equal(await waiting, first);
      assert.deepEqual(await pooler.view(CALL), { epoch: FIRST, mode: "serving", target: first });
    });
  });

  test("a statement that runs for too long has the pause taken back, and nobody noticed", async () => {
    await withPooler(async ({ pooler, nodes: [first], ask, begin }) => {
      const running = await begin();
      assert.equal((await pooler.pause(draining({ drainMs: 50 }), CALL)).kind, "not-drained");
      assert.equal((await pooler.view(CALL)).mode, "serving");
      assert.equal(await ask(), first);
      running.end();
      assert.equal(await running.answer, first);
    });
  });

  test("a server that is given up is not waited for", async () => {
    await withPooler(async ({ pooler, nodes: [first], ask, begin }) => {
      const running = await begin();
      const request = { ...draining({ drainMs: 0 }), drain: false };
      assert.equal((await pooler.pause(request, CALL)).kind, "done");
      assert.equal((await pooler.view(CALL)).mode, "paused");
      running.end();
      await running.answer;
      await pooler.resume({ epoch: FIRST }, CALL);
      assert.equal(await ask(), first);
    });
  });
}

function repointingConformance(withPooler: WithPooler): void {
  test("repointed while paused, clients that waited go on at the other node without an error", async () => {
    await withPooler(async ({ pooler, nodes: [first, second], ask, askAgain }) => {
      assert.deepEqual([await ask(), await askAgain()], [first, first]);
      await pooler.pause(draining({}), CALL);
      const waiting = [ask(), askAgain()];
      assert.equal((await pooler.repoint({ epoch: FIRST, node: second }, CALL)).kind, "done");
      assert.deepEqual(await pooler.view(CALL), { epoch: FIRST, mode: "paused", target: second });
      await pooler.resume({ epoch: FIRST }, CALL);
      assert.deepEqual(await Promise.all(waiting), [second, second]);
      assert.deepEqual([await ask(), await askAgain()], [second, second]);
    });
  });

  test("dropping clients of a dead server leaves those that wait and those that do nothing", async () => {
    await withPooler(async ({ pooler, nodes: [first, second], ask, askAgain }) => {
      await askAgain();
      await pooler.pause(draining({}), CALL);
      const waiting = ask();
      assert.equal((await pooler.dropDead({ epoch: FIRST, node: first }, CALL)).kind, "done");
      await pooler.repoint({ epoch: FIRST, node: second }, CALL);
      await pooler.resume({ epoch: FIRST }, CALL);
      assert.deepEqual([await waiting, await askAgain()], [second, second]);
    });
  });
}

function loginConformance(withPooler: WithPooler): void {
  test("a login in flight is waited for: the switch costs nobody an error", async () => {
    await withPooler(async ({ pooler, nodes: [, second], clock, ask, holdLogins, loginHeld }) => {
      holdLogins(true);
      const client = ask();
      await loginHeld();
      const pausing = pooler.pause(draining({ drainMs: 3_000 }), CALL);
      const paused = settled(pausing);
      await clock.sleep(WHILE_MS, {});
      assert.equal(paused(), false);
      holdLogins(false);
      assert.equal((await pausing).kind, "done");
      await client;
      const waiting = ask();
      await pooler.repoint({ epoch: FIRST, node: second }, CALL);
      await pooler.resume({ epoch: FIRST }, CALL);
      assert.deepEqual([await waiting, await ask()], [second, second]);
    });
  });

  test("a login that does not end has a switch given up, with everybody where they were", async () => {
    await withPooler(async ({ pooler, nodes: [first], ask, holdLogins, loginHeld }) => {
      holdLogins(true);
      const client = ask();
      await loginHeld();
      assert.equal((await pooler.pause(draining({ drainMs: 50 }), CALL)).kind, "not-drained");
      assert.equal((await pooler.view(CALL)).mode, "serving");
      holdLogins(false);
      assert.equal(await client, first);
    });
  });

  test("a login that was in flight when a server was given up counts as failed: clients are refused until the next one succeeds", async () => {
    await withPooler(async ({ pooler, nodes: [first], clock, ask, askAgain, holdLogins, loginHeld }) => {
      await askAgain();
      // Closes the connection that nobody uses: the next client needs a new one.
      await pooler.pause(draining({}), CALL);
      await pooler.resume({ epoch: FIRST }, CALL);
      holdLogins(true);
      const client = ask();
      await loginHeld();
      await pooler.pause({ ...draining({ drainMs: 0 }), drain: false }, CALL);
      await pooler.resume({ epoch: FIRST }, CALL);
      await assert.rejects(askAgain());
      holdLogins(false);
      // The one that waited all the time is none of those.
      assert.equal(await client, first);
      for (let tries = 0; ; tries += 1) {
        const answer = await ask().catch(() => undefined);
        if (answer === first) break;
        assert.ok(tries < 100, "served again within two seconds");
        await clock.sleep(20, {});
      }
    });
  });
}

function sparingConformance(withPooler: WithPooler): void {
  test("a login in flight to a server that is only suspected is spared: nobody is paused, and nobody is refused when the server goes on", async () => {
    await withPooler(async ({ pooler, nodes: [first], ask, askAgain, holdLogins, loginHeld }) => {
      const sparing = { ...draining({ drainMs: 0 }), drain: false, sparing: true };
      await askAgain();
      assert.equal((await pooler.pause(sparing, CALL)).kind, "done");
      assert.equal((await pooler.view(CALL)).mode, "paused");
      await pooler.resume({ epoch: FIRST }, CALL);
      holdLogins(true);
      const client = ask();
      await loginHeld();
      assert.deepEqual(await pooler.pause(sparing, CALL), { kind: "not-drained", because: "login-in-flight" });
      assert.equal((await pooler.view(CALL)).mode, "serving");
      const again = askAgain();
      holdLogins(false);
      assert.deepEqual(await Promise.all([client, again, askAgain()]), [first, first, first]);
    });
  });
}

function controllerConformance(withPooler: WithPooler): void {
  test("a pause outlives its controller, and another one ends it", async () => {
    await withPooler(async ({ pooler, nodes: [first], ask, another }) => {
      await pooler.pause(draining({}), CALL);
      const next = await another();
      assert.deepEqual(await next.view(CALL), { epoch: FIRST, mode: "paused", target: first });
      const waiting = ask();
      assert.equal((await next.resume({ epoch: epoch(2) }, CALL)).kind, "done");
      assert.equal(await waiting, first);
    });
  });

  test("whoever comes with a smaller epoch is refused and changes nothing, and orders can be repeated", async () => {
    await withPooler(async ({ pooler, nodes: [first, second], another }) => {
      const newer = epoch(5);
      const next = await another();
      assert.equal((await next.pause({ ...draining({}), epoch: newer }, CALL)).kind, "done");
      const stale = { kind: "stale-epoch", seen: newer };
      assert.deepEqual(await pooler.resume({ epoch: FIRST }, CALL), stale);
      assert.deepEqual(await pooler.pause(draining({}), CALL), stale);
      assert.deepEqual(await pooler.repoint({ epoch: FIRST, node: second }, CALL), stale);
      assert.deepEqual(await pooler.dropDead({ epoch: FIRST, node: first }, CALL), stale);
      assert.deepEqual(await pooler.view(CALL), { epoch: newer, mode: "paused", target: first });
      for (const repeated of [1, 2]) {
        assert.equal((await next.pause({ ...draining({}), epoch: newer }, CALL)).kind, "done", `pause ${repeated}`);
        assert.equal((await next.repoint({ epoch: newer, node: second }, CALL)).kind, "done", `repoint ${repeated}`);
      }
      for (const repeated of [1, 2]) {
        assert.equal((await next.resume({ epoch: newer }, CALL)).kind, "done", `resume ${repeated}`);
      }
      assert.deepEqual(await pooler.view(CALL), { epoch: newer, mode: "serving", target: second });
    });
  });

  test("a hold that nobody renews ends by itself, and one that is renewed does not", async () => {
    await withPooler(async ({ pooler, nodes: [first], clock, ask }) => {
      const holdMsMax = 600;
      for (let renewals = 0; renewals < 5; renewals += 1) {
        await pooler.pause(draining({ holdMsMax }), CALL);
        assert.equal((await pooler.view(CALL)).mode, "paused");
        await clock.sleep(holdMsMax / 2, {});
      }
      assert.equal((await pooler.view(CALL)).mode, "paused");
      const begun = clock.monotonic();
      assert.equal(await ask(), first);
      assert.ok(clock.monotonic() - begun < holdMsMax + 1_000, "clients go on in time");
    });
  });
}

function draining(changes: { readonly drainMs?: number; readonly holdMsMax?: number }) {
  return { epoch: FIRST, drain: true, drainMs: 2_000, holdMsMax: HOLD_MS_MAX, ...changes };
}

function epoch(value: number): Epoch {
  return value as Epoch;
}

/** Tells whether a promise has settled. A rejection is left to whoever awaits it. */
function settled(promise: Promise<unknown>): () => boolean {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  promise.then(mark, mark);
  return () => done;
}
