import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Prng } from "../../platform/prng.ts";
import { type Category, compileCategory } from "../../wares/category.ts";
import { gtinOf, isGtin } from "../../wares/gtin.ts";
import { MARKETS, shopPrice } from "../../wares/markets.ts";
import { productCountFor } from "./catalog-data.ts";
import { NEWEST_MS, type Product, ProductSource, plainText } from "./product.ts";
import { generatePrices, generateProducts } from "./rows.ts";

/** As many as a catalogue of 300 MB holds. */
const PRODUCT_COUNT = 210_000;

/** Words that a reader would take for filler. */
const FILLER =
  /\b(lorem|ipsum|dolor|foo|baz|qux|test(ing)?|example|placeholder|sample|dummy|todo|tbd|acme|undefined|null|nan|object|brand name|product \d+|item \d+)\b|[{}]/i;

/** "a" before a vowel or before a number read with one, "an" before a consonant. */
const WRONG_ARTICLE = /(?<!\d )\b[Aa] (?:[AEIOaeio]|u(?!n[iu]|s[ae])|8|11\b|18\b)|\b[Aa]n [bcdfgjklmnpqrtvwxyz]/;

function products(count: number, seed = 1): Product[] {
  const source = new ProductSource(seed, NEWEST_MS);
  return Array.from({ length: count }, (_, index) => source.product(index + 1));
}

async function digest(rows: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of rows) hash.update(chunk);
  return hash.digest("hex");
}

test("of the titles of a 300 MB catalogue more than 95 % are distinct, and every article number is valid and unique", () => {
  const titles = new Set<string>();
  const gtins = new Set<string>();
  const source = new ProductSource(1, NEWEST_MS);
  for (let id = 1; id <= PRODUCT_COUNT; id++) {
    const product = source.product(id);
    titles.add(product.title);
    gtins.add(product.gtin);
    assert.ok(isGtin(product.gtin), product.gtin);
  }
  assert.ok(titles.size > 0.95 * PRODUCT_COUNT, `${titles.size} distinct titles of ${PRODUCT_COUNT}`);
  assert.equal(gtins.size, PRODUCT_COUNT);
});

test("no title, description or attribute holds filler words, empty slots or a wrong article", () => {
  for (const product of products(30_000)) {
    const text = `${product.title}\n${product.description}\n${product.brand}`;
    assert.doesNotMatch(text, FILLER);
    assert.doesNotMatch(text, /\t|\\| {2}/);
    assert.doesNotMatch(product.description, WRONG_ARTICLE);
  }
});

test("a description has two to five sentences, each with a capital and a full stop", () => {
  const counts = new Set<number>();
  for (const { description } of products(20_000)) {
    const sentences = description.split(/(?<=\.) (?=[A-Z0-9])/);
    counts.add(sentences.length);
    for (const sentence of sentences) assert.match(sentence, /^[A-Z0-9].*\.$/, description);
  }
  assert.deepEqual([...counts].toSorted(), [2, 3, 4, 5]);
});

test("the attributes are JSON that agrees with title and brand", () => {
  for (const product of products(5_000)) {
    const attributes: unknown = JSON.parse(plainText(product.attributes));
    assert.ok(attributes !== null && typeof attributes === "object" && "brand" in attributes);
    assert.equal(attributes.brand, product.brand);
    assert.ok(product.title.startsWith(product.brand), product.title);
    if ("colour" in attributes && typeof attributes.colour === "string" && product.title.includes(" in ")) continue;
    assert.ok(Object.keys(attributes).length >= 3);
  }
});

test("every market and its currency occurs, with prices as its shops write them", () => {
  const seen = new Map<string, number[]>();
  for (const { currency, priceCents } of products(20_000)) {
    seen.set(currency, [...(seen.get(currency) ?? []), priceCents]);
    assert.ok(Number.isSafeInteger(priceCents) && priceCents > 0);
  }
  assert.deepEqual([...seen.keys()].toSorted(), ["AUD", "IDR", "MYR", "PHP", "SGD", "THB", "USD", "VND"]);
  assert.ok(
    seen
      .get("IDR")
      ?.every((cents) => cents % 90_000 === 0 || cents % 100_000 === 90_000 || cents % 1_000_000 === 900_000),
  );
  assert.ok(seen.get("VND")?.every((cents) => cents % 100_000 === 0));
  const sgd = seen.get("SGD") ?? [];
  assert.ok(sgd.filter((cents) => cents % 100 === 99).length > sgd.length / 4);
});

test("a price never falls to nothing, however cheap the article", () => {
  const random = new Prng(1);
  for (const market of MARKETS) {
    for (let turn = 0; turn < 50; turn++) assert.ok(shopPrice(0.2, market, random) > 0, market.currency);
  }
});

test("a product depends on seed and number alone, not on what was drawn before", () => {
  const source = new ProductSource(7, NEWEST_MS);
  for (let id = 1; id < 500; id++) source.sightings(source.product(id));
  assert.deepEqual(source.product(123), new ProductSource(7, NEWEST_MS).product(123));
});

test("sightings of a price end with the present one, at different moments in order", () => {
  const source = new ProductSource(3, NEWEST_MS);
  for (let id = 1; id < 3_000; id++) {
    const product = source.product(id);
    const sightings = source.sightings(product);
    assert.ok(sightings.length >= 2 && sightings.length <= 4);
    assert.equal(sightings.at(-1)?.priceCents, product.priceCents);
    for (const [index, sighting] of sightings.entries()) {
      assert.ok(sighting.priceCents > 0);
      assert.ok(index === 0 || sighting.seenMs > (sightings[index - 1]?.seenMs ?? 0));
    }
  }
});

test("the same seed gives the same bytes, another seed others, and two halves are the whole", async () => {
  const whole = await digest(generateProducts({ seed: 5, count: 3_000 }));
  assert.equal(await digest(generateProducts({ seed: 5, count: 3_000 })), whole);
  assert.notEqual(await digest(generateProducts({ seed: 6, count: 3_000 })), whole);
  const halves = async function* () {
    yield* generateProducts({ seed: 5, count: 1_700 });
    yield* generateProducts({ seed: 5, from: 1_701, count: 1_300 });
  };
  assert.equal(await digest(halves()), whole);
  assert.notEqual(
    await digest(generatePrices({ seed: 5, count: 100 })),
    await digest(generatePrices({ seed: 6, count: 100 })),
  );
});

test("generating stops on request", async () => {
  const stop = new AbortController();
  const rows = generateProducts({ seed: 1, count: 1_000_000, signal: stop.signal })[Symbol.asyncIterator]();
  await rows.next();
  stop.abort();
  await assert.rejects(rows.next(), { code: "platform.aborted" });
});

test("a category whose template names an unknown slot is refused", () => {
  const category: Category = {
    path: ["Garden"],
    brands: ["Rillwater"],
    priceUsd: [1, 2],
    titles: ["{brand} {colour}"],
    slots: {},
    attributes: {},
    openings: [],
    features: [],
    uses: [],
  };
  assert.throws(() => compileCategory(category), { code: "platform.assertion-failed" });
});

test("check digits follow the published examples", () => {
  assert.equal(gtinOf("629104150021"), "6291041500213");
  assert.equal(isGtin("6291041500213"), true);
  assert.equal(isGtin("6291041500214"), false);
  assert.equal(isGtin("629104150021"), false);
});

test("the number of products follows the wanted size and is never too small to be of use", () => {
  assert.equal(productCountFor(1), 1_000);
  assert.ok(productCountFor(300_000_000) > 200_000);
});
