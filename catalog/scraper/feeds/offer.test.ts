import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { repetitions, testSeed } from "../../../test/support/effort.ts";
import { checkBatch } from "../../ingest/check.ts";
import type { Fields } from "./feed.ts";
import { judgeRow, REJECTIONS, type Rejection } from "./offer.ts";

const NOW = Date.UTC(2026, 3, 18);
const GOOD = {
  id: "KT-1",
  title: "Kettle 1.7 L",
  link: "https://shop.sg/kt-1",
  price: "49.90 SGD",
  product_type: "Home > Kitchen > Kettles",
  gtin: "8881234567895",
};

function judge(changes: Readonly<Record<string, string>> = {}, currency?: string) {
  const fields: Fields = new Map(Object.entries({ ...GOOD, ...changes }));
  return judgeRow({ kind: "row", number: 1, fields }, { nowMs: NOW, currency });
}

function reasonOf(changes: Readonly<Record<string, string>>): Rejection | "taken" {
  const judged = judge(changes);
  return judged.kind === "rejected" ? judged.reason : "taken";
}

test("a row is understood by the names that feeds use", () => {
  const judged = judge({
    sale_price: "39.90 SGD",
    sale_price_effective_date: "2026-04-01T00:00+08:00/2026-05-01T00:00+08:00",
    availability: "in_stock",
    colour: "red",
    quantity: "7",
    rating: "4.5",
    image_link: "http://img.shop.sg/1.jpg",
    brand: " Brevanti\u0000 ",
    condition: "https://schema.org/NewCondition",
  });
  assert.ok(judged.kind === "offer");
  assert.deepEqual(judged.offer, {
    sku: "KT-1",
    title: "Kettle 1.7 L",
    description: "",
    url: "https://shop.sg/kt-1",
    image_url: "http://img.shop.sg/1.jpg",
    brand: "Brevanti",
    gtin: "8881234567895",
    mpn: undefined,
    category: "Kettles",
    category_path: ["Home", "Kitchen", "Kettles"],
    price: "39.90",
    price_confirmed: false,
    list_price: "49.90",
    currency: "SGD",
    availability: "in_stock",
    condition: "new",
    stock_level: 7,
    rating: 4.5,
    review_count: undefined,
    specs: { color: "red" },
  });
});

test("each reason is found", () => {
  const long = "x".repeat(11_000);
  const cases: readonly (readonly [Rejection, Readonly<Record<string, string>>])[] = [
    ["id-missing", { id: " " }],
    ["id-too-long", { id: long }],
    ["title-missing", { title: "" }],
    ["title-too-long", { title: long }],
    ["description-too-long", { description: long }],
    ["brand-too-long", { brand: long }],
    ["mpn-too-long", { mpn: long }],
    ["category-missing", { product_type: " > " }],
    ["category-too-long", { product_type: long }],
    ["url-missing", { link: "" }],
    ["url-invalid", { link: "javascript:alert(1)" }],
    ["url-invalid", { link: "https://me:secret@shop.sg/" }],
    ["url-invalid", { link: `https://shop.sg/${long}` }],
    ["image-url-invalid", { image_link: "/img/1.jpg" }],
    ["price-missing", { price: "" }],
    ["price-malformed", { price: "call us" }],
    ["price-malformed", { price: "-5.00 SGD" }],
    // A hundred and fifty thousand, as it is written there.
    ["price-malformed", { price: "150.000 IDR" }],
    ["price-malformed", { price: "1.000 EUR" }],
    ["price-zero", { price: "0.00 SGD" }],
    ["price-placeholder", { price: "1 SGD" }],
    ["price-placeholder", { price: "1.00 VND" }],
    ["price-too-large", { price: "1234567890123 SGD" }],
    ["price-too-precise", { price: "4.999 SGD" }],
    ["price-too-precise", { price: "1500.5 IDR" }],
    ["currency-missing", { price: "4.99" }],
    ["currency-unknown", { price: "4.99 QQQ" }],
    ["currency-differs", { currency: "MYR" }],
    ["sale-price-wrong", { sale_price: "59.90 SGD" }],
    ["sale-price-wrong", { sale_price: "9.90 USD" }],
    ["sale-price-wrong", { sale_price: "soon" }],
    ["availability-unknown", { availability: "maybe" }],
    ["condition-unknown", { condition: "broken" }],
    ["gtin-malformed", { gtin: "12345" }],
    ["gtin-check-digit", { gtin: "8881234567896" }],
  ];
  for (const [reason, changes] of cases) assert.equal(reasonOf(changes), reason, JSON.stringify(changes).slice(0, 80));
  // Of a row that cannot be read, or comes twice: read-rows.test.ts and the scheduler's own tests.
  const elsewhere: readonly Rejection[] = ["row-malformed", "row-too-long", "columns-differ", "id-duplicate"];
  const found = new Set([...cases.map(([reason]) => reason), ...elsewhere]);
  assert.deepEqual(found, new Set(Object.keys(REJECTIONS)));
});

