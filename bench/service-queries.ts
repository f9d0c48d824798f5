/** What is asked for in `bench service`: words of titles, as people put them together, mistype them and narrow them down. Pure. */
import { encodeCursor } from "../catalog/search/cursor.ts";
import { NEWEST_MS, ProductSource } from "../src/demo/catalog-data/product.ts";
import { Prng } from "../src/platform/prng.ts";
import { SEED } from "./service-data.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** A query as a person types it, and the same with one letter wrong. */
export type TypedQuery = { readonly right: string; readonly wrong: string };

/** Kinds of searches, and how many of a hundred are of each. */
const KINDS = {
  "two or three words": 34,
  "one word": 12,
  "a word with digits": 6,
  mistyped: 10,
  "words and a filter": 14,
  "words by price or time": 8,
  "words, a later page": 4,
  "words with facets": 4,
  "a category by price or time": 5,
  "a category, a deep page": 3,
} as const;

/** One of them. */
export type SearchKind = keyof typeof KINDS;

/** A search and its kind. */
export type AskedSearch = { readonly kind: SearchKind; readonly path: string };

/** So many pages of twenty into a category. */
const DEEP_PRICE_SHARE = 0.7;

/** Draws queries from the titles of a catalogue of so many offers. */
export class Queries {
  readonly #source = new ProductSource(SEED, NEWEST_MS);
  readonly #random: Prng;
  readonly #offers: number;
  readonly #asked = new Set<string>();

  constructor(offers: number, seed: number) {
    this.#offers = offers;
    this.#random = new Prng(seed);
  }

  /** Two or three words of a title, and the same mistyped. */
  typed(): TypedQuery {
    for (;;) {
      const chosen = this.#words().slice(0, 3);
      if (chosen.length < 2) continue;
      const at = this.#random.below(chosen.length);
      const wrong = chosen.map((word, index) => (index === at ? this.#mistyped(word) : word));
      return { right: chosen.join(" "), wrong: wrong.join(" ") };
    }
  }

  /** A search that was not asked before. */
  search(): AskedSearch {
    for (;;) {
      const kind = this.#kind();
      const path = this.#path(kind);
      if (path === undefined || this.#asked.has(path)) continue;
      this.#asked.add(path);
      return { kind, path };
    }
  }

  #kind(): SearchKind {
    let rest = this.#random.below(100);
    for (const kind of Object.keys(KINDS) as SearchKind[]) {
      rest -= KINDS[kind];
      if (rest < 0) return kind;
    }
    return "two or three words";
  }

  #path(kind: SearchKind): string | undefined {
    const random = this.#random;
    const { right, wrong } = this.typed();
    switch (kind) {
      case "two or three words":
        return pathOf({ q: right });
      case "one word":
        // A page of its own size is a question of its own: there are some thousand words.
        return pathOf({ q: random.pick(this.#words()) ?? "", limit: String(10 + random.below(40)) });
      case "a word with digits": {
        const word = this.#title()
          .match(/[\p{L}\p{N}-]*\p{N}[\p{L}\p{N}-]*/gu)
          ?.at(0);
        return word === undefined ? undefined : pathOf({ q: word, limit: String(10 + random.below(40)) });
      }
      case "mistyped":
        return pathOf({ q: wrong });
      case "words and a filter":
        return pathOf({ q: right, ...this.#filter() });
      case "words by price or time":
        return pathOf({ q: right, sort: random.pick(ORDERS) });
      case "words, a later page":
        return pathOf({
          q: right,
          cursor: encodeCursor({ sort: "relevance", value: 110_000, id: random.below(100_000) }),
        });
      case "words with facets":
        return pathOf({ q: right, facets: "true" });
      case "a category by price or time":
        return pathOf({
          category: this.#category(),
          sort: random.pick(ORDERS),
          min_price: String(random.below(200)),
          limit: String(10 + random.below(40)),
        });
      case "a category, a deep page":
        return this.#deep();
    }
  }

  #deep(): string {
    const random = this.#random;
    const [sort, value] = random.pick([
      ["price_asc", 20 + random.below(400)],
      ["price_desc", 20 + random.below(400)],
      ["discount_desc", 5 + random.below(20)],
      [
        "newest",
        new Date(NEWEST_MS - DEEP_PRICE_SHARE * random.below(2_500_000_000))
          .toISOString()
          .replace(/T(.*)\..*/, " $1+00"),
      ],
    ] as const);
    const cursor = encodeCursor({ sort, value, id: random.below(this.#offers) });
    return pathOf({ category: this.#category(), sort, cursor });
  }

  #filter(): Readonly<Record<string, string>> {
    const random = this.#random;
    const { brand, country } = this.#source.product(1 + random.below(this.#offers));
    const low = random.below(150);
    return random.pick([
      { brand },
      { country_code: country },
      { category: this.#category() },
      { min_price: String(low), max_price: String(low + 10 + random.below(300)) },
      { max_price: String(50 + random.below(2_000)) },
      { availability: "in_stock", country_code: country },
    ] as const);
  }

  #category(): string {
    const { categoryPath } = this.#source.product(1 + this.#random.below(this.#offers));
    return (categoryPath.match(/"([^"]*)"\}$/)?.[1] ?? "").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  }

  #title(): string {
    return this.#source.product(1 + this.#random.below(this.#offers)).title.toLowerCase();
  }

  #words(): readonly string[] {
    for (;;) {
      const words = [...new Set(this.#title().match(/\p{L}{4,}/gu) ?? [])];
      if (words.length > 0) return words;
    }
  }

  /** One letter put in, left out, changed, or swapped with the next. */
  #mistyped(word: string): string {
    const random = this.#random;
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
}

const ORDERS = ["price_asc", "price_desc", "discount_desc", "newest"] as const;

function pathOf(query: Readonly<Record<string, string>>): string {
  return `/v1/products/search?${new URLSearchParams(query)}`;
}
