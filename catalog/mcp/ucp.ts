/** UCP's two tools that BuyWhere has no name of its own for; the third, get_product, is in tools.ts. */
import { z } from "zod";
import { type Tool, tool } from "./tools.ts";
import { minorUnits, ucpEnvelope, ucpProductOf, ucpProductOutput } from "./ucp-product.ts";

const meta = z.looseObject({}).optional();
const context = z
  .looseObject({ address_country: z.string().max(2).optional(), currency: z.string().max(3).optional() })
  .default({});
const answer = z.looseObject({
  ucp: z.looseObject({ version: z.string() }),
  products: z.array(ucpProductOutput),
  pagination: z
    .looseObject({ has_next_page: z.boolean(), cursor: z.string().optional(), total_count: z.int().optional() })
    .optional(),
  messages: z.array(z.looseObject({ type: z.string(), code: z.string(), content: z.string() })).optional(),
});

/** Ids in one lookup; UCP wants ten at least. */
const IDS_MAX = 50;

const listed = z.looseObject({ items: z.array(z.unknown()) });
const paged = listed.extend({
  total: z.int().nullish(),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

/** See the header. */
export const UCP_TOOLS: readonly Tool[] = [
  tool({
    name: "search_catalog",
    title: "Search the catalogue (UCP)",
    description:
      "UCP's catalogue search: words, filters, or both; prices in minor units of the context's currency, else of SGD.",
    input: z.object({
      meta,
      catalog: z
        .looseObject({
          query: z.string().max(300).optional(),
          context,
          filters: z
            .looseObject({
              categories: z.array(z.string().max(128)).max(10).optional(),
              price: z.object({ min: z.int().min(0).optional(), max: z.int().min(0).optional() }).optional(),
            })
            .default({}),
          pagination: z
            .object({ cursor: z.string().max(500).optional(), limit: z.int().min(1).default(10) })
            .default({ limit: 10 }),
        })
        .refine(
          ({ query, filters }) => Boolean(query) || Object.keys(filters).length > 0,
          "has neither query nor filters",
        ),
    }),
    output: answer,
    call: async ({ api, ...options }, { catalog }) => {
      const { query, context: where, filters, pagination } = catalog;
      const units = minorUnits(where.currency ?? "SGD");
      const inUnits = (amount: number | undefined): number | undefined =>
        amount === undefined ? undefined : amount / units;
      const found = paged.parse(
        await api.get(
          "/v1/products/search",
          {
            q: query,
            country_code: where.address_country,
            category: filters.categories?.map(slugOf).join(","),
            min_price: inUnits(filters.price?.min),
            max_price: inUnits(filters.price?.max),
            currency: filters.price === undefined ? undefined : where.currency,
            // More than is given at once may be clamped, says UCP.
            limit: Math.min(pagination.limit, 100),
            cursor: pagination.cursor,
          },
          options,
        ),
      );
      return {
        ucp: ucpEnvelope("search"),
        products: found.items.map((item) => ucpProductOf(item)),
        pagination: {
          has_next_page: found.has_more,
          ...(found.next_cursor === null ? {} : { cursor: found.next_cursor }),
          ...(typeof found.total !== "number" ? {} : { total_count: found.total }),
        },
      };
    },
  }),
  tool({
    name: "lookup_catalog",
    title: "Look up in the catalogue (UCP)",
    description: "UCP's lookup of products by id; ids of which there is none are told in messages.",
    input: z.object({
      meta,
      catalog: z.looseObject({ ids: z.array(z.string().min(1).max(64)).min(1).max(IDS_MAX), context }),
    }),
    output: answer,
    call: async ({ api, ...options }, { catalog }) => {
      const ids = [...new Set(catalog.ids)];
      const numbers = ids.filter((id) => /^[1-9]\d{0,14}$/.test(id)).map(Number);
      const { items } =
        numbers.length === 0
          ? { items: [] }
          : listed.parse(await api.ask("/v1/products/lookup", { ids: numbers }, options));
      const products = items.map((item) => {
        const product = ucpProductOf(item);
        return ucpProductOf(
          item,
          ids.filter((id) => id === product.id),
        );
      });
      const missing = ids.filter((id) => !products.some((product) => product.id === id));
      const messages = missing.map((id) => ({ type: "info", code: "not_found", content: id }));
      return { ucp: ucpEnvelope("lookup"), products, ...(messages.length === 0 ? {} : { messages }) };
    },
  }),
];

/** UCP's categories are what a catalogue shows, ours are asked for by slug. */
function slugOf(name: string): string {
  return (name.split(">").at(-1) ?? "")
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .replaceAll(/^-|-$/g, "");
}

/** The profile at /.well-known/ucp. */
export function ucpProfile(endpoint: string, version: string): object {
  const capability = (name: string) => [{ version, spec: `https://ucp.dev/${version}/specification/catalog/${name}` }];
  return {
    ucp: {
      version,
      services: { "dev.ucp.shopping": [{ version, transport: "mcp", endpoint }] },
      capabilities: {
        "dev.ucp.shopping.catalog.search": capability("search"),
        "dev.ucp.shopping.catalog.lookup": capability("lookup"),
      },
    },
  };
}
