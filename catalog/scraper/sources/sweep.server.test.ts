import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type pg from "pg";
import { connectCatalogue, createCatalogue } from "../../../test/support/catalogue.ts";
import { startServer, type TestServer } from "../../../test/support/servers.ts";
import { inTransaction } from "../../database/session.ts";
import type { Transactions } from "./run.ts";
import { sweepOld } from "./sweep.ts";

let server: TestServer;
let session: pg.Client;

before(async () => {
  server = await startServer({ major: 16, name: "sweep" });
  await createCatalogue(server);
  session = await connectCatalogue(server);
});
after(async () => {
  await session?.end();
  await server?.[Symbol.asyncDispose]();
});

/** The only value of a statement's only row. */
async function value(sql: string): Promise<unknown> {
  const { rows } = await session.query({ text: sql, rowMode: "array" });
  return rows[0]?.[0];
}

test("records go when nobody looks at them any more, those of runs under way and newer ones stay", async () => {
  await session.query(`
    insert into sources (name, kind, location, interval) values ('old', 'csv', 'file:old.csv', '1 h');
    insert into source_runs (source_id, slot_at, token, holder, finished_at)
      select id, now() - days * interval '1 day', gen_random_uuid(), 'h', case when ended then now() - days * interval '1 day' end
      from sources, (values (62, true), (61, true), (61.5, false), (59, true)) as r(days, ended);
    insert into api_keys (key_hash, prefix, agent_name, tier) values (sha256('s'), 'bw_free', 'sweeper', 'free');
    insert into webhooks (api_key_id, url, secret, events) select id, 'http://127.0.0.1:1/', 's', '{price.changed}' from api_keys;
    insert into webhook_deliveries (webhook_id, event, payload, created_at)
      select id, 'price.changed', '{}', now() - age * interval '1 day' from webhooks, unnest('{9, 8, 6}'::int[]) as age;
    insert into product_changes (event, product_id, payload, changed_at)
      select 'price.changed', 1, '{}', now() - age * interval '1 hour' from unnest('{50, 26, 1}'::int[]) as age;
    insert into search_history (query, results, searched_at)
      select 'q', 0, now() - age * interval '1 day' from unnest('{62, 61, 59}'::int[]) as age;
    insert into clicks (product_id, clicked_at)
      select 1, now() - age * interval '1 day' from unnest('{62, 61, 59}'::int[]) as age;
    insert into api_usage (api_key_id, hour, operation, calls)
      select 1, now() - age * interval '1 day', 'o', 1 from unnest('{62, 61, 59}'::int[]) as age;
    insert into ingestion_runs (source, origin, started_at, finished_at) values ('s', 'api', now() - interval '61 days', now());
    insert into api_keys (key_hash, prefix, agent_name, tier, scopes, created_at, last_used_at, revoked_at)
      select sha256(agent_name::bytea), 'bw', agent_name, tier, scopes::text[], now() - age * interval '1 day', used, revoked
      from (values ('unused', 'free', '{read}', 31, null, null), ('unused too', 'free', '{read}', 99, null, null),
        ('never used 3', 'free', '{read}', 31, null, null), ('new', 'free', '{read}', 29, null, null),
        ('used', 'free', '{read}', 99, now() - interval '98 days', null), ('live', 'live', '{read}', 99, null, null),
        ('given', 'free', '{read,ingest}', 99, null, null), ('revoked', 'free', '{read}', 99, null, now()),
        ('replacing', 'free', '{read}', 98, null, null), ('hooked', 'free', '{read}', 98, null, null),
        ('owning', 'free', '{read}', 98, null, null))
        as k(agent_name, tier, scopes, age, used, revoked);
    update api_keys set replaced_by = (select id from api_keys where agent_name = 'replacing') where agent_name = 'revoked';
    insert into webhooks (api_key_id, url, secret, events, is_active, failing_since, created_at)
      select id, 'http://127.0.0.1:1/', secret, '{price.changed}', is_active, failing, now() - age * interval '1 hour'
      from api_keys, (values ('back', false, null::timestamptz, 25), ('back too', false, null, 99), ('told lately', false, null, 99),
        ('just back', false, null, 23), ('ended', false, now(), 99), ('active', true, null, 99))
        as h(secret, is_active, failing, age)
      where agent_name = 'hooked';
    insert into webhook_deliveries (webhook_id, event, payload)
      select id, 'price.changed', '{}' from webhooks where secret = 'told lately';
    insert into source_owners (source, api_key_id) select 'swept', id from api_keys where agent_name = 'owning'`);
  const transactions: Transactions = {
    run: async (work) => await inTransaction(session, async () => await work(session)),
  };
  while (await sweepOld(transactions, 2));
  assert.equal(
    await value("select string_agg(secret, ', ' order by id) from webhooks where secret <> 's'"),
    "told lately, just back, ended, active",
  );
  await session.query(
    "delete from webhook_deliveries where webhook_id = (select id from webhooks where secret = 'told lately')",
  );
  for (const table of ["webhook_deliveries", "product_changes", "search_history", "clicks", "api_usage"]) {
    assert.equal(await value(`select count(*)::int from ${table}`), 1, table);
  }
  assert.equal(await value("select count(*)::int from source_runs"), 2, "one is under way, one is newer");
  assert.equal(await value("select count(*)::int from ingestion_runs where finished_at is not null"), 0);
  assert.equal(
    await value("select string_agg(agent_name, ' ' order by id) from api_keys where agent_name <> 'sweeper'"),
    "new used live given revoked replacing hooked owning",
  );
});
