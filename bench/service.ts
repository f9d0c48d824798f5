/**
 * `bench service`: the catalogue's API beside FastAPI with asyncpg, searching among many offers, and mending mistyped words.
 *
 * Nouns: the *peer* is FastAPI as Debian packages it, one process with uvloop, that runs the very statement of ours and gives the
 * same answer (`bench/service-peer/`); it checks no key and counts nothing, ours does both. It returns rows and
 * FastAPI makes JSON of them; *modelled*, it has a response model as in FastAPI's documentation; *tuned*, it goes around FastAPI's
 * making of answers, as quick as we could make it. Every request asks for something that
 * was not asked before, so that no kept copy answers.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { encodeCursor } from "../catalog/search/cursor.ts";
import { searchStatement } from "../catalog/search/statement.ts";
import { findFreePort } from "../src/platform/free-port.ts";
import { systemRandom } from "../src/platform/random.ts";
import { catalogueAddress, createCatalogue } from "../test/support/catalogue.ts";
import { eventually } from "../test/support/receivers.ts";
import { SUPERUSER, startServer, type TestServer } from "../test/support/servers.ts";
import { type Answers, askClosed, askOpen, type Target } from "./http-clients.ts";
import { must, treeCpuMs } from "./machine.ts";
import type { Report } from "./report.ts";
import { fillCatalogue, queriesOf, type TypedQuery } from "./service-data.ts";
import {
  type ServiceBenchRequest,
  type ServiceFigures,
  serviceReport,
  type ThroughputRun,
  type ThroughputRuns,
} from "./service-plan.ts";
import { percentile } from "./statistics.ts";

type Call = { readonly signal: AbortSignal };

const MAJOR = 16;
const OPERATOR_KEY = "bw_partner_operator-of-the-benchmark";
const ROOT = path.resolve(import.meta.dirname, "..");
const CONNECTIONS = 32;
const SIZES = [10, 100] as const;
const WARM_UP_MS = 2_000;
const TYPED = 300;
/** The one that Debian's packages are for. */
const PYTHON = "/usr/bin/python3";
/** Debian's packages of the peer. */
const PEER_PACKAGES = [
  "python3-fastapi",
  "python3-asyncpg",
  "python3-uvicorn",
  "python3-uvloop",
  "python3-httptools",
  "python3-ujson",
];

