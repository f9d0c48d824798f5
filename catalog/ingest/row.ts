/**
 * Offers on their way in.
 *
 * Nouns: a *row* is one offer as a source tells it; a *rejection* says of one row why it is not taken; a *batch* is up to
 * BATCH_ROWS_MAX rows of one source that become visible together; a *run* is one reading of a source, in one batch or many.
 * Invariants: every row that came is counted once, as inserted, updated, unchanged or rejected; a bad row never keeps the good
 * ones beside it out; what is in the database can be sold: it has a price that is one.
 */
import { z } from "zod";
import { isStorable, NOT_STORABLE, storableText } from "./storable.ts";

/** One call of the API, and what the scheduler writes at a time: a transaction of some ten milliseconds. */
export const BATCH_ROWS_MAX = 1_000;

/** Reasons for which a row is not taken; documented with the API. */
export const REJECTION_CODES = [
  "missing-field",
  "invalid-field",
  "price-missing",
  "price-not-positive",
  "price-placeholder",
  "unknown-currency",
  "invalid-gtin",
  "duplicate-sku",
] as const;

/** One of them. */
export type RejectionCode = (typeof REJECTION_CODES)[number];

/** Why a row is not taken. `rowNumber` counts as the source does, from 1. */
export type Rejection = {
  readonly rowNumber: number;
  readonly sku: string | null;
  readonly code: RejectionCode;
  readonly message: string;
};

/** What the columns of prices hold: twelve digits before the point, two behind. */
export const PRICE_MAX = 999_999_999_999.99;

/** What an offer's availability can be. */
export const AVAILABILITIES = [
  "in_stock",
  "low_stock",
  "preorder",
  "backorder",
  "out_of_stock",
  "discontinued",
] as const;

const text = (max: number) => storableText(max).trim().min(1);
const optional = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? null);
// A number, or text as feeds write it: "1299.00". What rounds to a digit more than the column has is out of range, too.
const amount = z
  .union([
    z.number(),
    z
      .string()
      .trim()
      .regex(/^-?\d{1,12}(\.\d{1,4})?$/, "is no decimal number")
      .transform(Number),
  ])
  .refine((value) => Number.isFinite(value) && Math.abs(value) <= PRICE_MAX, "is out of range");
const webAddress = storableText(2_048).regex(/^https?:\/\/[^\s"<>]+$/i, "is no http address");

const details = z.record(z.string(), z.unknown()).refine((value) => isStorable(value), NOT_STORABLE);

/** A row as the API takes it and feeds are brought into. */
export const rowSchema = z.object({
  sku: text(128),
  merchant: text(128).describe("Name of the merchant; defaults to the source."),
  merchant_domain: optional(text(253)),
  title: text(500),
  description: storableText(10_000)
    .nullish()
    .transform((value) => value ?? ""),
  brand: optional(text(128)),
  category: text(128).describe("Its last name in the path, as a slug or a name.").transform(slugOf),
  category_path: z
    .array(text(128))
    .max(10)
    .nullish()
    .transform((value) => value ?? []),
  price: amount,
  price_confirmed: z.boolean().nullish().describe("Says that a price of exactly 1 is meant."),
  list_price: optional(amount),
  currency: z
    .string()
    .trim()
    .toUpperCase()
    .regex(/^[A-Z]{3}$/, "is no code of ISO 4217"),
  country_code: z
    .string()
    .trim()
    .toUpperCase()
    .regex(/^[A-Z]{2}$/, "is no code of ISO 3166"),
  region: optional(text(64)),
  url: webAddress,
  image_url: optional(webAddress),
  gtin: optional(
    z
      .string()
      .trim()
      .regex(/^\d{8,14}$/, "has not 8 to 14 digits"),
  ),
  mpn: optional(text(128)),
  condition: z
    .enum(["new", "refurbished", "used"])
    .nullish()
    .transform((value) => value ?? "new"),
  availability: z
    .enum(AVAILABILITIES)
    .nullish()
    .transform((value) => value ?? "in_stock"),
  stock_level: optional(z.int().min(0).max(2_000_000_000)),
  rating: optional(z.number().min(0).max(5)),
  review_count: optional(z.int().min(0).max(2_000_000_000)),
  specs: details.nullish().transform((value) => value ?? {}),
  metadata: details.nullish().transform((value) => value ?? {}),
});

/** A row that was checked. */
export type CheckedRow = z.output<typeof rowSchema>;

/** Lower case, words joined by hyphens: "Home & Kitchen" is "home-kitchen". Text without a letter or digit is itself. */
export function slugOf(name: string): string {
  const slug = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "");
  return slug === "" ? name : slug;
}
