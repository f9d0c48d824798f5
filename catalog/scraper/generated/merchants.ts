/**
 * The eight merchants of the generated feeds: where they sell, what, how they write their feed, and how careful they are.
 */
import { type Family, MARKETS, type Market, type Merchant } from "../../../src/wares/markets.ts";
import type { FeedFormat } from "../feeds/feed.ts";

/** A merchant with a feed. */
export type FeedMerchant = {
  /** As a source is called. */
  readonly name: string;
  readonly shop: Merchant;
  readonly market: Market;
  readonly format: FeedFormat;
  readonly gzip: boolean;
  readonly families: readonly Family[];
  /** Of the articles of its families, the part it sells. */
  readonly share: number;
  /** Its prices beside the others'. */
  readonly dearness: number;
  /** The part of its rows with a flaw. */
  readonly flaws: number;
  /** How this merchant names the columns, where not as Google does. */
  readonly columns: Readonly<Record<string, string>>;
  /** How often its feed is worth reading, seconds; a lower priority goes first. */
  readonly intervalS: number;
  readonly priority: number;
};

const ALL: readonly Family[] = ["tools", "electronics", "home", "fashion", "everyday"];

type Row = Omit<FeedMerchant, "name" | "shop" | "market"> & { readonly country: string; readonly shop: string };

const ROWS: readonly Row[] = [
  {
    country: "SG",
    shop: "Merlane Mall",
    format: "google-xml",
    gzip: false,
    families: ALL,
    share: 0.4,
    dearness: 1,
    flaws: 0.004,
    columns: {},
    intervalS: 300,
    priority: 10,
  },
  {
    country: "SG",
    shop: "Kallang Lane Electronics",
    format: "csv",
    gzip: false,
    families: ["electronics"],
    share: 0.75,
    dearness: 0.97,
    flaws: 0.01,
    columns: {
      id: "SKU",
      title: "Product Name",
      description: "Description",
      link: "Product URL",
      image_link: "Image URL",
      availability: "Stock Status",
      price: "Price",
      sale_price: "Sale Price",
      brand: "Manufacturer",
      gtin: "EAN",
      mpn: "Part Number",
      product_type: "Category",
    },
    intervalS: 300,
    priority: 20,
  },
  {
    country: "MY",
    shop: "Rimba Mall",
    format: "google-tsv",
    gzip: false,
    families: ALL,
    share: 0.3,
    dearness: 0.99,
    flaws: 0.006,
    columns: {},
    intervalS: 600,
    priority: 30,
  },
  {
    country: "ID",
    shop: "Toko Nusa Raya",
    format: "ndjson",
    gzip: false,
    families: ALL,
    share: 0.33,
    dearness: 0.94,
    flaws: 0.01,
    columns: {
      id: "sku",
      title: "name",
      link: "url",
      image_link: "image_url",
      product_type: "category",
      availability: "stock_status",
    },
    intervalS: 600,
    priority: 40,
  },
  {
    country: "TH",
    shop: "Talad Thong",
    format: "google-xml",
    gzip: true,
    families: ["home", "fashion", "everyday"],
    share: 0.4,
    dearness: 1.02,
    flaws: 0.006,
    columns: {},
    intervalS: 900,
    priority: 50,
  },
  {
    country: "VN",
    shop: "Cho Sen Viet",
    format: "csv",
    gzip: true,
    families: ["electronics", "home", "everyday"],
    share: 0.35,
    dearness: 0.95,
    flaws: 0.012,
    columns: { id: "product_id", link: "product_url", product_type: "category_path", gtin: "barcode" },
    intervalS: 900,
    priority: 60,
  },
  {
    country: "PH",
    shop: "Bayani Depot",
    format: "google-tsv",
    gzip: false,
    families: ["tools", "home", "everyday"],
    share: 0.35,
    dearness: 1.03,
    flaws: 0.008,
    columns: {},
    intervalS: 1_800,
    priority: 70,
  },
  {
    country: "US",
    shop: "Prairie Post Goods",
    format: "ndjson",
    gzip: true,
    families: ALL,
    share: 0.33,
    dearness: 1.05,
    flaws: 0.002,
    columns: {},
    intervalS: 1_800,
    priority: 80,
  },
];

/** All of them. */
export const MERCHANTS: readonly FeedMerchant[] = ROWS.map((row) => {
  const market = MARKETS.find((each) => each.country === row.country);
  const shop =
    market &&
    Object.values(market.merchants)
      .flat()
      .find((each) => each.name === row.shop);
  if (market === undefined || shop === undefined) throw new RangeError(`no shop ${row.shop} in ${row.country}`);
  return { ...row, name: shop.source, shop, market };
});
