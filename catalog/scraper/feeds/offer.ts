/**
 * Rows understood: which of a row's fields says what, and what makes a row a rejection.
 *
 * Each row is rejected for the first reason found, in the order of REJECTIONS, so that counts add up to rows. What a reader
 * would pay is the price; where a feed says a sale price that holds now, that is the price and the other the list price.
 */

import type { AVAILABILITIES } from "../../ingest/row.ts";
import type { Broken, FeedRow, Fields } from "./feed.ts";
import { readGtin } from "./gtin.ts";
import { currencyDecimals, decimalOf, readPrice, type WrittenPrice } from "./money.ts";

/** Why a row is not taken, each with what a merchant has to mend. */
export const REJECTIONS = {
  "row-malformed": "The row breaks the rules of its format.",
  "row-too-long": "The row is longer than any offer.",
  "columns-differ": "The row has more or fewer fields than there are columns.",
  "id-missing": "No id or sku.",
  "id-too-long": "The id is longer than 128 characters.",
  "id-duplicate": "The feed has the id a second time; the first row was taken.",
  "title-missing": "No title.",
  "title-too-long": "The title is longer than 500 characters.",
  "description-too-long": "The description is longer than 10,000 characters.",
  "brand-too-long": "The brand is longer than 128 characters.",
  "mpn-too-long": "The part number is longer than 128 characters.",
  "category-missing": "No category.",
  "category-too-long": "The category has more than 10 levels, or one longer than 128 characters.",
  "url-missing": "No link to the offer's page.",
  "url-invalid": "The link is no http or https address, or is longer than 2,048 characters.",
  "image-url-invalid": "The link to the picture is no http or https address, or is longer than 2,048 characters.",
  "price-missing": "No price.",
  "price-malformed": "The price is no amount, as `15.00 USD` is.",
  "price-zero": "The price is 0.",
  "price-placeholder": "The price is a bare 1, which is what is written where a page had none.",
  "price-too-large": "The price has more than twelve digits before the point.",
  "price-too-precise": "The price has more digits behind the point than its currency has.",
  "currency-missing": "Neither the price nor the row nor the source says a currency.",
  "currency-unknown": "The currency is none that is taken.",
  "currency-differs": "The row says two currencies.",
  "sale-price-wrong": "The sale price is malformed, in another currency, or above the price.",
  "availability-unknown": "The availability is none of the known words.",
  "condition-unknown": "The condition is none of new, refurbished and used.",
  "gtin-malformed": "The article number has not 8, 12, 13 or 14 digits.",
  "gtin-check-digit": "The last digit of the article number is not its check digit: a digit was mistyped.",
} as const satisfies Readonly<Record<Broken, string>> & Readonly<Record<string, string>>;

/** One of the reasons. */
export type Rejection = keyof typeof REJECTIONS;

/** A row that was understood, as the catalogue takes it (catalog/ingest/row.ts), without what the source says of all its rows. */
export type Offer = {
  readonly sku: string;
  readonly title: string;
  readonly description: string;
  readonly url: string;
  readonly image_url: string | undefined;
  readonly brand: string | undefined;
  /** 13 digits, or 14: the same article is the same text, whichever of its forms a feed has. */
  readonly gtin: string | undefined;
  readonly mpn: string | undefined;
  /** The narrowest of the path. */
  readonly category: string;
  /** From the widest to the narrowest. */
  readonly category_path: readonly string[];
  /** Decimal, with the digits of the currency. */
  readonly price: string;
  /** Said of a price of 1 that is one. */
  readonly price_confirmed: boolean;
  /** What it costs without the sale; undefined when there is none. */
  readonly list_price: string | undefined;
  readonly currency: string;
  readonly availability: (typeof AVAILABILITIES)[number];
  readonly condition: Condition;
  readonly stock_level: number | undefined;
  readonly rating: number | undefined;
  readonly review_count: number | undefined;
  /** Colour, size and the like. */
  readonly specs: Readonly<Record<string, string>>;
};

type Condition = "new" | "refurbished" | "used";

/** What a source knows that its rows need not say. */
export type OfferDefaults = {
  readonly currency?: string | undefined;
  /** The moment a sale must hold at, milliseconds since 1970. */
  readonly nowMs: number;
};

/** A row, judged. */
export type Judged =
  | { readonly kind: "offer"; readonly offer: Offer }
  | { readonly kind: "rejected"; readonly reason: Rejection };

