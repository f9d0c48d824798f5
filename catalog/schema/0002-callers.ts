import type { Migration } from "./migration.ts";

/**
 * Who calls, what they asked before, and whom to tell.
 *
 * A row of idempotency_keys is committed together with the effect it stands for: when the answer to a COMMIT is lost, looking
 * the key up on whatever server is the primary then tells whether the effect is there.
 *
 * api_usage, search_history and clicks are written by nothing but the batches of a buffer in each instance, never by a request:
 * a read that writes fails with the primary.
 *
 * webhook_deliveries is filled in the transaction that changes a price, so that a change that is there is told of at least once.
 */
export const CALLERS: Migration = {
  number: 2,
  name: "callers",
  sql: `
create table api_keys (
  id bigint generated always as identity primary key,
  key_hash bytea not null unique check (length(key_hash) = 32),
  prefix text not null,
  agent_name text not null,
  tier text not null check (tier in ('free', 'live', 'partner')),
  scopes text[] not null default '{read}',
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  replaced_by bigint references api_keys,
  last_used_at timestamptz
);

create table idempotency_keys (
  caller text not null,
  key text not null check (length(key) between 1 and 255),
  request_hash bytea not null check (length(request_hash) = 32),
  status smallint not null,
  content text not null,
  created_at timestamptz not null default now(),
  primary key (caller, key)
);
create index idempotency_keys_created on idempotency_keys (created_at);

create table webhooks (
  id bigint generated always as identity primary key,
  api_key_id bigint not null references api_keys on delete cascade,
  url text not null,
  secret text not null,
  events text[] not null,
  product_ids bigint[] not null default '{}',
  is_active boolean not null default true,
  failure_count integer not null default 0,
  created_at timestamptz not null default now()
);
create index webhooks_key on webhooks (api_key_id);

create table webhook_deliveries (
  id bigint generated always as identity primary key,
  webhook_id bigint not null references webhooks on delete cascade,
  event text not null,
  payload jsonb not null,
  attempts integer not null default 0,
  due_at timestamptz not null default now(),
  delivered_at timestamptz,
  given_up_at timestamptz,
  last_answer text,
  created_at timestamptz not null default now()
);
create index webhook_deliveries_due on webhook_deliveries (due_at) where delivered_at is null and given_up_at is null;

create table api_usage (
  api_key_id bigint not null,
  hour timestamptz not null,
  operation text not null,
  calls bigint not null,
  primary key (api_key_id, hour, operation)
);

create table search_history (
  id bigint generated always as identity primary key,
  api_key_id bigint,
  query text not null,
  results integer not null,
  searched_at timestamptz not null
);
create index search_history_time on search_history (searched_at);

create table clicks (
  id bigint generated always as identity primary key,
  api_key_id bigint,
  product_id bigint not null,
  clicked_at timestamptz not null
);
create index clicks_product on clicks (product_id, clicked_at);
`,
};
