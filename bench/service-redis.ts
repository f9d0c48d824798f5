/**
 * The part of `bench service` that loses redis: three instances of the API and the warmer on one redis, which is killed and comes back
 * empty, while clients read.
 *
 * The clients ask for PATHS paths, some much more than others (the one of rank n as often as 1/n). A *hit* is an answer from a copy,
 * as the API's x-cache tells. One path more is asked for all the time while redis is away, and its statement has a shape that no other
 * has: the server's own statistics then tell how often it ran.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pingCache } from "../src/cache/ask.ts";
import { renderRedis } from "../src/cache/redis.ts";
import { NEWEST_MS, ProductSource } from "../src/demo/catalog-data/product.ts";
import { findFreePort } from "../src/platform/free-port.ts";
import { Prng } from "../src/platform/prng.ts";
import { systemRandom } from "../src/platform/random.ts";
import { catalogueAddress } from "../test/support/catalogue.ts";
import { TestRedis } from "../test/support/catalogue-service.ts";
import { eventually } from "../test/support/receivers.ts";
import { giveTo, serverUser, type TestServer } from "../test/support/servers.ts";
import { askOpen } from "./http-clients.ts";
import { SEED } from "./service-data.ts";
import type { RedisFigures } from "./service-plan.ts";
import { OPERATOR_KEY, type Running, startOurs, writeService } from "./service-programs.ts";
import { Queries } from "./service-queries.ts";

const INSTANCES = 3;
const PATHS = 300;
const READS_PER_SECOND = 100;
const HOT_PER_SECOND = 50;
const BEFORE_MS = 45_000;
const AWAY_MS = 30_000;
const AFTER_MS = 60_000;
/** Over so long a rate is taken. */
const WINDOW_MS = 5_000;
const RATE_MIN = 0.8;
const REDIS = { password: "sesame", memoryMaxBytes: 128 * 1024 * 1024, policy: "allkeys-lru" } as const;
/** Of a shape of its own. */
const HOT = "/v1/products/search?region=sg&availability=in_stock&sort=price_asc&limit=7";
const HOT_CALLS = `select coalesce(sum(calls), 0)::int as calls from pg_stat_statements
where query like '%p.region = %' and query like '%p.availability = %' and query not like '%pg_stat_statements%'`;

/** An answer, by when it came. */
type Told = { readonly atMs: number; readonly isHit: boolean; readonly isGood: boolean };

/** Measures it: two and a half minutes. */
export async function measureRedis(server: TestServer, offers: number, folder: string): Promise<RedisFigures> {
  await using programs = new AsyncDisposableStack();
  const redis = await startRedis(programs);
  const ports = await Promise.all(Array.from({ length: INSTANCES + 1 }, () => findFreePort(systemRandom)));
  const [scraperPort = 0, ...apiPorts] = ports;
  const api = `http://127.0.0.1:${apiPorts[0]}`;
  const file = await writeService(server, folder, { redis: { port: redis.port, password: REDIS.password }, api });
  const instances: Running[] = [];
  for (const port of apiPorts) instances.push(programs.use(await startOurs("api", file, port)));
  programs.use(await startOurs("scraper", file, scraperPort));
  return await lose(server, redis, { instances, offers });
}

async function startRedis(programs: AsyncDisposableStack): Promise<TestRedis> {
  // A folder of its own: redis runs as another user, who may not see the others.
  const dataFolder = await mkdtemp("/tmp/bench-redis-");
  programs.defer(async () => await rm(dataFolder, { recursive: true, force: true }));
  const redis = new TestRedis(dataFolder, await findFreePort(systemRandom));
  // Nothing of it is left when it was lost.
  const conf = renderRedis({ port: redis.port, dataFolder, ...REDIS }).replaceAll(/^(appendonly|save) .*$/gm, "");
  await writeFile(path.join(dataFolder, "redis.conf"), `${conf}\nappendonly no\nsave ""\n`);
  await giveTo(await serverUser(), dataFolder);
  programs.defer(async () => await redis.kill());
  await redis.start();
  await untilItAnswers(redis);
  return redis;
}

async function untilItAnswers({ port }: TestRedis): Promise<void> {
  const look = async (): Promise<boolean> =>
    await pingCache({ port, password: REDIS.password }, {}).then(
      () => true,
      () => false,
    );
  await eventually("redis answers", look);
}

