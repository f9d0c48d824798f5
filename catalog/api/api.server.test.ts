import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { after, before, test } from "node:test";
import { offer } from "../../test/support/catalogue.ts";
import { OPERATOR_KEY, startService, type TestService } from "../../test/support/catalogue-service.ts";
import { eventually } from "../../test/support/receivers.ts";

let service: TestService;
let key: string;

const COLOURS = ["black", "white", "silver", "blue", "green", "red"];
const OFFERS = Array.from({ length: 30 }, (_, index) =>
  offer({
    sku: `H-${index}`,
    merchant: index % 2 === 0 ? "Harbour Tools" : "Lagoon",
    title: `Wireless headphones ${COLOURS[index % COLOURS.length]} model ${index}`,
    brand: index % 3 === 0 ? "Velora" : "Bosca",
    category: "Headphones",
    price: 20 + (index % 10),
    list_price: index % 4 === 0 ? 60 : null,
    gtin: index < 2 ? "4006381333931" : null,
  }),
);

before(async () => {
  service = await startService();
  await eventually("the instance is ready", async () => (await service.call("GET", "/health/ready")).status === 200);
  key = (await register({ tier: "partner", scopes: ["read", "ingest"] }, OPERATOR_KEY)).body.api_key;
  const ingested = await ingest([...OFFERS, offer({ sku: "D-1" }), offer({ sku: "X", price: 0 })]);
  assert.equal(ingested.status, 200);
});
after(async () => {
  await service?.[Symbol.asyncDispose]();
  assert.deepEqual(service?.mistakes, []);
});

async function register(body: object, operator?: string, headers?: Record<string, string>) {
  return await service.call("POST", "/v1/auth/register", {
    ...(operator === undefined ? {} : { key: operator }),
    body: { agent_name: "tester", ...body },
    ...(headers === undefined ? {} : { headers }),
  });
}

async function ingest(products: readonly unknown[], headers: Record<string, string> = {}, source = "tests") {
  return await service.call("POST", "/v1/ingest/products", { key, body: { source, products }, headers });
}

async function get(at: string, headers: Record<string, string> = {}) {
  return await service.call("GET", at, { key, headers });
}

test("an ingest tells what became of each row, and its run can be read", async () => {
  const { body } = await ingest([offer({ sku: "I-1" }), offer({ sku: "I-2", price: 1 }), offer({ sku: "D-1" })]);
  assert.deepEqual([body.status, body.received, body.inserted, body.unchanged, body.rejected], ["partial", 3, 1, 1, 1]);
  assert.deepEqual(
    body.rejections.map(({ row, sku, code }: Readonly<Record<string, unknown>>) => [row, sku, code]),
    [[2, "I-2", "price-placeholder"]],
  );
  const run = await get(`/v1/ingest/runs/${body.run_id}`);
  assert.equal(run.body.status, "partial");
  assert.deepEqual(run.body.rejections, body.rejections);
  assert.equal((await get(`/v1/ingest/runs/${randomUUID()}`)).body.error.code, "RUN_NOT_FOUND");
});

test("a request with an idempotency key is done once, and its key is refused to any other", async () => {
  const headers = { "idempotency-key": randomUUID() };
  const first = await ingest([offer({ sku: "O-1" })], headers);
  const second = await ingest([offer({ sku: "O-1" })], headers);
  assert.deepEqual(second.body, first.body);
  assert.equal(second.headers.get("idempotent-replayed"), "true");
  assert.equal((await ingest([offer({ sku: "O-2" })], headers)).body.error.code, "IDEMPOTENCY_KEY_REUSED");
  // An answer that holds a key: the same again for who knows the idempotency key, and nothing of it in the database.
  const secret = { "idempotency-key": randomUUID() };
  const made = await register({}, undefined, secret);
  assert.deepEqual((await register({}, undefined, secret)).body, made.body);
  const kept = await service.server.query("select content, key from idempotency_keys where caller = 'anyone'");
  assert.equal(kept.length, 1);
  assert.ok(
    !JSON.stringify(kept).includes(made.body.api_key) && !JSON.stringify(kept).includes(secret["idempotency-key"]),
  );
  assert.equal((await register({}, undefined, { "idempotency-key": "guess" })).body.error.code, "VALIDATION_ERROR");
});

