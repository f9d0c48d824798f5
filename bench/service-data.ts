/** Offers for `bench service`, as many as are asked for, and queries for them. */
import pg from "pg";
import { inTransaction } from "../catalog/database/session.ts";
import { ingestBatch, openRun } from "../catalog/ingest/ingest.ts";
import { BATCH_ROWS_MAX } from "../catalog/ingest/row.ts";
import { NEWEST_MS, ProductSource } from "../src/demo/catalog-data/product.ts";
import { Prng } from "../src/platform/prng.ts";
import { catalogueAddress } from "../test/support/catalogue.ts";
import type { TestServer } from "../test/support/servers.ts";

const SEED = 7;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** Puts offers into the catalogue the way that the API does. */
export async function fillCatalogue(server: TestServer, offers: number, signal: AbortSignal): Promise<void> {
  const client = new pg.Client(catalogueAddress(server));
  await client.connect();
  try {
    const source = new ProductSource(SEED, NEWEST_MS);
    for (let first = 1; first <= offers; first += BATCH_ROWS_MAX) {
      signal.throwIfAborted();
      const count = Math.min(BATCH_ROWS_MAX, offers - first + 1);
      const rows = Array.from({ length: count }, (_, index) => ({
        rowNumber: index + 1,
        value: rowOf(source, first + index),
      }));
      await inTransaction(client, async () => {
        const runId = await openRun(client, { source: "bench", origin: "scheduler" });
        await ingestBatch(client, { source: "bench", runId, rows });
      });
    }
    await client.query("vacuum analyze");
  } finally {
    await client.end();
  }
}

function rowOf(source: ProductSource, number: number): Readonly<Record<string, unknown>> {
  const product = source.product(number);
  const path = [...product.categoryPath.matchAll(/"([^"]*)"|([^{},"]+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? "",
  );
  return {
    sku: product.sku,
    merchant: product.merchant,
    title: product.title,
    description: product.description,
    brand: product.brand,
    category: path.at(-1) ?? "other",
    category_path: path,
    price: product.priceCents / 100,
    price_confirmed: true,
    currency: product.currency,
    country_code: product.country,
    url: product.url,
    image_url: product.imageUrl,
    gtin: product.gtin,
    availability: product.availability,
  };
}

/** A query as a person types it, and the same with one letter wrong. */
export type TypedQuery = { readonly right: string; readonly wrong: string };

/** Queries made of words of titles. */
export function queriesOf(count: number, offers: number): readonly TypedQuery[] {
  const source = new ProductSource(SEED, NEWEST_MS);
  const random = new Prng(SEED + 1);
  const queries: TypedQuery[] = [];
  while (queries.length < count) {
    const words =
      source
        .product(1 + random.below(offers))
        .title.toLowerCase()
        .match(/\p{L}{4,}/gu) ?? [];
    const chosen = [...new Set(words)].slice(0, 3);
    if (chosen.length < 2) continue;
    const at = random.below(chosen.length);
    const wrong = chosen.map((word, index) => (index === at ? mistyped(word, random) : word));
    queries.push({ right: chosen.join(" "), wrong: wrong.join(" ") });
  }
  return queries;
}

/** One letter put in, left out, changed, or swapped with the next. */
function mistyped(word: string, random: Prng): string {
  const at = random.below(word.length - 1);
  const letter = LETTERS[random.below(LETTERS.length)] ?? "x";
  const [before, after] = [word.slice(0, at), word.slice(at)];
  switch (random.below(4)) {
    case 0:
      return before + letter + after;
    case 1:
      return before + after.slice(1);
    case 2:
      return before + letter + after.slice(1);
    default:
      return before + (after[1] ?? "") + (after[0] ?? "") + after.slice(2);
  }
}
