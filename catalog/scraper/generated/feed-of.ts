/**
 * A merchant's feed of one run, as bytes.
 */

import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { Prng } from "../../../src/platform/prng.ts";
import { shopPrice } from "../../../src/wares/markets.ts";
import { currencyDecimals } from "../feeds/money.ts";
import { feedText, type WrittenRow } from "../feeds/write-rows.ts";
import { type Article, Articles, articleSlug, chance, type Generation } from "./generated.ts";
import { type FeedMerchant, MERCHANTS } from "./merchants.ts";

/** A row and the flaw planted in it. */
export type GeneratedRow = { readonly row: WrittenRow; readonly flaw: Flaw | undefined };

/** The mistakes, by the reason for which the row will be rejected. */
const FLAWS = [
  "price-zero",
  "price-placeholder",
  "price-missing",
  "currency-missing",
  "gtin-check-digit",
  "url-invalid",
  "title-missing",
] as const;

/** One of them. */
export type Flaw = (typeof FLAWS)[number];

/** Of all offers, from one run to the next. */
const PRICE_MOVES = 0.03;
const STOCK_MOVES = 0.02;
/** Of all offers at any time. */
const ON_SALE = 0.15;
/** A price that did not move in so many runs is as it was at the beginning: looking back further would cost more each run. */
const LOOK_BACK_RUNS = 60;

/** Numbers of the chances, so that one does not follow from another. */
const OF = {
  selling: 1,
  spread: 2,
  moves: 3,
  sale: 4,
  stock: 5,
  flaw: 6,
  saleDepth: 7,
  stockMoves: 8,
  stockLevel: 9,
  variant: 10,
  size: 11,
  rating: 12,
} as const;

const COLUMNS = [
  "id",
  "title",
  "description",
  "link",
  "image_link",
  "availability",
  "price",
  "sale_price",
  "brand",
  "gtin",
  "mpn",
  "product_type",
  "condition",
  "color",
  "size",
  "material",
  "quantity",
  "rating",
  "review_count",
] as const;

/** The rows of a merchant, in the order of its articles. */
export function* rowsOf(merchant: FeedMerchant, generation: Generation): Generator<GeneratedRow> {
  const articles = new Articles(generation.seed);
  const index = MERCHANTS.indexOf(merchant);
  for (let number = 1; number <= generation.articleCount; number += 1) {
    if (chance(generation.seed, number, index, OF.selling) >= merchant.share) continue;
    const article = articles.article(number);
    if (merchant.families.includes(article.wares.family)) yield offerRow(merchant, article, { ...generation, index });
  }
}

/** The feed's bytes, compressed where the merchant does that. The same for the same arguments. */
export function feedOf(merchant: FeedMerchant, generation: Generation): AsyncIterable<Uint8Array> {
  const plain = Readable.from(pieces(merchant, generation));
  return merchant.gzip ? plain.pipe(createGzip({ level: 1 })) : plain;
}

const PIECE_CHARACTERS = 32 * 1024;

function* pieces(merchant: FeedMerchant, generation: Generation): Generator<Buffer> {
  const named = (name: string): string => merchant.columns[name] ?? name;
  const text = feedText(merchant.format, { title: merchant.shop.name, columns: COLUMNS.map(named) });
  let piece = text.head;
  for (const { row } of rowsOf(merchant, generation)) {
    piece += text.row(Object.fromEntries(Object.entries(row).map(([name, value]) => [named(name), value])));
    if (piece.length < PIECE_CHARACTERS) continue;
    yield Buffer.from(piece);
    piece = "";
  }
  yield Buffer.from(piece + text.tail);
}

type Place = Generation & { readonly index: number };