test("search ranks, filters, counts and pages: each offer comes once in every order", async () => {
  const page = await get("/v1/products/search?q=wireless%20headphones&facets=true&limit=5");
  assert.equal(page.body.total, 30);
  assert.equal(page.body.items.length, 5);
  assert.deepEqual(page.body.facets.brand, [
    { value: "Bosca", count: 20 },
    { value: "Velora", count: 10 },
  ]);
  assert.equal((await get("/v1/products/search?q=headphones&brand=velora")).body.total, 10);
  assert.equal((await get("/v1/products/search?q=headphones&min_price=25&max_price=27")).body.total, 9);
  assert.equal((await get("/v1/products/search?q=headphones&currency=USD&max_price=15.5")).body.total, 3);
  assert.equal((await get('/v1/products/search?q="headphones red"')).body.total, 5);
  assert.equal((await get("/v1/products/search?q=headphones -red")).body.total, 25);
  for (const sort of ["relevance", "price_asc", "price_desc", "discount_desc", "newest"]) {
    const seen: number[] = [];
    const prices: number[] = [];
    let next = "";
    do {
      const { body } = await get(`/v1/products/search?q=headphones&sort=${sort}&limit=7${next}`);
      seen.push(...body.items.map(({ id }: { id: number }) => id));
      prices.push(...body.items.map(({ price }: { price: number }) => price));
      next = body.has_more ? `&cursor=${body.next_cursor}` : "";
    } while (next !== "");
    assert.equal(seen.length, 30, sort);
    assert.equal(new Set(seen).size, 30, sort);
    if (sort === "price_asc")
      assert.deepEqual(
        prices,
        prices.toSorted((a, b) => a - b),
      );
    if (sort === "price_desc")
      assert.deepEqual(
        prices,
        prices.toSorted((a, b) => b - a),
      );
  }
});

test("a mistyped word finds what the right one finds, and is told", async () => {
  for (const typed of ["wireles headphnes", "wireless haedphones", "velroa headphones"]) {
    const { body } = await get(`/v1/products/search?q=${encodeURIComponent(typed)}`);
    assert.ok(body.total >= 10, typed);
    assert.match(body.did_you_mean, /headphones/);
  }
  assert.equal((await get("/v1/products/search?q=xylophonist")).body.total, 0);
});

test("an answer has the fields that were asked for, and prices in another currency with the date of the rate", async () => {
  const compact = await get("/v1/products/search?q=headphones&compact=true&limit=1");
  assert.deepEqual(Object.keys(compact.body.items[0]).sort(), [
    "availability",
    "currency",
    "id",
    "merchant",
    "price",
    "title",
    "url",
  ]);
  const some = await get("/v1/products/search?q=headphones&fields=price,brand&limit=1");
  assert.deepEqual(Object.keys(some.body.items[0]).sort(), ["brand", "id", "price"]);
  assert.equal((await get("/v1/products/search?q=x&fields=colour")).body.error.code, "VALIDATION_ERROR");
  const { body } = await get("/v1/products/search?q=headphones&convert_to=MYR&sort=price_asc&limit=1");
  const [item] = body.items;
  assert.deepEqual([item.price, item.converted_price, item.converted_currency], [20, 65.4, "MYR"]);
  assert.match(item.converted_rate_date, /^\d{4}-\d\d-\d\d$/);
});

