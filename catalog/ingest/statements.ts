/** The SQL of an ingest: a batch travels as one JSON value and is one statement for its rows. Pure. */

const INPUT = `input as materialized (
  select * from jsonb_to_recordset($1::jsonb) as row(
    row_number integer, sku text, merchant text, merchant_slug text, merchant_domain text, title text, description text,
    brand text, category text, category_path text[], price numeric(14,2), list_price numeric(14,2), currency text,
    country_code text, region text, url text, image_url text, gtin text, mpn text, condition text, availability text,
    stock_level integer, rating numeric(3,2), review_count integer, specs jsonb, metadata jsonb))`;

/** Merchants that nobody knew. In the order of their slugs, so that two batches never wait for each other. */
export const MERCHANTS_SQL = `with ${INPUT}
insert into merchants (slug, name, domain, country_code)
select distinct on (merchant_slug) merchant_slug, merchant, merchant_domain, country_code from input
where not exists (select from merchants where slug = merchant_slug)
order by merchant_slug on conflict (slug) do nothing`;

/** Everything of a row that the source tells, in the order of products' columns. The price in dollars is ours. */
const TOLD = `merchant_id, title, description, brand, category, category_path, price, list_price, currency, country_code, region, url,
    image_url, gtin, mpn, condition, availability, stock_level, rating, review_count, specs, metadata`;

const told = (table: string): string => TOLD.replace(/\w+/g, (column) => `${table}.${column}`);

/** Not so where only the rate is another one: an offer is not newer by that. */
const IS_CHANGED = `(not p.is_active or (${told("p")}) is distinct from (${told("excluded")}))`;

/**
 * A price is remembered with the time of its statement, not of its transaction: of two batches of a source the later one may have
 * begun first and waited for its turn. An update of columns that a generated column reads computes it anew, so that unchanged rows are
 * only touched.
 */
export const ROWS_SQL = `with ${INPUT},
known as materialized (
  select p.id, p.sku, p.price, p.currency, p.availability from products p join input i on i.sku = p.sku
  where p.source = $2
),
written as (
  insert into products as p (sku, source, ${TOLD}, price_sgd, seen_run)
  select i.sku, $2, m.id, i.title, i.description, i.brand, i.category, i.category_path, i.price, i.list_price, i.currency,
    i.country_code, coalesce(i.region, lower(i.country_code)), i.url, i.image_url, i.gtin, i.mpn,
    i.condition, i.availability, i.stock_level, i.rating, i.review_count, i.specs, i.metadata,
    greatest(round(i.price / r.per_sgd, 2), 0.01), $3::uuid
  from input i join merchants m on m.slug = i.merchant_slug join exchange_rates r on r.currency = i.currency
  on conflict (sku, source) do update
    set (${TOLD}, price_sgd, updated_at, seen_at, seen_run, is_active) = row(${told("excluded")}, excluded.price_sgd,
      case when ${IS_CHANGED} then now() else p.updated_at end, now(), $3::uuid, true)
    where p.price_sgd <> excluded.price_sgd or ${IS_CHANGED}
  returning p.id, p.sku, p.updated_at = now() as is_changed
),
touched as (
  update products p set seen_at = now(), seen_run = $3::uuid from input i
  where p.source = $2 and p.sku = i.sku and not exists (select from written w where w.sku = i.sku)
),
outcome as (
  select i.row_number, i.sku, coalesce(w.id, k.id) as id, k.id is null as is_new, coalesce(w.is_changed, false) as is_changed,
    k.id is not null and (k.price, k.currency) is distinct from (i.price, i.currency) as price_changed,
    k.id is not null and k.availability is distinct from i.availability as stock_changed,
    k.price as old_price, k.availability as old_availability, i.price, i.list_price, i.currency, i.availability
  from input i left join written w on w.sku = i.sku left join known k on k.sku = i.sku
),
remembered as (
  insert into price_history (product_id, price, list_price, currency, source, run_id, recorded_at)
  select id, price, list_price, currency, $2, $3::uuid, clock_timestamp() from outcome where is_new or price_changed
),
changed as (
  insert into product_changes (event, product_id, payload)
  select e.event, o.id, jsonb_build_object('event', e.event, 'product_id', o.id, 'sku', o.sku, 'source', $2::text,
    'price', o.price, 'old_price', o.old_price, 'currency', o.currency, 'availability', o.availability,
    'old_availability', o.old_availability, 'changed_at', now())
  from outcome o
  cross join lateral (values ('price.changed', o.price_changed), ('stock.changed', o.stock_changed)) as e(event, happened)
  where e.happened and exists (select from webhooks where is_active)
)
select row_number, id, is_new, is_changed, price_changed from outcome order by row_number`;

/** The vocabulary for typing mistakes: words of three letters and more, sorted so that two batches never wait for each other. */
export const WORDS_SQL = `with ${INPUT}
insert into search_words (word)
select distinct read.word from input,
  regexp_split_to_table(lower(title || ' ' || coalesce(brand, '')), '[^[:alnum:]]+') as read(word)
where length(read.word) between 3 and 40 and not exists (select from search_words known where known.word = read.word)
order by read.word on conflict (word) do nothing`;

/** Rejections of a run by row, up to a number of them. */
export const REJECTIONS_SQL = `insert into ingestion_rejections (run_id, row_number, sku, code, message)
select $1, r."rowNumber", r.sku, r.code, r.message
from jsonb_to_recordset($2::jsonb) as r("rowNumber" integer, sku text, code text, message text)
where (select count(*) from ingestion_rejections where run_id = $1) < $3
on conflict do nothing`;
