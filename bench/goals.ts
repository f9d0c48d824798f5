/**
 * What was promised, and whether a run keeps it. Pure.
 *
 * Nouns: a *goal* is a figure with a limit; a *verdict* says what was measured and whether it is within.
 */
import { percentile, ratiosByRound } from "./statistics.ts";

/** A full backup takes at most this much of pgBackRest's time (zst level 3, 2 processes). */
const WALL_RATIO_MAX = 0.8;
/** It stores at most this much of pgBackRest's bytes. */
const STORED_RATIO_MAX = 1.1;
/** Peak memory of the backup process. */
const PEAK_RSS_BYTES_MAX = 400 * 1024 ** 2;
/** Peak memory with four times the data, against without; a garbage collector is that inexact. */
const GROWTH_RATIO_MAX = 1.1;
/** From the server's flush to our confirmed one, against pg_receivewal --synchronous. */
const FLUSH_LAG_RATIO_MAX = 1.5;

/** A restore until the server accepts connections, against the quickest pgBackRest. */
const RESTORE_RATIO_MAX = 1.1;
/** After 1 % of the products changed, against pgBackRest with bundles and blocks. */
const UPDATED_WALL_RATIO_MAX = 0.5;
const UPDATED_STORED_RATIO_MAX = 0.6;
/** When nothing changed, against reading the same stream and throwing it away. */
const UNCHANGED_WALL_RATIO_MAX = 1.3;
/** And of the bytes of a full one. */
const UNCHANGED_STORED_SHARE_MAX = 0.01;
/** A restore in place after 1 % of the products changed, the start of the server left out. */
const IN_PLACE_MS_MAX = 3000;
/** Latency at p99 of a load at half the rate that the server can bear, during a backup, against without. */
const DURING_RATIO_MAX = 1.5;

/** Guarded loops of pause, repoint and resume: so many at least, and no error in any. */
const REPOINT_LOOPS_MIN = 400;

/** Requests a second of the catalogue's API against FastAPI with asyncpg, by the rows of an answer. */
const THROUGHPUT_RATIOS_MIN: Readonly<Record<number, number>> = { 10: 2, 100: 2.5 };
/** A search among a million offers, at 50 a second. */
const SEARCH_P99_MS_MAX = 100;
/** Of queries with one letter wrong. */
const RECALL_MIN = 0.9;
/** Of clients' reads, after redis was lost and came back empty. */
const REDIS_HIT_RATE_MIN = 0.8;
const REDIS_BACK_MS_MAX = 60_000;
/** Three instances, each of which asks once when its copy, fresh for 24 to 30 s, ends: two or three times in half a minute. */
const HOT_SECONDS = 30;
const HOT_STATEMENTS_MAX = 9;

/** What became of a goal. */
export type Verdict = {
  readonly goal: string;
  /** What was measured, with its unit. */
  readonly measured: string;
  readonly kept: boolean;
};

/** Verdicts on a backup against pgBackRest, from the ratios of each round. */
export function backupVerdicts(ratios: {
  readonly wall: readonly number[];
  readonly stored: readonly number[];
}): readonly Verdict[] {
  return [
    ratioVerdict(`wall time at most ${WALL_RATIO_MAX} of pgBackRest's`, ratios.wall, WALL_RATIO_MAX),
    ratioVerdict(`stored bytes at most ${STORED_RATIO_MAX} of pgBackRest's`, ratios.stored, STORED_RATIO_MAX),
  ];
}

/** The verdict on the highest peak of all runs, in bytes. */
export function memoryVerdict(peakBytes: readonly number[]): Verdict {
  const peak = Math.max(...peakBytes);
  return {
    goal: `peak memory below ${mib(PEAK_RSS_BYTES_MAX)}`,
    measured: `${mib(peak)} at most`,
    kept: peak < PEAK_RSS_BYTES_MAX,
  };
}

/** The verdict on the growth of the median peak, in bytes, from a base to one four times as large. */
export function growthVerdict(peakBytes: {
  readonly small: readonly number[];
  readonly large: readonly number[];
}): Verdict {
  const [small, large] = [percentile(peakBytes.small, 0.5), percentile(peakBytes.large, 0.5)];
  return {
    goal: `no more memory for four times the data (${GROWTH_RATIO_MAX} x at most)`,
    measured: `${mib(small)} to ${mib(large)}, ${(large / small).toFixed(2)} x`,
    kept: large / small <= GROWTH_RATIO_MAX,
  };
}

