/** Searching, and lists of products. */
import { z } from "zod";
import { AVAILABILITIES } from "../../ingest/row.ts";
import { COMPACT_FIELDS, PRODUCT_FIELDS, productSchema } from "../../products/product.ts";
import { decodeCursor } from "../../search/cursor.ts";
import { type Found, findProducts, NoRate } from "../../search/search.ts";
import { SORTS } from "../../search/sort.ts";
import { CANDIDATES_MAX, type Search } from "../../search/statement.ts";
import { ApiProblem } from "../problems.ts";
import { read } from "../route.ts";

/** "true" and "1" are true; "false", "0" and nothing are not. */
export const flag = z
  .enum(["true", "false", "1", "0"])
  .optional()
  .transform((value) => value === "true" || value === "1");

/** A list of names, separated by commas. */
export const fieldsSchema = z
  .string()
  .max(500)
  .optional()
  .transform((value) => value?.split(",").map((each) => each.trim()))
  .refine((fields) => fields === undefined || fields.every((field) => PRODUCT_FIELDS.includes(field)), {
    message: `names a field that is not one of ${PRODUCT_FIELDS.join(", ")}`,
  })
  .describe("Only these fields, separated by commas.");

/** A code of ISO 4217. */
export const currencySchema = z
  .string()
  .toUpperCase()
  .regex(/^[A-Z]{3}$/, "is no code of ISO 4217");

/** As many as are ranked and counted. */
const OFFSET_MAX = CANDIDATES_MAX;

const price = z.coerce.number().min(0).max(1e12);

/** What can be filtered by, alike in all lists. */
export const filterShape = {
  country_code: z
    .string()
    .toUpperCase()
    .regex(/^[A-Z]{2}$/, "is no code of ISO 3166")
    .optional(),
  region: z.string().max(64).optional(),
  category: z.string().max(500).optional().describe("A slug, or several separated by commas."),
  brand: z.string().max(128).optional(),
  merchant: z.string().max(128).optional().describe("A merchant's slug."),
  domain: z.string().max(253).optional().describe("A merchant's domain."),
  min_price: price.optional().describe("In `currency`, else in SGD."),
  max_price: price.optional(),
  currency: currencySchema.optional().describe("The currency of min_price and max_price."),
  convert_to: currencySchema.optional().describe("Gives each price in this currency, too, with the date of the rate."),
  availability: z.enum(AVAILABILITIES).optional(),
  fields: fieldsSchema,
  compact: flag.describe("Only what an agent needs to name an offer."),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(500).optional().describe("From next_cursor of the page before."),
  offset: z.coerce
    .number()
    .int()
    .min(0)
    .max(OFFSET_MAX)
    .optional()
    .describe(`Instead of a cursor: so many are passed over, ${OFFSET_MAX} at most; a cursor leads further.`),
  page: z.coerce
    .number()
    .int()
    .min(1)
    .max(OFFSET_MAX)
    .optional()
    .describe("Instead of an offset: from 1, pages of `limit`."),
};

type FilterQuery = z.output<z.ZodObject<typeof filterShape>>;

/** A page of products. */
export const pageSchema = z
  .object({
    total: z.int().nullable().describe("Of the first page only; at most 1000."),
    total_is_exact: z.boolean(),
    limit: z.int(),
    offset: z.int().nullable().describe("Null behind a cursor."),
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
    did_you_mean: z.string().optional().describe("The words that were searched for instead."),
    items: z.array(productSchema),
    facets: z.record(z.string(), z.unknown()).nullable(),
  })
  .meta({ id: "Page" });

/** The part of a search that lists share. */
export function searchOf(
  query: FilterQuery,
  rest: Pick<Search, "text" | "sort" | "facets"> & { readonly minDiscount?: number },
): Search {
  const cursor = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
  if (query.cursor !== undefined && cursor?.sort !== rest.sort) throw new ApiProblem("INVALID_CURSOR");
  return {
    text: rest.text,
    sort: rest.sort,
    facets: rest.facets,
    limit: query.limit,
    cursor,
    offset: offsetOf(query),
    convertTo: query.convert_to,
    filters: {
      countryCode: query.country_code,
      region: query.region,
      categories: query.category?.split(",").map((each) => each.trim()),
      brand: query.brand,
      merchant: query.merchant,
      domain: query.domain,
      availability: query.availability,
      minPrice: query.min_price,
      maxPrice: query.max_price,
      currency: query.currency,
      minDiscount: rest.minDiscount,
    },
  };
}

