import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type pg from "pg";
import { connectCatalogue, createCatalogue, offer } from "../../test/support/catalogue.ts";
import { eventually } from "../../test/support/receivers.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { inTransaction } from "../database/session.ts";
import { migrate } from "../schema/migrate.ts";
import { MIGRATIONS } from "../schema/migrations.ts";
import { closeRun, ingestBatch, openRun } from "./ingest.ts";

let server: TestServer;
let session: pg.Client;

before(async () => {
  server = await startServer({ major: 16, name: "ingest" });
  await createCatalogue(server);
  session = await connectCatalogue(server);
});
after(async () => {
  await session?.end();
  await server?.[Symbol.asyncDispose]();
});

async function ingest(source: string, values: readonly unknown[]) {
  return await inTransaction(session, async () => {
    const runId = await openRun(session, { source, origin: "scheduler" });
    const rows = values.map((value, index) => ({ rowNumber: index + 1, value }));
    const outcome = await ingestBatch(session, { source, runId, rows });
    await closeRun(session, runId);
    return { ...outcome, runId };
  });
}

async function single(sql: string, values: readonly unknown[] = []): Promise<unknown> {
  const { rows } = await session.query(sql, [...values]);
  return Object.values(rows[0] ?? {})[0];
}

test("a schema is migrated once, by however many at the same time, and a database that says otherwise is refused", async () => {
  await server.query(`create database fresh`);
  const clients = await Promise.all([1, 2, 3].map(() => connectCatalogue(server, "fresh")));
  try {
    const results = await Promise.all(clients.map((client) => migrate(client, MIGRATIONS)));
    const numbers = MIGRATIONS.map(({ number }) => number);
    assert.deepEqual(
      results.flatMap(({ applied }) => applied).sort((a, b) => a - b),
      numbers,
    );
    const [client] = clients;
    assert.ok(client !== undefined);
    assert.deepEqual(await migrate(client, MIGRATIONS), { before: numbers, applied: [] });
    const changed = MIGRATIONS.map((each) => (each.number === 2 ? { ...each, sql: `${each.sql} ` } : each));
    await assert.rejects(migrate(client, changed), {
      code: "catalog.migration-changed",
      message: /migration 2 \(callers\)/,
    });
    await assert.rejects(migrate(client, MIGRATIONS.slice(0, 2)), { code: "catalog.migration-unknown" });
    // A migration that fails leaves nothing of itself.
    const broken = [...MIGRATIONS, { number: 99, name: "broken", sql: "create table half (a int); select 1 / 0" }];
    await assert.rejects(migrate(client, broken), { code: "22012" });
    assert.equal((await client.query("select to_regclass('half') as half")).rows[0]?.half, null);
    // What somebody reads for long is not waited for in front of everybody else.
    const [, reader] = clients;
    await reader?.query("begin; select from products limit 1");
    const waiting = [
      ...MIGRATIONS,
      { number: 99, name: "waiting", sql: "alter table products add column half integer" },
    ];
    await assert.rejects(migrate(client, waiting, { lockTries: 1 }), {
      code: "catalog.migration-blocked",
      message: /migration 99 \(waiting\).*select from products/,
    });
    const migrated = migrate(client, waiting, { lockTries: 3 });
    await eventually(
      "it waits",
      async () => (await server.value("select count(*)::text from pg_locks where not granted")) === "1",
    );
    await reader?.query("commit");
    assert.deepEqual((await migrated).applied, [99]);
  } finally {
    for (const client of clients) await client.end();
  }
});