test("a product, its likes, its prices over time, the cheapest of its ware, its category and several at once", async () => {
  const found = await get("/v1/products/barcode/04006381333931");
  assert.equal(found.body.count, 2);
  const [cheaper, dearer] = found.body.offers;
  const detail = await get(`/v1/products/${cheaper.id}`);
  assert.equal(detail.body.offer_count, 2);
  assert.equal(detail.body.freshness, "live");
  assert.deepEqual(detail.body.specs, {});
  const best = await get(`/v1/products/best-price?id=${dearer.id}`);
  assert.equal(best.body.best.id, cheaper.id);
  assert.equal((await get("/v1/products/best-price?q=headphones")).body.best.price, 20);
  const similar = await get(`/v1/products/${cheaper.id}/similar?limit=3`);
  assert.equal(similar.body.items.length, 3);
  assert.ok(
    similar.body.items.every(({ id, gtin }: { id: number; gtin: unknown }) => id !== cheaper.id && gtin === null),
  );
  const compared = await get(`/v1/products/compare?ids=${cheaper.id},${dearer.id},999999`);
  assert.deepEqual([compared.body.missing, compared.body.cheapest_id], [[999999], cheaper.id]);
  assert.deepEqual(compared.body.differing, ["brand", "merchant"]);
  const looked = await service.call("POST", "/v1/products/lookup", {
    key,
    body: { ids: [cheaper.id], skus: [{ sku: "D-1", source: "tests" }] },
  });
  assert.equal(looked.body.items.length, 2);
  const categories = await get("/v1/categories");
  assert.deepEqual(categories.body.items[0], { slug: "headphones", path: [], product_count: 30 });
  const category = await get("/v1/categories/headphones");
  assert.equal(category.body.brands?.[0]?.brand, "Bosca", JSON.stringify(category.body));
  assert.equal((await get("/v1/products/deals?min_discount=60")).body.items.length, 5);
  await ingest([offer({ sku: "P-1", price: 50 })]);
  await ingest([offer({ sku: "P-1", price: 40 })]);
  const { body } = await get("/v1/products/search?q=cordless&merchant=harbour-tools&sort=newest&limit=1");
  const prices = await get(`/v1/products/${body.items[0].id}/prices`);
  assert.deepEqual([prices.body.current, prices.body.min, prices.body.max, prices.body.changes], [40, 40, 50, 1]);
  const history = await get(`/v1/products/${body.items[0].id}/price-history?days=7`);
  assert.deepEqual(history.body.days.at(-1), { ...history.body.days.at(-1), min: 40, max: 50, close: 40 });
});

const cursorOf = (...of: readonly unknown[]): string =>
  Buffer.from(JSON.stringify([1, ...of, 1])).toString("base64url");

test("a problem has a code, a sentence and a page, in our form or in that of RFC 9457", async () => {
  const ours = await get("/v1/products/999999");
  assert.equal(ours.status, 404);
  assert.deepEqual(ours.body, {
    error: {
      code: "PRODUCT_NOT_FOUND",
      message: "there is no product 999999",
      doc_url: "/docs/errors#product-not-found",
    },
  });
  const theirs = await get("/v1/products/999999", { accept: "application/problem+json" });
  assert.match(theirs.headers.get("content-type") ?? "", /^application\/problem\+json/);
  assert.deepEqual([theirs.body.status, theirs.body.code], [404, "PRODUCT_NOT_FOUND"]);
  assert.match((await service.call("GET", "/docs/errors")).body, /id="product-not-found"/);
  for (const [at, code] of [
    ["/v1/products/search", "INVALID_QUERY"],
    ["/v1/products/search?q=a&limit=101", "VALIDATION_ERROR"],
    ["/v1/products/search?q=a&cursor=bm9uZQ", "INVALID_CURSOR"],
    // Of the right form, with a value that its order does not have.
    [`/v1/products/search?q=a&sort=price_asc&cursor=${cursorOf("price_asc", "dear")}`, "INVALID_CURSOR"],
    [`/v1/products/search?q=a&sort=newest&cursor=${cursorOf("newest", "2026-02-30 00:00:00+00")}`, "INVALID_CURSOR"],
    [`/v1/products/deals?cursor=${cursorOf("discount_desc", 40_000)}`, "INVALID_CURSOR"],
    ["/v1/products/search?q=headphones&convert_to=ZZZ", "VALIDATION_ERROR"],
    ["/v1/products/deals?currency=ZZZ&max_price=5", "VALIDATION_ERROR"],
    ["/v1/products/zero", "VALIDATION_ERROR"],
    ["/v1/categories/nowhere", "CATEGORY_NOT_FOUND"],
    ["/v1/nothing", "ROUTE_NOT_FOUND"],
    ["/v1/products/search?q=%00", "VALIDATION_ERROR"],
    ["/v1/products/search?q=a&brand=%00", "VALIDATION_ERROR"],
    ["/v1/categories/%00", "VALIDATION_ERROR"],
  ] as const) {
    assert.equal((await get(at)).body.error.code, code, at);
  }
  const unstorable = [
    await register({ agent_name: "a\u0000" }, OPERATOR_KEY),
    await ingest([offer()], {}, "half \ud83d"),
    await service.call("POST", "/v1/webhooks", { key, body: { url: "https://h.sg/\u0000" } }),
    await service.call("POST", "/v1/products/lookup", { key, body: { skus: [{ sku: "\u0000", source: "x" }] } }),
  ];
  assert.deepEqual(
    unstorable.map(({ status }) => status),
    [400, 400, 400, 400],
  );
  const broken = await fetch(`${service.url}/v1/ingest/products`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: "{",
  });
  assert.equal(broken.status, 400);
});

