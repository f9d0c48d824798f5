import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, test } from "node:test";
import { expanded } from "../feeds/fetched.ts";
import { judgeRow, type Offer } from "../feeds/offer.ts";
import { readRows } from "../feeds/read-rows.ts";
import { feedOf, rowsOf } from "./feed-of.ts";
import { GENERATION } from "./generated.ts";
import { MERCHANTS } from "./merchants.ts";

const SMALL = { ...GENERATION, articleCount: 700 };
type Read = { readonly merchant: string; readonly offers: readonly Offer[]; readonly reasons: readonly string[] };

async function readAll(run: number): Promise<readonly Read[]> {
  const all: Read[] = [];
  for (const merchant of MERCHANTS) {
    const offers: Offer[] = [];
    const reasons: string[] = [];
    for await (const rows of readRows(expanded(feedOf(merchant, { ...SMALL, run })), merchant.format)) {
      for (const row of rows) {
        const judged = judgeRow(row, { nowMs: 0 });
        if (judged.kind === "offer") offers.push(judged.offer);
        else reasons.push(judged.reason);
      }
    }
    all.push({ merchant: merchant.name, offers, reasons });
  }
  return all;
}

let first: readonly Read[] = [];
let second: readonly Read[] = [];
before(async () => {
  first = await readAll(0);
  second = await readAll(1);
});

test("eight merchants in seven countries have about 20,000 offers, in every format", () => {
  const share = (SMALL.articleCount / GENERATION.articleCount) * 20_000;
  const count = first.reduce((sum, { offers, reasons }) => sum + offers.length + reasons.length, 0);
  assert.ok(Math.abs(count - share) < 0.06 * share, `${count} offers of ${SMALL.articleCount} articles, not ${share}`);
  assert.equal(MERCHANTS.length, 8);
  assert.deepEqual([...new Set(MERCHANTS.map(({ market }) => market.country))].sort(), [
    "ID",
    "MY",
    "PH",
    "SG",
    "TH",
    "US",
    "VN",
  ]);
  assert.equal(new Set(MERCHANTS.map(({ format }) => format)).size, 4);
  assert.equal(new Set(MERCHANTS.map(({ name }) => name)).size, 8);
});

test("rows are rejected for the flaws that were planted in them, and for nothing else", () => {
  for (const [index, merchant] of MERCHANTS.entries()) {
    const planted = [...rowsOf(merchant, { ...SMALL, run: 0 })].flatMap(({ flaw }) =>
      flaw === undefined ? [] : [flaw],
    );
    assert.deepEqual(first[index]?.reasons, planted, merchant.name);
  }
  assert.ok(first.some(({ reasons }) => reasons.length > 0));
});

test("merchants that sell one article say one number, and prices of it that are near each other", () => {
  const usd = new Map<string, number[]>();
  for (const [index, merchant] of MERCHANTS.entries()) {
    for (const { gtin = "", price, list_price } of first[index]?.offers ?? []) {
      usd.set(gtin, [...(usd.get(gtin) ?? []), Number(list_price ?? price) / merchant.market.perUsd]);
    }
  }
  const shared = [...usd.values()].filter((prices) => prices.length > 1);
  assert.ok(shared.length > 0.4 * usd.size, `${shared.length} of ${usd.size} articles are sold by several`);
  const far = shared.filter((prices) => Math.max(...prices) > 1.6 * Math.min(...prices));
  assert.ok(far.length < 0.1 * shared.length, `${far.length} of ${shared.length} differ by more than 60 %`);
  assert.ok(shared.some((prices) => new Set(prices).size > 1));
});

test("amounts have the digits of their currency, some are on sale, and stock is there or not", () => {
  for (const [index, merchant] of MERCHANTS.entries()) {
    const offers = first[index]?.offers ?? [];
    const whole = ["IDR", "VND"].includes(merchant.market.currency);
    for (const { price } of offers) assert.match(price, whole ? /^\d+$/ : /^\d+\.\d\d$/, merchant.name);
    const onSale = offers.filter(({ list_price }) => list_price !== undefined).length / offers.length;
    assert.ok(onSale > 0.05 && onSale < 0.25, `${merchant.name}: ${onSale}`);
    assert.ok(new Set(offers.map(({ availability }) => availability)).size >= 3, merchant.name);
    assert.equal(new Set(offers.map(({ sku }) => sku)).size, offers.length);
  }
});

test("the same seed and run give the same bytes, and from run to run a few prices move", async () => {
  const digest = createHash("sha256");
  for await (const chunk of feedOf(MERCHANTS[0] ?? assert.fail(), { ...SMALL, run: 3 })) digest.update(chunk);
  assert.equal(digest.digest("hex"), "62fd8602bdcc80550c1ed8195b644707ff47c8cfbefcc3dc36059600e18937bc");
  for (const [index, { merchant, offers }] of first.entries()) {
    const later = new Map(second[index]?.offers.map((offer) => [offer.sku, offer]));
    assert.equal(later.size, offers.length, merchant);
    const moved = offers.filter((offer) => later.get(offer.sku)?.price !== offer.price).length / offers.length;
    assert.ok(moved > 0.003 && moved < 0.08, `${merchant}: ${moved} of the prices moved`);
  }
});