/** Verdicts on the time from the server's flush to our confirmed flush, from the ratios of each round. */
export function receiveVerdicts(ratios: {
  readonly median: readonly number[];
  readonly p99: readonly number[];
}): readonly Verdict[] {
  const goal = `at most ${FLUSH_LAG_RATIO_MAX} of pg_receivewal --synchronous's`;
  return [
    ratioVerdict(`flush lag by the median ${goal}`, ratios.median, FLUSH_LAG_RATIO_MAX),
    ratioVerdict(`flush lag at p99 ${goal}`, ratios.p99, FLUSH_LAG_RATIO_MAX),
  ];
}

/** The verdict on a restore, from its ratios to the quickest pgBackRest of each round. */
export function restoreVerdict(what: string, ratios: readonly number[]): Verdict {
  const goal = `${what} until connections are accepted at most ${RESTORE_RATIO_MAX} of pgBackRest's quickest`;
  return ratioVerdict(goal, ratios, RESTORE_RATIO_MAX);
}

/** Verdicts on backups after an update of 1 %, from their ratios to pgBackRest's block incremental ones. */
export function updatedVerdicts(ratios: {
  readonly wall: readonly number[];
  readonly stored: readonly number[];
}): readonly Verdict[] {
  const peer = "of pgBackRest's block incremental";
  const goal = (what: string, max: number) => `after 1 % changed, ${what} at most ${max} ${peer}`;
  return [
    ratioVerdict(goal("wall time", UPDATED_WALL_RATIO_MAX), ratios.wall, UPDATED_WALL_RATIO_MAX),
    ratioVerdict(goal("stored bytes", UPDATED_STORED_RATIO_MAX), ratios.stored, UPDATED_STORED_RATIO_MAX),
  ];
}

/** Verdicts on backups when nothing changed: the worst of what they stored is judged. */
export function unchangedVerdicts(measured: {
  /** Wall time against reading the stream. */
  readonly ratios: readonly number[];
  /** Of the bytes of the full backup. */
  readonly storedShares: readonly number[];
}): readonly Verdict[] {
  const share = Math.max(...measured.storedShares);
  return [
    ratioVerdict(
      `nothing changed, wall time at most ${UNCHANGED_WALL_RATIO_MAX} of the stream thrown away`,
      measured.ratios,
      UNCHANGED_WALL_RATIO_MAX,
    ),
    {
      goal: `nothing changed, stored bytes below ${percent(UNCHANGED_STORED_SHARE_MAX)} of a full one`,
      measured: `${percent(share)} at most`,
      kept: share < UNCHANGED_STORED_SHARE_MAX,
    },
  ];
}

/** The verdict on restores in place, from the time each took beyond starting the server. */
export function inPlaceVerdict(beyondStartMs: readonly number[]): Verdict {
  const median = percentile(beyondStartMs, 0.5);
  return {
    goal: `restore in place after 1 % changed at most ${IN_PLACE_MS_MAX / 1000} s beyond starting`,
    measured: `${(median / 1000).toFixed(1)} s`,
    kept: median <= IN_PLACE_MS_MAX,
  };
}

/** The verdict on a load's p99 during a backup; `peer` are the ratios to the same during pgBackRest's. */
export function duringVerdict(ratios: {
  readonly alone: readonly number[];
  readonly peer: readonly number[];
}): Verdict {
  const alone = percentile(ratios.alone, 0.5);
  const peer = ratios.peer.length === 0 ? undefined : percentile(ratios.peer, 0.5);
  return {
    goal: `p99 during a backup at most ${DURING_RATIO_MAX} of alone, or no worse than during pgBackRest's`,
    measured: `${alone.toFixed(2)} x alone${peer === undefined ? "" : `, ${peer.toFixed(2)} x pgBackRest's`}`,
    kept: alone <= DURING_RATIO_MAX || (peer !== undefined && peer <= 1),
  };
}

/** The verdict on a value against the most that it may be. */
export function within(goal: string, value: number, max: number, unit: string): Verdict {
  return { goal, measured: `${Number(value.toFixed(2))} ${unit}`, kept: value <= max };
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}

function ratioVerdict(goal: string, ratios: readonly number[], max: number): Verdict {
  const median = percentile(ratios, 0.5);
  return { goal, measured: `${median.toFixed(2)} x`, kept: median <= max };
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}

