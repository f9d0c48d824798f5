/**
 * Offers for `bench service`, as many as are asked for.
 *
 * Products are made by the demo's generator (the same number is the same product everywhere), and come into the catalogue's own
 * schema by COPY, two connections at a time; indexes are built afterwards. Through the API's ingest a million offers take nine minutes.
 */
import pg from "pg";
import { slugOf } from "../catalog/ingest/row.ts";
import { NEWEST_MS, type Product, ProductSource } from "../src/demo/catalog-data/product.ts";
import { CHUNK_BYTES, decimal } from "../src/demo/catalog-data/rows.ts";
import { copyIn } from "../src/demo/copy-in.ts";
import { catalogueAddress } from "../test/support/catalogue.ts";
import type { TestServer } from "../test/support/servers.ts";

/** Of all products. */
export const SEED = 7;
/** Sources that COPY at once: most of their time is the server's, for the words of each offer. */
const LANES = 2;

type Call = { readonly signal: AbortSignal };

/** Fills the empty catalogue of a server. */
export async function fillCatalogue(server: TestServer, offers: number, call: Call): Promise<void> {
  const clients = Array.from({ length: LANES }, () => new pg.Client(catalogueAddress(server)));
  const [first] = clients;
  if (first === undefined) return;
  try {
    for (const client of clients) {
      await client.connect();
      // Nothing else is here, and what refers to offers is made from them.
      await client.query("set maintenance_work_mem = '1GB'; set session_replication_role = replica");
    }
    const indexes = await dropIndexes(first);
    const { rows: rates } = await first.query("select currency, per_sgd::float8 as rate from exchange_rates");
    const writer = new Writer(new Map(rates.map(({ currency, rate }) => [String(currency), Number(rate)])));
    const share = Math.ceil(offers / LANES);
    await inLanes(clients, async (client, lane) => {
      const range = { from: 1 + lane * share, to: Math.min(offers, (lane + 1) * share) };
      await copyIn(client, { sql: `copy products (${COLUMNS}) from stdin`, rows: writer.rows(range), ...call });
    });
    await copyIn(first, { sql: `copy merchants (${MERCHANT_COLUMNS}) from stdin`, rows: writer.merchants(), ...call });
    await copyIn(first, { sql: "copy search_words (word) from stdin", rows: writer.words(), ...call });
    await first.query(AFTERWARDS);
    const waiting = [...indexes];
    await inLanes(clients, async (client) => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
        call.signal.throwIfAborted();
        await client.query(index);
      }
    });
    await first.query("vacuum analyze");
  } finally {
    for (const client of clients) await client.end();
  }
}

async function inLanes(
  clients: readonly pg.Client[],
  work: (client: pg.Client, lane: number) => Promise<void>,
): Promise<void> {
  await Promise.all(clients.map(work));
}

/** Drops every index that is no constraint's of the tables that are filled; returns what makes them, the one of words first. */
async function dropIndexes(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string; sql: string }>(
    `select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as sql from pg_index i
     where i.indrelid in ('products'::regclass, 'price_history'::regclass, 'search_words'::regclass)
       and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
     order by i.indexrelid::regclass = 'products_words'::regclass desc`,
  );
  for (const { name } of rows) await client.query(`drop index ${name}`);
  return rows.map(({ sql }) => sql);
}

/** What an ingest leaves behind beside the offers: their first prices; and sequences that go on behind them. */
const AFTERWARDS = `insert into price_history (product_id, price, list_price, currency, source, recorded_at)
  select id, price, list_price, currency, source, updated_at from products;
select setval(pg_get_serial_sequence('products', 'id'), (select max(id) from products)),
  setval(pg_get_serial_sequence('merchants', 'id'), (select max(id) from merchants))`;

const MERCHANT_COLUMNS = "id, slug, name, domain, country_code";
const COLUMNS = `id, sku, source, merchant_id, title, description, brand, category, category_path, price, list_price, currency,
  price_sgd, country_code, region, url, image_url, gtin, availability, rating, review_count, specs, created_at, updated_at, seen_at`;

/** Writes rows as COPY takes them, and remembers whose offers they are and which words they have. */
class Writer {
  readonly #rates: ReadonlyMap<string, number>;
  readonly #merchants = new Map<string, { readonly id: number; readonly row: string }>();
  readonly #words = new Set<string>();
  readonly #seenAt = new Date().toISOString();

  constructor(rates: ReadonlyMap<string, number>) {
    this.#rates = rates;
  }

  async *rows({ from, to }: { readonly from: number; readonly to: number }): AsyncIterable<Buffer> {
    const source = new ProductSource(SEED, NEWEST_MS);
    let text = "";
    for (let number = from; number <= to; number += 1) {
      text += this.#row(source.product(number));
      if (text.length < CHUNK_BYTES) continue;
      yield Buffer.from(text);
      text = "";
    }
    yield Buffer.from(text);
  }

  async *merchants(): AsyncIterable<Buffer> {
    yield Buffer.from([...this.#merchants.values()].map(({ row }) => row).join(""));
  }

  async *words(): AsyncIterable<Buffer> {
    yield Buffer.from([...this.#words].toSorted().join("\n"));
  }

  #row(product: Product): string {
    const { id, priceCents, currency, country } = product;
    // As the vocabulary of an ingest has them.
    for (const word of `${product.title} ${product.brand}`.toLowerCase().split(/[^\p{L}\p{N}]+/u)) {
      if (word.length >= 3 && word.length <= 40) this.#words.add(word);
    }
    const path = product.categoryPath.match(/"[^"]*"|[^{},"]+/g) ?? [];
    const category = slugOf((path.at(-1) ?? "other").replaceAll('"', ""));
    const priceSgd = Math.max(1, Math.round(priceCents / (this.#rates.get(currency) ?? 1)));
    // One in seven is on sale, two in three were rated.
    const listPrice = id % 7 === 0 ? decimal(Math.round(priceCents * (1.05 + (id % 50) / 100))) : "\\N";
    const rating = id % 3 === 0 ? "\\N\t\\N" : `${(3 + (id % 20) / 10).toFixed(1)}\t${id % 997}`;
    const updatedAt = new Date(product.updatedMs).toISOString();
    return `${id}\t${product.sku}\t${product.source}\t${this.#merchant(product)}\t${product.title}\t${product.description}\t${product.brand}\t${category}\t${product.categoryPath}\t${decimal(priceCents)}\t${listPrice}\t${currency}\t${decimal(priceSgd)}\t${country}\t${country.toLowerCase()}\t${product.url}\t${product.imageUrl}\t${product.gtin}\t${product.availability}\t${rating}\t${product.attributes}\t${updatedAt}\t${updatedAt}\t${this.#seenAt}\n`;
  }

  #merchant({ merchant, url, country }: Product): number {
    const known = this.#merchants.get(merchant);
    if (known !== undefined) return known.id;
    const id = this.#merchants.size + 1;
    const row = `${id}\t${slugOf(merchant)}\t${merchant}\t${new URL(url).hostname}\t${country}\n`;
    this.#merchants.set(merchant, { id, row });
    return id;
  }
}
