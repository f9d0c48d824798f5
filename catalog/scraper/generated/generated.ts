/**
 * A feed of each of eight made-up merchants, for the stack on one machine, its drills and its tests.
 *
 * Nouns: an *article* is a thing with a brand, a model and one article number, drawn from the seed and its number; an *offer*
 * is an article at a merchant; a *run* numbers the readings of the feeds: from run to run some prices and stocks *move*; a
 * *flaw* is one of the mistakes that merchants make, planted in a few rows so that counted rejections have something to count.
 * Invariants: the same seed, size, merchant and run give the same bytes anywhere; merchants that sell the same article say the
 * same number of it and much the same price; every feed is written as that merchant's own system would write it.
 */
import { Prng, scramble } from "../../../src/platform/prng.ts";
import { type CompiledCategory, type Draw, drawSlots, fill } from "../../../src/wares/category.ts";
import { gtinOf } from "../../../src/wares/gtin.ts";
import { MARKETS } from "../../../src/wares/markets.ts";
import { slugOf, spreadOf, WARES, type Wares } from "../../../src/wares/wares.ts";

/** What decides everything in a feed beside the merchant. */
export type Generation = {
  readonly seed: number;
  /** Articles that exist; each is sold by about two of the merchants. */
  readonly articleCount: number;
  /** From 0. */
  readonly run: number;
};

/** The seed when none is given, and with it the size: about 20,000 offers. */
export const GENERATION: Omit<Generation, "run"> = { seed: 20_260_418, articleCount: 9_000 };

/** A thing that merchants sell. */
export type Article = {
  readonly number: number;
  readonly wares: Wares;
  readonly brand: string;
  readonly gtin: string;
  readonly mpn: string;
  /** Before any merchant's own mind about it. */
  readonly usd: number;
  /** Titles and descriptions as different merchants write them: one is taken by number, whatever the number. */
  title(variant: number): string;
  description(variant: number): string;
  readonly specs: Readonly<Record<string, string>>;
};

/** Draws articles. One instance serves one reader at a time; an article is good until the next is drawn. */
export class Articles {
  readonly #seed: number;
  readonly #random: Prng;
  readonly #draw: Draw = { text: [], lower: [], json: [] };

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Prng(seed);
  }

  /** The article of this number, from 1. */
  article(number: number): Article {
    const random = this.#random;
    random.restart(this.#seed, number);
    const wares = random.pick(WARES);
    const { category } = wares;
    const factor = drawSlots(category, random, this.#draw);
    const [lowUsd, highUsd] = category.priceUsd;
    const usd = lowUsd * (highUsd / lowUsd) ** random.fraction() * factor;
    const prefix = random.pick(MARKETS).gtinPrefix;
    const spread = spreadOf(number);
    return {
      number,
      wares,
      brand: this.#draw.text[0] ?? "",
      gtin: gtinOf(prefix + String(spread).padStart(9, "0")),
      mpn: `${(this.#draw.text[0] ?? "X").slice(0, 2).toUpperCase()}-${(spread % 46_655_999).toString(36).toUpperCase()}`,
      usd,
      title: (variant) => this.#fill(category.titles, variant),
      description: (variant) =>
        [category.openings, category.features, category.uses]
          .map((templates, index) => this.#fill(templates, variant + index))
          .join(" "),
      specs: this.#specs(category),
    };
  }

  #fill(templates: CompiledCategory["titles"], variant: number): string {
    const template = templates[variant % templates.length];
    return template === undefined ? "" : fill(template, this.#draw);
  }

  #specs(category: CompiledCategory): Readonly<Record<string, string>> {
    const specs: Record<string, string> = {};
    for (const { key, slot } of category.attributes) {
      const name = /^"(.*)": $/.exec(key)?.[1] ?? key;
      if (name !== "brand") specs[name === "colour" ? "color" : name] = this.#draw.text[slot] ?? "";
    }
    return specs;
  }
}

/** A fraction from 0, never 1, that belongs to these numbers. */
export function chance(...numbers: readonly number[]): number {
  let mixed = 0x2545_f491;
  for (const number of numbers) mixed = scramble(mixed ^ scramble(number ^ 0x9e37_79b9));
  return (mixed >>> 0) / 0x1_0000_0000;
}

/** A ware's address, as part of one. */
export function articleSlug(title: string, number: number): string {
  return `${slugOf(title)}-${(spreadOf(number) + 1_000_000_000).toString(36)}`;
}
