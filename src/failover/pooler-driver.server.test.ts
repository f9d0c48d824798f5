/** The conformance suite against a real PgBouncer before two real servers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type pg from "pg";
import { startPooler, type TestPooler } from "../../test/support/poolers.ts";
import { eventually } from "../../test/support/receivers.ts";
import { addressOf } from "../../test/support/repoint-loops.ts";
import { startServer } from "../../test/support/servers.ts";
import { type SlowLogins, withSlowLogins } from "../../test/support/slow-logins.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { consoleOf } from "../pooler/console.ts";
import { watchPoolers } from "../pooler/watchdog.ts";
import type { Timeline } from "../postgres/lsn.ts";
import { type PoolerUnderTest, poolerConformance, type WithPooler } from "./conformance/pooler.ts";
import { poolerPort } from "./pooler-driver.ts";
import type { NodeName, PoolerPort } from "./ports.ts";

const NODES = ["db", "db_replica"] as const;

const servers = Promise.all(NODES.map((name) => startServer({ major: 16, name })));

test.after(async () => {
  for (const server of await servers) await server[Symbol.asyncDispose]();
});

poolerConformance(withRealPooler);

test("logging in and writing are asked of what the stack gives, and a call that takes too long is told", async () => {
  await withRealPooler(async ({ nodes: [first], another }) => {
    const port = await another();
    assert.equal(await port.canLogIn(first, { timeoutMs: 2_000 }), true);
    assert.equal(await port.canLogIn(NODES[1], { timeoutMs: 2_000 }), false);
    assert.deepEqual(await port.proveWrite({ timeoutMs: 2_000 }), { timeline: 1 });
    await assert.rejects(port.view({ timeoutMs: 2_000, signal: AbortSignal.abort() }), { code: "platform.aborted" });
    await assert.rejects(port.proveWrite({ timeoutMs: 1 }), { code: "pooler.unreachable" });
  });
});

async function withRealPooler(work: Parameters<WithPooler>[0]): Promise<void> {
  const [first, second] = await servers;
  assert(first !== undefined && second !== undefined);
  await withSlowLogins(addressOf(first), async (slowFirst) => {
    await withSlowLogins(addressOf(second), async (slowSecond) => {
      await using pooler = await startPooler({ server: slowFirst.address });
      const stopping = new AbortController();
      const watching = watch(pooler, stopping.signal);
      const names = new Map(
        [first, second].map((server, index) => [addressOf(server).port, NODES[index] ?? ""] as const),
      );
      const under = new RealPooler(pooler, [slowFirst, slowSecond], names);
      try {
        await work(await under.make());
      } finally {
        await under.end();
        stopping.abort();
        await watching;
      }
    });
  });
}

/** The clients of a test, and who drives its pooler. */
class RealPooler {
  readonly #pooler: TestPooler;
  readonly #slow: readonly [SlowLogins, SlowLogins];
  readonly #nodeOf: ReadonlyMap<number, NodeName>;
  readonly #clients: pg.Client[] = [];

  constructor(pooler: TestPooler, slow: readonly [SlowLogins, SlowLogins], nodeOf: ReadonlyMap<number, NodeName>) {
    this.#pooler = pooler;
    this.#slow = slow;
    this.#nodeOf = nodeOf;
  }

  async make(): Promise<PoolerUnderTest> {
    let regular: pg.Client | undefined;
    const another = async (): Promise<PoolerPort> => await this.#port();
    return {
      pooler: await another(),
      nodes: NODES,
      clock: systemClock,
      ask: async () => await this.#ask(await this.#client()),
      askAgain: async () => {
        regular ??= await this.#client();
        return await this.#ask(regular);
      },
      begin: async () => {
        const client = await this.#client();
        await client.query("BEGIN");
        const node = await this.#ask(client);
        let end = (): void => undefined;
        const ended = new Promise<void>((resolve) => {
          end = resolve;
        });
        const answer = ended.then(async () => {
          await client.query("COMMIT");
          return node;
        });
        return { end, answer };
      },
      holdLogins: (held) => {
        for (const slow of this.#slow) slow.delayMs = held ? Number.POSITIVE_INFINITY : 0;
      },
      loginHeld: async () => {
        await eventually("a login is held back", async () => this.#slow.some(({ held }) => held > 0));
      },
      another,
    };
  }

  async end(): Promise<void> {
    for (const slow of this.#slow) slow.delayMs = 0;
    await Promise.all(this.#clients.map((client) => client.end().catch(() => undefined)));
  }

  async #client(): Promise<pg.Client> {
    const client = await this.#pooler.client();
    this.#clients.push(client);
    return client;
  }

  async #ask(client: pg.Client): Promise<NodeName> {
    const answer = await client.query<{ readonly port: number }>("SELECT inet_server_port() AS port");
    return this.#nodeOf.get(answer.rows[0]?.port ?? 0) ?? "";
  }

  async #port(): Promise<PoolerPort> {
    return poolerPort({
      pooler: await this.#pooler.driver(),
      addressOf: new Map(NODES.map((name, index) => [name, this.#slow[index]?.address ?? { host: "", port: 0 }])),
      logIn: async (server) => {
        assert.equal(server.port, this.#slow[0].address.port);
      },
      write: async ({ signal }) => {
        await systemClock.sleep(20, { signal });
        return 1 as Timeline;
      },
    });
  }
}

async function watch(pooler: TestPooler, signal: AbortSignal): Promise<void> {
  const console = consoleOf(pooler.consoleAddress);
  const tools = { clock: systemClock, files: systemFiles, locks: systemLocks, onEvent: () => undefined };
  await watchPoolers(tools, [{ name: pooler.name, console, databasesFile: pooler.databasesFile }], { signal });
  await console.close();
}
