/**
 * A whole stack with its service, under a client of the API that reads and writes at a fixed rate and repeats nothing, while one
 * part after another is lost.
 */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { withSession } from "../../src/postgres/session.ts";
import { awaitsSchema } from "../../src/stack/service.ts";
import { repetitions } from "../support/effort.ts";
import { LinkedStack } from "../support/linked-stack.ts";
import { forAWhile, makeStackFolder, RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS } from "../support/servers.ts";
import { ServiceLoad } from "../support/service-load.ts";
import { WatchedStack } from "../support/watched-stack.ts";

let folder = "";
let one: RealStack;
let watched: WatchedStack;
let load: ServiceLoad;

before(async () => {
  folder = await makeStackFolder();
  one = new RealStack(folder, "one", "on", { service: "on" });
  await one.up();
  watched = new WatchedStack(one, folder);
  load = await ServiceLoad.begin(one);
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

/** As an agent of 2026-07-28 asks: every request stands for itself. */
async function callTool(port: number, name: string, args: object) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "tests", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
    method: "POST",
    headers: {
      authorization: load.authorization,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": name,
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name, arguments: args, _meta: meta },
    }),
  });
  const { result } = JSON.parse(await response.text());
  return result;
}

/** Takes the newest migration back, as if the database were of a version before it. */
const UNDO_NEWEST = `
ALTER TABLE sources DROP COLUMN merchant_slugs, DROP COLUMN read_as;
DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)`;

test("an instance that is newer than the database's schema waits for it, and `up` brings it there", async () => {
  await withSession({
    connect: await load.connect(),
    step: "undoing a migration",
    work: async (session) => await session.query(UNDO_NEWEST),
  });
  await one.crash("api_2");
  const stack = await one.stack();
  // The balancer sends nothing to it.
  await eventually("it waits for the schema", async () => await awaitsSchema(stack, "api_2", {}));
  const { steps } = await one.up();
  assert.deepEqual(
    steps.map(({ step }) => step),
    ["api"],
  );
});

test("the scraper-scheduler reads what is put into its folder, agents find it, and restarting it warms the cache", async () => {
  const { ports, place } = await one.stack();
  const rows = Array.from(
    { length: 30 },
    (_, index) => `F-${index},Fan ${index},https://h.example/${index},${5 + index}.00 SGD,Fans`,
  );
  await writeFile(path.join(place.feeds, "fans.csv"), `id,title,link,price,category\n${rows.join("\n")}\n`);
  await withSession({
    connect: await load.connect(),
    step: "describing a source",
    work: async (session) => {
      await session.query(
        "INSERT INTO sources (name, kind, location, merchant, country_code, interval) VALUES ('fans', 'csv', 'file:fans.csv', 'Fan House', 'SG', '1 hour')",
      );
    },
  });
  let asked = 0;
  await eventually("an agent finds what was read", async () => {
    asked += 1;
    // Never the same question twice: an answer is kept for half a minute.
    const args = { q: "fan", merchant: "fan-house", limit: 1, max_price: 1_000 + asked };
    return (await callTool(ports.mcp, "search_products", args)).structuredContent.total === 30;
  });
  await one.cli.expect(0, "restart scraper-scheduler");
  await eventually("its restart has warmed the cache", async () => {
    const metrics = await (await fetch(`${load.front}/instances/scraper-scheduler/metrics`)).text();
    return Number(/^catalog_cache_warm_hit_ratio (.+)$/m.exec(metrics)?.[1]) >= 0.8;
  });
});

/** One whose poolers do not drain in time gives up and has changed nothing: on a machine with other work it is asked for twice. */
async function switchOver(to: string): Promise<void> {
  const { status, err } = await one.cli.run(`switchover --to ${to}`);
  if (status === 0) return;
  assert.match(err, /pause-poolers: .* did not end within/);
  console.log(err);
  await one.cli.expect(0, `switchover --to ${to}`);
}

test("an instance, redis, the services beside it, the primary and the replica are killed, the role is handed over, and no request of the API fails", async () => {
  const { primary } = await watched.whole();
  assert.equal(primary, "db");
  await load.during("instance", async () => {
    await one.crash("api_2");
    await forAWhile(500);
    await one.crash("redis");
  });
  await load.during("beside", async () => {
    await one.crash("mcp");
    await forAWhile(500);
    await one.crash("scraper-scheduler");
  });
  await load.during("failover", async () => {
    await one.crash("db");
    await eventually(
      "the replica has taken over",
      async () => (await one.ask("db_replica", "SELECT pg_is_in_recovery()")) === "false",
    );
    await forAWhile(1_000);
  });
  await watched.whole();
  await load.during("switchover", async () => {
    await switchOver("db");
  });
  await watched.whole();
  await load.during("replica", async () => {
    await one.crash("db_replica");
    await forAWhile(500);
    // As `lifeboat restart api` does with one after another.
    await one.platform.restart("api", {});
  });
});

// A stack of its own, whose links can be cut, and a minute of two cores: more than the usual run has.
for (let count = 0; count < repetitions(0, 3); count += 1) {
  test("a primary that is halted, one whose packets are swallowed, and a halted replica fail no request of the API", async (t) => {
    const apart = await makeStackFolder();
    const linked = await LinkedStack.up(apart, () => 0.5, { service: "on" });
    t.after(async () => {
      await linked.end();
      await rm(apart, { recursive: true, force: true });
    });
    const stack = new WatchedStack(linked.one, apart);
    const other = await ServiceLoad.begin(linked.one);
    const takenOver = async (node: "db" | "db_replica") => {
      const inRecovery = async () => await linked.ask(node, "SELECT pg_is_in_recovery()");
      await eventually("the replica has taken over", async () => (await inRecovery()) === "false");
      await forAWhile(2_000);
    };
    const halt = async (node: "db" | "db_replica"): Promise<readonly number[]> => {
      const pids = await PORTS.processes.tree(await linked.one.pidOf(node));
      for (const pid of pids) PORTS.processes.signal(pid, "SIGSTOP");
      return pids;
    };
    assert.equal((await stack.whole()).primary, "db");
    await other.during("halted", async () => {
      await halt("db");
      await takenOver("db_replica");
    });
    await stack.whole();
    await other.during("swallowed", async () => {
      linked.links("db_replica").set({ cut: true });
      await takenOver("db");
    });
    linked.links("db_replica").heal();
    await stack.whole();
    await other.during("replica", async () => {
      const pids = await halt("db_replica");
      await forAWhile(4_000);
      for (const pid of pids) PORTS.processes.signal(pid, "SIGCONT");
    });
  });
}
