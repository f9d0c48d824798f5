/**
 * One product of the catalogue, drawn from a seed and its number alone.
 */

import { Prng } from "../../platform/prng.ts";
import { type CompiledCategory, type Draw, drawSlots, fill } from "../../wares/category.ts";
import { gtinOf } from "../../wares/gtin.ts";
import { MARKETS, type Market, type Merchant, shopPrice } from "../../wares/markets.ts";
import { slugOf, spreadOf, WARES } from "../../wares/wares.ts";

/** A row of `products`. Texts are as COPY's text format wants them: only a backslash differs from the plain value. */
export type Product = {
  readonly id: number;
  readonly sku: string;
  readonly source: string;
  readonly merchant: string;
  readonly title: string;
  readonly description: string;
  readonly brand: string;
  /** The category path as a PostgreSQL array. */
  readonly categoryPath: string;
  /** In hundredths of the currency. */
  readonly priceCents: number;
  readonly currency: string;
  readonly country: string;
  readonly url: string;
  readonly imageUrl: string;
  readonly gtin: string;
  /** A JSON object. */
  readonly attributes: string;
  readonly availability: string;
  /** Milliseconds since 1970. */
  readonly updatedMs: number;
};

/** One sighting of a price. */
export type PriceSighting = { readonly productId: number; readonly priceCents: number; readonly seenMs: number };

/** Draws products. One instance serves one reader at a time. */
export class ProductSource {
  readonly #seed: number;
  readonly #newestMs: number;
  readonly #random: Prng;
  readonly #draw: Draw = { text: [], lower: [], json: [] };

  /** `newestMs`: no product was updated after this moment. */
  constructor(seed: number, newestMs: number) {
    this.#seed = seed;
    this.#newestMs = newestMs;
    this.#random = new Prng(seed);
  }

  /** The product of this number, from 1 on. The same seed and number give the same product. */
  product(id: number): Product {
    const random = this.#random;
    random.restart(this.#seed, id);
    const { family, category } = random.pick(WARES);
    const market = random.pick(MARKETS);
    const merchant = random.pick(market.merchants[family]);
    const factor = drawSlots(category, random, this.#draw);
    const title = fill(random.pick(category.titles), this.#draw);
    const description = this.#description(category);
    const [lowUsd, highUsd] = category.priceUsd;
    const usd = lowUsd * (highUsd / lowUsd) ** random.fraction() * factor;
    const code = productCode(id);
    return {
      id,
      sku: `${merchant.skuPrefix}-${code}`,
      source: merchant.source,
      merchant: merchant.name,
      title,
      description,
      brand: this.#draw.text[0] ?? "",
      categoryPath: category.pathArray,
      priceCents: shopPrice(usd, market, random),
      currency: market.currency,
      country: market.country,
      url: `https://${merchant.domain}/p/${slugOf(title)}-${code.toLowerCase()}`,
      imageUrl: imageUrl(merchant, random),
      gtin: gtin(market, id),
      attributes: this.#attributes(category),
      availability: random.pick(AVAILABILITIES),
      updatedMs: this.#newestMs - random.below(UPDATED_WITHIN_MS),
    };
  }

  /** What a product cost before, oldest first, and what it costs now. Call with the product just drawn. */
  sightings(product: Product): readonly PriceSighting[] {
    const random = this.#random;
    const sightings: PriceSighting[] = [];
    const earlier = 1 + random.below(EARLIER_SIGHTINGS_MAX);
    const market = MARKETS.find((each) => each.country === product.country) ?? MARKETS[0];
    for (let index = earlier; index > 0 && market !== undefined; index--) {
      const usd = (product.priceCents / 100 / market.perUsd) * (0.88 + 0.3 * random.fraction());
      const seenMs = product.updatedMs - index * SIGHTING_EVERY_MS - random.below(SIGHTING_EVERY_MS);
      sightings.push({ productId: product.id, priceCents: shopPrice(usd, market, random), seenMs });
    }
    sightings.push({ productId: product.id, priceCents: product.priceCents, seenMs: product.updatedMs });
    return sightings;
  }

  /** Two to five sentences: an opening, one or two features, and perhaps up to two remarks on use. */
  #description(category: CompiledCategory): string {
    const random = this.#random;
    let text = fill(random.pick(category.openings), this.#draw);
    const first = random.below(category.features.length);
    text += ` ${this.#sentence(category.features, first)}`;
    if (random.below(4) > 0) {
      text += ` ${this.#sentence(category.features, first + 1 + random.below(category.features.length - 1))}`;
    }
    const uses = random.below(3);
    const use = random.below(category.uses.length);
    if (uses > 0) text += ` ${this.#sentence(category.uses, use)}`;
    if (uses > 1) text += ` ${this.#sentence(category.uses, use + 1)}`;
    return text;
  }

  #sentence(templates: CompiledCategory["features"], index: number): string {
    const template = templates[index % templates.length];
    return template === undefined ? "" : fill(template, this.#draw);
  }

  #attributes(category: CompiledCategory): string {
    let json = "{";
    for (const { key, slot } of category.attributes) {
      if (json.length > 1) json += ", ";
      json += key + (this.#draw.json[slot] ?? "null");
    }
    return `${json}}`;
  }
}

/** A moment on the date of the runbook that this catalogue belongs to; fixed, so that a seed gives the same bytes on any day. */
export const NEWEST_MS = Date.UTC(2026, 3, 18, 9, 30);

const AVAILABILITIES: readonly string[] = [
  "in_stock",
  "in_stock",
  "in_stock",
  "in_stock",
  "in_stock",
  "low_stock",
  "preorder",
  "out_of_stock",
];

const DAY_MS = 24 * 60 * 60 * 1000;
const UPDATED_WITHIN_MS = 30 * DAY_MS;
const SIGHTING_EVERY_MS = 9 * DAY_MS;
const EARLIER_SIGHTINGS_MAX = 3;

function productCode(id: number): string {
  return (spreadOf(id) + 1_000_000_000).toString(36).toUpperCase();
}

function gtin(market: Market, id: number): string {
  return gtinOf(market.gtinPrefix + String(spreadOf(id)).padStart(9, "0"));
}

function imageUrl(merchant: Merchant, random: Prng): string {
  const first = random.next().toString(16).padStart(8, "0");
  const second = random.next().toString(16).padStart(8, "0");
  return `https://img.${merchant.domain.slice(4)}/${first.slice(0, 2)}/${first}${second}_800.jpg`;
}

/** The plain value of a text as COPY wants it. */
export function plainText(text: string): string {
  return text.replaceAll("\\\\", "\\");
}