function offerRow(merchant: FeedMerchant, article: Article, place: Place): GeneratedRow {
  const { shop, market } = merchant;
  const { number } = article;
  const own = (of: number, ...more: readonly number[]): number => chance(place.seed, number, place.index, of, ...more);
  const title = article.title(Math.floor(own(OF.variant) * 1000));
  const slug = articleSlug(title, number);
  const row: Record<string, string> = {
    id: `${shop.skuPrefix}-${slug.slice(slug.lastIndexOf("-") + 1).toUpperCase()}`,
    title,
    description: article.description(Math.floor(own(OF.variant) * 997)),
    link: `https://${shop.domain}/p/${slug}`,
    image_link: `https://img.${shop.domain.slice(4)}/${slug.slice(-2)}/${slug.slice(-8)}.jpg`,
    ...prices(merchant, article, place),
    brand: article.brand,
    gtin: article.gtin,
    mpn: article.mpn,
    product_type: article.wares.category.path.join(" > "),
    condition: "new",
    ...stock(own, place.run),
    ...Object.fromEntries(
      ["color", "size", "material"].flatMap((name) => (article.specs[name] ? [[name, article.specs[name]]] : [])),
    ),
    rating: (3.2 + 1.8 * own(OF.rating)).toFixed(1),
    review_count: String(Math.floor(own(OF.rating, 1) ** 3 * 900)),
  };
  const flaw = own(OF.flaw) < merchant.flaws ? FLAWS[Math.floor(own(OF.flaw, 1) * FLAWS.length)] : undefined;
  if (flaw !== undefined) plant(row, flaw, market.currency);
  return { row, flaw };
}

/** The price since its last move: a merchant's own level, about 8 per cent around the article's, and 12 around that. */
function prices(merchant: FeedMerchant, article: Article, place: Place): Readonly<Record<string, string>> {
  const { market } = merchant;
  const own = (of: number, ...more: readonly number[]): number =>
    chance(place.seed, article.number, place.index, of, ...more);
  const moved = lastMove(place.run, (run) => own(OF.moves, run) < PRICE_MOVES);
  const level =
    merchant.dearness * (0.92 + 0.16 * own(OF.spread)) * (moved === 0 ? 1 : 0.88 + 0.24 * own(OF.moves, moved, 1));
  const decimals = currencyDecimals(market.currency) ?? 2;
  const written = (usd: number): string => {
    // Prices of shops end as shops' prices do; the endings are drawn for this moment of this offer alone.
    const cents = shopPrice(usd, market, new Prng(place.seed + place.index, article.number * 1009 + moved));
    return `${decimals === 0 ? Math.round(cents / 100) : (cents / 100).toFixed(2)} ${market.currency}`;
  };
  const price = written(article.usd * level);
  if (own(OF.sale, moved) >= ON_SALE) return { price };
  const sale = written(article.usd * level * (0.6 + 0.3 * own(OF.saleDepth, moved)));
  return Number.parseFloat(sale) < Number.parseFloat(price) ? { price, sale_price: sale } : { price };
}

function stock(own: (of: number, ...more: readonly number[]) => number, run: number): Readonly<Record<string, string>> {
  const moved = lastMove(run, (each) => own(OF.stockMoves, each) < STOCK_MOVES);
  const drawn = own(OF.stock, moved);
  const level = Math.floor(own(OF.stockLevel, moved) ** 2 * 240);
  if (drawn < 0.82) return { availability: "in_stock", quantity: String(level + 8) };
  if (drawn < 0.9) return { availability: "limited_availability", quantity: String(1 + (level % 7)) };
  return drawn < 0.96 ? { availability: "out_of_stock", quantity: "0" } : { availability: "preorder" };
}

/** The newest run not after this one at which something moved; 0 when it is as it was. */
function lastMove(run: number, movesAt: (run: number) => boolean): number {
  for (let each = run; each > Math.max(0, run - LOOK_BACK_RUNS); each -= 1) if (movesAt(each)) return each;
  return 0;
}

function plant(row: Record<string, string>, flaw: Flaw, currency: string): void {
  switch (flaw) {
    case "price-zero":
      Object.assign(row, { price: `0.00 ${currency}` });
      break;
    case "price-placeholder":
      Object.assign(row, { price: `1 ${currency}` });
      break;
    case "price-missing":
      delete row["price"];
      break;
    case "currency-missing":
      Object.assign(row, { price: (row["price"] ?? "").replace(/ [A-Z]+$/, "") });
      break;
    case "gtin-check-digit":
      Object.assign(row, { gtin: (row["gtin"] ?? "").replace(/\d$/, (digit) => String((Number(digit) + 3) % 10)) });
      break;
    case "url-invalid":
      Object.assign(row, { link: (row["link"] ?? "").replace("https://", "htps:/") });
      break;
    case "title-missing":
      delete row["title"];
      break;
  }
}
