/**
 * `bench repoint`: what clients notice when a pooler is led to another server.
 *
 * Nouns: a *loop* is pause, hold, repoint, resume; its *stall* is the longest that a client waited which came in its time;
 * *guarded* is Lifeboat's pause; *looked* looks until no login is in flight and sends PAUSE; *bare* is PAUSE and nothing else.
 */
import { startPooler, type TestPoolerOptions } from "../test/support/poolers.ts";
import { addressOf, prepareRepoint, type RepointRun, runRepointLoops } from "../test/support/repoint-loops.ts";
import { startServer } from "../test/support/servers.ts";
import { type Debian13Program, debian13File, fetchDebian13 } from "./debian-13.ts";
import { Stop } from "./machine.ts";
import { type RepointFigures, repointReport } from "./repoint-report.ts";
import type { Report } from "./report.ts";
import { percentile } from "./statistics.ts";

/** As the peers were measured: research on PAUSE under load, 2026-11-22. */
const LOAD = { sessions: 20, perSecond: 200, holdMs: 50, gapMs: 300 } as const;
const MAJOR = 16;

/** Whose PgBouncer is led: the one that this machine has, or Debian 13's. */
export const POOLERS = ["installed", "debian-13"] as const;

const NEWER_PGBOUNCER: Debian13Program = {
  title: "PgBouncer",
  packageName: "pgbouncer",
  program: "usr/sbin/pgbouncer",
  versionArgument: "--version",
};

/** What is measured. */
export type RepointBenchRequest = {
  readonly loops: number;
  readonly others: number;
  readonly pooler: (typeof POOLERS)[number];
  /** Where what is fetched is kept. */
  readonly cacheFolder: string;
};

/** Measures each kind of pause, one after the other, each with a pooler of its own before the same two servers. */
export async function benchRepoint(
  request: RepointBenchRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<Report> {
  const program = await programOf(request, { signal });
  const settings = { shared_buffers: "128MB", max_connections: 200 };
  await using first = await startServer({ major: MAJOR, fsync: true, settings, name: "first" });
  await using second = await startServer({ major: MAJOR, fsync: true, settings, name: "second" });
  await Promise.all([prepareRepoint(first), prepareRepoint(second)]);
  const servers = [addressOf(first), addressOf(second)] as const;
  const options: TestPoolerOptions = { server: servers[0], program };
  const figures: RepointFigures[] = [];
  let version = "";
  for (const pause of ["guarded", "looked", "bare"] as const) {
    const loops = pause === "guarded" ? request.loops : request.others;
    if (loops === 0) continue;
    process.stdout.write(`${pause}, ${loops} loops … `);
    await using pooler = await startPooler(options);
    const state = await (await pooler.driver()).state({ signal });
    version = `${state.version.major}.${state.version.minor}.${state.version.patch}`;
    const run = await runRepointLoops({ pooler, servers, loops, pause, ...LOAD }, { signal });
    console.log(`${run.failed.length} errors`);
    figures.push(figuresOf(pause, run));
  }
  const versions = { PgBouncer: version, PostgreSQL: first.installation.version };
  return repointReport(figures, { ...LOAD, versions });
}

/** Undefined: the installed one. Throws `Stop` when it cannot be fetched. */
async function programOf(
  { pooler, cacheFolder }: RepointBenchRequest,
  call: { readonly signal: AbortSignal },
): Promise<string | undefined> {
  if (pooler === "installed") return undefined;
  const why = await fetchDebian13(cacheFolder, NEWER_PGBOUNCER, call);
  if (why !== undefined) throw new Stop(`PgBouncer of Debian 13 cannot be fetched: ${why}`);
  return debian13File(cacheFolder, NEWER_PGBOUNCER);
}

function figuresOf(title: string, run: RepointRun): RepointFigures {
  const done = run.loops.filter((loop) => loop.done);
  const spread = (of: (loop: (typeof done)[number]) => number) => {
    const values = done.map(of);
    return { p50: percentile(values, 0.5), max: percentile(values, 1) };
  };
  const classes = new Map<string, number>();
  for (const { error = "" } of run.failed) classes.set(error, (classes.get(error) ?? 0) + 1);
  return {
    title,
    loops: run.loops.length,
    givenUp: run.loops.length - done.length,
    statements: run.statements.length,
    errors: run.failed.length,
    episodes: run.loops.filter(({ at }, index) => failedBetween(run, at, run.loops[index + 1]?.at)).length,
    classes: Object.fromEntries(classes),
    pauseMs: spread((loop) => loop.pauseMs),
    repointMs: spread((loop) => loop.repointMs),
    resumeMs: spread((loop) => loop.resumeMs),
    stallMs: spread((loop) => loop.stallMs),
  };
}

function failedBetween(run: RepointRun, from: number, to: number = Number.POSITIVE_INFINITY): boolean {
  return run.failed.some(({ at, tookMs }) => at + tookMs >= from && at + tookMs < to);
}
