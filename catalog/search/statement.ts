/**
 * One search as one statement. Pure.
 *
 * Nouns: the *candidates* are the first CANDIDATES_MAX matches, which are ranked and counted for facets; the *page* is what is
 * answered of them.
 * Invariants: a search for words that a tenth of the catalogue has costs no more than one for words that a thousand products
 * have: candidates are taken as the index gives them. An order by price, discount or time is exact over all matches. Whatever
 * a caller says is a parameter, never text of the statement.
 */

import type { RawValue } from "../database/raw-read.ts";
import { convertedColumns, PRODUCT_COLUMNS } from "../products/product.ts";
import type { Cursor } from "./cursor.ts";
import { SORT_KEYS, type Sort } from "./sort.ts";

/** How many matches are ranked; a total above it is told as "more than". */
export const CANDIDATES_MAX = 1_000;

/** What is searched for. */
export type Search = {
  /** `web`: as a person types it. `words`: a tsquery of plain words, made of a corrected query. */
  readonly text: { readonly kind: "web" | "words"; readonly value: string } | undefined;
  readonly filters: Filters;
  readonly sort: Sort;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
  readonly facets: boolean;
  readonly convertTo: string | undefined;
};

/** Which products at all. */
export type Filters = {
  readonly countryCode?: string | undefined;
  readonly region?: string | undefined;
  readonly categories?: readonly string[] | undefined;
  readonly brand?: string | undefined;
  readonly merchant?: string | undefined;
  readonly domain?: string | undefined;
  readonly availability?: string | undefined;
  /** In `currency`, else in Singapore dollars. */
  readonly minPrice?: number | undefined;
  readonly maxPrice?: number | undefined;
  readonly currency?: string | undefined;
  readonly minDiscount?: number | undefined;
};

/** SQL and its parameters. */
export type Statement = { readonly text: string; readonly values: readonly RawValue[] };

/** Collects a parameter and gives its place. */
type Use = (value: RawValue) => string;

/** The statement of a search. Its rows are one more than `limit` when there is another page. */
export function searchStatement(search: Search): Statement {
  const values: RawValue[] = [];
  const use: Use = (value) => `$${values.push(value)}`;
  return { text: search.sort === "relevance" ? rankedText(search, use) : sortedText(search, use), values };
}

/** Of ranked candidates the page is a part. */
function rankedText(search: Search, use: Use): string {
  const query = search.text === undefined ? undefined : textQuery(search.text, use);
  const where = [...conditions(search.filters, use), ...(query === undefined ? [] : [`p.search @@ ${query}`])];
  const { cursor, limit } = search;
  const seek = cursor === undefined ? "" : ` p where ${keyset(search.sort, cursor, use)}`;
  const score =
    query === undefined || search.text === undefined ? "0::numeric" : scoreOf(query, use(titleOf(search.text.value)));
  const { columns, join } = productColumns(search, use);
  const { total, facets } = asideOf(search);
  return `with ${candidates(where, `, ${score} as score`)},
page as (select id, score from found${seek} order by score desc, id limit ${limit + 1})
select ${columns}, page.score, ${total}, ${facets}
from page join products p on p.id = page.id ${join}
order by page.score desc, p.id`;
}

/** Other orders are sought in an index: the page takes no more rows than it shows, and what is counted comes in any order. */
function sortedText(search: Search, use: Use): string {
  const { cursor, sort, limit } = search;
  const where = [...conditions(search.filters, use)];
  if (search.text !== undefined) where.push(`p.search @@ ${textQuery(search.text, use)}`);
  const seek = cursor === undefined ? [] : [keyset(sort, cursor, use)];
  const { columns, join } = productColumns(search, use);
  const { total, facets } = asideOf(search);
  const { column, direction, ids } = SORT_KEYS[sort];
  return `${cursor === undefined ? `with ${candidates(where)}\n` : ""}select ${columns}${cursor === undefined ? `, ${total}, ${facets}` : ""}
from products p ${join}
where ${[...where, ...seek].join("\n  and ")}
order by p.${column} ${direction}, p.id ${ids} limit ${limit + 1}`;
}

function candidates(where: readonly string[], more = ""): string {
  return `found as materialized (
  select p.id, p.price_sgd, p.category, p.brand, p.merchant_id, p.country_code, p.availability${more}
  from products p
  where ${where.join("\n    and ")}
  limit ${CANDIDATES_MAX + 1}
)`;
}

/** Facets and the total are those of the first page: later ones need no more rows than they show. */
function asideOf({ cursor, facets }: Search): { readonly total: string; readonly facets: string } {
  return {
    total: cursor === undefined ? "(select count(*) from found) as total" : "null::bigint as total",
    facets: `${facets && cursor === undefined ? FACETS : "null::jsonb"} as facets`,
  };
}

