/**
 * `bench service`: the catalogue's API beside FastAPI with asyncpg, searching among many offers, mending mistyped
 * words, and the loss of redis.
 *
 * Nouns: the *peer* is FastAPI as Debian packages it, one process with uvloop, that runs the very statement of ours and gives the
 * same answer (`bench/service-peer/`); it checks no key and counts nothing, ours does both. It returns rows and
 * FastAPI makes JSON of them; *modelled*, it has a response model as in FastAPI's documentation; *tuned*, it goes around FastAPI's
 * making of answers, as quick as we could make it. Every request asks for something that
 * was not asked before, so that no kept copy answers.
 */
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { encodeCursor } from "../catalog/search/cursor.ts";
import { searchStatement } from "../catalog/search/statement.ts";
import { findFreePort } from "../src/platform/free-port.ts";
import { systemRandom } from "../src/platform/random.ts";
import { catalogueAddress } from "../test/support/catalogue.ts";
import type { TestServer } from "../test/support/servers.ts";
import { askClosed, type Target } from "./http-clients.ts";
import { must, treeCpuMs } from "./machine.ts";
import type { Report } from "./report.ts";
import {
  type ServiceBenchRequest,
  type ServiceFigures,
  serviceReport,
  type ThroughputRun,
  type ThroughputRuns,
} from "./service-plan.ts";
import {
  OPERATOR_KEY,
  PYTHON,
  type Running,
  serveCatalogue,
  startOurs,
  startPeer,
  writeService,
} from "./service-programs.ts";
import { measureRedis } from "./service-redis.ts";
import { measureRecall, measureSearch } from "./service-search.ts";

type Call = { readonly signal: AbortSignal };

const CONNECTIONS = 32;
const SIZES = [10, 100] as const;
const WARM_UP_MS = 2_000;
/** Debian's packages of the peer. */
const PEER_PACKAGES = [
  "python3-fastapi",
  "python3-asyncpg",
  "python3-uvicorn",
  "python3-uvloop",
  "python3-httptools",
  "python3-ujson",
];

/** Measures what is asked for. Installs the peer where it is not there, as root; keeps the filled catalogue in `cacheFolder`. */
export async function benchService(request: ServiceBenchRequest, cacheFolder: string, call: Call): Promise<Report> {
  if (request.peer) {
    const install = path.resolve(import.meta.dirname, "../bin/install-programs");
    await must({ command: "sh", args: [install, ...PEER_PACKAGES] }, call);
  }
  const folder = await mkdtemp("/tmp/bench-service-");
  try {
    await using server = await serveCatalogue(cacheFolder, request.offers, call);
    const measured = await measureParts(request, server, folder);
    const versions = {
      Node: process.versions.node,
      PostgreSQL: server.installation.version,
      ...(await peerVersions(request, call)),
    };
    return serviceReport(request, measured, versions);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureParts(request: ServiceBenchRequest, server: TestServer, folder: string): Promise<ServiceFigures> {
  const { parts, offers } = request;
  let [throughput, search, recall]: [
    ServiceFigures["throughput"]?,
    ServiceFigures["search"]?,
    ServiceFigures["recall"]?,
  ] = [];
  if (parts.includes("throughput") || parts.includes("search")) {
    const file = await writeService(server, folder);
    await using ours = await startOurs("api", file, await findFreePort(systemRandom));
    const target = { port: ours.port, headers: { authorization: `Bearer ${OPERATOR_KEY}` } };
    if (parts.includes("throughput")) throughput = await measureThroughput(request, { server, folder, ours, target });
    if (parts.includes("search")) {
      search = await measureSearch(request, target);
      recall = await measureRecall(offers, target);
    }
  }
  const redis = parts.includes("redis") ? await measureRedis(server, offers, folder) : undefined;
  return { throughput, search, recall, redis };
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
  const statements = Object.fromEntries(SIZES.map((rows) => [rows, statementOf(rows)]));
  await using peer = request.peer ? await startPeer(at.server, at.folder, statements) : undefined;
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
