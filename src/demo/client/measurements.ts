/**
 * What the client saw: counts, latencies, gaps. All moments are wall-clock times that advance with the monotonic clock of
 * this run, so that a jump of the wall clock cannot stretch or shrink an outage.
 */
import type { Clock, Instant, Monotonic } from "../../platform/clock.ts";
import type { Outcome } from "./outcome.ts";

/** Latencies of acknowledged writes, from the scheduled arrival to the server's answer, in milliseconds. */
export type LatencyReport = {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
};

/** The longest time without an acknowledged write. */
export type GapReport = { readonly fromMs: number; readonly toMs: number; readonly durationMs: number };

/** A window of observation; `mark` begins a new one. Times are milliseconds since 1970. */
export type WindowReport = {
  readonly beganMs: number;
  /** Scheduled arrival of the first request that did not succeed: where the clock of an outage starts. */
  readonly firstFailedMs: number | undefined;
  readonly firstFailedReason: string | undefined;
  /** When the last request that did not succeed was given up. */
  readonly lastFailedMs: number | undefined;
  readonly lastAcknowledgedMs: number | undefined;
  /** First acknowledgement after the last failure: clients are healthy again since then. */
  readonly healthySinceMs: number | undefined;
  /** Counts the time still running since the last acknowledged write. */
  readonly longestGap: GapReport;
};

/** Everything the client can say at one moment. */
export type ClientReport = {
  readonly clientId: string;
  readonly atMs: number;
  readonly startedMs: number;
  /** Writes whose time has come. */
  readonly arrivedCount: number;
  readonly okCount: number;
  readonly failedCount: number;
  readonly unknownCount: number;
  /** Waiting or sent, without an outcome yet. */
  readonly outstandingCount: number;
  readonly failedReasons: Readonly<Record<string, number>>;
  readonly unknownReasons: Readonly<Record<string, number>>;
  /** Why connections could not be opened. */
  readonly connectReasons: Readonly<Record<string, number>>;
  readonly latency: LatencyReport;
  readonly window: WindowReport;
  /** Sent writes of unknown outcome, the first SEQUENCES_MAX of them: after a recovery they may be there or not. */
  readonly unknownSequences: readonly number[];
  /** Sent writes that the server refused, the first SEQUENCES_MAX of them: they must never be there. */
  readonly refusedSequences: readonly number[];
};

/** Enough for every write on the wire in some hundred outages, and small enough to print. */
export const SEQUENCES_MAX = 10_000;

/** A write that has ended. */
export type Ended = {
  readonly sequence: number;
  readonly dueAt: Monotonic;
  readonly endedAt: Monotonic;
  readonly outcome: Outcome;
};

/** Gathers what happens to writes. */
export class Measurements {
  readonly #clientId: string;
  readonly #startedAt: Monotonic;
  readonly #startedMs: Instant;
  readonly #latencies = new Histogram();
  readonly #failedReasons = new Map<string, number>();
  readonly #unknownReasons = new Map<string, number>();
  readonly #connectReasons = new Map<string, number>();
  readonly #unknownSequences: number[] = [];
  readonly #refusedSequences: number[] = [];
  #window: Window;
  #arrivedCount = 0;
  #okCount = 0;
  #failedCount = 0;
  #unknownCount = 0;

  constructor(clock: Clock, clientId: string) {
    this.#clientId = clientId;
    this.#startedAt = clock.monotonic();
    this.#startedMs = clock.now();
    this.#window = newWindow(this.#startedAt);
  }

  /** A write's time has come. */
  arrived(): void {
    this.#arrivedCount += 1;
  }