test("indexes are built while others write, by one of those who ask; what was cut off is built anew, and what still goes on is waited for", async () => {
  const clients = await Promise.all(Array.from({ length: 7 }, async () => await connectCatalogue(server)));
  const [writer, first, second, ...builders] = clients;
  assert.ok(writer !== undefined && first !== undefined && second !== undefined);
  const [a, b, c, d] = builders;
  assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
  const sql = "create index cut_title on products (title);\ncreate index cut_brand on products (brand);";
  const wanted = [...MIGRATIONS, { number: 99, name: "indexed", sql, indexesOnly: true }] as const;
  const valid =
    "select string_agg(indexrelid || ' ' || indisvalid, ', ' order by indexrelid) from pg_index where indexrelid::regclass::text like 'cut_%'";
  const write = async (by: pg.Client) => await by.query("update products set seen_at = now()");
  const building = async (client: pg.Client): Promise<boolean> =>
    (
      await client.query(
        "select from pg_stat_activity where query like 'create index concurrently%' and wait_event_type = 'Lock'",
      )
    ).rows.length > 0;
  try {
    await writer.query("begin; lock table products in row exclusive mode");
    const blocked = migrate(first, wanted, { lockTries: 1, builders: { builder: a, watcher: b } });
    const refused = assert.rejects(blocked, {
      code: "catalog.migration-blocked",
      message: /\(indexed\).*row exclusive/,
    });
    await eventually("it waits", async () => await building(session));
    await write(session);
    await refused;
    assert.match(String(await single(valid)), /^\d+ false$/);
    await writer.query("commit");
    const both = await Promise.all([
      migrate(first, wanted, { builders: { builder: a, watcher: b } }),
      migrate(second, wanted, { builders: { builder: c, watcher: d } }),
    ]);
    assert.deepEqual(
      both.flatMap(({ applied }) => applied),
      [99],
    );
    assert.match(String(await single(valid)), /^\d+ true, \d+ true$/);
    // Whoever asked for this one is gone.
    await session.query("drop index cut_title, cut_brand; delete from schema_migrations where number = 99");
    await writer.query("begin; lock table products in row exclusive mode");
    const orphan = c.query("create index concurrently cut_title on products (title)");
    await eventually("it waits", async () => await building(session));
    const id = String(await single(valid)).split(" ")[0];
    const migrated = migrate(first, wanted, { builders: { builder: a, watcher: b } });
    await eventually(
      "it looks on",
      async () =>
        (await single(
          "select count(*)::int from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'",
        )) === 1,
    );
    await writer.query("commit");
    await orphan;
    assert.deepEqual((await migrated).applied, [99]);
    assert.equal(String(await single(valid)).split(" ")[0], id);
    await session.query("drop index cut_title, cut_brand; delete from schema_migrations where number = 99");
  } finally {
    for (const client of clients) await client.end();
  }
});

test("an offer is known by sku and source: seen again it is unchanged, and only a change of price is remembered", async () => {
  const first = await ingest("harbour", [offer(), offer({ sku: "A-2", price: "99.00" })]);
  assert.deepEqual(
    first.written.map(({ outcome }) => outcome),
    ["inserted", "inserted"],
  );
  const [id] = first.written.map(({ productId }) => productId);
  const updatedAt = await single("select updated_at::text from products where id = $1", [id]);
  const again = await ingest("harbour", [offer({ price: "129.90" }), offer({ sku: "A-2", price: 89 })]);
  assert.deepEqual(
    again.written.map(({ outcome, priceChanged }) => [outcome, priceChanged]),
    [
      ["unchanged", false],
      ["updated", true],
    ],
  );
  assert.equal(again.written[0]?.productId, id);
  assert.equal(await single("select updated_at::text from products where id = $1", [id]), updatedAt);
  assert.equal(await single("select seen_at > updated_at from products where id = $1", [id]), true);
  const renamed = await ingest("harbour", [offer({ title: "Cordless drill, 18 V" })]);
  assert.deepEqual(
    renamed.written.map(({ outcome, priceChanged }) => [outcome, priceChanged]),
    [["updated", false]],
  );
  const elsewhere = await ingest("lagoon", [offer()]);
  assert.notEqual(elsewhere.written[0]?.productId, id);
  const history =
    "select string_agg(h.price::text, ' ' order by h.id) from price_history h join products p on p.id = product_id";
  assert.equal(await single(`${history} where sku = 'A-1' and p.source = 'harbour'`), "129.90");
  assert.equal(await single(`${history} where sku = 'A-2'`), "99.00 89.00");
  const run = await session.query("select * from ingestion_runs where id = $1", [again.runId]);
  const { received, inserted, updated, unchanged, rejected, price_changes, status } = run.rows[0];
  assert.deepEqual(
    [received, inserted, updated, unchanged, rejected, price_changes, status],
    [2, 0, 1, 1, 0, 1, "succeeded"],
  );
});