test("prices are what the currency's digits make of them, and a sale counts only while it holds", () => {
  const priceOf = (changes: Readonly<Record<string, string>>, currency?: string) => {
    const judged = judge(changes, currency);
    return judged.kind === "offer"
      ? [judged.offer.price, judged.offer.list_price, judged.offer.price_confirmed]
      : judged.reason;
  };
  assert.deepEqual(priceOf({ price: "VND 1,249,000.00" }), ["1249000", undefined, false]);
  assert.deepEqual(priceOf({ price: "12" }, "THB"), ["12.00", undefined, false]);
  assert.deepEqual(priceOf({ price: "1.00 SGD" }), ["1.00", undefined, true]);
  const sale = { sale_price: "9.90 SGD", sale_price_effective_date: "2026-05-01T00:00Z/2026-06-01T00:00Z" };
  assert.deepEqual(priceOf(sale), ["49.90", undefined, false]);
  assert.deepEqual(priceOf({ ...sale, sale_price_effective_date: "nonsense" }), ["49.90", undefined, false]);
  assert.deepEqual(priceOf({ sale_price: "49.90 SGD" }), ["49.90", undefined, false]);
});

test("one article is one number in each of its forms", () => {
  const gtinOf = (gtin: string) => {
    const judged = judge({ gtin });
    return judged.kind === "offer" ? judged.offer.gtin : judged.reason;
  };
  assert.equal(gtinOf("036000291452"), "0036000291452");
  assert.equal(gtinOf("0036000291452"), "0036000291452");
  assert.equal(gtinOf("00036000291452"), "0036000291452");
  assert.equal(gtinOf("9638-5074"), "0000096385074");
  assert.equal(gtinOf("10036000291459"), "10036000291459");
});

test("whatever is understood, the catalogue takes: nothing passes here that is refused there as malformed", () => {
  const sign = fc
    .oneof(fc.integer({ min: 0, max: 0x2ff }), fc.constantFrom(0xd800, 0xfffe, 0x2028))
    .map((code) => String.fromCharCode(code));
  const text = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: sign, maxLength: 200 }),
    fc.constantFrom("1", "1.00 SGD", "0", "new"),
  );
  const changes = fc.dictionary(
    fc.constantFrom(
      "id",
      "title",
      "description",
      "brand",
      "mpn",
      "price",
      "sale_price",
      "product_type",
      "availability",
      "quantity",
      "rating",
      "color",
      "link",
    ),
    text,
    { maxKeys: 3 },
  );
  const perSgd = new Map([
    ["SGD", 1],
    ["VND", 20_250],
    ["USD", 0.774],
  ]);
  const property = fc.property(changes, (changed) => {
    const judged = judge(changed, "SGD");
    if (judged.kind === "rejected") return;
    const value = { ...judged.offer, merchant: "Shop", country_code: "SG" };
    const { rejections } = checkBatch([{ rowNumber: 1, value }], { perSgd });
    // Which prices are none is the catalogue's to say, and it knows more currencies' ways.
    assert.deepEqual(
      rejections.filter(({ code }) => code !== "price-placeholder"),
      [],
    );
  });
  fc.assert(property, { numRuns: repetitions(300), seed: testSeed() });
});
