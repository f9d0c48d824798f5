import type { Migration } from "./migration.ts";

/**
 * Merchants, their offers, and what every offer has cost.
 *
 * A *product* is one merchant's offer, known by (sku, source); the same ware at another merchant is a product of its own with
 * the same gtin, or a row in product_matches. `seen_at` is when a source last showed the offer, `updated_at` when anything of
 * it last changed: an unchanged sighting moves seen_at alone, which touches no index.
 *
 * `search` holds title and brand twice, stemmed and as written: "running shoes" must find "run", and "WH-1000XM5" must not be
 * stemmed. It is one column and one index, because every index is paid for at each insert.
 *
 * `search_words` is the vocabulary of titles and brands for help with typing mistakes: some hundred thousand words, where
 * trigrams over a million titles would be an index as large as the table.
 */
export const OFFERS: Migration = {
  number: 1,
  name: "offers",
  sql: `
create extension if not exists pg_trgm;

create table exchange_rates (
  currency text primary key check (currency ~ '^[A-Z]{3}$'),
  per_sgd numeric(18,6) not null check (per_sgd > 0),
  as_of date not null
);
insert into exchange_rates (currency, per_sgd, as_of) values
  ('SGD', 1, '2026-04-17'), ('USD', 0.774, '2026-04-17'), ('MYR', 3.27, '2026-04-17'), ('IDR', 12980, '2026-04-17'),
  ('THB', 25.3, '2026-04-17'), ('PHP', 44.6, '2026-04-17'), ('VND', 20250, '2026-04-17'), ('EUR', 0.667, '2026-04-17'),
  ('JPY', 118.4, '2026-04-17'), ('GBP', 0.577, '2026-04-17'), ('AUD', 1.17, '2026-04-17');

create table merchants (
  id bigint generated always as identity primary key,
  slug text not null unique,
  name text not null,
  domain text,
  country_code text,
  created_at timestamptz not null default now()
);

create table products (
  id bigint generated always as identity primary key,
  sku text not null,
  source text not null,
  merchant_id bigint not null references merchants,
  title text not null check (title <> ''),
  description text not null default '',
  brand text,
  category text not null,
  category_path text[] not null default '{}',
  price numeric(14,2) not null check (price > 0),
  list_price numeric(14,2) check (list_price > 0),
  currency text not null references exchange_rates,
  price_sgd numeric(14,2) not null,
  discount_percent smallint not null generated always as
    (case when list_price > price then least(99, floor(100 * (list_price - price) / list_price))::smallint else 0::smallint end) stored,
  country_code text not null check (country_code ~ '^[A-Z]{2}$'),
  region text not null,
  url text not null,
  image_url text,
  gtin text check (gtin ~ '^[0-9]{8,14}$'),
  mpn text,
  condition text not null default 'new',
  availability text not null default 'in_stock'
    check (availability in ('in_stock', 'low_stock', 'preorder', 'backorder', 'out_of_stock', 'discontinued')),
  stock_level integer check (stock_level >= 0),
  rating numeric(3,2) check (rating between 0 and 5),
  review_count integer check (review_count >= 0),
  is_active boolean not null default true,
  specs jsonb not null default '{}',
  metadata jsonb not null default '{}',
  search tsvector not null generated always as (
    setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('simple', title), 'B') ||
    setweight(to_tsvector('simple', coalesce(brand, '') || ' ' || coalesce(mpn, '')), 'A') ||
    setweight(to_tsvector('english', replace(category, '-', ' ')), 'C') ||
    setweight(to_tsvector('english', description), 'D')) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  unique (sku, source)
) with (fillfactor = 85);

create index products_search on products using gin (search) with (fastupdate = off);
create index products_category_price on products (category, price_sgd, id) where is_active;
create index products_price on products (price_sgd, id) where is_active;
create index products_newest on products (updated_at desc, id desc) where is_active;
create index products_discount on products (discount_percent desc, id) where is_active and discount_percent > 0;
create index products_gtin on products (gtin) where gtin is not null;
create index products_brand on products (lower(brand), price_sgd) where is_active;
create index products_merchant on products (merchant_id);

create table search_words (
  word text primary key
);
create index search_words_trigrams on search_words using gin (word gin_trgm_ops);

create table price_history (
  id bigint generated always as identity primary key,
  product_id bigint not null references products on delete cascade,
  price numeric(14,2) not null,
  list_price numeric(14,2),
  currency text not null,
  source text not null,
  run_id uuid,
  recorded_at timestamptz not null default now()
);
create index price_history_product on price_history (product_id, recorded_at desc);

create table product_matches (
  product_id bigint not null references products on delete cascade,
  other_id bigint not null references products on delete cascade,
  confidence real not null check (confidence between 0 and 1),
  method text not null,
  matched_at timestamptz not null default now(),
  primary key (product_id, other_id),
  check (product_id <> other_id)
);

create table ingestion_runs (
  id uuid primary key default gen_random_uuid(),
  source text not null,
  origin text not null check (origin in ('api', 'scheduler')),
  api_key_id bigint,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  status text not null default 'running' check (status in ('running', 'succeeded', 'partial', 'failed')),
  received integer not null default 0,
  inserted integer not null default 0,
  updated integer not null default 0,
  unchanged integer not null default 0,
  rejected integer not null default 0,
  price_changes integer not null default 0,
  error text
);
create index ingestion_runs_started on ingestion_runs (started_at desc);

create table ingestion_rejections (
  run_id uuid not null references ingestion_runs on delete cascade,
  row_number integer not null,
  sku text,
  code text not null,
  message text not null,
  primary key (run_id, row_number)
);
`,
};