test("rows that cannot be sold are rejected one by one with their reasons, and the others are taken", async () => {
  const { price: _, ...priceless } = offer({ sku: "R-1" });
  const outcome = await ingest("rejects", [
    priceless,
    offer({ sku: "R-2", price: 0 }),
    offer({ sku: "R-3", price: 1 }),
    offer({ sku: "R-4", price: 1, price_confirmed: true }),
    offer({ sku: "R-5", currency: "QQQ" }),
    offer({ sku: "R-6", gtin: "4006381333932" }),
    offer({ sku: "R-4" }),
    offer({ sku: "" }),
    offer({ sku: "R-9", title: undefined }),
    offer({ sku: "R-10", price: 50, currency: "VND", country_code: "VN" }),
    "no row at all",
    offer({ sku: "R-12", gtin: "4006381333931", price: 1_500_000, currency: "VND", country_code: "VN" }),
  ]);
  assert.deepEqual(
    outcome.rejections.map(({ rowNumber, code }) => `${rowNumber} ${code}`),
    [
      "1 price-missing",
      "2 price-not-positive",
      "3 price-placeholder",
      "5 unknown-currency",
      "6 invalid-gtin",
      "7 duplicate-sku",
      "8 invalid-field",
      "9 missing-field",
      "10 price-placeholder",
      "11 invalid-field",
    ],
  );
  assert.match(outcome.rejections.at(-1)?.message ?? "", /^the row: ./);
  assert.deepEqual(
    outcome.written.map(({ rowNumber, outcome: became }) => `${rowNumber} ${became}`),
    ["4 inserted", "12 inserted"],
  );
  assert.equal(await single("select count(*)::int from ingestion_rejections where run_id = $1", [outcome.runId]), 10);
  assert.equal(
    await single("select status || rejected from ingestion_runs where id = $1", [outcome.runId]),
    "partial10",
  );
  assert.equal(await single("select price_sgd::float from products where sku = 'R-12'"), 74.07);
});

test("a row with text or amounts that the database does not take is rejected, and the others are taken", async () => {
  const nested = Array.from({ length: 20 }).reduce((inner: unknown) => [inner], "deep");
  const outcome = await ingest("unstorable", [
    offer({ sku: "U-1", title: "Kettle \u0000" }),
    offer({ sku: "U-2\u0000" }),
    offer({ sku: "U-3", specs: { colour: [{ "\u0000": 1 }] } }),
    offer({ sku: "U-4", metadata: { note: "half \ud83d" } }),
    offer({ sku: "U-5", metadata: { nested } }),
    offer({ sku: "U-6", url: "https://h.sg/\u0000" }),
    offer({ sku: "U-7", price: 999_999_999_999, currency: "GBP" }),
    offer({ sku: "U-8", list_price: 999_999_999_999.999 }),
    offer({ sku: "U-9", description: "line\nline", specs: { sizes: ["S", "\u{1f600}"] } }),
    offer({ sku: `${"U".repeat(127)}\u{1f600}U` }),
  ]);
  assert.deepEqual(
    outcome.rejections.map(({ rowNumber, code }) => `${rowNumber} ${code}`),
    [1, 2, 3, 4, 5, 6, 7, 8, 10].map((row) => `${row} invalid-field`),
  );
  assert.deepEqual(
    outcome.written.map(({ rowNumber }) => rowNumber),
    [9],
  );
});

test("a change is written down once in the transaction that makes it, however many want to know, and no sighting is", async () => {
  await ingest("told", [offer({ price: 21 })]);
  await ingest("told", [offer({ price: 20 })]);
  const told = async () => (await session.query("select event, payload from product_changes order by id")).rows;
  assert.deepEqual(await told(), []);
  await session.query(
    `insert into api_keys (key_hash, prefix, agent_name, tier) values (sha256('a'), 'bw_free', 'watcher', 'free');
     insert into webhooks (api_key_id, url, secret, events)
       select id, 'http://127.0.0.1:1/', 's', '{price.changed}' from api_keys, generate_series(1, 5)`,
  );
  await ingest("told", [offer({ price: 20 })]);
  await ingest("told", [offer({ price: 18, availability: "out_of_stock" })]);
  const rows = await told();
  assert.deepEqual(
    rows.map(({ event }) => event),
    ["price.changed", "stock.changed"],
  );
  const { price, old_price, source } = rows[0].payload;
  assert.deepEqual([price, old_price, source], [18, 20, "told"]);
  assert.equal((await session.query("select from webhook_deliveries")).rows.length, 0);
});

