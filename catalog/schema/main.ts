/** The program that brings the catalogue's database to the newest schema: `main.ts SERVICE-FILE`. */
import pg from "pg";
import { systemFiles } from "../../src/platform/files.ts";
import { guardedSocket } from "../../src/platform/guarded-socket.ts";
import { orSayWhy, say } from "../../src/platform/say.ts";
import { readSecret, readServiceFile } from "../settings/service-file.ts";
import { migrate } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.ts";

const [file = ""] = process.argv.slice(2);

await orSayWhy(async () => {
  const { database } = await readServiceFile(systemFiles, file);
  const address = {
    host: database.host,
    port: database.port,
    database: database.name,
    user: database.user,
    password: await readSecret(systemFiles, database.passwordFile),
    connectionTimeoutMillis: 30_000,
    stream: () => guardedSocket(),
  };
  // One holds the lock, one builds indexes, one looks on: a pooler of transactions can be between.
  const [session, builder, watcher] = [new pg.Client(address), new pg.Client(address), new pg.Client(address)];
  const all = [session, builder, watcher];
  try {
    for (const client of all) await client.connect();
    const { before, applied } = await migrate(session, MIGRATIONS, { builders: { builder, watcher } });
    say(`schema: ${before.length} migrations were there, ${applied.length} applied`);
  } finally {
    for (const client of all) await client.end();
  }
});
