/**
 * The countries products are sold in: currency, how shops there round a price, and who sells.
 */
import { assert } from "../errors/error.ts";
import type { Prng } from "../platform/prng.ts";

/** The kinds of wares a shop sells. */
export type Family = "tools" | "electronics" | "home" | "fashion" | "everyday";

/** A shop. `source` is the name of its feed, `domain` where its pages lie; all are invented. */
export type Merchant = {
  readonly name: string;
  readonly source: string;
  readonly domain: string;
  readonly skuPrefix: string;
};

/** A country with its shops. */
export type Market = {
  readonly country: string;
  readonly currency: string;
  /** Units of the currency for one US dollar. A round figure: prices only have to be plausible. */
  readonly perUsd: number;
  /** First digits of the article numbers given out in this country. */
  readonly gtinPrefix: string;
  readonly merchants: Readonly<Record<Family, readonly Merchant[]>>;
};

type Shops = Readonly<Record<Family | "all", readonly string[]>>;

const MARKET_ROWS: readonly (Omit<Market, "merchants"> & {
  readonly domainEnding: string;
  /** How often offers come from here, relative to the others. */
  readonly share: number;
  readonly shops: Shops;
})[] = [
  {
    country: "SG",
    currency: "SGD",
    perUsd: 1.34,
    gtinPrefix: "888",
    domainEnding: "com.sg",
    share: 4,
    shops: {
      all: ["Merlane Mall", "Lion Gate Online"],
      tools: ["Tanjong Hardware", "Ubi Tool Centre"],
      electronics: ["Kallang Lane Electronics", "Sim Row Digital"],
      home: ["Orchid Row Living", "Tiong House"],
      fashion: ["Serangoon Style", "Emerald Lane Boutique"],
      everyday: ["Pandan Pantry", "Marina Tide Sports"],
    },
  },
  {
    country: "MY",
    currency: "MYR",
    perUsd: 4.4,
    gtinPrefix: "955",
    domainEnding: "com.my",
    share: 2,
    shops: {
      all: ["Rimba Mall", "Selat Niaga"],
      tools: ["Tiga Roda Hardware"],
      electronics: ["Bukit Gajet"],
      home: ["Melur Home"],
      fashion: ["Kedai Pesona"],
      everyday: ["Pasar Seroja"],
    },
  },
  {
    country: "ID",
    currency: "IDR",
    perUsd: 16_200,
    gtinPrefix: "899",
    domainEnding: "co.id",
    share: 2,
    shops: {
      all: ["Toko Nusa Raya", "Gudang Cemara"],
      tools: ["Bengkel Utama Jaya"],
      electronics: ["Sentosa Digital"],
      home: ["Rumah Anyelir"],
      fashion: ["Warna Busana"],
      everyday: ["Warung Melati"],
    },
  },
  {
    country: "TH",
    currency: "THB",
    perUsd: 34.5,
    gtinPrefix: "885",
    domainEnding: "co.th",
    share: 1,
    shops: {
      all: ["Talad Thong"],
      tools: ["Chang Tools Bangkok"],
      electronics: ["Chao Phraya Gadget"],
      home: ["Baan Suan Living"],
      fashion: ["Siam Rung Style"],
      everyday: ["Mali Daily"],
    },
  },
  {
    country: "VN",
    currency: "VND",
    perUsd: 25_400,
    gtinPrefix: "893",
    domainEnding: "com.vn",
    share: 1,
    shops: {
      all: ["Cho Sen Viet"],
      tools: ["Kim Khi Hai Phong"],
      electronics: ["Ha Long Dien May"],
      home: ["Nha Gom Living"],
      fashion: ["Minh Chau Thoi Trang"],
      everyday: ["Pho Xanh Market"],
    },
  },
  {
    country: "PH",
    currency: "PHP",
    perUsd: 57,
    gtinPrefix: "480",
    domainEnding: "com.ph",
    share: 1,
    shops: {
      all: ["Bayani Depot"],
      tools: ["Tatag Hardware"],
      electronics: ["Isla Tech Hub"],
      home: ["Narra Home Store"],
      fashion: ["Habi Apparel"],
      everyday: ["Tindahan Maligaya"],
    },
  },
  {
    country: "US",
    currency: "USD",
    perUsd: 1,
    gtinPrefix: "008",
    domainEnding: "com",
    share: 1,
    shops: {
      all: ["Prairie Post Goods"],
      tools: ["Larkin Supply Co"],
      electronics: ["Copperline Tech"],
      home: ["Birch Street Home"],
      fashion: ["Blue Ferry Outfitters"],
      everyday: ["Mill Street Pantry"],
    },
  },
  {
    country: "AU",
    currency: "AUD",
    perUsd: 1.52,
    gtinPrefix: "934",
    domainEnding: "com.au",
    share: 1,
    shops: {
      all: ["Southern Tide Market"],
      tools: ["Gumtree Ridge Tools"],
      electronics: ["Yarra Bend Electrics"],
      home: ["Wattle Lane Home"],
      fashion: ["Banksia Road"],
      everyday: ["Billabong Lane Pantry"],
    },
  },
];

