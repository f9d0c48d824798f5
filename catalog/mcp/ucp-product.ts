/**
 * Products in the words of the Universal Commerce Protocol (UCP), catalogue capabilities, version 2026-04-08.
 *
 * One of our offers is a UCP product with one variant of the same id: which offers are the same ware is told by their barcodes
 * and by find_best_price, not by grouping. Amounts are whole minor units as ISO 4217 has them: 100 to the rupiah's unit, too.
 *
 * UCP and BuyWhere both have a tool get_product. There is one of that name here, and the shape of its arguments decides: `id`
 * is BuyWhere's question, `catalog.id` is UCP's, and each gets its own answer under `product`.
 */
import { z } from "zod";
import { type ApiClient, ApiFailure, type CallOptions } from "./api-client.ts";

/** The protocol's version that is spoken. */
export const UCP_VERSION = "2026-04-08";

const meta = z.looseObject({}).optional().describe("UCP's request metadata, as ucp-agent.");
const context = z.looseObject({ address_country: z.string().optional(), currency: z.string().optional() }).optional();

/** UCP's get_product. */
export const ucpProductRequest = z.object({
  meta,
  catalog: z.looseObject({ id: z.string().min(1).max(64), context }).optional(),
});

const money = z.object({ amount: z.int(), currency: z.string() });
const plain = z.object({ plain: z.string() });
const category = z.object({ value: z.string(), taxonomy: z.string() });
const shared = {
  id: z.string(),
  title: z.string(),
  description: plain,
  url: z.string().optional(),
  categories: z.array(category),
  media: z.array(z.object({ type: z.literal("image"), url: z.string() })),
  rating: z.object({ value: z.number(), scale_max: z.number(), count: z.int() }).optional(),
  tags: z.array(z.string()),
};

/** A product as UCP has it. */
export const ucpProductOutput = z.looseObject({
  ...shared,
  price_range: z.object({ min: money, max: money }),
  variants: z
    .array(
      z.looseObject({
        ...shared,
        sku: z.string(),
        barcodes: z.array(z.object({ type: z.string(), value: z.string() })),
        price: money,
        list_price: money.optional(),
        availability: z.object({ available: z.boolean(), status: z.string() }),
        seller: z.object({ name: z.string() }),
        inputs: z.array(z.object({ id: z.string(), match: z.enum(["exact", "featured"]) })).optional(),
      }),
    )
    .min(1),
});

/** A product as UCP has it. */
export type UcpProduct = z.output<typeof ucpProductOutput>;

const NO_MINOR_UNITS = new Set(["JPY", "KRW", "VND"]);

/** Minor units of one unit, by ISO 4217. */
export function minorUnits(currency: string): number {
  return NO_MINOR_UNITS.has(currency) ? 1 : 100;
}

/** What of the API's products is needed. */
const apiProduct = z.looseObject({
  id: z.int(),
  sku: z.string().default(""),
  title: z.string().default(""),
  description: z.string().optional(),
  brand: z.string().nullish(),
  category: z.string().default(""),
  category_path: z.array(z.string()).default([]),
  price: z.number(),
  list_price: z.number().nullish(),
  currency: z.string(),
  merchant_name: z.string().default(""),
  availability: z.string().default("in_stock"),
  url: z.string().optional(),
  image_url: z.string().nullish(),
  gtin: z.string().nullish(),
  rating: z.number().nullish(),
  review_count: z.int().nullish(),
});

/** One of the API's products as UCP has it; `asked` are the ids that a lookup named it by. */
export function ucpProductOf(product: unknown, asked?: readonly string[]): UcpProduct {
  const found = apiProduct.parse(product);
  const units = minorUnits(found.currency);
  const amount = (price: number) => ({ amount: Math.round(price * units), currency: found.currency });
  const price = amount(found.price);
  const path = found.category_path.length === 0 ? [found.category] : found.category_path;
  const same = {
    id: String(found.id),
    title: found.title,
    description: { plain: found.description ?? found.title },
    ...(found.url === undefined ? {} : { url: found.url }),
    categories: [{ value: path.join(" > "), taxonomy: "merchant" }],
    media: found.image_url ? [{ type: "image" as const, url: found.image_url }] : [],
    ...(typeof found.rating !== "number"
      ? {}
      : { rating: { value: found.rating, scale_max: 5, count: found.review_count ?? 0 } }),
    tags: found.brand ? [found.brand] : [],
  };
  const gone = found.availability === "out_of_stock" || found.availability === "discontinued";
  return {
    ...same,
    price_range: { min: price, max: price },
    variants: [
      {
        ...same,
        sku: found.sku,
        barcodes: found.gtin ? [{ type: "GTIN", value: found.gtin }] : [],
        price,
        ...(typeof found.list_price !== "number" ? {} : { list_price: amount(found.list_price) }),
        availability: { available: !gone, status: found.availability },
        seller: { name: found.merchant_name },
        ...(asked === undefined ? {} : { inputs: asked.map((id) => ({ id, match: "exact" as const })) }),
      },
    ],
  };
}

/** What every answer of UCP begins with. */
export function ucpEnvelope(capability: "search" | "lookup", status?: "error"): object {
  const name = `dev.ucp.shopping.catalog.${capability}`;
  return {
    version: UCP_VERSION,
    ...(status === undefined ? {} : { status }),
    capabilities: { [name]: [{ version: UCP_VERSION }] },
  };
}

/** Answers UCP's get_product: an unknown id is a result with an error in it, not a failure. */
export async function callUcpProduct(
  { api, ...options }: CallOptions & { readonly api: ApiClient },
  { id }: { readonly id: string },
): Promise<object> {
  try {
    if (!/^\d{1,15}$/.test(id)) throw new ApiFailure("PRODUCT_NOT_FOUND", `there is no product ${id}`, { status: 404 });
    return {
      ucp: ucpEnvelope("lookup"),
      product: ucpProductOf(await api.get(`/v1/products/${id}`, {}, options), [id]),
    };
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.status !== 404) throw error;
    const message = { type: "error", code: "not_found", content: error.message, severity: "unrecoverable" };
    return { ucp: ucpEnvelope("lookup", "error"), messages: [message] };
  }
}