/** Understands a row. Pure; a feed's second row of one id is for the caller to find. */
export function judgeRow(row: FeedRow, defaults: OfferDefaults): Judged {
  if (row.kind === "broken") return { kind: "rejected", reason: row.reason };
  const text = (names: readonly string[]): string | undefined => first(row.fields, names);
  const identity = judgeIdentity(text);
  if (typeof identity === "string") return { kind: "rejected", reason: identity };
  const price = judgePrice(text, defaults);
  if (typeof price === "string") return { kind: "rejected", reason: price };
  const availability = AVAILABLE.get(fold(text(NAMES.availability) ?? "in stock"));
  if (availability === undefined) return { kind: "rejected", reason: "availability-unknown" };
  const condition = CONDITIONS.get(fold(text(NAMES.condition) ?? "new"));
  if (condition === undefined) return { kind: "rejected", reason: "condition-unknown" };
  const gtinText = text(NAMES.gtin);
  const gtin = gtinText === undefined ? undefined : readGtin(gtinText);
  if (gtin !== undefined && "wrong" in gtin) return { kind: "rejected", reason: gtin.wrong };
  const offer = {
    ...identity,
    ...price,
    availability,
    condition,
    gtin: gtin?.digits,
    stock_level: numberIn(text(NAMES.stock), { most: STOCK_MAX, whole: true }),
    rating: numberIn(text(NAMES.rating), { most: 5, whole: false }),
    review_count: numberIn(text(NAMES.reviews), { most: STOCK_MAX, whole: true }),
    specs: specsOf(row.fields),
  };
  return { kind: "offer", offer };
}

type Texts = (names: readonly string[]) => string | undefined;
type Identity = Pick<
  Offer,
  "sku" | "title" | "description" | "url" | "image_url" | "brand" | "mpn" | "category" | "category_path"
>;
type Prices = Pick<Offer, "price" | "price_confirmed" | "list_price" | "currency">;

/** Names under which feeds say a thing; the first that a row has counts. */
const NAMES = {
  sku: ["id", "sku", "offer_id", "item_id", "product_id"],
  title: ["title", "name", "product_name"],
  description: ["description", "summary", "body"],
  url: ["link", "url", "product_url"],
  image: ["image_link", "image_url", "image"],
  brand: ["brand", "manufacturer"],
  mpn: ["mpn", "part_number"],
  gtin: ["gtin", "ean", "barcode", "upc"],
  category: ["product_type", "category", "category_path", "google_product_category"],
  price: ["price", "price.amount", "regular_price"],
  currency: ["currency", "price.currency", "currency_code"],
  sale: ["sale_price", "sale_price.amount"],
  saleDates: ["sale_price_effective_date"],
  availability: ["availability", "stock_status"],
  condition: ["condition"],
  stock: ["quantity", "stock_level", "stock", "inventory"],
  rating: ["rating", "product_rating", "rating.value"],
  reviews: ["review_count", "reviews", "rating.count"],
} as const;

const SPECS = ["color", "colour", "size", "material", "pattern", "gender", "age_group", "item_group_id"];
/** Longer values are descriptions in the wrong place; they are cut, not worth losing the offer for. */
const SPEC_CHARACTERS_MAX = 200;

/** Of names: what the catalogue's columns take. */
const TEXT_CHARACTERS_MAX = 128;
const STOCK_MAX = 2_000_000_000;

const CONDITIONS: ReadonlyMap<string, Condition> = new Map([
  ["new", "new"],
  ["newcondition", "new"],
  ["refurbished", "refurbished"],
  ["refurbishedcondition", "refurbished"],
  ["used", "used"],
  ["usedcondition", "used"],
]);

const AVAILABLE: ReadonlyMap<string, Offer["availability"]> = new Map([
  ["in stock", "in_stock"],
  ["instock", "in_stock"],
  ["available", "in_stock"],
  ["limited availability", "low_stock"],
  ["low stock", "low_stock"],
  ["out of stock", "out_of_stock"],
  ["outofstock", "out_of_stock"],
  ["unavailable", "out_of_stock"],
  ["sold out", "out_of_stock"],
  ["preorder", "preorder"],
  ["pre order", "preorder"],
  ["backorder", "backorder"],
  ["back order", "backorder"],
  ["discontinued", "discontinued"],
]);

function judgeIdentity(text: Texts): Identity | Rejection {
  const sku = text(NAMES.sku);
  if (sku === undefined) return "id-missing";
  if (sku.length > TEXT_CHARACTERS_MAX) return "id-too-long";
  const title = text(NAMES.title);
  if (title === undefined) return "title-missing";
  if (title.length > 500) return "title-too-long";
  const description = text(NAMES.description) ?? "";
  if (description.length > 10_000) return "description-too-long";
  const brand = text(NAMES.brand);
  if (brand !== undefined && brand.length > TEXT_CHARACTERS_MAX) return "brand-too-long";
  const mpn = text(NAMES.mpn);
  if (mpn !== undefined && mpn.length > TEXT_CHARACTERS_MAX) return "mpn-too-long";
  const categoryPath = categoryOf(text(NAMES.category) ?? "");
  if (categoryPath.length === 0) return "category-missing";
  if (categoryPath.length > 10 || categoryPath.some((level) => level.length > TEXT_CHARACTERS_MAX))
    return "category-too-long";
  const url = text(NAMES.url);
  if (url === undefined) return "url-missing";
  if (!isWebAddress(url)) return "url-invalid";
  const image = text(NAMES.image);
  if (image !== undefined && !isWebAddress(image)) return "image-url-invalid";
  const category = categoryPath.at(-1) ?? "";
  return { sku, title, description, url, image_url: image, brand, mpn, category, category_path: categoryPath };
}

