import type { Migration } from "./migration.ts";

/**
 * What is read, how often, and by whom at this moment.
 *
 * A source must never be run by two at once, also when the database below them is replaced. Four rules carry that:
 *
 * 1. *A lease is a token.* Each grant writes a new random token into the source's row of source_leases. Every transaction of a
 *    run locks that row first (FOR SHARE) and goes on only while it holds the run's own token and has not expired. The lock is
 *    released at commit, so nobody can take the lease over between the look and the effect. The epoch counts grants and is for
 *    people: after a failover that lost the newest grant, the same number may be granted again, the token never is.
 * 2. *A promoted database that lost a grant refuses its holder*, since the token is not there. One that kept it serves the
 *    holder on, or lets another have the source once the lease has expired by the database's clock.
 * 3. *A database with a new history grants nothing at first.* Promotion and restore both begin a new timeline. Whoever claims
 *    writes the pair of system identifier and timeline into database_histories when it is not there, with claims_from = now +
 *    the longest lease; claims before that are refused. By then every run that began on the old history has ended by its own
 *    monotonic clock, which counts from before it asked; it holds no connection to the new one (rule 1), and reads nothing any
 *    more from the merchant. Skipping the wait would have two schedulers read one merchant at the same time.
 * 4. *A slot is run once.* A run takes the slot of its source (the due time it answers) with an insert into source_runs, whose
 *    primary key refuses the second one: also from a clock that went back, or a next_due_at that a restore set back while the
 *    run itself is in the restored data. What a restore has undone is run again, and rightly: its rows are undone, too.
 *
 * interval and back-off are the scheduler's; it writes next_due_at. A lower priority number goes first.
 */
export const SOURCES: Migration = {
  number: 3,
  name: "sources",
  sql: `
create table sources (
  id bigint generated always as identity primary key,
  name text not null unique,
  kind text not null check (kind in ('google-xml', 'google-tsv', 'ndjson', 'csv')),
  location text not null,
  merchant text,
  country_code text,
  currency text,
  interval interval not null check (interval >= interval '1 second'),
  priority smallint not null default 100,
  is_enabled boolean not null default true,
  next_due_at timestamptz not null default now(),
  failure_count integer not null default 0,
  last_started_at timestamptz,
  last_succeeded_at timestamptz,
  last_error text,
  etag text,
  last_modified text,
  created_at timestamptz not null default now()
);
create index sources_due on sources (next_due_at, priority) where is_enabled;

create table source_leases (
  source_id bigint primary key references sources on delete cascade,
  epoch bigint not null,
  token uuid not null,
  holder text not null,
  granted_at timestamptz not null default now(),
  expires_at timestamptz not null
);

create table database_histories (
  system_id text not null,
  timeline integer not null,
  first_seen_at timestamptz not null default now(),
  claims_from timestamptz not null,
  primary key (system_id, timeline)
);

create table source_runs (
  source_id bigint not null references sources on delete cascade,
  slot_at timestamptz not null,
  token uuid not null,
  holder text not null,
  run_id uuid,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  outcome text,
  primary key (source_id, slot_at)
);
`,
};
