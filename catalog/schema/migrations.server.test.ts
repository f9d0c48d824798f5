import assert from "node:assert/strict";
import { test } from "node:test";
import { MAJORS } from "../../src/postgres/installation.ts";
import { connectCatalogue, createCatalogue } from "../../test/support/catalogue.ts";
import { type TestServer, withServer } from "../../test/support/servers.ts";
import { PLACES } from "./0010-places.ts";
import { migrate } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.ts";

/** As migration 10 had it for a day: what it calls is looked up by the search_path of whoever plans. */
const UNBOUND = `create or replace function order_steps(price numeric, discount smallint, updated timestamptz) returns integer[]
  language sql immutable parallel safe as 'select array[1000000 + price_step(price)]';
  update schema_migrations set checksum = '${PLACES.earlier?.[0]}' where number = 10`;

const OFFER = `insert into merchants (slug, name) values ('lagoon', 'Lagoon');
  insert into products (sku, source, merchant_id, title, category, price, currency, price_sgd, country_code, region, url)
  values ('A', 'tests', 1, 'A lamp', 'lamps', 9, 'SGD', 9, 'SG', 'sea', 'https://lagoon.example/a')`;

/** As an autovacuum does: without a search_path, and in a session of its own, since another one may know the index already. */
async function analyze(server: TestServer): Promise<void> {
  const session = await connectCatalogue(server);
  try {
    await session.query("set search_path = ''");
    await session.query("analyze public.products");
  } finally {
    await session.end();
  }
}

for (const major of MAJORS) {
  test(`on PostgreSQL ${major} a database is brought to the newest schema, and its offers can be analyzed by who has no search_path, also where they could not`, async () => {
    await withServer({ major, name: "migrations" }, async (server) => {
      await createCatalogue(server);
      const session = await connectCatalogue(server);
      try {
        await session.query(OFFER);
        await analyze(server);
        await session.query("set enable_seqscan = off");
        const { rows } = await session.query(
          "explain (format json) select from products where order_steps(price_sgd, discount_percent, updated_at) && '{1000009}'",
        );
        assert.match(JSON.stringify(rows), /"products_words"/);
        await session.query(UNBOUND);
        await assert.rejects(analyze(server), { code: "42883", message: /price_step/ });
        assert.deepEqual((await migrate(session, MIGRATIONS)).applied, [10]);
        await analyze(server);
        assert.deepEqual((await migrate(session, MIGRATIONS)).applied, []);
      } finally {
        await session.end();
      }
    });
  });
}
