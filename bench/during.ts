/**
 * `bench during`: what clients of a server wait for while it is backed up.
 *
 * Nouns: the *load* is pgbench's TPC-B-like transaction at half the rate that the server bears; a transaction's *latency*
 * counts from when it was meant to begin, so that one that had to wait for its turn is not counted as quick.
 * Invariants: a latency counts as one during a backup when the transaction was meant to begin between the start and the end
 * of the backup's command; what a tool needs besides (a receiver, an archive_command) runs for the whole load, and only then.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChainTool, MakeChainTool } from "./backup-tools/backup-tool.ts";
import { lifeboatChainTool } from "./backup-tools/lifeboat-chain.ts";
import { newerPgBackRestTool } from "./backup-tools/newer-pgbackrest.ts";
import { pgBackRestTool } from "./backup-tools/pgbackrest.ts";
import type { ChainPeer } from "./delta-plan.ts";
import { type DuringRequest, planDuring } from "./during-plan.ts";
import { type DuringRun, duringReport } from "./during-report.ts";
import { must, Stop, settle } from "./machine.ts";
import { type Measured, measure } from "./measure.ts";
import { observe, readyLifeboat, readyPeers } from "./peers.ts";
import { pgbench, type Transaction } from "./pgbench.ts";
import type { BenchPlan } from "./plan.ts";
import type { Report, Runs } from "./report.ts";
import { percentile } from "./statistics.ts";
import { type Base, BIN_FOLDER, clientArguments, type Place, query, takePlace, withBaseCopy } from "./workload.ts";

const MAKE_PEER: Readonly<Record<ChainPeer, MakeChainTool>> = {
  pgbackrest: pgBackRestTool,
  "pgbackrest-block": newerPgBackRestTool,
};

const DATABASE = "load";
const CLIENTS = ["-c", "8", "-j", "2"];
/** A scale has 100,000 accounts, 15 MiB: of 2048 MiB comes scale 20. */
const MIB_PER_SCALE = 100;
/** Finding the maximum: long enough for a mean, and a fast checkpoint's pages are written. */
const MAXIMUM_SECONDS_MAX = 10;
/** Connections are warm, plans are cached. */
const WARM_UP_MS = 1000;
const INIT_TIMEOUT_MS = 300_000;

type Call = { readonly signal: AbortSignal };
type Subject = { readonly tool: ChainTool | undefined; readonly title: string; readonly runs: DuringRun[] };
type At = { readonly place: Place; readonly base: Base; readonly seconds: number; readonly rate: number };

/** Looks at what is there and plans. */
export async function planDuringFor(request: DuringRequest, cacheFolder: string): Promise<BenchPlan> {
  return planDuring(request, await observe(cacheFolder, [request.mib]));
}

/** Carries the plan out. */
export async function benchDuring(request: DuringRequest, cacheFolder: string, call: Call): Promise<Report> {
  const place = await takePlace(cacheFolder, call);
  try {
    const peers = await readyPeers(request.peers, cacheFolder, call);
    const versions = await readyLifeboat(peers, place, call);
    return await withBaseCopy(place, request.mib, call, async (base) => {
      const maximum = await findMaximum({ place, base, request }, call);
      const rate = Math.max(1, Math.round(maximum / 2));
      console.log(`the server bears ${Math.round(maximum)} transactions a second; the load is ${rate}`);
      const at = { place, base, seconds: request.seconds, rate };
      const subjects = await rounds(at, { ...request, peers }, call);
      return duringReport(subjects, { base: base.name, request, maximum, rate, versions });
    });
  } finally {
    await rm(place.runFolder, { recursive: true, force: true });
    place.lock.release();
  }
}