/** What is passed over; one of the three ways to say where a page begins. */
function offsetOf({ cursor, offset, page, limit }: FilterQuery): number {
  if ([cursor, offset, page].filter((each) => each !== undefined).length > 1)
    throw new ApiProblem(
      "VALIDATION_ERROR",
      "query: cursor, offset and page say where a page begins: give one of them",
    );
  const passed = offset ?? (page === undefined ? 0 : (page - 1) * limit);
  if (passed > OFFSET_MAX)
    throw new ApiProblem("VALIDATION_ERROR", `query.page: begins behind the ${OFFSET_MAX}th; a cursor leads there`);
  return passed;
}

/** The fields that were asked for. */
function fieldsOf(query: FilterQuery): readonly string[] | undefined {
  return query.fields ?? (query.compact ? COMPACT_FIELDS : undefined);
}

/** Searches; a currency without a rate is the caller's mistake. */
async function found(...asked: Parameters<typeof findProducts>): Promise<Found> {
  try {
    return await findProducts(...asked);
  } catch (cause) {
    if (cause instanceof NoRate) throw new ApiProblem("VALIDATION_ERROR", cause.message, { cause });
    throw cause;
  }
}

/** A page of what was found, in the order of its schema: the total comes first, where who counts finds it. */
function pageOf(found: Found, query: FilterQuery): Buffer {
  const mended = found.didYouMean === undefined ? "" : `"did_you_mean":${JSON.stringify(found.didYouMean)},`;
  const head = `{"total":${found.total ?? null},"total_is_exact":${found.isTotalExact},"limit":${query.limit},"offset":${query.cursor === undefined ? offsetOf(query) : null},"has_more":${
    found.nextCursor !== undefined
  },"next_cursor":${JSON.stringify(found.nextCursor ?? null)},${mended}"items":`;
  return found.items(head, `,"facets":${found.facets}}`);
}

/** A minute of copies is what a price may be late; ten are better than nothing. */
const TIMES = { softMs: 30_000, hardMs: 600_000 };

const searchQuery = z.object({
  q: z.string().trim().max(300).optional().describe("Words; quotes and - work as in search engines."),
  sort: z.enum(SORTS).optional().describe("Default: relevance with q, else newest."),
  facets: flag.describe("Counts by category, brand, merchant, country and availability."),
  ...filterShape,
});

/** Routes of this file. */
export const SEARCH_ROUTES = [
  read({
    method: "GET",
    path: "/v1/products/search",
    operation: "searchProducts",
    summary: "Search offers by words, with filters.",
    query: searchQuery,
    answer: pageSchema,
    times: TIMES,
    load: async (reads, { query }) => {
      const q = query.q === "" ? undefined : query.q;
      const text = q === undefined ? undefined : ({ kind: "web", value: q } as const);
      const sort = query.sort ?? (q === undefined ? "newest" : "relevance");
      const hasFilter = [
        query.category,
        query.brand,
        query.merchant,
        query.domain,
        query.country_code,
        query.region,
      ].some((filter) => filter !== undefined);
      if (q === undefined && !hasFilter) throw new ApiProblem("INVALID_QUERY");
      return pageOf(await found(reads, searchOf(query, { text, sort, facets: query.facets }), fieldsOf(query)), query);
    },
    searched: ({ query }) => (query.cursor === undefined && offsetOf(query) === 0 ? query.q : undefined),
  }),
  read({
    method: "GET",
    path: "/v1/products/deals",
    operation: "getDeals",
    summary: "Offers below their list price, the largest discount first.",
    query: z.object({ min_discount: z.coerce.number().int().min(1).max(99).default(10), ...filterShape }),
    answer: pageSchema,
    times: TIMES,
    load: async (reads, { query }) => {
      const search = searchOf(query, {
        text: undefined,
        sort: "discount_desc",
        facets: false,
        minDiscount: query.min_discount,
      });
      return pageOf(await found(reads, search, fieldsOf(query)), query);
    },
  }),
];
