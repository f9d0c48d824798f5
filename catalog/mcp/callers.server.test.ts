/** Those who call the API as its clients do: the MCP service, under both kinds of clients, the warmer of the cache, and callers of v1. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from "@modelcontextprotocol/client";
import { Client as OlderClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OlderTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { networksOf } from "../../src/platform/caller-address.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { exchange } from "../../src/platform/exchange.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { offer } from "../../test/support/catalogue.ts";
import { MCP_KEY, OPERATOR_KEY, startService, type TestService } from "../../test/support/catalogue-service.ts";
import { eventually } from "../../test/support/receivers.ts";
import { PASSED_HEADER, passAddress } from "../keys/passed-address.ts";
import { Warmer } from "../scraper/warmer/warmer.ts";
import { wishes } from "../scraper/warmer/wishes.ts";
import { HttpApi } from "./api-client.ts";
import { addConformanceTools } from "./conformance-tools.ts";
import { ALL_TOOLS } from "./mcp.ts";
import { McpService } from "./service.ts";

const run = promisify(execFile);
const MISTAKES: unknown[] = [];
const HOST = "127.0.0.1";

let catalogue: TestService;
let service: McpService;
/** The same with the tools of the conformance suite beside its own. */
let tested: McpService;
let url: URL;
let modern: ModernClient;

const OFFERS = [
  offer({
    sku: "K-1",
    title: "Kettle 1.7 L steel",
    category: "Kettles",
    price: 49.9,
    list_price: 79.9,
    gtin: "4006381333931",
  }),
  offer({
    sku: "K-2",
    title: "Kettle 1.7 L steel, black",
    category: "Kettles",
    price: 44.9,
    merchant: "Lagoon",
    gtin: "4006381333931",
  }),
  offer({
    sku: "R-1",
    title: "Rice cooker",
    category: "Cookers",
    price: 1_250_000,
    currency: "IDR",
    country_code: "ID",
  }),
];