test("nobody comes in without a good key for the purpose, and a rotated one ends at once", async () => {
  const without = await service.call("GET", "/v1/categories");
  assert.deepEqual([without.status, without.body.error.code], [401, "MISSING_API_KEY"]);
  assert.equal((await service.call("GET", "/v1/categories", { key: "bw_free_x" })).body.error.code, "INVALID_API_KEY");
  const free = (await register({})).body;
  assert.deepEqual([free.tier, free.scopes, free.rate_limit_per_minute], ["free", ["read"], 60]);
  assert.equal((await register({ tier: "partner" })).body.error.code, "INSUFFICIENT_SCOPE");
  const body = { source: "x", products: [offer()] };
  assert.equal((await service.call("POST", "/v1/ingest/products", { key: free.api_key, body })).status, 403);
  // What a feed says is not overwritten from aside.
  await service.server.query(
    "insert into sources (name, kind, location, interval, is_enabled) values ('fed', 'csv', 'file:fed.csv', '1 h', false)",
  );
  assert.equal((await ingest([offer()], {}, "fed")).body.error.code, "INSUFFICIENT_SCOPE");
  const rotated = await service.call("POST", "/v1/keys/rotate", { key: free.api_key });
  assert.equal(rotated.status, 201);
  assert.equal((await service.call("GET", "/v1/categories", { key: free.api_key })).body.error.code, "REVOKED_API_KEY");
  assert.equal((await service.call("GET", "/v1/categories", { key: rotated.body.api_key })).status, 200);
  const keys = await service.server.query("select key_hash::text from api_keys");
  assert.ok(!JSON.stringify(keys).includes("bw_free"));
});

test("who lost the answer to a rotation gets it again by its idempotency key, and webhooks stay with their caller", async () => {
  const { api_key: old } = (await register({})).body;
  const hook = await service.call("POST", "/v1/webhooks", { key: old, body: { url: "http://127.0.0.1:9/" } });
  const headers = { "idempotency-key": randomUUID() };
  const rotated = await service.call("POST", "/v1/keys/rotate", { key: old, headers });
  const again = await service.call("POST", "/v1/keys/rotate", { key: old, headers });
  assert.deepEqual([again.status, again.body], [201, rotated.body]);
  const other = { "idempotency-key": randomUUID() };
  const refused = await service.call("POST", "/v1/keys/rotate", { key: old, headers: other });
  assert.equal(refused.body.error.code, "REVOKED_API_KEY");
  const removed = await service.call("DELETE", `/v1/webhooks/${hook.body.id}`, { key: rotated.body.api_key });
  assert.equal(removed.status, 200);
});

