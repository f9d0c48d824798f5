/**
 * Products and prices as the text that COPY FROM STDIN takes.
 * Source: PostgreSQL manual, COPY, "Text Format".
 */
import { throwIfAborted } from "../../platform/clock.ts";
import { NEWEST_MS, type PriceSighting, type Product, ProductSource } from "./product.ts";

/** Which products: `count` of them from number `from` (1 by default) on. */
export type RowRange = {
  readonly seed: number;
  readonly from?: number | undefined;
  readonly count: number;
  readonly signal?: AbortSignal | undefined;
};

/** Rows go out in pieces of about this size: large enough to cost little each, small enough to keep back-pressure prompt. */
export const CHUNK_BYTES = 64 * 1024;

/** The columns of `products`, in the order of the rows. */
export const PRODUCT_COLUMNS =
  "id, sku, source, merchant, title, description, brand, category_path, price, currency, country, url, image_url, gtin, attributes, availability, updated_at";

/** The columns of `price_history`, in the order of the rows. */
export const PRICE_COLUMNS = "product_id, price, recorded_at";

/** Rows of `products` for COPY. Deterministic: the same range gives the same bytes. Buffers are never reused. */
export async function* generateProducts(range: RowRange): AsyncIterable<Buffer> {
  yield* generate(range, (_source, product) => productRow(product));
}

/** Rows of `price_history` for COPY: two to four for each product of the range. */
export async function* generatePrices(range: RowRange): AsyncIterable<Buffer> {
  yield* generate(range, (source, product) => {
    let rows = "";
    for (const sighting of source.sightings(product)) rows += priceRow(sighting);
    return rows;
  });
}

async function* generate(
  range: RowRange,
  rowsOf: (source: ProductSource, product: Product) => string,
): AsyncIterable<Buffer> {
  const source = new ProductSource(range.seed, NEWEST_MS);
  const from = range.from ?? 1;
  let text = "";
  for (let id = from; id < from + range.count; id++) {
    text += rowsOf(source, source.product(id));
    if (text.length < CHUNK_BYTES) continue;
    throwIfAborted(range.signal, "generating products");
    yield Buffer.from(text, "utf8");
    text = "";
  }
  throwIfAborted(range.signal, "generating products");
  if (text !== "") yield Buffer.from(text, "utf8");
}

function productRow(row: Product): string {
  return `${row.id}\t${row.sku}\t${row.source}\t${row.merchant}\t${row.title}\t${row.description}\t${row.brand}\t${row.categoryPath}\t${decimal(row.priceCents)}\t${row.currency}\t${row.country}\t${row.url}\t${row.imageUrl}\t${row.gtin}\t${row.attributes}\t${row.availability}\t${instant(row.updatedMs)}\n`;
}

function priceRow(row: PriceSighting): string {
  return `${row.productId}\t${decimal(row.priceCents)}\t${instant(row.seenMs)}\n`;
}

/** Hundredths as a decimal number with two places. */
export function decimal(cents: number): string {
  const rest = cents % 100;
  return `${(cents - rest) / 100}.${rest < 10 ? "0" : ""}${rest}`;
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