/** Makes the tables of the load and returns how many transactions a second the server bears with nothing beside it. */
async function findMaximum(
  at: { readonly place: Place; readonly base: Base; readonly request: DuringRequest },
  call: Call,
): Promise<number> {
  const { place, base, request } = at;
  await query(base.server, `CREATE DATABASE ${DATABASE}`, call);
  const scale = Math.max(1, Math.round(request.mib / MIB_PER_SCALE));
  const args = [...clientArguments(base.server), "-i", "-q", "-s", String(scale), DATABASE];
  await must({ command: path.join(BIN_FOLDER, "pgbench"), args, timeoutMs: INIT_TIMEOUT_MS }, call);
  const seconds = Math.min(request.seconds, MAXIMUM_SECONDS_MAX);
  const folder = path.join(place.runFolder, "pgbench");
  const transactions = await pgbench(base, { folder, seconds, database: DATABASE, args: CLIENTS }, call);
  return transactions.length / seconds;
}

async function rounds(at: At, request: DuringRequest, call: Call): Promise<readonly Runs<DuringRun>[]> {
  const makers = [lifeboatChainTool, ...request.peers.map((peer) => MAKE_PEER[peer])];
  const tools = makers.map((make) => make(at.place, at.base));
  const subjects: readonly Subject[] = [
    { tool: undefined, title: "alone", runs: [] },
    ...tools.map((tool) => ({ tool, title: tool.title, runs: [] })),
  ];
  try {
    for (let round = 1; round <= request.runs; round += 1) {
      for (const subject of subjects) {
        process.stdout.write(`round ${round} of ${request.runs}: ${subject.title} … `);
        const logFile = path.join(at.place.runFolder, `${subject.title.replaceAll(/\W+/g, "-")}-${round}.log`);
        const run = await measureOne(at, { tool: subject.tool, logFile }, call);
        subject.runs.push(run);
        console.log(`p99 ${run.p99Ms.toFixed(2)} ms`);
      }
    }
    return subjects.map(({ title, runs }) => ({ title, runs }));
  } finally {
    for (const tool of tools) await tool.close();
  }
}

async function measureOne(
  at: At,
  of: { readonly tool: ChainTool | undefined; readonly logFile: string },
  call: Call,
): Promise<DuringRun> {
  const { base } = at;
  const { tool, logFile } = of;
  await tool?.prepare(call);
  await query(base.server, "CHECKPOINT", call);
  await settle(base.server.setup.dataFolder, call);
  const { transactions, window, backup } = await loadWith(
    at,
    async (signal) =>
      tool &&
      measure(tool.backup, {
        logFile,
        postmasterPid: base.postmasterPid,
        companionPid: tool.companionPid(),
        signal,
      }),
    call,
  );
  await tool?.clear(call);
  const latenciesMs = transactions
    .filter(({ beganAtMs }) => beganAtMs >= window.fromMs && beganAtMs < window.untilMs)
    .map(({ latencyMs }) => latencyMs);
  if (latenciesMs.length === 0) throw new Stop("no transaction was meant to begin during the backup: raise --seconds");
  return {
    transactionCount: latenciesMs.length,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    maxMs: Math.max(...latenciesMs),
    ...(backup === undefined ? {} : { backup }),
  };
}

/** Loads the server, and when the load is warm does `body` beside it. What fails first ends the other. */
async function loadWith(
  { place, base, seconds, rate }: At,
  body: (signal: AbortSignal) => Promise<Measured | undefined>,
  call: Call,
): Promise<{
  readonly transactions: readonly Transaction[];
  readonly window: { readonly fromMs: number; readonly untilMs: number };
  readonly backup: Measured | undefined;
}> {
  const failed = new AbortController();
  const signal = AbortSignal.any([call.signal, failed.signal]);
  const folder = path.join(place.runFolder, "pgbench");
  const args = [...CLIENTS, "-R", String(rate)];
  const load = pgbench(base, { folder, seconds, database: DATABASE, args }, { signal });
  const beside = (async () => {
    await sleep(WARM_UP_MS, undefined, { signal });
    const fromMs = Date.now();
    const backup = await body(signal);
    return { backup, window: { fromMs, untilMs: backup === undefined ? Number.POSITIVE_INFINITY : Date.now() } };
  })();
  try {
    const [transactions, done] = await Promise.all([load, beside]);
    return { transactions, ...done };
  } finally {
    failed.abort();
    await Promise.allSettled([load, beside]);
  }
}