function productColumns({ convertTo }: Search, use: Use): { readonly columns: string; readonly join: string } {
  const merchants = "join merchants m on m.id = p.merchant_id";
  if (convertTo === undefined) return { columns: PRODUCT_COLUMNS, join: merchants };
  const converted = convertedColumns(use(convertTo));
  return { columns: PRODUCT_COLUMNS + converted.columns, join: merchants + converted.join };
}

function textQuery({ kind, value }: NonNullable<Search["text"]>, use: Use): string {
  const place = use(value);
  const make = kind === "web" ? "websearch_to_tsquery" : "to_tsquery";
  return `(${make}('english', ${place}) || ${make}('simple', ${place}))`;
}

/**
 * Behind which row the next page begins. Where ids go the other way than what they are sorted by, the bound is said once more: an
 * index cannot be entered by an alternative.
 */
function keyset(sort: Sort, cursor: Cursor, use: Use): string {
  const { column, type, direction, ids } = SORT_KEYS[sort];
  const [value, id] = [`${use(cursor.value)}::${type}`, `${use(cursor.id)}::bigint`];
  const past = direction === "asc" ? ">" : "<";
  if (direction === ids) return `(p.${column}, p.id) ${past} (${value}, ${id})`;
  return `(p.${column} ${past}= ${value} and (p.${column} ${past} ${value} or p.id > ${id}))`;
}

/** Title before brand before text; the very title, or its beginning, before all; in stock and reviewed a little before not. */
function scoreOf(query: string, title: string): string {
  return `round((ts_rank_cd('{0.05, 0.2, 0.6, 1.0}', p.search, ${query}, 1)
      + case when lower(p.title) = ${title} then 2 when starts_with(lower(p.title), ${title}) then 1 else 0 end
      + case when p.availability in ('in_stock', 'low_stock') then 0.1 else 0 end
      + least(ln(1 + coalesce(p.review_count, 0)), 10) / 100)::numeric, 5)`;
}

function titleOf(query: string): string {
  return query.toLowerCase().replace(/\s+/g, " ").trim();
}

function* conditions(filters: Filters, use: Use): Generator<string> {
  yield "p.is_active";
  if (filters.countryCode !== undefined) yield `p.country_code = ${use(filters.countryCode)}`;
  if (filters.region !== undefined) yield `p.region = ${use(filters.region)}`;
  if (filters.categories !== undefined) yield categoryCondition(filters.categories, use);
  if (filters.brand !== undefined) yield `lower(p.brand) = lower(${use(filters.brand)})`;
  if (filters.merchant !== undefined)
    yield `p.merchant_id = (select id from merchants where slug = ${use(filters.merchant)})`;
  if (filters.domain !== undefined) {
    yield `p.merchant_id = any(array(select id from merchants where domain = lower(${use(filters.domain)})))`;
  }
  if (filters.availability !== undefined) yield `p.availability = ${use(filters.availability)}`;
  if (filters.minDiscount !== undefined)
    yield `p.discount_percent > 0 and p.discount_percent >= ${use(filters.minDiscount)}::smallint`;
  const { minPrice, maxPrice, currency } = filters;
  const inSgd = (price: number): string =>
    currency === undefined || currency === "SGD"
      ? `${use(price)}::numeric`
      : `(select round(${use(price)}::numeric / per_sgd, 2) from exchange_rates where currency = ${use(currency)})`;
  if (minPrice !== undefined) yield `p.price_sgd >= ${inSgd(minPrice)}`;
  if (maxPrice !== undefined) yield `p.price_sgd <= ${inSgd(maxPrice)}`;
}

/** One category is an equality: within it the index has the order of prices, within several it has none. */
function categoryCondition(categories: readonly string[], use: Use): string {
  const [one, ...others] = categories;
  return one !== undefined && others.length === 0
    ? `p.category = ${use(one)}`
    : `p.category = any(${use(categories)}::text[])`;
}

const counted = (
  value: string,
  from = "found",
): string => `(select coalesce(jsonb_agg(f order by f.count desc, f.value), '[]') from (
    select ${value} as value, count(*) from ${from} where ${value} is not null group by 1 order by 2 desc, 1 limit 10) f)`;

/** Counts over the candidates. */
const FACETS = `(select jsonb_build_object('category', ${counted("category")}, 'brand', ${counted("brand")},
  'merchant', ${counted("m.slug", "found join merchants m on m.id = merchant_id")}, 'country_code', ${counted("country_code")},
  'availability', ${counted("availability")},
  'price_sgd', (select jsonb_build_object('min', min(price_sgd), 'max', max(price_sgd), 'avg', round(avg(price_sgd), 2)) from found)))`;