test("calls above the limit of a key are answered with 429 and when to go on", async () => {
  const { api_key: limited } = (await register({})).body;
  const answers = await Promise.all(
    // More than two windows of sixty: wherever the minute ends, one of them is over.
    Array.from({ length: 125 }, () => service.call("GET", "/v1/categories", { key: limited })),
  );
  const over = answers.filter(({ status }) => status === 429);
  assert.ok(over.length >= 5 && over.length <= 65, `${over.length}`);
  assert.ok(Number(over[0]?.headers.get("retry-after")) > 0);
  assert.equal(over[0]?.body.error.code, "RATE_LIMIT_EXCEEDED");
  assert.equal(answers[0]?.headers.get("x-ratelimit-limit"), "60");
  // Without a key it is the address that counts: the one that the balancer added, whatever the caller said before it.
  const left: string[] = [];
  // All three within a minute, as the instance counts them.
  service.ahead.byMs = 60_000 - (Date.now() % 60_000);
  for (const forwarded of ["192.0.2.1", "192.0.2.2", "192.0.2.3, 192.0.2.1"]) {
    const { headers } = await register({}, undefined, { "x-forwarded-for": forwarded });
    left.push(headers.get("x-ratelimit-remaining") ?? "");
  }
  service.ahead.byMs = 0;
  assert.deepEqual(left, ["29", "29", "28"]);
});

test("an answer that the caller has already is not sent again", async () => {
  const first = await get("/v1/products/search?q=velora");
  const etag = first.headers.get("etag") ?? "";
  const second = await get("/v1/products/search?q=velora", { "if-none-match": `"other", ${etag}` });
  assert.deepEqual([second.status, second.body], [304, ""]);
  assert.equal((await get("/v1/products/search?q=velora", { "if-none-match": '"other"' })).status, 200);
});

test("the document describes every route by the schemas that requests are checked with", async () => {
  const { body } = await service.call("GET", "/openapi.json");
  assert.equal(body.openapi, "3.1.0");
  const methods: readonly Record<string, { operationId: string }>[] = Object.values(body.paths);
  const operations = methods.flatMap((each) => Object.values(each).map(({ operationId }) => operationId));
  assert.ok(operations.length > 15);
  assert.equal(new Set(operations).size, operations.length);
  // All that is answered is described, with what this instance tells of itself.
  const clicks = body.paths["/v1/products/{id}/clicks"].post;
  assert.deepEqual(
    [Object.keys(clicks.responses), clicks.security, clicks.parameters.length],
    [["202", "default"], undefined, 1],
  );
  const { health, metrics } = { health: body.paths["/health"].get, metrics: body.paths["/metrics"].get };
  assert.deepEqual([Object.keys(health.responses), health.security], [["200", "503"], []]);
  assert.deepEqual(Object.keys(metrics.responses[200].content), ["text/plain"]);
  const report = (await service.call("GET", "/health")).body;
  const described = health.responses[200].content["application/json"].schema;
  assert.deepEqual(Object.keys(described.properties), Object.keys(report));
  assert.equal(report.dependencies.database.schema, "fits");
  const search = body.paths["/v1/products/search"].get;
  const limit = search.parameters.find(({ name }: { name: string }) => name === "limit");
  assert.deepEqual([limit.in, limit.required, limit.schema.maximum, limit.schema.default], ["query", false, 100, 20]);
  // Every name that is referred to is there.
  const named = [...JSON.stringify(body).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? "");
  assert.deepEqual(
    named.filter((name) => body.components.schemas[name] === undefined),
    [],
  );
  // What is answered is what is described.
  const item = (await get("/v1/products/search?q=headphones&limit=1")).body.items[0];
  assert.deepEqual(
    Object.keys(item).filter((name) => body.components.schemas.Product.properties[name] === undefined),
    [],
  );
});