async function lose(
  server: TestServer,
  redis: TestRedis,
  { instances, offers }: { readonly instances: readonly Running[]; readonly offers: number },
): Promise<RedisFigures> {
  const headers = { authorization: `Bearer ${OPERATOR_KEY}` };
  const targets = instances.map(({ port }) => ({ port, headers }));
  const told: Told[] = [];
  const paths = pathsOf(offers);
  const random = new Prng(SEED);
  const right = await referenceOf(targets[0]?.port ?? 0, headers, paths);
  const begun = performance.now();
  const clients = targets.map((target) =>
    askOpen(target, {
      perSecond: READS_PER_SECOND / INSTANCES,
      durationMs: BEFORE_MS + AWAY_MS + AFTER_MS,
      path: () => paths[rankOf(random)] ?? "/",
      answered: (_index, { status, from }) => {
        told.push({ atMs: performance.now() - begun, isHit: from !== "database", isGood: status === 200 });
      },
    }),
  );
  await sleep(BEFORE_MS);
  await redis.kill();
  const awayAt = performance.now() - begun;
  const callsBefore = await hotCalls(server);
  const hot = await Promise.all(
    targets.map((target) =>
      askOpen(target, { perSecond: HOT_PER_SECOND / INSTANCES, durationMs: AWAY_MS, path: () => HOT }),
    ),
  );
  const statements = (await hotCalls(server)) - callsBefore;
  const wrong = await wrongAnswers(targets[1]?.port ?? 0, headers, right);
  await redis.start();
  await untilItAnswers(redis);
  const backAt = performance.now() - begun;
  await Promise.all(clients);
  const rate = (from: number, to: number): number => hitRate(told.filter(({ atMs }) => atMs >= from && atMs < to));
  return {
    before: rate(awayAt - 2 * WINDOW_MS, awayAt),
    away: rate(awayAt, backAt),
    after: rate(backAt + AFTER_MS - 2 * WINDOW_MS, backAt + AFTER_MS),
    backInMs: backInMs(rate, backAt),
    lowest: Math.min(...windowsOf(awayAt, backAt + AFTER_MS - WINDOW_MS).map((from) => rate(from, from + WINDOW_MS))),
    asked: told.length,
    failed: told.filter(({ isGood }) => !isGood).length,
    wrong,
    compared: right.size,
    hot: { asked: hot.reduce((sum, { count }) => sum + count, 0), statements },
  };
}

/** How long after redis' return the rate is above the goal, and stays there; undefined when it does not. */
function backInMs(rate: (from: number, to: number) => number, backAt: number): number | undefined {
  const low = windowsOf(backAt, backAt + AFTER_MS - WINDOW_MS).filter(
    (from) => rate(from, from + WINDOW_MS) < RATE_MIN,
  );
  const last = low.at(-1);
  if (last === undefined) return 0;
  const until = last - backAt + WINDOW_MS;
  return until >= AFTER_MS ? undefined : until;
}

/** Beginnings of windows, a second apart. */
function windowsOf(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / 1_000) + 1 }, (_, second) => from + second * 1_000);
}

function hitRate(told: readonly Told[]): number {
  return told.length === 0 ? 1 : told.filter(({ isHit }) => isHit).length / told.length;
}

/** Searches and offers in turns. */
function pathsOf(offers: number): readonly string[] {
  const queries = new Queries(offers, SEED);
  const source = new ProductSource(SEED, NEWEST_MS);
  return Array.from({ length: PATHS }, (_, index) =>
    index % 2 === 0
      ? `/v1/products/search?q=${encodeURIComponent(queries.typed().right)}`
      : `/v1/products/${source.product(1 + ((index * 7_919) % offers)).id}`,
  );
}

/** Ranks by Zipf's law. */
function rankOf(random: Prng): number {
  let rest = random.fraction() * RANKS_SUM;
  for (let rank = 0; rank < PATHS; rank += 1) {
    rest -= 1 / (rank + 1);
    if (rest < 0) return rank;
  }
  return PATHS - 1;
}

const RANKS_SUM = Array.from({ length: PATHS }, (_, rank) => 1 / (rank + 1)).reduce((sum, each) => sum + each, 0);

type Headers = Readonly<Record<string, string>>;

async function answerOf(port: number, headers: Headers, at: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${at}`, { headers });
  // How long ago an offer was seen, in words, and whether an answer is older than it should be, change by themselves.
  return (await response.text()).replaceAll(/"freshness":"\w+"/g, "").replace('"stale":true,', "");
}

async function referenceOf(
  port: number,
  headers: Headers,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const answers = new Map<string, string>();
  for (const at of paths) answers.set(at, await answerOf(port, headers, at));
  return answers;
}

async function wrongAnswers(port: number, headers: Headers, right: ReadonlyMap<string, string>): Promise<number> {
  let wrong = 0;
  for (const [at, answer] of right) if ((await answerOf(port, headers, at)) !== answer) wrong += 1;
  return wrong;
}

async function hotCalls(server: TestServer): Promise<number> {
  const [row] = await server.query(HOT_CALLS, [], { database: String(catalogueAddress(server).database) });
  return Number(row?.["calls"] ?? 0);
}
