/**
 * Products as callers see them.
 *
 * Nouns: a *product* is one merchant's offer; its *freshness* says how long ago a source last showed it; the *fields* of an
 * answer are those that were asked for.
 * Invariants: prices are numbers in the product's own currency, and in Singapore dollars beside, by the rate of the day that is
 * told; a product that is no longer offered is not active and not found.
 */
import { z } from "zod";
import { AVAILABILITIES } from "../ingest/row.ts";

const id = z.int().min(1);
const money = z.number();

/** A product in a list. With `fields` or `compact` only some of it. */
export const productSchema = z
  .object({
    id,
    sku: z.string().optional(),
    source: z.string().optional(),
    title: z.string().optional(),
    brand: z.string().nullable().optional(),
    category: z.string().optional(),
    category_path: z.array(z.string()).optional(),
    price: money.optional(),
    list_price: money.nullable().optional(),
    currency: z.string().optional(),
    price_sgd: money
      .optional()
      .describe("The price in Singapore dollars at the rate of when its source showed it last."),
    discount_percent: z.int().optional(),
    merchant: z.string().optional().describe("The merchant's slug."),
    merchant_name: z.string().optional(),
    country_code: z.string().optional(),
    region: z.string().optional(),
    availability: z.enum(AVAILABILITIES).optional(),
    url: z.string().optional(),
    image_url: z.string().nullable().optional(),
    gtin: z.string().nullable().optional(),
    mpn: z.string().nullable().optional(),
    condition: z.string().optional(),
    rating: z.number().nullable().optional(),
    review_count: z.int().nullable().optional(),
    updated_at: z.string().optional().describe("When anything of it last changed."),
    seen_at: z.string().optional().describe("When its source last showed it."),
    freshness: z
      .enum(["live", "recent", "stale"])
      .optional()
      .describe("live: seen within 15 minutes; recent: within 6 hours."),
    converted_price: money.optional().describe("With convert_to: the price in that currency."),
    converted_currency: z.string().optional(),
    converted_rate_date: z.string().optional(),
  })
  .meta({ id: "Product" });

/** A product by itself. */
export const productDetailSchema = productSchema
  .extend({
    description: z.string(),
    specs: z.record(z.string(), z.unknown()),
    stock_level: z.int().nullable(),
    created_at: z.string(),
    offer_count: z.int().describe("Offers of the same ware, by barcode, this one among them."),
  })
  .meta({ id: "ProductDetail" });

/** The names that `fields` may list. */
export const PRODUCT_FIELDS: readonly string[] = Object.keys(productSchema.shape);

/** What `compact` gives. */
export const COMPACT_FIELDS: readonly string[] = [
  "id",
  "title",
  "price",
  "currency",
  "merchant",
  "availability",
  "url",
];

/** The columns of a product in a list, of products p and merchants m. */
export const PRODUCT_COLUMNS = `p.id, p.sku, p.source, p.title, p.brand, p.category, p.category_path, p.price, p.list_price,
  p.currency, p.price_sgd, p.discount_percent, m.slug as merchant, m.name as merchant_name, p.country_code, p.region,
  p.availability, p.url, p.image_url, p.gtin, p.mpn, p.condition, p.rating, p.review_count, p.updated_at, p.seen_at,
  case when p.seen_at > now() - interval '15 minutes' then 'live'
    when p.seen_at > now() - interval '6 hours' then 'recent' else 'stale' end as freshness`;

/** Columns of the price in the currency of a parameter, and what to join for them. */
export function convertedColumns(parameter: string): { readonly columns: string; readonly join: string } {
  return {
    columns: `, round(p.price_sgd * rate.per_sgd, 2) as converted_price, rate.currency as converted_currency,
  rate.as_of::text as converted_rate_date`,
    join: ` join exchange_rates rate on rate.currency = ${parameter}`,
  };
}
