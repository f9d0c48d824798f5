/**
 * What is observed of one stream of operations since a mark: when it failed, for how long nothing went through, and when it
 * was well again.
 */
import type { Monotonic } from "../platform/clock.ts";
import { Histogram, type LatencyReport } from "./histogram.ts";
import { ReasonCounts } from "./reason-counts.ts";

/** The longest time without an operation that ended well. */
export type GapReport = { readonly fromMs: number; readonly toMs: number; readonly durationMs: number };

/** A window of observation; `mark` begins a new one. Times are milliseconds since 1970. */
export type WindowReport = {
  readonly beganMs: number;
  readonly okCount: number;
  readonly failedCount: number;
  readonly unknownCount: number;
  readonly failedReasons: Readonly<Record<string, number>>;
  readonly unknownReasons: Readonly<Record<string, number>>;
  readonly latency: LatencyReport;
  /** Intended arrival of the first operation that did not succeed: where the clock of an outage starts. */
  readonly firstFailedMs: number | undefined;
  readonly firstFailedReason: string | undefined;
  /** When the last operation that did not succeed was given up. */
  readonly lastFailedMs: number | undefined;
  readonly lastAcknowledgedMs: number | undefined;
  /** First answer after the last failure: clients are healthy again since then. */
  readonly healthySinceMs: number | undefined;
  /** Counts the time still running since the last answer. */
  readonly longestGap: GapReport;
};

/** How an operation ended, as far as a window goes. */
export type WindowEnd = {
  readonly kind: "ok" | "failed" | "unknown";
  readonly reason: string;
  readonly dueAt: Monotonic;
  readonly endedAt: Monotonic;
};

/** Gathers what happens since a moment. */
export class Window {
  readonly #beganAt: Monotonic;
  readonly #latencies = new Histogram();
  readonly #failed = new ReasonCounts();
  readonly #unknown = new ReasonCounts();
  #okCount = 0;
  #firstFailed: WindowEnd | undefined;
  #lastFailedAt: Monotonic | undefined;
  #lastAcknowledgedAt: Monotonic | undefined;
  #healthySince: Monotonic | undefined;
  #gapFrom: Monotonic;
  #gapTo: Monotonic;

  constructor(beganAt: Monotonic) {
    this.#beganAt = beganAt;
    this.#gapFrom = beganAt;
    this.#gapTo = beganAt;
  }

  /** An operation has ended. */
  ended(end: WindowEnd): void {
    if (end.kind === "ok") {
      this.#okCount += 1;
      this.#latencies.add(end.endedAt - end.dueAt);
      this.#acknowledged(end.endedAt);
      return;
    }
    (end.kind === "failed" ? this.#failed : this.#unknown).add(end.reason);
    if (this.#firstFailed === undefined || end.dueAt < this.#firstFailed.dueAt) this.#firstFailed = end;
    this.#lastFailedAt = end.endedAt;
    this.#healthySince = undefined;
  }

  /** The report as of `now`; `wall` turns a moment of this run into wall-clock time. */
  report(now: Monotonic, wall: (at: Monotonic) => number): WindowReport {
    const since = this.#lastAcknowledgedAt ?? this.#beganAt;
    const running = now - since > this.#gapTo - this.#gapFrom;
    const [from, to] = running ? [since, now] : [this.#gapFrom, this.#gapTo];
    const maybe = (at: Monotonic | undefined) => (at === undefined ? undefined : wall(at));
    return {
      beganMs: wall(this.#beganAt),
      okCount: this.#okCount,
      failedCount: this.#failed.total,
      unknownCount: this.#unknown.total,
      failedReasons: this.#failed.report(),
      unknownReasons: this.#unknown.report(),
      latency: this.#latencies.report(),
      firstFailedMs: maybe(this.#firstFailed?.dueAt),
      firstFailedReason: this.#firstFailed?.reason,
      lastFailedMs: maybe(this.#lastFailedAt),
      lastAcknowledgedMs: maybe(this.#lastAcknowledgedAt),
      healthySinceMs: maybe(this.#healthySince),
      longestGap: { fromMs: wall(from), toMs: wall(to), durationMs: to - from },
    };
  }

  #acknowledged(at: Monotonic): void {
    const since = this.#lastAcknowledgedAt ?? this.#beganAt;
    if (at - since > this.#gapTo - this.#gapFrom) {
      this.#gapFrom = since;
      this.#gapTo = at;
    }
    if (at > since) this.#lastAcknowledgedAt = at;
    if (this.#lastFailedAt !== undefined) this.#healthySince ??= at;
  }
}
