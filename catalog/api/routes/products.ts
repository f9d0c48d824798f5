/** Single products, and what is known around them. */
import { z } from "zod";
import type { Reads } from "../../database/reads.ts";
import { storableText } from "../../ingest/storable.ts";
import { PRODUCT_COLUMNS, productDetailSchema, productSchema } from "../../products/product.ts";
import { findProducts } from "../../search/search.ts";
import { ApiProblem } from "../problems.ts";
import { read } from "../route.ts";
import { filterShape, searchOf } from "./search.ts";

/** A product changes seldom, and its price must not be late for long. */
const TIMES = { softMs: 15_000, hardMs: 600_000 };

const id = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
const idParams = z.object({ id });
const listSchema = z.object({ items: z.array(productSchema) });
const FROM_PRODUCTS = "from products p join merchants m on m.id = p.merchant_id";

type Product = z.output<typeof productSchema>;

/** Rows of products, in the order of the statement. */
async function productsOf(reads: Reads, where: string, values: readonly unknown[]): Promise<readonly Product[]> {
  const { rows } = await reads.read(
    `select ${PRODUCT_COLUMNS} ${FROM_PRODUCTS} where p.is_active and ${where}`,
    values,
  );
  return rows as unknown as readonly Product[];
}

async function productOf(reads: Reads, wanted: number): Promise<Product> {
  const [product] = await productsOf(reads, "p.id = $1", [wanted]);
  if (product === undefined) throw new ApiProblem("PRODUCT_NOT_FOUND", `there is no product ${wanted}`);
  return product;
}

/** Offers of the same ware: by barcode, and by what was matched. This one is among them. */
const SAME_WARE = `(p.id = $1 or p.id in (
    select same.id from products this join products same on same.gtin = this.gtin where this.id = $1
    union select other_id from product_matches where product_id = $1 and confidence >= 0.8
    union select product_id from product_matches where other_id = $1 and confidence >= 0.8))`;

const offersSchema = z.object({
  best: productSchema.nullable(),
  count: z.int(),
  lowest_sgd: z.number().nullable(),
  highest_sgd: z.number().nullable(),
  offers: z.array(productSchema),
});

/** The cheapest first, those that can be had before those that cannot. */
const CHEAPEST = "order by p.availability in ('out_of_stock', 'discontinued'), p.price_sgd, p.id limit 50";

function offersOf(offers: readonly Product[]): z.input<typeof offersSchema> {
  const prices = offers.map(({ price_sgd: price }) => price ?? 0);
  return {
    best: offers[0] ?? null,
    count: offers.length,
    lowest_sgd: prices.length === 0 ? null : Math.min(...prices),
    highest_sgd: prices.length === 0 ? null : Math.max(...prices),
    offers: [...offers],
  };
}

/** A barcode with and without the zeros in front that its longer forms have. */
function formsOf(gtin: string): readonly string[] {
  const bare = gtin.replace(/^0+/, "");
  return [...new Set([gtin, ...[8, 12, 13, 14].map((length) => bare.padStart(length, "0"))])];
}

const gtinSchema = z.string().regex(/^\d{8,14}$/, "has not 8 to 14 digits");

async function bestPrice(reads: Reads, query: z.output<typeof bestPriceQuery>): Promise<z.input<typeof offersSchema>> {
  if (query.id !== undefined) {
    await productOf(reads, query.id);
    return offersOf(await productsOf(reads, `${SAME_WARE} ${CHEAPEST}`, [query.id]));
  }
  if (query.gtin !== undefined) {
    return offersOf(await productsOf(reads, `p.gtin = any($1::text[]) ${CHEAPEST}`, [formsOf(query.gtin)]));
  }
  if (query.q === undefined || query.q === "") throw new ApiProblem("INVALID_QUERY", "give id, gtin or q");
  const search = searchOf(query, { text: { kind: "web", value: query.q }, sort: "relevance", facets: false });
  const { items } = await findProducts(reads, { ...search, limit: 50 });
  const found = JSON.parse(items("", "").toString()) as readonly Product[];
  const canBeHad = found.filter(
    ({ availability }) => availability !== "out_of_stock" && availability !== "discontinued",
  );
  return offersOf(canBeHad.toSorted((a, b) => (a.price_sgd ?? 0) - (b.price_sgd ?? 0)));
}

const bestPriceQuery = z.object({
  q: z
    .string()
    .trim()
    .max(300)
    .optional()
    .describe("The cheapest of the fifty offers that fit these words best, and can be had."),
  id: id.optional(),
  gtin: gtinSchema.optional(),
  ...filterShape,
});

const compareSchema = z.object({
  products: z.array(productSchema),
  missing: z.array(z.int()).describe("Ids of which there is no product."),
  cheapest_id: z.int().nullable(),
  price_span_sgd: z.number().nullable(),
  differing: z.array(z.string()).describe("Fields in which they differ."),
});

const COMPARED = [
  "brand",
  "category",
  "merchant",
  "country_code",
  "currency",
  "availability",
  "condition",
  "gtin",
] as const;

