/** What `bench service` runs: a server with a filled catalogue, the service's programs, and the peer. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { checksumOf } from "../catalog/schema/migrate.ts";
import { MIGRATIONS } from "../catalog/schema/migrations.ts";
import { findFreePort } from "../src/platform/free-port.ts";
import { systemRandom } from "../src/platform/random.ts";
import { catalogueAddress, createCatalogue } from "../test/support/catalogue.ts";
import { eventually } from "../test/support/receivers.ts";
import { SUPERUSER, startServer, type TestServer } from "../test/support/servers.ts";
import { must, settle } from "./machine.ts";
import { fillCatalogue } from "./service-data.ts";

type Call = { readonly signal: AbortSignal };

/** The key that our programs let do everything. */
export const OPERATOR_KEY = "bw_partner_operator-of-the-benchmark";
/** The one that Debian's packages are for. */
export const PYTHON = "/usr/bin/python3";

const ROOT = path.resolve(import.meta.dirname, "..");
const SETTINGS = {
  // All of a million offers and their indexes, as a quarter of the memory of a server that is made for them.
  shared_buffers: "3GB",
  max_connections: 150,
  autovacuum: true,
  max_wal_size: "4GB",
  shared_preload_libraries: "pg_stat_statements",
};
const DIGEST_LENGTH = 8;

/** A server on a catalogue of so many offers, which is filled once and kept in the folder. */
export async function serveCatalogue(folder: string, offers: number, call: Call): Promise<TestServer> {
  const made = createHash("sha256").update(await readFile(path.join(import.meta.dirname, "service-data.ts")));
  for (const migration of MIGRATIONS) made.update(checksumOf(migration));
  const kept = path.join(folder, `service-${offers}-${made.digest("hex").slice(0, DIGEST_LENGTH)}`);
  if ((await stat(kept).catch(() => undefined)) === undefined) await makeKept(kept, offers, call);
  await settle(kept, call);
  const server = await startServer({ major: 16, settings: SETTINGS, name: "service", dataFolder: kept });
  try {
    for (const name of ["pg_stat_statements", "pg_prewarm"])
      await ask(server, `create extension if not exists ${name}`);
    // A server that has run for a while has read all of it.
    await ask(server, PREWARM);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

const PREWARM = `select sum(pg_prewarm(oid)) from pg_class
where relkind in ('r', 'i') and relnamespace = 'public'::regnamespace`;

async function ask(server: TestServer, sql: string): Promise<void> {
  await server.query(sql, [], { database: String(catalogueAddress(server).database) });
}

async function makeKept(kept: string, offers: number, call: Call): Promise<void> {
  process.stdout.write(`putting ${offers} offers into the catalogue … `);
  const begun = performance.now();
  const settings = { ...SETTINGS, autovacuum: false, wal_level: "minimal", max_wal_senders: 0 };
  await using server = await startServer({ major: 16, settings, name: "service" });
  await createCatalogue(server);
  await fillCatalogue(server, offers, call);
  await server.query("create extension pg_stat_statements", [], {
    database: String(catalogueAddress(server).database),
  });
  await server.stop();
  // Others must be able to pass through: servers run as a user of their own.
  await mkdir(path.dirname(kept), { recursive: true, mode: 0o755 });
  const making = `${kept}.making`;
  await rm(making, { recursive: true, force: true });
  await must({ command: "cp", args: ["-a", server.dataFolder, making] }, call);
  await rename(making, kept);
  console.log(`${((performance.now() - begun) / 1_000).toFixed(0)} s, kept in ${kept}`);
}

/** A program under measurement, gone at the end. */
export type Running = AsyncDisposable & { readonly port: number; readonly pid: number };

async function startProgram(
  command: string,
  args: readonly string[],
  at: { readonly port: number; readonly ready: string; readonly environment?: Readonly<Record<string, string>> },
): Promise<Running> {
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...at.environment },
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await eventually(`${command} answers`, async () => {
    const answer = await fetch(`http://127.0.0.1:${at.port}${at.ready}`).catch(() => undefined);
    return answer?.status === 200;
  });
  return {
    port: at.port,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** A redis that our programs keep copies in. */
export type RedisPlace = { readonly port: number; readonly password: string };

/** Writes the service file of our programs; `api` is where the scheduler warms the cache. */
export async function writeService(
  server: TestServer,
  folder: string,
  { redis, api }: { readonly redis?: RedisPlace; readonly api?: string } = {},
): Promise<string> {
  const file = path.join(folder, "service.json");
  await writeFile(path.join(folder, "password"), SUPERUSER.password);
  await writeFile(path.join(folder, "operator"), OPERATOR_KEY);
  if (redis !== undefined) await writeFile(path.join(folder, "redis"), redis.password);
  const { host = "127.0.0.1", port, database: name } = catalogueAddress(server);
  const user = { user: SUPERUSER.name, passwordFile: path.join(folder, "password") };
  const service = {
    format: "lifeboat-catalog-service",
    version: 1,
    database: { host, port, name, ...user, prepares: true },
    ...(redis === undefined ? {} : { redis: { host, port: redis.port, passwordFile: path.join(folder, "redis") } }),
    ...(api === undefined ? {} : { scraper: { api } }),
    operatorKeyFile: path.join(folder, "operator"),
  };
  await writeFile(file, JSON.stringify(service));
  return file;
}

/** Starts an instance of the API, or the scheduler, which warms the cache. */
export async function startOurs(program: "api" | "scraper", file: string, port: number): Promise<Running> {
  const main = path.join(ROOT, "catalog", program, "main.ts");
  const args = ["--disable-warning=ExperimentalWarning", main, file, program, String(port)];
  return await startProgram(process.execPath, args, {
    port,
    ready: program === "api" ? "/health/ready" : "/health/live",
  });
}

/** Starts the peer with its statements, by the rows of an answer. */
export async function startPeer(
  server: TestServer,
  folder: string,
  statements: Readonly<Record<number, string>>,
): Promise<Running> {
  const port = await findFreePort(systemRandom);
  const { user, password, host, port: databasePort, database } = catalogueAddress(server);
  const dsn = `postgresql://${user}:${encodeURIComponent(String(password))}@${host}:${databasePort}/${database}`;
  const file = path.join(folder, "peer.json");
  await writeFile(file, JSON.stringify({ dsn, statements }));
  const served = ["--port", String(port), "--loop", "uvloop", "--http", "httptools"];
  const args = ["-m", "uvicorn", "app:app", ...served, "--no-access-log", "--log-level", "warning"];
  const environment = { PEER_FILE: file, PYTHONPATH: path.join(ROOT, "bench/service-peer") };
  const ready = "/search?category=none&price=1&limit=10";
  return await startProgram(PYTHON, args, { port, ready, environment });
}
