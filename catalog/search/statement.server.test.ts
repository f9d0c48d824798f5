import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type pg from "pg";
import { connectCatalogue, createCatalogue } from "../../test/support/catalogue.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import type { Cursor } from "./cursor.ts";
import { SORT_KEYS, SORTS } from "./sort.ts";
import { type Search, searchStatement } from "./statement.ts";

let server: TestServer;
let client: pg.Client;

/** Every word of theirs but the last is in many of them; prices and discounts have many in one place. */
const OFFERS = `
insert into merchants (slug, name) values ('lagoon', 'Lagoon');
insert into products (sku, source, merchant_id, title, brand, category, price, list_price, currency, price_sgd, country_code,
  region, url, updated_at)
select 'H-' || n, 'tests', 1, 'Wireless ' || case when n % 3 = 0 then 'speaker' else 'headphones' end || ' model ' || n,
  case when n % 4 = 0 then 'Velora' else 'Bosca' end, case when n % 5 = 0 then 'sound' else 'headphones' end,
  20 + (n * 7) % 10, case when n % 2 = 0 then 40 end, 'SGD', 20 + (n * 7) % 10, 'SG', 'sea', 'https://lagoon.example/' || n,
  timestamptz '2026-04-18' + (n * 11 % 60) * interval '1 hour'
from generate_series(1, 200) n;
insert into products (sku, source, merchant_id, title, brand, category, price, currency, price_sgd, country_code, region, url)
values ('W', 'tests', 1, 'Wireless Model', null, 'modems', 9, 'SGD', 9, 'SG', 'sea', 'https://lagoon.example/w'),
  ('M', 'tests', 1, 'Model Headphones', 'Bosca', 'headphones', 9, 'SGD', 9, 'SG', 'sea', 'https://lagoon.example/m')`;

before(async () => {
  server = await startServer({ major: 16, name: "statement" });
  await createCatalogue(server);
  client = await connectCatalogue(server);
  await client.query(OFFERS);
});
after(async () => {
  await client?.end();
  await server?.[Symbol.asyncDispose]();
});

type Limits = NonNullable<Parameters<typeof searchStatement>[1]>;

const ASKED = { filters: {}, limit: 100, cursor: undefined, facets: true, convertTo: undefined } as const;

async function rowsOf(search: Search, limits: Limits): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const { text, values } = searchStatement(search, limits);
  return (await client.query(text, [...values])).rows;
}

const idsIn = (rows: readonly Readonly<Record<string, unknown>>[]): readonly number[] =>
  rows.map(({ id }) => Number(id));

/** All pages of a search. */
async function pagesOf(search: Search, limits: Limits): Promise<readonly number[]> {
  const { sort, limit } = search;
  const ids: number[] = [];
  for (let cursor: Cursor | undefined; ; ) {
    const rows = await rowsOf({ ...search, cursor }, limits);
    ids.push(...idsIn(rows.slice(0, limit)));
    const last = rows[limit - 1];
    if (rows.length <= limit || last === undefined) return ids;
    const value = last[SORT_KEYS[sort].column];
    cursor = { sort, value: value instanceof Date ? value.toISOString() : String(value), id: Number(last["id"]) };
  }
}

test("words that much of the catalogue has are looked for in a part of it first, and rare ones in all", async () => {
  const idsOf = async (value: string, candidatesMax: number) =>
    idsIn(await rowsOf({ ...ASKED, text: { kind: "web", value }, sort: "relevance" }, { candidatesMax }));
  assert.deepEqual(await idsOf("headphones", 1), [16, 32]);
  assert.equal((await idsOf("speaker", 1_000)).length, 66);
  assert.equal((await idsOf('"model 7"', 0)).length, 1);
});

test("the very title comes first, also behind its brand, when all of its words are common", async () => {
  const firstOf = async (value: string, filters: Search["filters"] = {}) =>
    (await rowsOf({ ...ASKED, filters, text: { kind: "web", value }, sort: "relevance" }, { candidatesMax: 0 }))[0]?.[
      "sku"
    ];
  assert.equal(await firstOf("wireless  MODEL "), "W");
  assert.equal(await firstOf("bosca model headphones"), "M");
  assert.equal(await firstOf("model headphones"), "M");
  assert.equal(await firstOf("wireless model", { categories: ["headphones"] }), "H-16");
});

test("a common word sorted by price, discount or time has the very pages that it has when all is looked at", async () => {
  const text = { kind: "web", value: "headphones" } as const;
  const filters = [{}, { minPrice: 22, maxPrice: 27 }, { categories: ["sound"] }, { brand: "velora" }];
  for (const sort of SORTS.filter((each) => each !== "relevance")) {
    for (const each of filters) {
      const search = { ...ASKED, text, sort, filters: each, limit: 11, facets: false };
      const exact = await pagesOf(search, {});
      assert.ok(exact.length >= 20, sort);
      // Nothing of the order is gone through, too little of it, and all.
      for (const walkedMax of [0, 6, 1_000])
        assert.deepEqual(await pagesOf(search, { candidatesMax: 0, walkedMax }), exact, `${sort} ${walkedMax}`);
    }
    // The sample has a page, and tells how far it reaches.
    const short = { ...ASKED, text, sort, limit: 5, facets: false };
    assert.deepEqual(await pagesOf(short, { candidatesMax: 5, walkedMax: 0 }), await pagesOf(short, {}), sort);
  }
});

test("the places that cover a range of an order are those of the steps within it, and of no other", async () => {
  const { rows } = await client.query(`with ranges as materialized (
      select low, high, order_cover(2, 1, low, high) as cover from generate_series(0, 99, 7) low, generate_series(0, 99, 3) high)
    select count(*)::int as all_of_them, (count(*) filter (where cover && order_steps(1, s::smallint, '2026-01-01') <> (s between low and high)))::int as wrong
    from ranges, generate_series(0, 99) s`);
  assert.deepEqual(rows, [{ all_of_them: 51_000, wrong: 0 }]);
  const { rows: days } =
    await client.query(`with ends as (select (n * 7919) % 49152 as day from generate_series(1, 24) n),
      ranges as materialized (select a.day as low, b.day as high, order_cover(3, 4, a.day, b.day) as cover from ends a, ends b),
      days as (select day + shift as day from ends, unnest('{-1,0,1}'::int[]) shift where day + shift between 0 and 49151)
    select count(*) filter (where
      cover && order_steps(1, 0::smallint, timestamptz '1970-01-01 12:00Z' + day * interval '1 day') <> (day between low and high))::int as wrong
    from ranges, days`);
  assert.deepEqual(days, [{ wrong: 0 }]);
  const { rows: prices } = await client.query(`select count(*)::int as wrong from (
      select price_step(price) as step, lag(price_step(price)) over (order by price) as before
      from (select 1.01::numeric ^ n as price from generate_series(-10, 1300) n) prices) steps
    where step not between 0 and 63 or step < before or step > before + 1`);
  assert.deepEqual(prices, [{ wrong: 0 }]);
});
