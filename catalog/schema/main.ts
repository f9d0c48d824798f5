/** The program that brings the catalogue's database to the newest schema: `main.ts SERVICE-FILE`. */
import pg from "pg";
import { systemFiles } from "../../src/platform/files.ts";
import { orSayWhy, say } from "../../src/platform/say.ts";
import { readSecret, readServiceFile } from "../settings/service-file.ts";
import { migrate } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.ts";

const [file = ""] = process.argv.slice(2);

await orSayWhy(async () => {
  const { database } = await readServiceFile(systemFiles, file);
  const client = new pg.Client({
    host: database.host,
    port: database.port,
    database: database.name,
    user: database.user,
    password: await readSecret(systemFiles, database.passwordFile),
    connectionTimeoutMillis: 30_000,
  });
  await client.connect();
  try {
    const { before, applied } = await migrate(client, MIGRATIONS);
    say(`schema: ${before.length} migrations were there, ${applied.length} applied`);
  } finally {
    await client.end();
  }
});
