/**
 * One search as one statement. Pure.
 *
 * Nouns: the *candidates* are the first CANDIDATES_MAX matches, which are ranked and counted for facets; the *page* is what is
 * answered of them.
 * Invariants: a search for words that a tenth of the catalogue has costs no more than one for words that a thousand products
 * have: candidates are taken as the index gives them. An order by price, discount or time is exact over all matches. Whatever
 * a caller says is a parameter, never text of the statement.
 */

import { assert } from "../../src/errors/error.ts";
import type { RawValue } from "../database/raw-read.ts";
import { convertedColumns, PRODUCT_COLUMNS } from "../products/product.ts";
import type { Cursor } from "./cursor.ts";
import { SORT_KEYS, type Sort } from "./sort.ts";

/** How many matches are ranked; a total above it is told as "more than". */
export const CANDIDATES_MAX = 1_000;
/** How many rows of an order are gone through for a page: what a word that one of two hundred offers has needs for twenty. */
const WALKED_MAX = 4_000;
/** An index of every sixteenth offer (0006-large-catalogues.ts). */
const SAMPLED = "p.id % 16 = 0";

/** What is searched for. */
export type Search = {
  /** `web`: as a person types it. `words`: a tsquery of plain words, made of a corrected query, which `title` is. */
  readonly text:
    | { readonly kind: "web"; readonly value: string }
    | { readonly kind: "words"; readonly value: string; readonly title: string }
    | undefined;
  readonly filters: Filters;
  readonly sort: Sort;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
  /** Rows that are passed over; 0 with a cursor. Default 0. */
  readonly offset?: number;
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
export type Statement = {
  readonly text: string;
  readonly values: readonly RawValue[];
  /** How it is best done depends on its values: it is planned for them each time. */
  readonly isPlannedAnew: boolean;
};

/** Collects a parameter and gives its place. */
type Use = (value: RawValue) => string;

/** `most`: how many candidates there are; `walked`: rows of an order that are gone through. */
type Making = { readonly use: Use; readonly most: number; readonly walked: number };

/**
 * The statement of a search. Its rows are one more than `limit` when there is another page. The limits are for tests,
 * whose catalogues are small.
 */
export function searchStatement(
  search: Search,
  { candidatesMax = CANDIDATES_MAX, walkedMax = WALKED_MAX }: { candidatesMax?: number; walkedMax?: number } = {},
): Statement {
  const values: RawValue[] = [];
  const use: Use = (value) => `$${values.push(value)}`;
  const { text, filters, sort } = search;
  const isFiltered = Object.values(filters).some((filter) => filter !== undefined);
  return {
    text: (sort === "relevance" ? rankedText : sortedText)(search, { use, most: candidatesMax, walked: walkedMax }),
    values,
    isPlannedAnew:
      isFiltered && (text !== undefined || filters.minPrice !== undefined || filters.maxPrice !== undefined),
  };
}

/** Of ranked candidates the page is a part. */
function rankedText(search: Search, making: Making): string {
  const { use } = making;
  const { cursor, text } = search;
  const asked = askedFor(text, use);
  const where = [...conditions(search, use)];
  const score = (extra: string): string => `, ${text === undefined ? "0" : scoreOf(extra)} as score`;
  const exact = text === undefined ? [] : [exactTitles(search, making, { where, more: score(EXACT) })];
  const found = candidates(search, making, { where, more: score(BEGINS), exact });
  const seek = cursor === undefined ? "" : ` p where ${keyset(search.sort, cursor, use)}`;
  const page = `page as (select id, score from found${seek} order by score desc, id ${pageOf(search)})`;
  const { columns, join } = productColumns(search, use);
  const { total, facets } = asideOf(search);
  return `with ${[...asked, ...exact, ...found, page].join(",\n")}
select ${columns}, page.score, ${total}, ${facets}
from page join products p on p.id = page.id ${join}
order by page.score desc, p.id`;
}

/** Of offers of any words, other orders are sought in an index: the page takes no more rows than it shows. */
function sortedText(search: Search, making: Making): string {
  const { use } = making;
  const { cursor, sort } = search;
  if (search.text !== undefined) return sortedMatchesText(search, making);
  const where = [...conditions(search, use)];
  const found =
    cursor === undefined ? `with ${candidates(search, making, { where, more: "", exact: [] }).join(",\n")}\n` : "";
  const seek = cursor === undefined ? [] : [keyset(sort, cursor, use)];
  const { columns, join } = productColumns(search, use);
  const { total, facets } = asideOf(search);
  return `${found}select ${columns}${cursor === undefined ? `, ${total}, ${facets}` : ""}
from products p ${join}
where ${[...where, ...seek].join("\n  and ")}
order by ${orderOf(sort)} ${pageOf(search)}`;
}

/**
 * All matches, sorted: the index of an order alone would be read from its beginning for words that are all at its end. Of a common
 * word, of which there are too many to look at, the order's first rows are gone through; where those hold no page of it, the sample
 * tells how far the page reaches at most (its own matches are matches), and only what is within that reach is looked at.
 */
function sortedMatchesText(search: Search, { use, most, walked }: Making): string {
  const { cursor, sort } = search;
  // What is passed over has to be found as well.
  const limit = search.limit + (search.offset ?? 0);
  const { column } = SORT_KEYS[sort];
  const order = orderOf(sort);
  const asked = askedFor(search.text, use);
  const where = [...conditions(search, use), MATCHES];
  const seek = cursor === undefined ? [] : [keyset(sort, cursor, use)];
  const { columns, join } = productColumns(search, use);
  const { total, facets } = asideOf(search);
  const kept = [...new Set(["id", column, ...(search.facets ? COUNTED : [])])];
  const taken = kept.map((each) => `p.${each}`).join(", ");
  const all = and([...where, ...seek]);
  return `with ${asked.join("")},
sampled as materialized (select ${taken} from products p where ${and([...where, SAMPLED])} limit ${most + 1}),
common as materialized (select count(*) > ${most} as is_common from sampled),
walked as materialized (
  select p.id, p.${column}
  from (select p.* from products p where ${and([...walkConditions(search, use), ...seek])} order by ${order} limit ${walked}) p
  where (select is_common from common) and ${and(where)}
  order by ${order} limit ${limit + 1}
),
beyond as materialized (select is_common and (select count(*) from walked) <= ${limit} as is_asked from common),
reach as materialized (select p.id, p.${column} as value from sampled p where ${and(["true", ...seek])} order by ${order} offset ${limit} limit 1),
matches as materialized (select ${taken} from products p where not (select is_common from common) and ${all}),
found as (select ${taken} from sampled p where (select is_common from common) union all (select ${taken} from matches p limit ${most + 1})),
page as (
  select p.id from (
    select id, ${column} from walked where not (select is_asked from beyond)
    union all select id, ${column} from matches
${reached(search, use)
  .map(
    (within) =>
      `    union all select p.id, p.${column} from products p where (select is_asked from beyond) and ${and([...where, within])}`,
  )
  .join("\n")}
  ) p order by ${order} ${pageOf(search)}
)
select ${columns}, ${total}, ${facets}
from page join products p on p.id = page.id ${join}
order by ${order}`;
}

/** One more than the page shows tells whether there is another one. */
function pageOf({ limit, offset = 0 }: Search): string {
  return offset === 0 ? `limit ${limit + 1}` : `limit ${limit + 1} offset ${offset}`;
}

const and = (all: readonly string[]): string => all.join("\n    and ");

/** What an index of the order has in it, so that its first rows are found without looking at others. */
function* walkConditions({ filters, sort }: Search, use: Use): Generator<string> {
  yield "p.is_active";
  const isOfOne = filters.categories?.length === 1;
  if (filters.categories !== undefined && isOfOne) yield categoryCondition(filters.categories, use);
  if (SORT_KEYS[sort].column === "price_sgd") yield* priceConditions(filters, use, "p.price_sgd");
  if (sort === "discount_desc" && !isOfOne) yield "p.discount_percent > 0";
}

/**
 * Where each order's column stands in the index of words (0010-places.ts): its axis, its coarsest level, the first step
 * that is looked for there (no discount is none), and how many there are. `apart`: the column as no index of it has it.
 */
const PLACES = {
  price_sgd: {
    axis: 1,
    top: 1,
    least: 0,
    steps: 64,
    step: (value: string) => `price_step(${value})`,
    apart: "p.price_sgd + 0",
  },
  discount_percent: {
    axis: 2,
    top: 1,
    least: 1,
    steps: 100,
    step: (value: string) => value,
    apart: "p.discount_percent + 0",
  },
  updated_at: {
    axis: 3,
    top: 4,
    least: 0,
    steps: 49_152,
    step: (value: string) => `day_step(${value})`,
    apart: "p.updated_at + interval '0'",
  },
} as const;

/**
 * Whose place is between the cursor's and the reach: found by the index of words, which has the steps of each order beside them. The
 * order's own index is kept out of it: it would be read up to the reach, whoever's offers those are. Offers without a discount are
 * all alike to an order by discount: theirs is the place of their ids.
 */
function reached({ sort, cursor }: Search, use: Use): readonly string[] {
  const { type, direction } = SORT_KEYS[sort];
  const { axis, top, least, steps, step, apart } = PLACES[orderColumn(sort)];
  const from = cursor === undefined ? undefined : `${use(cursor.value)}::${type}`;
  const reach = "(select value from reach)";
  const begin = from === undefined ? undefined : step(from);
  const [first, last] =
    direction === "asc"
      ? [begin ?? "0", `coalesce((select ${step("value")} from reach), ${steps - 1})`]
      : [`greatest(coalesce((select ${step("value")} from reach), 0), ${least})`, begin ?? `${steps - 1}`];
  const within = [
    `order_steps(p.price_sgd, p.discount_percent, p.updated_at) && (select order_cover(${axis}, ${top}, ${first}, ${last}))`,
    `(${reach} is null or ${apart} ${direction === "asc" ? "<=" : ">="} ${reach})`,
    ...(cursor === undefined ? [] : [keyset(sort, cursor, use, apart)]),
  ].join(" and ");
  if (sort !== "discount_desc") return [within];
  const fromId = from === undefined ? "0" : `case when ${from} = 0 then ${use(cursor?.id ?? 0)}::bigint else 0 end`;
  const toId = "coalesce((select id from reach where value = 0), 9223372036854775807)";
  const seek = cursor === undefined ? [] : [keyset(sort, cursor, use)];
  return [
    `${apart} > 0 and ${within}`,
    [`p.discount_percent = 0 and coalesce(${reach}, 0) = 0 and p.id between ${fromId} and ${toId}`, ...seek].join(
      " and ",
    ),
  ];
}

function orderColumn(sort: Sort): keyof typeof PLACES {
  const { column } = SORT_KEYS[sort];
  assert(column !== "score", "what is ranked is no order of the index");
  return column;
}

function orderOf(sort: Sort): string {
  const { column, direction, ids } = SORT_KEYS[sort];
  return `p.${column} ${direction}, p.id ${ids}`;
}

/** What facets count. */
const COUNTED = ["price_sgd", "category", "brand", "merchant_id", "country_code", "availability"];

/** As text: its stems and its words. Hidden from the planner, which would otherwise read a list by price for words that are dear. */
function askedFor(text: Search["text"], use: Use): readonly string[] {
  if (text === undefined) return [];
  const place = use(text.value);
  const make = text.kind === "web" ? "websearch_to_tsquery" : "to_tsquery";
  return [
    `asked as materialized (
  select stems, words, stems || words as either, titles, titles[1] as title
  from (select ${make}('english', ${place}) as stems, ${make}('simple', ${place}) as words,
    string_to_array(lower(${use(titlesOf(text).join("\n"))}), E'\\n') as titles) both_forms
)`,
  ];
}

/** Offers of the titles that a text may be; that there is a limit keeps the planner from reading a whole category for them. */
const TITLED_MAX = 10_000;
/** Words that a brand has at most. */
const BRAND_WORDS_MAX = 3;

/** The title that a text may be; and, where a brand comes before it, what comes behind. */
function titlesOf(text: NonNullable<Search["text"]>): readonly string[] {
  const words = (text.kind === "web" ? text.value : text.title).split(/\s+/).filter((word) => word !== "");
  return Array.from({ length: Math.max(1, Math.min(words.length, 1 + BRAND_WORDS_MAX)) }, (_, index) =>
    words.slice(index).join(" "),
  );
}

/**
 * Offers whose title, or brand and title, is the very text, as `exact`: found by an index of titles (0008-titles.ts), since the
 * candidates of common words are any of many.
 */
function exactTitles(
  { facets }: Search,
  { most }: Making,
  { where, more }: { readonly where: readonly string[]; readonly more: string },
): string {
  return `exact as materialized (
  select p.id${countedOf(facets)}${more}
  from (select * from products where is_active and lower(title) = any((select titles from asked)::text[]) limit ${TITLED_MAX}) p
  where ${and(where)} and (select title from asked) in (lower(p.title), lower(p.brand || ' ' || p.title)) limit ${most + 1}
)`;
}

const MATCHES = "p.search @@ (select either from asked)";

const countedOf = (facets: boolean): string => (facets ? COUNTED.map((column) => `, p.${column}`).join("") : "");

/**
 * The first matches in no order, as `found`, with those that are in `exact`. A word that a tenth of the catalogue has is read in an
 * index of a part of it, which has enough of them: to find any match in the whole one, the server reads all.
 */
function candidates(
  { text, facets }: Search,
  { most }: Making,
  {
    where,
    more,
    exact,
  }: { readonly where: readonly string[]; readonly more: string; readonly exact: readonly string[] },
): readonly string[] {
  const select = `select p.id${countedOf(facets)}${more} from`;
  const limit = `limit ${most + 1}`;
  if (text === undefined) return [`found as materialized (${select} products p where ${and(where)} ${limit})`];
  const all = and([...where, MATCHES]);
  const others = exact.length === 0 ? "true" : "p.id <> all(array(select id from exact))";
  return [
    `sampled as materialized (select p.id from products p where ${all} and ${SAMPLED} ${limit})`,
    `common as materialized (select count(*) > ${most} as is_common from sampled)`,
    `found as materialized (
${exact.length === 0 ? "" : "  select * from exact union all\n"}  ${select} sampled join products p on p.id = sampled.id where (select is_common from common) and ${others}
  union all
  (${select} products p where ${all} and not (select is_common from common) and ${others} ${limit})
)`,
  ];
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

/**
 * Behind which row the next page begins. Where ids go the other way than what they are sorted by, the bound is said once more: an
 * index cannot be entered by an alternative.
 */
function keyset(sort: Sort, cursor: Cursor, use: Use, placed = `p.${SORT_KEYS[sort].column}`): string {
  const { type, direction, ids } = SORT_KEYS[sort];
  const [value, id] = [`${use(cursor.value)}::${type}`, `${use(cursor.id)}::bigint`];
  const past = direction === "asc" ? ">" : "<";
  if (direction === ids) return `(${placed}, p.id) ${past} (${value}, ${id})`;
  return `(${placed} ${past}= ${value} and (${placed} ${past} ${value} or p.id > ${id}))`;
}

/** More than all else comes to: each rank is one at most. */
const EXACT = "4.0::float8";
const BEGINS = "case when starts_with(lower(p.title), (select title from asked)) then 1.0::float8 else 0.0::float8 end";

/**
 * Title before brand before text; the very title before all, and its beginning before most; in stock and reviewed a little before
 * not. A whole number, of floating-point ones: numerics took as long as all else.
 */
function scoreOf(extra: string): string {
  const rank = (form: string): string => `ts_rank('{0.05, 0.2, 0.6, 1.0}', p.search, (select ${form} from asked), 1)`;
  return `(100000 * (${rank("stems")} + ${rank("words")} + ${extra}
      + case when p.availability in ('in_stock', 'low_stock') then 0.1::float8 else 0.0::float8 end
      + least(ln(1 + coalesce(p.review_count, 0)::float8), 10) / 100))::integer`;
}

function* conditions({ filters, text }: Search, use: Use): Generator<string> {
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
  // Offers of some words are fewer than those of a range of prices: the index of prices is kept out of it.
  yield* priceConditions(filters, use, text === undefined ? "p.price_sgd" : "(p.price_sgd + 0)");
}

function* priceConditions({ minPrice, maxPrice, currency }: Filters, use: Use, price: string): Generator<string> {
  const inSgd = (asked: number): string =>
    currency === undefined || currency === "SGD"
      ? `${use(asked)}::numeric`
      : `(select round(${use(asked)}::numeric / per_sgd, 2) from exchange_rates where currency = ${use(currency)})`;
  if (minPrice !== undefined) yield `${price} >= ${inSgd(minPrice)}`;
  if (maxPrice !== undefined) yield `${price} <= ${inSgd(maxPrice)}`;
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