/** Measures all. Installs the peer where it is not there, as root. */
export async function benchService(request: ServiceBenchRequest, call: Call): Promise<Report> {
  if (request.peer)
    await must({ command: "sh", args: [path.join(ROOT, "bin/install-programs"), ...PEER_PACKAGES] }, call);
  const folder = await mkdtemp("/tmp/bench-service-");
  const settings = { shared_buffers: "512MB", max_connections: 100, autovacuum: true, maintenance_work_mem: "256MB" };
  await using server = await startServer({ major: MAJOR, settings, name: "service" });
  try {
    await createCatalogue(server);
    process.stdout.write(`putting ${request.offers} offers into the catalogue … `);
    const begun = performance.now();
    await fillCatalogue(server, request.offers, call.signal);
    console.log(`${((performance.now() - begun) / 1_000).toFixed(0)} s`);
    await using ours = await startOurs(server, folder);
    const headers = { authorization: `Bearer ${OPERATOR_KEY}` };
    const target = { port: ours.port, headers };
    const throughput = await measureThroughput(request, { server, folder, ours, target });
    const search = await measureSearch(request, target);
    const recall = await measureRecall(queriesOf(TYPED, request.offers), target);
    const versions = {
      Node: process.versions.node,
      PostgreSQL: server.installation.version,
      ...(await peerVersions(request, call)),
    };
    return serviceReport(request, { throughput, search, recall }, versions);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A program under measurement, gone at the end. */
type Running = AsyncDisposable & { readonly port: number; readonly pid: number };

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

async function startOurs(server: TestServer, folder: string): Promise<Running> {
  const port = await findFreePort(systemRandom);
  const file = path.join(folder, "service.json");
  await writeFile(path.join(folder, "password"), SUPERUSER.password);
  await writeFile(path.join(folder, "operator"), OPERATOR_KEY);
  const { host = "127.0.0.1", port: databasePort, database: name } = catalogueAddress(server);
  const database = {
    host,
    port: databasePort,
    name,
    user: SUPERUSER.name,
    passwordFile: path.join(folder, "password"),
    prepares: true,
  };
  const service = {
    format: "lifeboat-catalog-service",
    version: 1,
    database,
    operatorKeyFile: path.join(folder, "operator"),
  };
  await writeFile(file, JSON.stringify(service));
  const args = [
    "--disable-warning=ExperimentalWarning",
    path.join(ROOT, "catalog/api/main.ts"),
    file,
    "api",
    String(port),
  ];
  return await startProgram(process.execPath, args, { port, ready: "/health/ready" });
}

async function startPeer(server: TestServer, folder: string): Promise<Running> {
  const port = await findFreePort(systemRandom);
  const { user, password, host, port: databasePort, database } = catalogueAddress(server);
  const dsn = `postgresql://${user}:${encodeURIComponent(String(password))}@${host}:${databasePort}/${database}`;
  const statements = Object.fromEntries(SIZES.map((rows) => [rows, statementOf(rows)]));
  const file = path.join(folder, "peer.json");
  await writeFile(file, JSON.stringify({ dsn, statements }));
  const args = [
    "-m",
    "uvicorn",
    "app:app",
    "--port",
    String(port),
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--no-access-log",
  ];
  const environment = { PEER_FILE: file, PYTHONPATH: path.join(ROOT, "bench/service-peer") };
  const ready = "/search?category=none&price=1&limit=10";
  return await startProgram(PYTHON, [...args, "--log-level", "warning"], { port, ready, environment });
}

/** The statement that ours runs for a page in the middle of a list: its parameters are category, price and id. */
function statementOf(rows: number): string {
  return searchStatement({
    text: undefined,
    filters: { categories: [""] },
    sort: "price_asc",
    limit: rows,
    cursor: { sort: "price_asc", value: 0, id: 0 },
    facets: false,
    convertTo: undefined,
  }).text;
}

/** The largest category, and prices within it that leave a page behind them. */
async function measureThroughput(
  request: ServiceBenchRequest,
  at: { readonly server: TestServer; readonly folder: string; readonly ours: Running; readonly target: Target },
): Promise<readonly ThroughputRuns[]> {
  const [row] = await at.server.query(
    "select category, min(price_sgd)::float8 as low, percentile_disc(0.6) within group (order by price_sgd)::float8 as high from products group by category order by count(*) desc limit 1",
    [],
    { database: String(catalogueAddress(at.server).database) },
  );
  const [category, low, high] = [String(row?.["category"]), Number(row?.["low"]), Number(row?.["high"])];
  const price = (): number => Math.round((low + Math.random() * (high - low)) * 1e6) / 1e6;
  await using peer = request.peer ? await startPeer(at.server, at.folder) : undefined;
  const subjects = (rows: number): readonly Subject[] => {
    const ours = (): string => {
      const cursor = encodeCursor({ sort: "price_asc", value: price(), id: 0 });
      return `/v1/products/search?category=${category}&sort=price_asc&limit=${rows}&cursor=${cursor}`;
    };
    const first = { name: "ours", running: at.ours, target: at.target, path: ours } as const;
    if (peer === undefined) return [first];
    const target = { port: peer.port, headers: {} };
    const theirs = (form: string) => (): string => `/${form}?category=${category}&price=${price()}&limit=${rows}`;
    return [
      first,
      { name: "peer", running: peer, target, path: theirs("plain") },
      { name: "tuned", running: peer, target, path: theirs("search") },
      { name: "modelled", running: peer, target, path: theirs("modelled") },
    ];
  };
  const measured: ThroughputRuns[] = [];
  for (const rows of SIZES) {
    const runs: { [Name in Subject["name"]]: ThroughputRun[] } = { ours: [], peer: [], tuned: [], modelled: [] };
    for (let run = 0; run < request.runs; run += 1) {
      process.stdout.write(`${rows} rows, ${run + 1} of ${request.runs} …`);
      for (const subject of subjects(rows)) {
        const each = await measureSubject(subject, request);
        runs[subject.name].push(each);
        process.stdout.write(` ${subject.name} ${each.perSecond.toFixed(0)}/s`);
      }
      console.log();
    }
    measured.push({ rows, ...runs });
  }
  return measured;
}

type Subject = {
  readonly name: "ours" | "peer" | "tuned" | "modelled";
  readonly running: Running;
  readonly target: Target;
  readonly path: () => string;
};

async function measureSubject(subject: Subject, { seconds }: ServiceBenchRequest): Promise<ThroughputRun> {
  const { target, path: next, running } = subject;
  await askClosed(target, { connections: CONNECTIONS, durationMs: WARM_UP_MS, path: next });
  const before = await treeCpuMs(running.pid);
  const answers = await askClosed(target, { connections: CONNECTIONS, durationMs: seconds * 1_000, path: next });
  const cpuMs = (await treeCpuMs(running.pid)) - before;
  if (answers.bad > 0)
    throw new Error(`${answers.bad} of ${answers.count} answers of ${subject.name} were not 200: ${answers.complaint}`);
  return { perSecond: (answers.count * 1_000) / answers.wallMs, cpuMs: cpuMs / answers.count };
}

async function measureSearch(request: ServiceBenchRequest, target: Target): Promise<ServiceFigures["search"]> {
  const durationMs = request.seconds * 1_000;
  const count = Math.floor((request.ratePerSecond * durationMs) / 1_000);
  const queries = queriesOf(count, request.offers);
  // One that differs is a query of its own for every cache.
  const at = (index: number): string =>
    `/v1/products/search?q=${encodeURIComponent(queries[index % count]?.right ?? "")}&max_price=${1_000_000 + index}`;
  const answers: Answers = await askOpen(target, { perSecond: request.ratePerSecond, durationMs, path: at });
  const { latenciesMs: all } = answers;
  return {
    p50Ms: percentile(all, 0.5),
    p99Ms: percentile(all, 0.99),
    maxMs: percentile(all, 1),
    count: answers.count,
    bad: answers.bad,
  };
}

async function measureRecall(queries: readonly TypedQuery[], target: Target): Promise<ServiceFigures["recall"]> {
  let found = 0;
  let asked = 0;
  const idsOf = async (query: string): Promise<readonly number[]> => {
    const url = `http://127.0.0.1:${target.port}/v1/products/search?q=${encodeURIComponent(query)}&fields=id&limit=10`;
    const page: { items: readonly { id: number }[] } = JSON.parse(
      await (await fetch(url, { headers: target.headers })).text(),
    );
    return page.items.map(({ id }) => id);
  };
  for (const { right, wrong } of queries) {
    const [first] = await idsOf(right);
    if (first === undefined) continue;
    asked += 1;
    if ((await idsOf(wrong)).includes(first)) found += 1;
  }
  return { found, asked };
}

async function peerVersions({ peer }: ServiceBenchRequest, call: Call): Promise<Readonly<Record<string, string>>> {
  if (!peer) return {};
  const program =
    "import fastapi,asyncpg,uvicorn,uvloop,sys;print(fastapi.__version__,asyncpg.__version__,uvicorn.__version__,uvloop.__version__,sys.version.split()[0])";
  const [fastapi = "", asyncpg = "", uvicorn = "", uvloop = "", python = ""] = (
    await must({ command: PYTHON, args: ["-c", program] }, call)
  )
    .trim()
    .split(" ");
  return { FastAPI: fastapi, asyncpg, uvicorn, uvloop, Python: python };
}
