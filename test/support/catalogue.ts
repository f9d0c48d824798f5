/** The catalogue's database on a test server, and offers to put into it. */
import pg from "pg";
import { migrate } from "../../catalog/schema/migrate.ts";
import { MIGRATIONS } from "../../catalog/schema/migrations.ts";
import { SUPERUSER, type TestServer } from "./servers.ts";

/** The database's name. */
const CATALOGUE = "catalog";

/** How a client reaches the catalogue's database on a test server. */
export function catalogueAddress(server: TestServer): pg.ClientConfig {
  const { name: user, password } = SUPERUSER;
  return { host: "127.0.0.1", port: server.server.setup.port, user, password, database: CATALOGUE };
}

/** Makes an empty catalogue of the newest schema; in a database that is there, if one is named. */
export async function createCatalogue(server: TestServer, database?: string): Promise<void> {
  if (database === undefined) await server.query(`create database ${CATALOGUE}`);
  const client = await connectCatalogue(server, database);
  try {
    await migrate(client, MIGRATIONS);
  } finally {
    await client.end();
  }
}

/** A session on it; ending it is the caller's. */
export async function connectCatalogue(server: TestServer, database = CATALOGUE): Promise<pg.Client> {
  const client = new pg.Client({ ...catalogueAddress(server), database });
  await client.connect();
  return client;
}

/** An offer that is taken as it is; what is given stands instead of its fields. */
export function offer(fields: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    sku: "A-1",
    merchant: "Harbour Tools",
    title: "Cordless drill 18 V with two batteries",
    brand: "Bosca",
    category: "Power Tools",
    price: 129.9,
    currency: "SGD",
    country_code: "SG",
    url: "https://harbour.example/p/a-1",
    ...fields,
  };
}