test("two batches of one source at the same time insert an offer once and remember its price once", async () => {
  const sessions = await Promise.all([connectCatalogue(server), connectCatalogue(server)]);
  try {
    const outcomes = await Promise.all(
      sessions.map((each) =>
        inTransaction(each, async () => {
          const runId = await openRun(each, { source: "race", origin: "api" });
          return await ingestBatch(each, { source: "race", runId, rows: [{ rowNumber: 1, value: offer() }] });
        }),
      ),
    );
    assert.deepEqual(outcomes.flatMap(({ written }) => written.map(({ outcome }) => outcome)).sort(), [
      "inserted",
      "unchanged",
    ]);
    assert.equal(await single("select count(*)::int from price_history where source = 'race'"), 1);
  } finally {
    for (const each of sessions) await each.end();
  }
});

test("of two batches the one that is written later has the later price, whichever began first", async () => {
  const early = await connectCatalogue(server);
  try {
    await inTransaction(early, async () => {
      const runId = await openRun(early, { source: "order", origin: "api" });
      await ingest("order", [offer({ price: 30 })]);
      await ingestBatch(early, { source: "order", runId, rows: [{ rowNumber: 1, value: offer({ price: 31 }) }] });
    });
  } finally {
    await early.end();
  }
  const prices = "select string_agg(price::text, ' ' order by recorded_at) from price_history where source = 'order'";
  assert.equal(await single(prices), "30.00 31.00");
});

test("search finds stemmed words, model numbers as written, and words near a mistyped one", async () => {
  await ingest("search", [offer({ sku: "S-1", title: "Running shoes WH-1000XM5", brand: "Velora" })]);
  for (const query of ["run shoe", "wh-1000xm5", "velora", "power tools"]) {
    const found = await single(
      `select count(*)::int from products where source = 'search' and
         search @@ (websearch_to_tsquery('english', $1) || websearch_to_tsquery('simple', $1))`,
      [query],
    );
    assert.equal(found, 1, query);
  }
  assert.equal(
    await single(
      "select word from search_words where word % 'runing' order by similarity(word, 'runing') desc limit 1",
    ),
    "running",
  );
});

test("a new rate is that of offers as they are shown next, makes none newer and changes no price, and one of another currency lets its offers in", async () => {
  const row = offer({ sku: "RATE", price: 327, currency: "MYR", country_code: "MY" });
  const offered = async (): Promise<unknown> =>
    (
      await session.query(
        "select price::float8, price_sgd::float8, updated_at = created_at as is_as_old from products where source = 'rated' and sku = 'RATE'",
      )
    ).rows[0];
  const { written } = await ingest("rated", [row]);
  assert.deepEqual(await offered(), { price: 327, price_sgd: 100, is_as_old: true });
  const operating = await readFile(path.join(import.meta.dirname, "../../docs/operating.md"), "utf8");
  const [, documented] = /```sql\n(insert into exchange_rates [^`]*)```/.exec(operating) ?? [];
  assert.ok(documented !== undefined);
  await session.query(documented);
  assert.deepEqual(await offered(), { price: 327, price_sgd: 100, is_as_old: true });
  const again = await ingest("rated", [row, offer({ sku: "WON", price: 990_000, currency: "KRW" })]);
  assert.deepEqual(
    again.written.map(({ outcome, priceChanged }) => [outcome, priceChanged]),
    [
      ["unchanged", false],
      ["inserted", false],
    ],
  );
  assert.deepEqual(await offered(), { price: 327, price_sgd: 98.2, is_as_old: true });
  const prices = "select count(*)::int from price_history where product_id = $1";
  assert.equal(await single(prices, [written[0]?.productId]), 1);
  await assert.rejects(session.query("update exchange_rates set per_sgd = 0"), { code: "23514" });
  await assert.rejects(session.query("delete from exchange_rates where currency = 'KRW'"), { code: "23503" });
});
