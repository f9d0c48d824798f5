/** The tools under the names that BuyWhere's agents know. */
import { z } from "zod";
import { productDetailSchema, productSchema } from "../products/product.ts";
import type { ApiClient, CallOptions, Query } from "./api-client.ts";
import { callUcpProduct, ucpProductOutput, ucpProductRequest } from "./ucp-product.ts";

/** What a call is made with. */
export type ToolContext = CallOptions & { readonly api: ApiClient };

/** A tool. Schemas are JSON Schema 2020-12 to those who list them. */
export type Tool = {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodObject;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly idempotentHint: boolean;
    readonly destructiveHint: boolean;
  };
  readonly call: (context: ToolContext, args: Readonly<Record<string, unknown>>) => Promise<object>;
};

/** Types a tool by its input, then forgets it: a table holds all kinds. */
export function tool<I extends z.ZodObject>(
  definition: Omit<Tool, "input" | "call" | "annotations"> & {
    readonly input: I;
    readonly annotations?: Tool["annotations"];
    readonly call: (context: ToolContext, args: z.output<I>) => Promise<object>;
  },
): Tool {
  const { call, annotations = READS, ...rest } = definition;
  return { ...rest, annotations, call: async (context, args) => await call(context, definition.input.parse(args)) };
}

const READS = { readOnlyHint: true, idempotentHint: true, destructiveHint: false } as const;

const stale = z.boolean().optional().describe("True when nothing newer could be had, as while a database is replaced.");
const offer = z.looseObject(productSchema.shape);
const page = z.looseObject({
  total: z.int().nullable().optional().describe("Of the first page; at most 1000."),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
  did_you_mean: z.string().optional(),
  items: z.array(offer),
  stale,
});
const offers = z.looseObject({
  best: offer.nullable(),
  count: z.int(),
  lowest_sgd: z.number().nullable(),
  highest_sgd: z.number().nullable(),
  offers: z.array(offer),
  stale,
});

const productId = z.int().min(1).describe("The id of an offer, from a search.");
const filters = {
  country_code: z.string().length(2).optional().describe("Where the merchant sells: SG, MY, TH, ID, VN, PH, US."),
  category: z.string().max(500).optional().describe("A slug of list_categories."),
  brand: z.string().max(128).optional(),
  merchant: z.string().max(128).optional().describe("A merchant's slug."),
  min_price: z.number().min(0).optional().describe("In `currency`, else in SGD."),
  max_price: z.number().min(0).optional(),
  currency: z.string().length(3).optional(),
  availability: z.string().max(32).optional(),
  limit: z.int().min(1).max(50).default(10),
  cursor: z.string().max(500).optional().describe("next_cursor of the page before."),
};

/** The vendor's tools; get_product also answers UCP's question of that name (ucp-product.ts says how). */
export const TOOLS: readonly Tool[] = [
  tool({
    name: "search_products",
    title: "Search products",
    description: "Search offers by words, with filters. Mistyped words are mended.",
    input: z.object({
      q: z.string().max(300).optional().describe("What is looked for; without it give a filter."),
      sort: z.enum(["relevance", "price_asc", "price_desc", "discount_desc", "newest"]).optional(),
      ...filters,
    }),
    output: page,
    call: async ({ api, ...options }, args) => await api.get("/v1/products/search", args, options),
  }),
  tool({
    name: "get_product",
    title: "Get a product",
    description:
      "One offer with description, specifications and stock. Takes `id`, or UCP's `catalog.id` and then answers as UCP does.",
    input: z.object({ id: productId.optional(), ...ucpProductRequest.shape }),
    output: z.looseObject({
      product: z.union([z.looseObject(productDetailSchema.shape), ucpProductOutput]).optional(),
      ucp: z.looseObject({}).optional(),
      messages: z.array(z.looseObject({})).optional(),
    }),
    call: async (context, args) => {
      if (args.catalog !== undefined) return await callUcpProduct(context, args.catalog);
      const { api, ...options } = context;
      return { product: await api.get(`/v1/products/${args.id ?? 0}`, {}, options) };
    },
  }),
  tool({
    name: "compare_products",
    title: "Compare products",
    description: "Two to ten offers beside each other, with what they differ in.",
    input: z.object({ ids: z.array(productId).min(2).max(10) }),
    output: z.looseObject({
      products: z.array(offer),
      missing: z.array(z.int()),
      cheapest_id: z.int().nullable(),
      price_span_sgd: z.number().nullable(),
      differing: z.array(z.string()),
      stale,
    }),
    call: async ({ api, ...options }, { ids }) =>
      await api.get("/v1/products/compare", { ids: ids.join(",") }, options),
  }),
  tool({
    name: "find_best_price",
    title: "Find the best price",
    description: "The cheapest offer of a ware over all merchants, by offer id, barcode or words.",
    input: z.object({
      id: productId.optional(),
      gtin: z
        .string()
        .regex(/^\d{8,14}$/)
        .optional(),
      q: z.string().max(300).optional().describe("The cheapest of the fifty offers that fit these words best."),
      country_code: filters.country_code,
    }),
    output: offers,
    call: async ({ api, ...options }, args) => await api.get("/v1/products/best-price", args, options),
  }),
  tool({
    name: "get_deals",
    title: "Get deals",
    description: "Offers below their list price, the largest discount first.",
    input: z.object({ min_discount: z.int().min(1).max(99).default(10).describe("Per cent."), ...filters }),
    output: page,
    call: async ({ api, ...options }, args) => await api.get("/v1/products/deals", args, options),
  }),
  tool({
    name: "list_categories",
    title: "List categories",
    description: "All categories with the number of their offers.",
    input: z.object({}),
    output: z.looseObject({
      items: z.array(z.looseObject({ slug: z.string(), path: z.array(z.string()), product_count: z.int() })),
      stale,
    }),
    call: async ({ api, ...options }) => await api.get("/v1/categories", {}, options),
  }),
  tool({
    name: "find_similar",
    title: "Find similar products",
    description: "Offers of other wares like this one.",
    input: z.object({ id: productId, limit: z.int().min(1).max(50).default(10) }),
    output: z.looseObject({ items: z.array(offer), stale }),
    call: async ({ api, ...options }, { id, limit }) =>
      await api.get(`/v1/products/${id}/similar`, { limit } satisfies Query, options),
  }),
  tool({
    name: "ingest_products",
    title: "Ingest products",
    description:
      "Writes up to 200 offers of a source; bad rows are told one by one. Needs your own key with the scope ingest.",
    input: z.object({
      source: z.string().min(1).max(128),
      products: z.array(z.looseObject({})).min(1).max(200),
    }),
    output: z.looseObject({
      run_id: z.string(),
      received: z.int(),
      inserted: z.int(),
      updated: z.int(),
      unchanged: z.int(),
      rejected: z.int(),
      rejections: z.array(z.looseObject({ row: z.int(), code: z.string(), message: z.string() })),
    }),
    // Offers are known by sku and source: the second time they are unchanged. What they said before is overwritten.
    annotations: { readOnlyHint: false, idempotentHint: true, destructiveHint: true },
    call: async ({ api, ...options }, args) => await api.write("/v1/ingest/products", args, options),
  }),
];