function compared(ids: readonly number[], products: readonly Product[]): z.input<typeof compareSchema> {
  const byPrice = products.toSorted((a, b) => (a.price_sgd ?? 0) - (b.price_sgd ?? 0));
  const [cheapest] = byPrice;
  const dearest = byPrice.at(-1);
  const span = (dearest?.price_sgd ?? 0) - (cheapest?.price_sgd ?? 0);
  return {
    products: ids.flatMap((each) => products.filter((product) => product.id === each)),
    missing: ids.filter((each) => !products.some((product) => product.id === each)),
    cheapest_id: cheapest?.id ?? null,
    price_span_sgd: cheapest === undefined ? null : Math.round(span * 100) / 100,
    differing: COMPARED.filter((field) => new Set(products.map((product) => product[field] ?? null)).size > 1),
  };
}

const idsSchema = z
  .string()
  .regex(/^\d{1,15}(,\d{1,15}){1,9}$/, "is no list of 2 to 10 ids, separated by commas")
  .transform((text) => [...new Set(text.split(",").map(Number))]);

const lookupBody = z.object({
  ids: z.array(z.int().min(1)).max(100).default([]),
  gtins: z.array(gtinSchema).max(100).default([]),
  skus: z
    .array(z.object({ sku: storableText(128), source: storableText(128) }))
    .max(100)
    .default([]),
});

/** Routes of this file. */
export const PRODUCT_ROUTES = [
  read({
    method: "GET",
    path: "/v1/products/compare",
    operation: "compareProducts",
    summary: "Two to ten offers beside each other.",
    query: z.object({ ids: idsSchema }),
    answer: compareSchema,
    times: TIMES,
    load: async (reads, { query }) =>
      compared(query.ids, await productsOf(reads, "p.id = any($1::bigint[])", [query.ids])),
  }),
  read({
    method: "GET",
    path: "/v1/products/best-price",
    operation: "findBestPrice",
    summary: "The cheapest offer of a ware, by id, barcode or words.",
    query: bestPriceQuery,
    answer: offersSchema,
    times: TIMES,
    load: async (reads, { query }) => await bestPrice(reads, query),
  }),
  read({
    method: "GET",
    path: "/v1/products/barcode/:gtin",
    operation: "findByBarcode",
    summary: "All offers of a barcode, the cheapest first.",
    params: z.object({ gtin: gtinSchema }),
    answer: offersSchema,
    times: TIMES,
    load: async (reads, { params }) => {
      const offers = await productsOf(reads, `p.gtin = any($1::text[]) ${CHEAPEST}`, [formsOf(params.gtin)]);
      if (offers.length === 0) throw new ApiProblem("PRODUCT_NOT_FOUND", `no offer has the barcode ${params.gtin}`);
      return offersOf(offers);
    },
  }),
  read({
    method: "POST",
    path: "/v1/products/lookup",
    operation: "lookupProducts",
    summary: "Up to a hundred offers each by id, barcode, and sku with source.",
    body: lookupBody,
    answer: listSchema,
    times: TIMES,
    load: async (reads, { body }) => {
      const where = `(p.id = any($1::bigint[]) or p.gtin = any($2::text[])
        or (p.sku, p.source) in (select * from jsonb_to_recordset($3::jsonb) as s(sku text, source text))) order by p.id limit 300`;
      const values = [body.ids, body.gtins.flatMap(formsOf), JSON.stringify(body.skus)];
      return { items: await productsOf(reads, where, values) };
    },
  }),
  read({
    method: "GET",
    path: "/v1/products/:id",
    operation: "getProduct",
    summary: "One offer with all that is known of it.",
    params: idParams,
    answer: productDetailSchema,
    times: TIMES,
    load: async (reads, { params }) => {
      const { rows } = await reads.read(
        `select ${PRODUCT_COLUMNS}, p.description, p.specs, p.stock_level, p.created_at,
           greatest(1, (select count(*) from products same where same.gtin = p.gtin)) as offer_count
         ${FROM_PRODUCTS} where p.is_active and p.id = $1`,
        [params.id],
      );
      const [product] = rows;
      if (product === undefined) throw new ApiProblem("PRODUCT_NOT_FOUND", `there is no product ${params.id}`);
      return product;
    },
  }),
  read({
    method: "GET",
    path: "/v1/products/:id/similar",
    operation: "findSimilar",
    summary: "Offers of other wares like this one.",
    params: idParams,
    query: z.object({ limit: z.coerce.number().int().min(1).max(50).default(10) }),
    answer: listSchema,
    times: TIMES,
    load: async (reads, { params, query }) => {
      const product = await productOf(reads, params.id);
      const words = (product.title ?? "").toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [];
      const values = [
        params.id,
        product.category,
        [...new Set(words)].slice(0, 12).join(" | "),
        product.price_sgd,
        query.limit,
      ];
      return { items: await productsOf(reads, SIMILAR, values) };
    },
  }),
];

/** The first few hundred of the category that share a word, by how many they share, and by how near their price is. */
const SIMILAR = `p.id in (
    select id from (
      select c.id, ts_rank(c.search, to_tsquery('english', $3)) - least(1, abs(ln(c.price_sgd / $4::numeric))) / 10 as likeness
      from (select * from products c where c.is_active and c.category = $2 and c.id <> $1
          and c.gtin is distinct from (select gtin from products where id = $1 and gtin is not null)
          and c.search @@ to_tsquery('english', $3) limit 400) c
      order by likeness desc, c.id limit $5) nearest)
  order by ts_rank(p.search, to_tsquery('english', $3)) - least(1, abs(ln(p.price_sgd / $4::numeric))) / 10 desc, p.id`;
