import type { Migration } from "./migration.ts";

/**
 * What changed, for those who want to be told; and whose a source is.
 *
 * product_changes is filled in the transaction that changes a price, a row a change, however many want to know: who they are is
 * found out afterwards, by who tells them. A change that is there is told of at least once to everybody who has room for it.
 *
 * A source belongs to the key that wrote it first, or to what that one was rotated to, so that no other key overwrites its offers;
 * one of the scheduler is in sources, and belongs to nobody else.
 */
export const CHANGES: Migration = {
  number: 7,
  name: "changes",
  sql: `
create table product_changes (
  id bigint generated always as identity primary key,
  event text not null,
  product_id bigint not null,
  payload jsonb not null,
  changed_at timestamptz not null default clock_timestamp()
);

create index webhooks_active on webhooks (id) where is_active;
create index webhook_deliveries_waiting on webhook_deliveries (webhook_id, due_at)
  where delivered_at is null and given_up_at is null;
drop index webhook_deliveries_due;

create table source_owners (
  source text primary key,
  api_key_id bigint not null references api_keys on delete cascade,
  owned_since timestamptz not null default now()
);
create index source_owners_key on source_owners (api_key_id);
with recursive followed (id, later) as (
  select id, id from api_keys
  union all
  select f.id, k.replaced_by from followed f join api_keys k on k.id = f.later where k.replaced_by is not null
)
insert into source_owners (source, api_key_id)
select distinct on (r.source) r.source, k.id
from ingestion_runs r
  join followed f on f.id = r.api_key_id
  join api_keys k on k.id = f.later and k.revoked_at is null
where r.origin = 'api' order by r.source, r.started_at, r.id;
`,
};
