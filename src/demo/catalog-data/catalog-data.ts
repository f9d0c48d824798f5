/**
 * The database that the demo protects: a catalogue of shop offers, made up but looking real.
 *
 * Nouns: a *product* is one offer of a shop, made from a seed and its number alone (product.ts) out of the wares of
 * src/wares; a *sighting* is a price at a moment, a row of `price_history`; *rows* are both as COPY takes them (rows.ts).
 * Invariants: the same seed and target size give the same rows on any machine and any day; the load is all or nothing
 * (one transaction, then the indexes); tables that are there already are never touched.
 */
import type pg from "pg";
import { LifeboatError } from "../../errors/error.ts";
import { throwIfAborted } from "../../platform/clock.ts";
import type { ConnectOptions } from "../../postgres/replication.ts";
import { withSession } from "../../postgres/session.ts";
import { copyIn } from "../copy-in.ts";
import { generatePrices, generateProducts, PRICE_COLUMNS, PRODUCT_COLUMNS } from "./rows.ts";
import { INDEXES, TABLES } from "./schema.ts";

/** How far the load is. */
export type LoadProgress = {
  readonly phase: "products" | "prices" | "indexes" | "statistics";
  /** Of all phases together, from 0 to 1. */
  readonly fraction: number;
  readonly productCount: number;
};

/** What to load. The database must exist; its name is in `connect`. */
export type LoadRequest = {
  readonly connect: ConnectOptions;
  /** Wanted size of the database on disk with its indexes; met within ten per cent from 30 MB on. */
  readonly targetBytes: number;
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((progress: LoadProgress) => void) | undefined;
};

/** What was loaded. */
export type LoadResult = { readonly productCount: number; readonly priceCount: number; readonly sizeBytes: number };

/** The seed when none is given. */
export const CATALOG_SEED = 20_260_418;

/** What a product takes on disk with its prices and its share of the indexes; measured on PostgreSQL 15 to 18; the test keeps it so. */
const DISK_BYTES_PER_PRODUCT = 1_400;
/** What an empty database takes. */
const EMPTY_DATABASE_BYTES = 7_600_000;

/**
 * Nobody but the demo uses the database while it is loaded. Commits need not wait, neither for the disk nor for a
 * synchronous standby that may not run yet: whatever is committed later is flushed behind it.
 */
const LOAD_SETTINGS = {
  synchronous_commit: "off",
  maintenance_work_mem: "192MB",
  // A stopped demo must not leave a server building indexes for nobody.
  client_connection_check_interval: "1s",
};

/**
 * Makes the tables of the catalogue, fills them, builds the indexes and gathers statistics. Rejects with
 * `demo.catalog-exists` when the database has such tables, with the errors of session.ts, and with `platform.aborted`.
 */
export async function loadCatalog(request: LoadRequest): Promise<LoadResult> {
  return await withSession({
    connect: request.connect,
    settings: LOAD_SETTINGS,
    step: "loading the catalogue",
    signal: request.signal,
    work: (client) => load(client, request),
  });
}

async function load(client: pg.Client, request: LoadRequest): Promise<LoadResult> {
  const { signal, progress = () => undefined } = request;
  const productCount = productCountFor(request.targetBytes);
  const range = { seed: request.seed ?? CATALOG_SEED, count: productCount, signal };
  await refuseExisting(client);
  await client.query("BEGIN");
  await client.query(TABLES);
  const tell = (phase: LoadProgress["phase"], share: readonly [number, number]) => (done: number) =>
    progress({ phase, fraction: share[0] + (share[1] - share[0]) * Math.min(1, done), productCount });
  await copyIn(client, {
    // FREEZE: the tables were made in this transaction, so nobody can see them half-filled and no vacuum has to follow.
    sql: `COPY products (${PRODUCT_COLUMNS}) FROM STDIN (FREEZE)`,
    rows: counted(generateProducts(range), productCount * ROW_BYTES.product, tell("products", [0, 0.5])),
    signal,
  });
  const priceCount = await copyIn(client, {
    sql: `COPY price_history (${PRICE_COLUMNS}) FROM STDIN (FREEZE)`,
    rows: counted(generatePrices(range), productCount * ROW_BYTES.prices, tell("prices", [0.5, 0.65])),
    signal,
  });
  await client.query("COMMIT");
  for (const [index, sql] of INDEXES.entries()) {
    throwIfAborted(signal, "building the indexes of the catalogue");
    tell("indexes", [0.65, 0.95])(index / INDEXES.length);
    await client.query(sql);
  }
  tell("statistics", [0.95, 1])(0);
  await client.query("ANALYZE products, price_history");
  const size = await client.query<{ bytes: string }>("SELECT pg_database_size(current_database())::text AS bytes");
  tell("statistics", [0.95, 1])(1);
  return { productCount, priceCount, sizeBytes: Number(size.rows[0]?.bytes ?? 0) };
}

/** How many products make a database of about this size; at least a thousand. */
export function productCountFor(targetBytes: number): number {
  return Math.max(1_000, Math.round((targetBytes - EMPTY_DATABASE_BYTES) / DISK_BYTES_PER_PRODUCT));
}

/** Bytes of COPY text for a product and for its prices; for the progress only. */
const ROW_BYTES = { product: 780, prices: 120 };

async function* counted(
  chunks: AsyncIterable<Buffer>,
  expectedBytes: number,
  tell: (done: number) => void,
): AsyncIterable<Buffer> {
  let sentBytes = 0;
  for await (const chunk of chunks) {
    yield chunk;
    sentBytes += chunk.length;
    tell(sentBytes / expectedBytes);
  }
}

async function refuseExisting(client: pg.Client): Promise<void> {
  const found = await client.query<{ name: string }>(
    "SELECT c.oid::regclass::text AS name FROM unnest(ARRAY['products', 'price_history']) AS t(name) JOIN pg_class c ON c.oid = to_regclass(t.name)",
  );
  const name = found.rows[0]?.name;
  if (name === undefined) return;
  throw new LifeboatError("demo.catalog-exists", {
    message: `the database ${client.database ?? ""} already has a table ${name}; the catalogue is only loaded into a database without one`,
    remedy: "Name a new database for the demo.",
  });
}