test("a webhook is told of a change of price, signed, and not of a sighting", async () => {
  const told: { readonly signature: string; readonly body: string }[] = [];
  const listener = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      told.push({ signature: String(request.headers["x-lifeboat-signature"]), body });
      response.end();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  try {
    const address = listener.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/`;
    const hook = await service.call("POST", "/v1/webhooks", { key, body: { url } });
    assert.equal(hook.status, 201);
    await ingest([offer({ sku: "W-1", price: 10 })]);
    await ingest([offer({ sku: "W-1", price: 10 })]);
    await ingest([offer({ sku: "W-1", price: 12 })]);
    await eventually("the webhook is told", async () => told.length > 0);
    const [call] = told;
    const { sku, old_price, price } = JSON.parse(call?.body ?? "");
    assert.deepEqual([told.length, sku, old_price, price], [1, "W-1", 10, 12]);
    const expected = createHmac("sha256", hook.body.secret)
      .update(call?.body ?? "")
      .digest("hex");
    assert.equal(call?.signature, `sha256=${expected}`);
    const other = await service.call("POST", "/v1/webhooks", { key, body: { url } });
    assert.equal((await service.call("DELETE", `/v1/webhooks/${hook.body.id}`, { key })).status, 200);
    // What waits for a deleted one is told to nobody; both are due in one round.
    await service.server.query(
      `insert into webhook_deliveries (webhook_id, event, payload, due_at)
       select id, 'price.changed', '{"late": true}', now() - interval '1 min' from unnest('{${hook.body.id},${other.body.id}}'::int[]) id`,
    );
    await eventually("the other one is told", async () => told.length > 1);
    const tried = "select sum(attempts)::int from webhook_deliveries where webhook_id =";
    assert.equal(await service.server.value(`${tried} ${hook.body.id}`), "1");
    assert.equal((await service.call("DELETE", `/v1/webhooks/${other.body.id}`, { key })).status, 200);
  } finally {
    listener.close();
  }
});

test("a webhook that never answers has so many calls waiting and no more, takes nobody's turn, and a tier has so many webhooks", async () => {
  const free = (await register({})).body.api_key;
  const hook = (body: object, by = free) => service.call("POST", "/v1/webhooks", { key: by, body });
  const url = "http://127.0.0.1:1/";
  const { id } = (await hook({ url })).body;
  const [one, product] = [(await hook({ url })).body.id, (await get("/v1/products/search?q=silver")).body.items[0].id];
  const only = (await hook({ url, product_ids: [product] })).body.id;
  assert.equal((await hook({ url })).body.error.code, "VALIDATION_ERROR");
  assert.equal((await hook({ url }, key)).status, 201);
  await service.server.query(
    `insert into webhook_deliveries (webhook_id, event, payload, due_at)
       select ${id}, 'price.changed', '{}', now() + interval '1 h' from generate_series(1, 199);
     insert into webhook_deliveries (webhook_id, event, payload, due_at)
       select ${one}, 'price.changed', '{}', now() - interval '1 h' from generate_series(1, 50);
     insert into product_changes (event, product_id, payload)
       select 'price.changed', n, '{}' from generate_series(${product}, ${product} + 2) n`,
  );
  await eventually(
    "the changes are spread",
    async () => (await service.server.value("select count(*)::text from product_changes")) === "0",
  );
  const count = async (hookId: number) =>
    await service.server.value(`select count(*)::text from webhook_deliveries where webhook_id = ${hookId}`);
  assert.deepEqual([await count(id), await count(only), await count(one)], ["200", "1", "53"]);
  await eventually("it is called beside one with more to tell", async () => {
    const tried = await service.server.value(
      `select attempts::text from webhook_deliveries where webhook_id = ${only}`,
    );
    return tried === "1";
  });
  assert.equal(
    await service.server.value(
      `select (count(*) > 20)::text from webhook_deliveries where webhook_id = ${one} and attempts = 0`,
    ),
    "true",
  );
  await eventually("its failures are counted", async () => {
    const failed = `select (failure_count > 0 and failing_since is not null)::text from webhooks where id = ${only}`;
    return (await service.server.value(failed)) === "true";
  });
  await service.server.query("update webhooks set is_active = false");
});

test("receiving ends that hang hold up nobody, one that fails rests, and one that failed for days is called no more", async () => {
  const ended = { hanging: 0 };
  const told: string[] = [];
  const hangs = createServer((_request, response) => void response.on("close", () => (ended.hanging += 1)));
  const answers = createServer((request, response) => {
    told.push(String(request.headers["x-lifeboat-delivery"]));
    response.end();
  });
  const port = async (server: Server): Promise<number> => {
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const address = server.address();
    return typeof address === "object" ? (address?.port ?? 0) : 0;
  };
  const [hanging, answering] = [await port(hangs), await port(answers)];
  const { server } = service;
  const owner = "(select id from api_keys where revoked_at is null order by id limit 1)";
  try {
    // Twelve receiving ends that hang, with four calls each that are due before those of the one that answers.
    await server.query(
      `insert into webhooks (api_key_id, url, secret, events)
         select ${owner}, format('http://x%s@127.0.0.%s:${hanging}/', n, n), 's', '{price.changed}' from generate_series(1, 12) n;
       insert into webhook_deliveries (webhook_id, event, payload, due_at)
         select id, 'price.changed', '{}', now() - interval '1 h' from webhooks, generate_series(1, 4) where url like '%:${hanging}/';
       insert into webhooks (api_key_id, url, secret, events, failure_count, failing_since, rests_until) values
         (${owner}, 'http://127.0.0.1:${answering}/', 'answers', '{price.changed}', 4, now() - interval '9 days', now()),
         (${owner}, 'http://127.0.0.1:1/', 'refuses', '{price.changed}', 4, now() - interval '1 day', null),
         (${owner}, 'http://127.0.0.2:1/', 'refused for days', '{price.changed}', 90, now() - interval '4 days', null);
       insert into webhook_deliveries (webhook_id, event, payload)
         select id, 'price.changed', '{}' from webhooks, generate_series(1, 6) where secret in ('answers', 'refuses', 'refused for days')`,
    );
    await eventually("the one that answers is told", async () => told.length >= 6);
    assert.equal(ended.hanging, 0);
    const facts = async (secret: string) =>
      await server.value(
        `select concat_ws(' ', failure_count, failing_since is null, rests_until > now(), is_active,
           (select sum(attempts) from webhook_deliveries where webhook_id = webhooks.id)) from webhooks where secret = '${secret}'`,
      );
    await eventually("what came of it is recorded", async () => (await facts("answers")) === "0 t t 6");
    await eventually("it rests", async () => (await facts("refuses")) === "5 f t t 1");
    await eventually("it is called no more", async () => (await facts("refused for days")) === "91 f t f 1");
  } finally {
    await server.query("update webhooks set is_active = false");
    for (const each of [hangs, answers]) {
      each.closeAllConnections();
      each.close();
    }
  }
});

test("while the pooler is paused reads are answered by another way and writes wait, each done once", async () => {
  const before = await get("/v1/products/search?q=silver");
  assert.equal(before.status, 200);
  await service.pooler.console("PAUSE");
  const writes = Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      ingest([offer({ sku: `Q-${index}`, title: "Paused kettle" })], { "idempotency-key": randomUUID() }),
    ),
  );
  const reads = await Promise.all(
    Array.from({ length: 10 }, (_, index) => get(`/v1/products/search?q=headphones%20model%20${index}`)),
  );
  assert.deepEqual(new Set(reads.map(({ status }) => status)), new Set([200]));
  assert.ok(reads.every(({ headers }) => headers.get("x-cache") === "database"));
  assert.equal((await service.call("GET", "/health/ready")).status, 200);
  await eventually("the instance says that it cannot write", async () => {
    const { body } = await service.call("GET", "/health");
    return body.status === "degraded" && body.can_write === false;
  });
  await service.pooler.console("RESUME");
  assert.deepEqual(
    (await writes).map(({ status, body }) => `${status} ${body.inserted}`),
    Array(5).fill("200 1"),
  );
});

test("writes whose connections are lost wait until there is a server again, and each is done once", async () => {
  // Drops every client, and lets nobody through until it is resumed.
  await service.pooler.console("KILL postgres");
  const writes = Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      ingest([offer({ sku: `B-${index}` })], { "idempotency-key": randomUUID() }),
    ),
  );
  await eventually("writes wait", async () => (await service.call("GET", "/health")).body.writes_waiting > 0);
  await service.pooler.console("RESUME postgres");
  assert.deepEqual(
    (await writes).map(({ status, body }) => `${status} ${body.inserted}`),
    Array(5).fill("200 1"),
  );
});

test("without redis answers are the same, and who asks for one thing at once makes one query", async () => {
  await service.redis.kill();
  const before = answersFrom((await service.call("GET", "/metrics")).body);
  const all = await Promise.all(Array.from({ length: 20 }, () => get("/v1/products/search?q=green%20headphones")));
  assert.deepEqual(new Set(all.map(({ status, body }) => `${status} ${body.total}`)), new Set(["200 5"]));
  const after = answersFrom((await service.call("GET", "/metrics")).body);
  assert.equal(after - before, 1);
  assert.equal((await service.call("GET", "/health")).body.dependencies.redis.status, "away");
  await service.redis.start();
  await eventually("redis is back", async () => {
    await get("/v1/products/search?q=blue");
    return (await service.call("GET", "/health")).body.dependencies.redis.status === "ok";
  });
});

function answersFrom(metrics: string): number {
  return Number(/catalog_answers_total\{from="database"\} (\d+)/.exec(metrics)?.[1]);
}

test("with no database at all a kept copy is given and marked, and what was never asked is refused for now", async () => {
  const at = "/v1/products/search?q=bosca%20red";
  const fresh = await get(at);
  assert.equal(fresh.body.stale, undefined);
  await service.server.stop("immediate");
  // The copy is older than its soft time, and younger than its hard one.
  service.ahead.byMs = 60_000;
  const kept = await get(at);
  assert.deepEqual(kept.body, { stale: true, ...fresh.body });
  assert.match(kept.headers.get("warning") ?? "", /^110 /);
  // Its mark makes it other bytes than those that the tag without W/ stands for.
  assert.equal(kept.headers.get("etag"), `W/${fresh.headers.get("etag")}`);
  assert.ok(Number(kept.headers.get("age")) >= 60);
  const never = await get("/v1/products/search?q=never%20asked");
  assert.deepEqual([never.status, never.body.error.code], [503, "SERVICE_UNAVAILABLE"]);
  assert.ok(Number(never.headers.get("retry-after")) > 0);
  assert.equal((await service.call("GET", "/health/live")).status, 200);
  await eventually("people are told", async () => (await service.call("GET", "/health")).status === 503);
  await service.server.start();
});

test("who called, what was searched for and clicked on is written when nobody waits for it, at the latest at the end", async () => {
  const { server } = service;
  await server.query(
    "insert into idempotency_keys select 'old', 'old', sha256('a'), 200, '{}', now() - interval '25 hours'",
  );
  assert.equal((await service.call("POST", "/v1/products/7/clicks")).status, 401);
  assert.equal((await service.call("POST", "/v1/products/7/clicks", { key })).status, 202);
  // A clock that is ahead makes nothing that is never old: both hours are the database's own.
  for (const hours of [9_000, 9_001]) {
    service.ahead.byMs = hours * 3_600_000;
    assert.equal((await get(`/v1/products/search?q=ahead${hours}`)).status, 200);
  }
  // One more after the server came back, so that it is known to take writes.
  assert.equal((await ingest([offer({ sku: "LAST" })], { "idempotency-key": randomUUID() })).status, 200);
  await service.stopInstance();
  assert.equal(
    await server.value("select count(*) > 0 from api_usage where operation = 'searchProducts' and calls > 1"),
    "true",
  );
  assert.equal(await server.value("select max(results) from search_history where query = 'wireless headphones'"), "30");
  assert.equal(await server.value("select count(*) from clicks where product_id = 7"), "1");
  const late = "select count(*) from search_history where query like 'ahead%' and searched_at <= now()";
  assert.equal(await server.value(late), "2");
  assert.equal(await server.value("select count(*) from api_usage where hour > now()"), "0");
  assert.equal(await server.value("select count(*) > 0 from api_keys where last_used_at is not null"), "true");
  assert.equal(await server.value("select count(*) from idempotency_keys where key = 'old'"), "0");
});