/** All markets, each as often as its share of the offers. */
export const MARKETS: readonly Market[] = MARKET_ROWS.flatMap((row) => {
  const { domainEnding, share, shops, ...market } = row;
  const merchant = (name: string) => merchantOf(name, { country: market.country, domainEnding });
  const selling = (family: Family) => [...shops[family], ...shops.all].map(merchant);
  const merchants = {
    tools: selling("tools"),
    electronics: selling("electronics"),
    home: selling("home"),
    fashion: selling("fashion"),
    everyday: selling("everyday"),
  };
  return new Array<Market>(share).fill({ ...market, merchants });
});

function merchantOf(name: string, place: { readonly country: string; readonly domainEnding: string }): Merchant {
  const word = name.toLowerCase().replaceAll(/[^a-z]/g, "");
  return {
    name,
    source: `${word}_${place.country.toLowerCase()}`,
    domain: `www.${word}.${place.domainEnding}`,
    skuPrefix: name.replaceAll(/[^A-Z]/g, ""),
  };
}

/** A price in US dollars as a shop of this market would show it, in hundredths of its currency. */
export function shopPrice(usd: number, market: Market, random: Prng): number {
  assert(usd > 0, `a price is above 0, not ${usd}`);
  const amount = usd * market.perUsd;
  switch (market.currency) {
    case "IDR":
      return (amount < 100_000 ? endingIn(amount, 1_000, 900) : endingIn(amount, 10_000, 9_000)) * 100;
    case "VND":
      return (amount < 200_000 ? endingIn(amount, 10_000, 9_000) : endingIn(amount, 100_000, 90_000)) * 100;
    case "THB":
      return (amount < 1_000 ? endingIn(amount, 10, 9) : endingIn(amount, 100, 90)) * 100;
    case "PHP":
      return amount < 1_000 ? endingIn(amount, 5, 4) * 100 + 75 : endingIn(amount, 100, 99) * 100;
    default:
      return roundDollars(amount, random);
  }
}

/** Small amounts end in .99, .90, .50 or .49; amounts over a hundred are mostly whole and end in 9. */
function roundDollars(amount: number, random: Prng): number {
  if (amount < 100) return Math.max(0, Math.floor(amount)) * 100 + random.pick(SMALL_ENDINGS);
  return amount < 1_000 && random.below(3) === 0 ? Math.floor(amount) * 100 + 99 : endingIn(amount, 10, 9) * 100;
}

const SMALL_ENDINGS: readonly number[] = [99, 99, 99, 99, 90, 90, 95, 50, 49];

function endingIn(amount: number, step: number, ending: number): number {
  return Math.max(0, Math.round((amount - ending) / step)) * step + ending;
}