function judgePrice(text: Texts, defaults: OfferDefaults): Prices | Rejection {
  const written = text(NAMES.price);
  if (written === undefined) return "price-missing";
  const price = readPrice(written);
  if (price === undefined) return "price-malformed";
  const said = text(NAMES.currency)?.toUpperCase();
  if (price.currency !== undefined && said !== undefined && price.currency !== said) return "currency-differs";
  const currency = price.currency ?? said ?? defaults.currency;
  if (currency === undefined) return "currency-missing";
  const decimals = currencyDecimals(currency);
  if (decimals === undefined) return "currency-unknown";
  const wrong = wrongAmount(price, decimals);
  if (wrong !== undefined) return wrong;
  const list = decimalOf(price, decimals);
  const unreduced = { price: list, price_confirmed: Number(list) === 1, list_price: undefined, currency };
  const saleText = text(NAMES.sale);
  if (saleText === undefined) return unreduced;
  const sale = readPrice(saleText);
  const badSale =
    sale === undefined || (sale.currency ?? currency) !== currency || wrongAmount(sale, decimals) !== undefined;
  if (badSale || Number(decimalOf(sale, decimals)) > Number(list)) return "sale-price-wrong";
  const reduced = decimalOf(sale, decimals);
  if (reduced === list || !holdsAt(text(NAMES.saleDates), defaults.nowMs)) return unreduced;
  return { price: reduced, price_confirmed: Number(reduced) === 1, list_price: list, currency };
}

/**
 * A bare 1 is no price: programs write it where a page had none. `1.00` is one, in a currency that has cents: a sachet costs
 * that. Where there are no cents nothing costs 1.
 */
function wrongAmount(price: WrittenPrice, decimals: number): Rejection | undefined {
  if (price.whole === "0" && price.fraction === "") return "price-zero";
  if (price.whole === "1" && price.fraction === "" && (!price.pointed || decimals === 0)) return "price-placeholder";
  if (price.whole.length > 12) return "price-too-large";
  return price.fraction.length > decimals ? "price-too-precise" : undefined;
}

/** `start/end`, each an ISO 8601 moment; dates that cannot be read hold never. */
function holdsAt(dates: string | undefined, nowMs: number): boolean {
  if (dates === undefined) return true;
  const [start = "", end = ""] = dates.split("/");
  return Date.parse(start.trim()) <= nowMs && nowMs < Date.parse(end.trim());
}

function first(fields: Fields, names: readonly string[]): string | undefined {
  for (const name of names) {
    const text = clean(fields.get(name) ?? "");
    if (text !== "") return text;
  }
  return undefined;
}

/** What cannot be stored or shown goes: control characters, and halves of characters that UTF-16 writes in two. */
function clean(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\P{Cc}\t\n\r]/gu, "")
    .trim();
}

function fold(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, " ")
    .replace(/^https?:\/\/schema\.org\//, "");
}

function categoryOf(text: string): readonly string[] {
  return text
    .split(">")
    .map((level) => level.trim())
    .filter((level) => level !== "");
}

function isWebAddress(text: string): boolean {
  if (text.length > 2048 || !URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  return (protocol === "https:" || protocol === "http:") && hostname !== "" && username === "" && password === "";
}

function specsOf(fields: Fields): Readonly<Record<string, string>> {
  const specs: Record<string, string> = {};
  for (const name of SPECS) {
    const text = first(fields, [name]);
    const key = name === "colour" ? "color" : name;
    if (text !== undefined) specs[key] ??= text.slice(0, SPEC_CHARACTERS_MAX).toWellFormed();
  }
  return specs;
}

/** A number that an offer can do without: what is none is left out, not worth losing the offer for. */
function numberIn(
  text: string | undefined,
  limits: { readonly most: number; readonly whole: boolean },
): number | undefined {
  const value = text === undefined || !/^\d{1,10}(\.\d{1,6})?$/.test(text) ? Number.NaN : Number(text);
  return value <= limits.most && (!limits.whole || Number.isInteger(value)) ? value : undefined;
}