/** The verdict on leading a pooler to another server and back. */
export function repointVerdicts(
  runs: readonly {
    readonly title: string;
    readonly loops: number;
    readonly givenUp: number;
    readonly errors: number;
  }[],
): readonly Verdict[] {
  const guarded = runs.find(({ title }) => title === "guarded");
  if (guarded === undefined) return [];
  const { errors } = guarded;
  // Where the guard gave up nothing was done that could have failed.
  const loops = guarded.loops - guarded.givenUp;
  return [
    {
      goal: `no error in ${REPOINT_LOOPS_MIN} guarded loops`,
      measured: `${errors} in ${loops}`,
      kept: errors === 0 && loops >= REPOINT_LOOPS_MIN,
    },
  ];
}

type PerSecond = { readonly perSecond: number };

/** Verdicts on the catalogue's API, against FastAPI as its users write it; on what was measured. */
export function serviceVerdicts(measured: {
  readonly throughput:
    | readonly {
        readonly rows: number;
        readonly ours: readonly PerSecond[];
        readonly peer: readonly PerSecond[];
      }[]
    | undefined;
  readonly search: { readonly p99Ms: number; readonly bad: number } | undefined;
  readonly recall: { readonly found: number; readonly asked: number } | undefined;
  readonly redis:
    | {
        readonly backInMs: number | undefined;
        readonly failed: number;
        readonly wrong: number;
        readonly hot: { readonly statements: number };
      }
    | undefined;
}): readonly Verdict[] {
  const { throughput = [], search, recall, redis } = measured;
  return [
    ...throughput.flatMap(throughputVerdict),
    ...(search === undefined ? [] : searchVerdicts(search)),
    ...(recall === undefined ? [] : [recallVerdict(recall)]),
    ...(redis === undefined ? [] : redisVerdicts(redis)),
  ];
}

function throughputVerdict({
  rows,
  ours,
  peer,
}: {
  readonly rows: number;
  readonly ours: readonly PerSecond[];
  readonly peer: readonly PerSecond[];
}): readonly Verdict[] {
  const least = THROUGHPUT_RATIOS_MIN[rows];
  const ratios = ratiosByRound(
    ours.map(({ perSecond }) => perSecond),
    peer.map(({ perSecond }) => perSecond),
  );
  if (least === undefined || ratios.length === 0) return [];
  const ratio = percentile(ratios, 0.5);
  const goal = `at least ${least.toFixed(1)} times FastAPI's requests/s with ${rows} rows`;
  return [{ goal, measured: ratio.toFixed(2), kept: ratio >= least }];
}

function searchVerdicts({ p99Ms, bad }: { readonly p99Ms: number; readonly bad: number }): readonly Verdict[] {
  const goal = `p99 of a search below ${SEARCH_P99_MS_MAX} ms, and none fails`;
  const measured = `${p99Ms.toFixed(1)} ms${bad === 0 ? "" : `, ${bad} failed`}`;
  return [{ goal, measured, kept: p99Ms < SEARCH_P99_MS_MAX && bad === 0 }];
}

function recallVerdict({ found, asked }: { readonly found: number; readonly asked: number }): Verdict {
  const recall = asked === 0 ? 0 : found / asked;
  return {
    goal: `${RECALL_MIN} of mistyped queries find what was meant`,
    measured: recall.toFixed(3),
    kept: recall >= RECALL_MIN,
  };
}

function redisVerdicts({
  backInMs,
  failed,
  wrong,
  hot,
}: {
  readonly backInMs: number | undefined;
  readonly failed: number;
  readonly wrong: number;
  readonly hot: { readonly statements: number };
}): readonly Verdict[] {
  return [
    {
      goal: `above ${REDIS_HIT_RATE_MIN * 100} % hits within ${REDIS_BACK_MS_MAX / 1_000} s of redis' return`,
      measured: backInMs === undefined ? "never" : `after ${(backInMs / 1_000).toFixed(0)} s`,
      kept: backInMs !== undefined && backInMs <= REDIS_BACK_MS_MAX,
    },
    {
      goal: "no read fails and no answer is wrong without redis",
      measured: `${failed} failed, ${wrong} wrong`,
      kept: failed === 0 && wrong === 0,
    },
    {
      goal: `one path takes at most ${HOT_STATEMENTS_MAX} statements in ${HOT_SECONDS} s without redis`,
      measured: String(hot.statements),
      kept: hot.statements <= HOT_STATEMENTS_MAX,
    },
  ];
}
