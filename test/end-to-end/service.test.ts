/**
 * A whole stack with its service, under a client of the API that reads and writes at a fixed rate and repeats nothing, while one
 * part after another is lost.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { withSession } from "../../src/postgres/session.ts";
import { secretFile } from "../../src/stack/secrets.ts";
import { offer } from "../support/catalogue.ts";
import { OpenLoop } from "../support/open-loop.ts";
import { forAWhile, RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { WatchedStack } from "../support/watched-stack.ts";

const READS_PER_SECOND = 100;
const WRITES_PER_SECOND = 20;
const WORDS = ["drill", "kettle", "headphones", "lamp", "saw", "radio", "charger", "fan"];

let folder = "";
let one: RealStack;
let watched: WatchedStack;
let front = "";
let headers: Readonly<Record<string, string>>;

before(async () => {
  folder = await mkdtemp("/tmp/stack-");
  await chmod(folder, 0o755);
  one = new RealStack(folder, "one", "on", { service: "on" });
  await one.up();
  watched = new WatchedStack(one, folder);
  const { ports, place } = await one.stack();
  front = `http://127.0.0.1:${ports.front}`;
  const operator = (await readFile(secretFile(place, "operator"), "utf8")).trim();
  const made = await post("/v1/auth/register", operator, {
    agent_name: "load",
    tier: "partner",
    scopes: ["read", "ingest"],
  });
  headers = { authorization: `Bearer ${made.api_key}`, "content-type": "application/json" };
  const products = Array.from({ length: 400 }, (_, index) =>
    offer({ sku: `L-${index}`, title: `${WORDS[index % WORDS.length]} number ${index}`, price: 5 + (index % 97) }),
  );
  const loaded = await post("/v1/ingest/products", made.api_key, { source: "load", products });
  assert.equal(loaded.inserted, 400);
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

async function post(at: string, key: string, body: object) {
  const response = await fetch(`${front}${at}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return JSON.parse(await response.text());
}

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

/** Half of the reads were never asked before, so that no kept copy answers them. */
function read(index: number) {
  const word = WORDS[index % WORDS.length];
  const query = index % 2 === 0 ? `q=${word}&max_price=${10 + index / 1_000}` : `q=${word}&limit=5`;
  return { method: "GET", url: `${front}/v1/products/search?${query}`, headers } as const;
}

/** Everybody's requests while something happens: none fails, and every write that was acknowledged is there. */
async function underLoad(name: string, act: () => Promise<void>): Promise<void> {
  const reads = new OpenLoop(READS_PER_SECOND, read);
  const writes = new OpenLoop(WRITES_PER_SECOND, (index) => ({
    method: "POST",
    url: `${front}/v1/ingest/products`,
    headers: { ...headers, "idempotency-key": randomUUID() },
    // Several sources: batches of one take turns.
    body: JSON.stringify({
      source: `${name} ${index % 8}`,
      products: [offer({ sku: `${name}-${index}`, title: `written ${index}` })],
    }),
  }));
  try {
    await forAWhile(1_000);
    await act();
    await forAWhile(1_000);
  } finally {
    await Promise.all([reads.stop(), writes.stop()]);
  }
  const [didRead, didWrite] = [reads.tally, writes.tally];
  assert.deepEqual(didRead.failures, [], `${name}: reads`);
  assert.deepEqual(didWrite.failures, [], `${name}: writes`);
  const { ports } = await one.stack();
  const connect = { ...(await one.application()), port: ports.pgbouncer };
  const rows = await withSession({
    connect,
    step: "reading back",
    work: async (session) => {
      const counted = "(SELECT count(*) FROM price_history h WHERE h.product_id = p.id)";
      return await session.query<{ seen: string }>(
        `SELECT sku || ' ' || ${counted} AS seen FROM products p WHERE source LIKE '${name} %'`,
      );
    },
  });
  const there = new Set(rows.rows.map(({ seen }) => seen));
  const missing = [...writes.answered].filter((index) => !there.has(`${name}-${index} 1`));
  assert.deepEqual(missing, [], `${name}: acknowledged writes are there, each once`);
}

test("the scraper-scheduler reads what is put into its folder, agents find it, and restarting it warms the cache", async () => {
  const { ports, place } = await one.stack();
  const rows = Array.from(
    { length: 30 },
    (_, index) => `F-${index},Fan ${index},https://h.example/${index},${5 + index}.00 SGD,Fans`,
  );
  await writeFile(path.join(place.feeds, "fans.csv"), `id,title,link,price,category\n${rows.join("\n")}\n`);
  await withSession({
    connect: { ...(await one.application()), port: ports.pgbouncer },
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
    const metrics = await (await fetch(`${front}/instances/scraper-scheduler/metrics`)).text();
    return Number(/^catalog_cache_warm_hit_ratio (.+)$/m.exec(metrics)?.[1]) >= 0.8;
  });
});

test("an instance, redis, the services beside it, the primary and the replica are killed, the role is handed over, and no request of the API fails", async () => {
  const { primary } = await watched.whole();
  assert.equal(primary, "db");
  await underLoad("instance", async () => {
    await one.crash("api_2");
    await forAWhile(500);
    await one.crash("redis");
  });
  await underLoad("beside", async () => {
    await one.crash("mcp");
    await forAWhile(500);
    await one.crash("scraper-scheduler");
  });
  await underLoad("failover", async () => {
    await one.crash("db");
    await eventually(
      "the replica has taken over",
      async () => (await one.ask("db_replica", "SELECT pg_is_in_recovery()")) === "false",
    );
    await forAWhile(1_000);
  });
  await watched.whole();
  await underLoad("switchover", async () => {
    await one.cli.json("switchover --to db");
  });
  await watched.whole();
  await underLoad("replica", async () => {
    await one.crash("db_replica");
    await forAWhile(500);
    // As `lifeboat restart api` does with one after another.
    await one.platform.restart("api", {});
  });
});