  /** A connection could not be opened. */
  connectFailed(reason: string): void {
    count(this.#connectReasons, reason);
  }

  /** A write has ended. */
  ended({ sequence, dueAt, endedAt, outcome }: Ended): void {
    switch (outcome.kind) {
      case "ok":
        this.#okCount += 1;
        this.#latencies.add(endedAt - dueAt);
        this.#acknowledged(endedAt);
        return;
      case "failed":
        this.#failedCount += 1;
        count(this.#failedReasons, outcome.reason);
        if (outcome.sent) keep(this.#refusedSequences, sequence);
        break;
      case "unknown":
        this.#unknownCount += 1;
        count(this.#unknownReasons, outcome.reason);
        keep(this.#unknownSequences, sequence);
        break;
    }
    const window = this.#window;
    if (window.firstFailedAt === undefined || dueAt < window.firstFailedAt) {
      window.firstFailedAt = dueAt;
      window.firstFailedReason = outcome.reason;
    }
    window.lastFailedAt = endedAt;
    window.healthySince = undefined;
  }

  /** Begins a new window of observation. */
  mark(now: Monotonic): void {
    this.#window = newWindow(now);
  }

  /** A moment of this run as wall-clock time. */
  wallTime(at: Monotonic): Instant {
    return (this.#startedMs + Math.round(at - this.#startedAt)) as Instant;
  }

  /** The report as of `now`. */
  report(now: Monotonic): ClientReport {
    return {
      clientId: this.#clientId,
      atMs: this.wallTime(now),
      startedMs: this.#startedMs,
      arrivedCount: this.#arrivedCount,
      okCount: this.#okCount,
      failedCount: this.#failedCount,
      unknownCount: this.#unknownCount,
      outstandingCount: this.#arrivedCount - this.#okCount - this.#failedCount - this.#unknownCount,
      failedReasons: Object.fromEntries(this.#failedReasons),
      unknownReasons: Object.fromEntries(this.#unknownReasons),
      connectReasons: Object.fromEntries(this.#connectReasons),
      latency: this.#latencies.report(),
      window: this.#windowReport(now),
      unknownSequences: [...this.#unknownSequences],
      refusedSequences: [...this.#refusedSequences],
    };
  }

  #acknowledged(at: Monotonic): void {
    const window = this.#window;
    const since = window.lastAcknowledgedAt ?? window.beganAt;
    if (at - since > window.gapTo - window.gapFrom) {
      window.gapFrom = since;
      window.gapTo = at;
    }
    if (at > since) window.lastAcknowledgedAt = at;
    if (window.lastFailedAt !== undefined) window.healthySince ??= at;
  }

  #windowReport(now: Monotonic): WindowReport {
    const window = this.#window;
    const wall = (at: Monotonic | undefined) => (at === undefined ? undefined : this.wallTime(at));
    const since = window.lastAcknowledgedAt ?? window.beganAt;
    const running = now - since > window.gapTo - window.gapFrom;
    const [from, to] = running ? [since, now] : [window.gapFrom, window.gapTo];
    return {
      beganMs: this.wallTime(window.beganAt),
      firstFailedMs: wall(window.firstFailedAt),
      firstFailedReason: window.firstFailedReason,
      lastFailedMs: wall(window.lastFailedAt),
      lastAcknowledgedMs: wall(window.lastAcknowledgedAt),
      healthySinceMs: wall(window.healthySince),
      longestGap: { fromMs: this.wallTime(from), toMs: this.wallTime(to), durationMs: to - from },
    };
  }
}

type Window = {
  readonly beganAt: Monotonic;
  firstFailedAt: Monotonic | undefined;
  firstFailedReason: string | undefined;
  lastFailedAt: Monotonic | undefined;
  lastAcknowledgedAt: Monotonic | undefined;
  healthySince: Monotonic | undefined;
  gapFrom: Monotonic;
  gapTo: Monotonic;
};

function newWindow(beganAt: Monotonic): Window {
  return {
    beganAt,
    firstFailedAt: undefined,
    firstFailedReason: undefined,
    lastFailedAt: undefined,
    lastAcknowledgedAt: undefined,
    healthySince: undefined,
    gapFrom: beganAt,
    gapTo: beganAt,
  };
}

function count(counts: Map<string, number>, reason: string): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

function keep(sequences: number[], sequence: number): void {
  if (sequences.length < SEQUENCES_MAX) sequences.push(sequence);
}

/** Latencies in buckets that grow by two per cent: a quantile is exact to that, and memory is bounded. */
export class Histogram {
  readonly #buckets = new Uint32Array(BUCKET_COUNT);
  #count = 0;
  #max = 0;

  /** Adds a latency in milliseconds. */
  add(latencyMs: number): void {
    const latency = Math.max(0, latencyMs);
    const bucket = Math.ceil(Math.log(Math.max(latency, LOWEST_MS) / LOWEST_MS) / Math.log(GROWTH));
    const index = Math.min(BUCKET_COUNT - 1, bucket);
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count += 1;
    this.#max = Math.max(this.#max, latency);
  }

  /** The quantiles; all 0 when nothing was added. */
  report(): LatencyReport {
    return {
      count: this.#count,
      p50Ms: this.#quantile(0.5),
      p90Ms: this.#quantile(0.9),
      p99Ms: this.#quantile(0.99),
      maxMs: this.#max,
    };
  }

  #quantile(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (let index = 0; index < BUCKET_COUNT; index++) {
      left -= this.#buckets[index] ?? 0;
      if (left <= 0) return Math.min(this.#max, LOWEST_MS * GROWTH ** index);
    }
    return this.#max;
  }
}

const LOWEST_MS = 0.05;
const GROWTH = 1.02;
/** Reaches past an hour. */
const BUCKET_COUNT = 1_000;