before(async () => {
  catalogue = await startService();
  await eventually("the instance is ready", async () => (await catalogue.call("GET", "/health/ready")).status === 200);
  const api = new HttpApi({ base: catalogue.url, ownKey: MCP_KEY, random: systemRandom });
  const onMistake = (error: unknown) => MISTAKES.push(error);
  const request = {
    host: HOST,
    port: 0,
    origins: ["localhost", HOST],
    publicUrl: "http://mcp.test/mcp",
    trustedProxies: networksOf(["127.0.0.0/8", "::1"]),
    onMistake,
  };
  service = await McpService.start(systemClock, api, request);
  tested = await McpService.start(systemClock, api, { ...request, addMore: addConformanceTools });
  url = new URL(`http://${HOST}:${service.port}/mcp`);
  const done = await catalogue.call("POST", "/v1/ingest/products", {
    key: OPERATOR_KEY,
    body: { source: "tests", products: OFFERS },
  });
  assert.equal(done.body.inserted, OFFERS.length);
  modern = new ModernClient({ name: "tests", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  await modern.connect(new ModernTransport(url));
});

after(async () => {
  await modern?.close();
  await service?.stop();
  await tested?.stop();
  await catalogue?.[Symbol.asyncDispose]();
  assert.deepEqual(MISTAKES, []);
});

// What a tool answers is looked into as it comes.
type Answer = ReturnType<typeof JSON.parse>;

async function call(name: string, args: object): Promise<Answer> {
  const result = await modern.callTool({ name, arguments: { ...args } });
  assert.notEqual(result.isError, true, JSON.stringify(result.content));
  return result.structuredContent as Answer;
}

async function errorOf(name: string, args: object): Promise<string> {
  const result = await modern.callTool({ name, arguments: { ...args } });
  assert.equal(result.isError, true);
  return JSON.stringify(result.content);
}

test("an agent of 2026-07-28 lists the tools in their order, with schemas and what each does, and asks each of them", async () => {
  const { tools } = await modern.listTools();
  assert.deepEqual(
    tools.map(({ name }) => name),
    ALL_TOOLS.map(({ name }) => name),
  );
  assert.ok(
    tools.every(
      ({ outputSchema, annotations }) => outputSchema !== undefined && annotations?.readOnlyHint !== undefined,
    ),
  );
  const found = await call("search_products", { q: "kettel steel", country_code: "SG" });
  assert.deepEqual([found["items"].length, found["did_you_mean"]], [2, "kettle steel"]);
  const [first] = found["items"];
  assert.equal((await call("get_product", { id: first.id }))["product"].title, first.title);
  const ids = found["items"].map(({ id }: Answer) => id);
  assert.equal((await call("compare_products", { ids }))["price_span_sgd"], 5);
  assert.equal((await call("find_best_price", { gtin: "4006381333931" }))["best"].price, 44.9);
  assert.equal((await call("get_deals", { min_discount: 30 }))["items"][0].sku, "K-1");
  assert.ok((await call("list_categories", {}))["items"].some(({ slug }: Answer) => slug === "kettles"));
  assert.ok(Array.isArray((await call("find_similar", { id: ids[0] }))["items"]));
  const { contents } = await modern.readResource({ uri: "catalog://categories" });
  assert.match(JSON.stringify(contents), /kettles/);
});

test("writing needs the caller's own key: ours is never used for it", async () => {
  const args = { source: "agents", products: [offer({ sku: "M-1" })] };
  assert.match(await errorOf("ingest_products", args), /MISSING_API_KEY/);
  const made = await catalogue.call("POST", "/v1/auth/register", {
    key: OPERATOR_KEY,
    body: { agent_name: "m", scopes: ["read", "ingest"] },
  });
  const headers = { authorization: `Bearer ${made.body.api_key}` };
  const owner = new ModernClient(
    { name: "owner", version: "1" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  await owner.connect(new ModernTransport(url, { requestInit: { headers } }));
  const result = await owner.callTool({ name: "ingest_products", arguments: args });
  assert.equal((result.structuredContent as Answer)["inserted"], 1, JSON.stringify(result.content));
  await owner.close();
  // The balancer may send it again: it came with an idempotency key that is its own.
  const kept = await catalogue.server.query("select key from idempotency_keys where content like '%\"agents\"%'");
  assert.match(String(kept[0]?.["key"]), /^[0-9a-f]{32}$/);
});

test("UCP's three tools answer in UCP's words: one get_product for both, told apart by the shape of the question", async () => {
  const found = await call("search_catalog", {
    meta: { "ucp-agent": { profile: "https://a.test/p.json" } },
    catalog: { query: "cooker", context: { address_country: "ID" } },
  });
  const [cooker] = found["products"];
  // ISO 4217 gives the rupiah hundredths, whatever shops write.
  assert.deepEqual(cooker.price_range.min, { amount: 125_000_000, currency: "IDR" });
  assert.deepEqual(
    [cooker.variants[0].id, cooker.variants[0].sku, cooker.variants[0].availability.available],
    [cooker.id, "R-1", true],
  );
  assert.equal(found["pagination"].has_next_page, false);
  const cheap = await call("search_catalog", {
    catalog: { filters: { categories: ["Kettles"], price: { max: 4_500 } } },
  });
  assert.deepEqual(
    cheap["products"].map(({ variants }: Answer) => variants[0].sku),
    ["K-2"],
  );
  const looked = await call("lookup_catalog", { catalog: { ids: [cooker.id, "999999", cooker.id, "none"] } });
  assert.deepEqual(
    looked["products"].map(({ variants }: Answer) => variants[0].inputs),
    [[{ id: cooker.id, match: "exact" }]],
  );
  assert.deepEqual(
    looked["messages"].map(({ content }: Answer) => content),
    ["999999", "none"],
  );
  assert.equal((await call("get_product", { catalog: { id: cooker.id } }))["product"].variants.length, 1);
  const unknown = await call("get_product", { catalog: { id: "999999" } });
  assert.deepEqual([unknown["ucp"].status, unknown["messages"][0].code], ["error", "not_found"]);
  const profile: Answer = await (await fetch(new URL("/.well-known/ucp", url))).json();
  assert.equal(profile.ucp.services["dev.ucp.shopping"][0].endpoint, "http://mcp.test/mcp");
});

test("without a key an address may ask as often as a free key, and its questions are counted as the service's", async () => {
  const headers = (address: string) => ({
    requestInit: { headers: { "x-forwarded-for": `198.51.100.1, ${address}` } },
  });
  const ask = async (address: string, times: number) => {
    const client = new ModernClient(
      { name: "many", version: "1" },
      { versionNegotiation: { mode: { pin: "2026-07-28" } } },
    );
    await client.connect(new ModernTransport(url, headers(address)));
    const one = async () => JSON.stringify(await client.callTool({ name: "list_categories", arguments: {} }));
    const answers = await Promise.all(Array.from({ length: times }, one));
    await client.close();
    return answers.filter((answer) => answer.includes("RATE_LIMIT_EXCEEDED")).length;
  };
  // More than two windows: wherever the minute ends, one of them is over.
  assert.ok((await ask("192.0.2.7", 125)) >= 5);
  assert.equal(await ask("192.0.2.8", 1), 0);
});

test("for whom the MCP service asks the API counts by address, and believes it of nobody else", async () => {
  // All of it within a minute, as the instance counts them.
  catalogue.ahead.byMs = 60_000 - (Date.now() % 60_000);
  const limit = async (headers: Readonly<Record<string, string>>): Promise<number> => {
    const { headers: said } = await catalogue.call("GET", "/v1/categories", { key: MCP_KEY, headers });
    return Number(said.get("x-ratelimit-limit"));
  };
  const proven = { [PASSED_HEADER]: passAddress("192.0.2.30", MCP_KEY) };
  assert.equal(await limit(proven), 120);
  assert.equal(await limit({ [PASSED_HEADER]: passAddress("192.0.2.30", "guess") }), 60_000);
  // The service says it of each of its calls, and what a caller writes there itself is not passed on.
  const client = new ModernClient(
    { name: "one", version: "1" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  const headers = { "x-forwarded-for": "192.0.2.31", [PASSED_HEADER]: passAddress("192.0.2.32", "guess") };
  await client.connect(new ModernTransport(url, { requestInit: { headers } }));
  await client.callTool({ name: "list_categories", arguments: {} });
  await client.close();
  const left = async (address: string): Promise<number> => {
    const { headers: said } = await catalogue.call("GET", "/v1/categories", {
      key: MCP_KEY,
      headers: { [PASSED_HEADER]: passAddress(address, MCP_KEY) },
    });
    return Number(said.get("x-ratelimit-remaining"));
  };
  assert.deepEqual([await left("192.0.2.31"), await left("192.0.2.32")], [118, 119]);
  // Without any key it is the same: thirty a minute are an address's own.
  const register = async (address: string) =>
    await catalogue.call("POST", "/v1/auth/register", {
      body: { agent_name: "a" },
      headers: { [PASSED_HEADER]: passAddress(address, MCP_KEY), "x-forwarded-for": "192.0.2.33" },
    });
  const answers = await Promise.all(Array.from({ length: 65 }, async () => await register("192.0.2.34")));
  assert.ok(answers.some(({ status }) => status === 429));
  assert.equal((await register("192.0.2.35")).status, 201);
  catalogue.ahead.byMs = 0;
});

test("what the API refuses is told to the agent, and a service whose API is away says so and is not well", async () => {
  assert.match(await errorOf("get_product", { id: 999_999 }), /PRODUCT_NOT_FOUND/);
  assert.match(await errorOf("search_products", {}), /INVALID_QUERY/);
  assert.match(await errorOf("search_products", { q: "kettle", limit: 5_000 }), /limit/);
  assert.equal((await fetch(new URL("/health", url))).status, 200);
  assert.match(
    await (await fetch(new URL("/metrics", url))).text(),
    /catalog_mcp_calls_total\{tool="get_product",outcome="refused"\} 1/,
  );
  assert.equal((await fetch(new URL("/metrics", url), { headers: { "x-forwarded-for": "192.0.2.1" } })).status, 404);
  const lost = await McpService.start(
    systemClock,
    new HttpApi({ base: "http://127.0.0.1:1", ownKey: undefined, random: systemRandom }),
    {
      host: HOST,
      port: 0,
      origins: [HOST],
      publicUrl: "",
      trustedProxies: networksOf([]),
      onMistake: () => undefined,
    },
  );
  try {
    const base = `http://${HOST}:${lost.port}`;
    const client = new ModernClient(
      { name: "tests", version: "1" },
      { versionNegotiation: { mode: { pin: "2026-07-28" } } },
    );
    await client.connect(new ModernTransport(new URL(`${base}/mcp`)));
    assert.match(
      JSON.stringify(await client.callTool({ name: "list_categories", arguments: {} })),
      /SERVICE_UNAVAILABLE.*Try again in 2 s/,
    );
    await client.close();
    assert.deepEqual([(await fetch(`${base}/health`)).status, (await fetch(`${base}/health/live`)).status], [503, 200]);
  } finally {
    await lost.stop();
  }
});

test("a client of the years before speaks to the same endpoint, and pages of strangers to none", async () => {
  const older = new OlderClient({ name: "tests", version: "1" });
  await older.connect(new OlderTransport(url));
  assert.equal((await older.listTools()).tools.length, ALL_TOOLS.length);
  const result = await older.callTool({ name: "search_products", arguments: { q: "kettle" } });
  assert.equal((result["structuredContent"] as Answer)["items"].length, 2);
  await older.close();
  const post = async (headers: Record<string, string>) =>
    (
      await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
        body: "{}",
      })
    ).status;
  assert.equal(await post({ origin: "https://evil.example" }), 403);
  assert.notEqual(await post({ origin: "http://localhost:3000" }), 403);
});

const GENERIC = {
  "2026-07-28": [
    "server-stateless",
    "tools-list",
    "resources-list",
    "prompts-list",
    "caching",
    "dns-rebinding-protection",
    "http-header-validation",
    "sep-2164-resource-not-found",
    "server-sse-multiple-streams",
  ],
  "2025-11-25": [
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
  ],
} as const;

// All others call more tools, prompts and resources of fixed names, of things that this service does not do.
for (const [revision, scenarios] of Object.entries(GENERIC)) {
  test(`the generic scenarios of the protocol's own conformance suite pass, revision ${revision}`, async () => {
    const program = path.resolve("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    // It ends with 1 for the scenarios that it cannot run here.
    const { stdout } = await run(
      process.execPath,
      [program, "server", "--url", `http://${HOST}:${tested.port}/mcp`, "--requirements", revision],
      { cwd: catalogue.server.folder, maxBuffer: 1 << 26 },
    ).catch((error: { stdout: string }) => error);
    const counts = new Map(
      [...stdout.matchAll(/^. ([\w-]+): (\d+) passed, (\d+) failed/gmu)].map(([, name = "", passed, failed]) => [
        name,
        `${passed} ${failed}`,
      ]),
    );
    for (const scenario of scenarios) {
      assert.match(counts.get(scenario) ?? "missing", /^[1-9]\d* 0$/, scenario);
    }
  });
}

test("warming asks what was asked most, brings the hit rate to its goal, and again after redis was lost with all it had", async () => {
  const events: string[] = [];
  const ask = async (text: string, values: readonly unknown[]) => await catalogue.server.query(text, values);
  await catalogue.server.query(
    "insert into search_history (api_key_id, query, results, searched_at) select 1, 'kettle', 2, now() from generate_series(1, 3) union all select 0, 'ours', 0, now() from generate_series(1, 9)",
  );
  await catalogue.server.query(
    "insert into clicks (product_id, clicked_at) select id, now() from unnest('{1, 999999}'::int[]) as id",
  );
  const paths = await wishes(ask, { categories: ["kettles"], wishesMax: 12 });
  assert.ok(
    paths.includes("/v1/products/search?q=kettle") && paths.includes("/v1/products/search?category=kettles"),
    paths.join(" "),
  );
  assert.ok(paths.includes("/v1/products/1") && !paths.includes("/v1/products/999999"));
  assert.ok(!paths.some((each) => each.includes("ours")));
  let isThere = true;
  let looks = 0;
  const isRedisThere = (): boolean => {
    looks += 1;
    return isThere;
  };
  const warmer = new Warmer({
    clock: systemClock,
    api: catalogue.url,
    authorization: `Bearer ${OPERATOR_KEY}`,
    ask,
    isRedisThere,
    log: (event) => events.push(event),
    wishesMax: 12,
  });
  warmer.start();
  try {
    await eventually("the cache is warm", async () => (warmer.hitRate ?? 0) >= 0.8);
    assert.ok((warmer.warmedInMs ?? Infinity) < 30_000);
    // Redis dies with what it had, and the instance's own copies are too old by then.
    isThere = false;
    const before = looks;
    await catalogue.redis.kill();
    await eventually("the warmer saw it", async () => looks > before);
    await eventually("the loss was seen", async () =>
      (await fetch(`${catalogue.url}/metrics`).then(async (each) => await each.text())).includes("catalog_redis_up 0"),
    );
    catalogue.ahead.byMs += 60_000;
    await catalogue.redis.start();
    await eventually("redis is there", async () =>
      (await fetch(`${catalogue.url}/metrics`).then(async (each) => await each.text())).includes("catalog_redis_up 1"),
    );
    isThere = true;
    await eventually("it is warm again", async () => warmer.totals.warmed === 2);
    assert.ok((warmer.warmedInMs ?? Infinity) < 60_000 && (warmer.hitRate ?? 0) >= 0.8);
    // Not only in the instance's own memory: another instance finds them, too.
    const kept = await exchange({
      to: { host: HOST, port: catalogue.redis.port },
      send: "AUTH sesame\r\nDBSIZE\r\n",
      whole: (answer) => /:\d+\r\n/.test(answer),
      timeoutMs: 5_000,
    });
    assert.ok(Number(/:(\d+)/.exec(kept)?.[1]) >= 6, kept);
    assert.deepEqual(events, ["cache-warm", "redis-back", "cache-warm"]);
  } finally {
    await warmer.stop();
  }
});

test("a list is paged by page, by offset and by cursor alike, in every order, and by one of them at a time", async () => {
  const products = Array.from({ length: 11 }, (_, index) =>
    offer({ sku: `P-${index}`, title: `Pageable toaster ${index}`, price: 20 + (index % 4), list_price: 40 }),
  );
  const ingest = { key: OPERATOR_KEY, body: { source: "pages", products } };
  assert.equal((await catalogue.call("POST", "/v1/ingest/products", ingest)).status, 200);
  const list = async (query: string) =>
    (await catalogue.call("GET", `/v1/products/search?${query}`, { key: OPERATOR_KEY })).body;
  const ids = (body: Answer): readonly number[] => body["items"].map(({ id }: Answer) => id);
  for (const asked of [
    "q=pageable",
    "q=pageable&sort=price_asc",
    "merchant=harbour-tools&brand=bosca&sort=discount_desc",
  ]) {
    const all = ids(await list(`${asked}&limit=100`));
    assert.ok(all.length >= 11, asked);
    for (const page of [1, 2, 3]) {
      const found = await list(`${asked}&limit=4&page=${page}`);
      assert.deepEqual(ids(found), all.slice((page - 1) * 4, page * 4), `${asked} ${page}`);
      assert.deepEqual([found.total, found.offset], [all.length, (page - 1) * 4]);
      assert.deepEqual(ids(await list(`${asked}&limit=4&offset=${(page - 1) * 4}`)), ids(found));
    }
    const behind = await list(`${asked}&limit=4&cursor=${(await list(`${asked}&limit=4&page=2`)).next_cursor}`);
    assert.deepEqual([ids(behind), behind.offset], [all.slice(8, 12), null]);
  }
  const past = await list("q=pageable&offset=11");
  assert.deepEqual([past.total, past.items, past.has_more], [null, [], false]);
  for (const query of ["q=pageable&page=2&offset=1", "q=pageable&offset=1001", "q=pageable&limit=100&page=12"])
    assert.equal((await list(query)).error.code, "VALIDATION_ERROR", query);
});

test("an owner sees which webhooks are called, rest or were ended, page by page, and never a secret or another's", async () => {
  const made = async (tier: string) =>
    (
      await catalogue.call("POST", "/v1/auth/register", {
        key: OPERATOR_KEY,
        body: { agent_name: "hooks", tier, scopes: ["read", "ingest"] },
      })
    ).body.api_key;
  const [key, other] = [await made("live"), await made("live")];
  const make = async (by: string) =>
    (await catalogue.call("POST", "/v1/webhooks", { key: by, body: { url: "http://127.0.0.1:1/" } })).body;
  const [active, resting, ended, deleted] = [await make(key), await make(key), await make(key), await make(key)];
  await make(other);
  await catalogue.server.query(
    `update webhooks set failure_count = 6, failing_since = now(), rests_until = now() + interval '1 h' where id = ${resting.id};
     update webhooks set is_active = false, failing_since = now() - interval '4 days', rests_until = now() + interval '1 h' where id = ${ended.id};
     update webhooks set failing_since = now() where id = ${deleted.id};
     insert into webhook_deliveries (webhook_id, event, payload, due_at, last_answer)
       select ${resting.id}, 'price.changed', '{}', now() + interval '1 h', 'answered 500'`,
  );
  assert.equal((await catalogue.call("DELETE", `/v1/webhooks/${deleted.id}`, { key })).status, 200);
  const list = async (query: string) => await catalogue.call("GET", `/v1/webhooks?${query}`, { key });
  const first = await list("limit=2");
  assert.deepEqual(
    first.body.items.map(({ id, state, waiting, last_answer }: Answer) => [id, state, waiting, last_answer]),
    [
      [active.id, "active", 0, null],
      [resting.id, "resting", 1, "answered 500"],
    ],
  );
  assert.equal(first.headers.get("cache-control"), "private, no-store");
  assert.deepEqual([first.body.has_more, first.body.next_cursor], [true, resting.id]);
  const second = await list(`limit=2&cursor=${first.body.next_cursor}`);
  assert.deepEqual(
    second.body.items.map(({ id, state, rests_until }: Answer) => [id, state, rests_until]),
    [[ended.id, "ended", null]],
  );
  assert.deepEqual([second.body.has_more, second.body.next_cursor], [false, null]);
  assert.ok(!JSON.stringify([first.body, second.body]).includes(active.secret) && !("secret" in first.body.items[0]));
  assert.equal((await catalogue.call("GET", "/v1/webhooks")).body.error.code, "MISSING_API_KEY");
});

test("all free keys together have so many webhooks, and keys that the operator gave have theirs all the same", async () => {
  const keyOf = async (tier: string): Promise<string> =>
    (
      await catalogue.call("POST", "/v1/auth/register", {
        key: OPERATOR_KEY,
        body: { agent_name: "hooked", tier, scopes: ["read"] },
      })
    ).body.api_key;
  const hook = async (key: string) =>
    await catalogue.call("POST", "/v1/webhooks", { key, body: { url: "http://127.0.0.1:1/", product_ids: [1] } });
  const [free, live] = [await keyOf("free"), await keyOf("live")];
  await catalogue.server.query(
    `insert into webhooks (api_key_id, url, secret, events, product_ids, is_active)
       select (select max(id) from api_keys where tier = 'free'), 'http://127.0.0.1:1/', 'taken', '{price.changed}', '{1}', n > 9
       from generate_series(1, 509) n`,
  );
  const refused = await hook(free);
  assert.deepEqual(
    [refused.status, refused.body.error.code, (await hook(live)).status],
    [400, "VALIDATION_ERROR", 201],
  );
  assert.match(refused.body.error.message, /free keys together/);
  await catalogue.server.query("delete from webhooks where secret = 'taken'");
  assert.equal((await hook(free)).status, 201);
});

test("a source is the key's that wrote it first, and goes with it when it is rotated; the operator writes any", async () => {
  const asked = { key: OPERATOR_KEY, body: { agent_name: "owner", scopes: ["read", "ingest"] } };
  const owner = async () => (await catalogue.call("POST", "/v1/auth/register", asked)).body.api_key;
  const [first, second] = [await owner(), await owner()];
  const write = async (key: string, price = 9) => {
    const body = { source: "owned", products: [offer({ sku: "O-1", price })] };
    const { status, body: said } = await catalogue.call("POST", "/v1/ingest/products", { key, body });
    return status === 200 ? "written" : said.error.code;
  };
  // Of the first nothing is taken, and the source stays nobody's.
  const seen = [await write(second, 0), await write(first), await write(second)];
  assert.deepEqual(seen, ["written", "written", "INSUFFICIENT_SCOPE"]);
  const rotated = (await catalogue.call("POST", "/v1/keys/rotate", { key: first })).body.api_key;
  const later = [await write(rotated), await write(second), await write(OPERATOR_KEY)];
  assert.deepEqual(later, ["written", "INSUFFICIENT_SCOPE", "written"]);
});

test("ingests have a limit of their own, by tier, and the operator's have none", async () => {
  const { api_key: key } = (
    await catalogue.call("POST", "/v1/auth/register", {
      key: OPERATOR_KEY,
      body: { agent_name: "many", tier: "live", scopes: ["read", "ingest"] },
    })
  ).body;
  // Counted, and then refused for its body: nothing is written. More than two windows of a hundred.
  const many = async (by: string) =>
    await Promise.all(
      Array.from({ length: 205 }, () => catalogue.call("POST", "/v1/ingest/products", { key: by, body: {} })),
    );
  const statuses = (await many(key)).map(({ status }) => status);
  const over = statuses.filter((status) => status === 429).length;
  assert.ok(over >= 5 && over <= 105, `${over}`);
  assert.equal((await catalogue.call("GET", "/v1/categories", { key })).status, 200);
  assert.ok((await many(OPERATOR_KEY)).every(({ status }) => status === 400));
});

test("who knows nothing of the service finds what it can do by the well-known pages", async () => {
  const llms = await catalogue.call("GET", "/llms.txt");
  assert.match(llms.headers.get("content-type") ?? "", /^text\/markdown/);
  assert.match(llms.body, /`GET \/v1\/products\/\{id\}`/);
  const { linkset } = (await catalogue.call("GET", "/.well-known/api-catalog")).body;
  const agent = (await catalogue.call("GET", "/.well-known/agent")).body;
  const mcp = (await catalogue.call("GET", "/.well-known/mcp")).body;
  assert.deepEqual([agent.mcp, mcp.url], [mcp, "http://mcp.test/mcp"]);
  assert.ok(llms.body.includes(mcp.url));
  // Each link leads somewhere.
  const linked = Object.values(linkset[0]).flatMap((each) => (Array.isArray(each) ? each.map(({ href }) => href) : []));
  for (const at of [...linked, agent.openapi, agent.llms])
    assert.equal((await catalogue.call("GET", at)).status, 200, at);
});

test("a database that was restored to an older schema is answered from no more until it is brought up to date; agents are told so", async () => {
  const { server } = catalogue;
  const ready = async () => (await catalogue.call("GET", "/health/ready")).body;
  assert.deepEqual(await ready(), { status: "ok", reason: "ready" });
  const [last] = await server.query(
    "delete from schema_migrations where number = (select max(number) from schema_migrations) returning *",
  );
  try {
    await eventually("it is seen", async () => (await ready()).reason === "schema-older");
    const refused = await catalogue.call("GET", "/v1/products/1", { key: OPERATOR_KEY });
    assert.deepEqual([refused.status, refused.body.error.code], [503, "SCHEMA_OLDER"]);
    assert.equal(refused.headers.get("retry-after"), "5");
    assert.equal((await catalogue.call("POST", "/v1/products/1/clicks")).body.error.code, "SCHEMA_OLDER");
    assert.equal((await catalogue.call("POST", "/v1/auth/register")).body.error.code, "SCHEMA_OLDER");
    assert.equal((await catalogue.call("GET", "/health")).body.dependencies.database.schema, "older");
    assert.match(await errorOf("list_categories", {}), /SCHEMA_OLDER/);
  } finally {
    await server.query(
      `insert into schema_migrations (number, name, checksum) values (${last?.["number"]}, '${last?.["name"]}', '${last?.["checksum"]}')`,
    );
  }
  await eventually("it is brought there", async () => (await ready()).reason === "ready");
  assert.equal((await catalogue.call("GET", "/v1/products/1", { key: OPERATOR_KEY })).status, 200);
});
