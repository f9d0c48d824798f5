/**
 * One search as one statement. Pure.
 *
 * Nouns: the *candidates* are the first CANDIDATES_MAX matches, which are ranked and counted for facets; the *page* is what is
 * answered of them.
 * Invariants: a search for words that a tenth of the catalogue has costs no more than one for words that a thousand products
 * have: candidates are taken as the index gives them. An order by price, discount or time is exact over all matches. Whatever
 * a caller says is a parameter, never text of the statement.
 */
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
export type Statement = { readonly text: string; readonly values: readonly unknown[] };

/** Collects parameters: `use(value)` gives its place. */
function parameters(): { readonly values: unknown[]; readonly use: (value: unknown) => string } {
  const values: unknown[] = [];
  return { values, use: (value) => `$${values.push(value)}` };
}

/** The statement of a search. Its rows are one more than `limit` when there is another page. */
export function searchStatement(search: Search): Statement {
  const { values, use } = parameters();
  const { column, type, direction, ids } = SORT_KEYS[search.sort];
  const query = search.text === undefined ? undefined : textQuery(search.text, use);
  const where = [...conditions(search.filters, use)];
  if (query !== undefined) where.push(`p.search @@ ${query}`);
  const { cursor } = search;
  const seek =
    cursor === undefined
      ? undefined
      : keyset({ direction, ids, value: `${use(cursor.value)}::${type}`, id: `${use(cursor.id)}::bigint`, column });
  const isRanked = search.sort === "relevance";
  // Of ranked candidates the page is a part; other orders are sought in the index.
  if (seek !== undefined && !isRanked) where.push(seek);
  const score =
    isRanked && query !== undefined && search.text !== undefined
      ? scoreOf(query, use(titleOf(search.text.value)))
      : "0::numeric";
  const order = `${column} ${direction}, id ${ids}`;
  const converted = search.convertTo === undefined ? undefined : convertedColumns(use(search.convertTo));
  // Facets and the total are those of the first page: later ones need no more rows than they show.
  const facets = search.facets && cursor === undefined ? FACETS : "null::jsonb";
  const text = `with found as materialized (
  select p.id, p.price_sgd, p.discount_percent, p.updated_at, p.category, p.brand, p.merchant_id, p.country_code, p.availability,
    ${score} as score
  from products p
  where ${where.join("\n    and ")}${isRanked ? "" : `\n  order by ${order.replace(/^|, /g, (gap) => `${gap}p.`)}`}
  limit ${isRanked || cursor === undefined ? CANDIDATES_MAX + 1 : search.limit + 1}
),
page as (
  select id, score from found${isRanked && seek !== undefined ? ` p where ${seek}` : ""} order by ${order} limit ${search.limit + 1}
)
select ${PRODUCT_COLUMNS}${converted?.columns ?? ""}, page.score,
  ${cursor === undefined ? "(select count(*) from found)" : "null::bigint"} as total, ${facets} as facets
from page join products p on p.id = page.id join merchants m on m.id = p.merchant_id${converted?.join ?? ""}
order by ${isRanked ? "page.score" : `p.${column}`} ${direction}, p.id ${ids}`;
  return { text, values };
}

function textQuery({ kind, value }: NonNullable<Search["text"]>, use: (value: unknown) => string): string {
  const place = use(value);
  const make = kind === "web" ? "websearch_to_tsquery" : "to_tsquery";
  return `(${make}('english', ${place}) || ${make}('simple', ${place}))`;
}

/** Behind which row the next page begins. */
function keyset(at: {
  readonly direction: "asc" | "desc";
  readonly ids: "asc" | "desc";
  readonly value: string;
  readonly id: string;
  readonly column: string;
}): string {
  const past = at.direction === "asc" ? ">" : "<";
  if (at.direction === at.ids) return `(p.${at.column}, p.id) ${past} (${at.value}, ${at.id})`;
  return `(p.${at.column} ${past} ${at.value} or (p.${at.column} = ${at.value} and p.id > ${at.id}))`;
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

function* conditions(filters: Filters, use: (value: unknown) => string): Generator<string> {
  yield "p.is_active";
  if (filters.countryCode !== undefined) yield `p.country_code = ${use(filters.countryCode)}`;
  if (filters.region !== undefined) yield `p.region = ${use(filters.region)}`;
  if (filters.categories !== undefined) yield `p.category = any(${use(filters.categories)}::text[])`;
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
