/**
 * What the probe saw: counts, latencies, gaps. All moments are wall-clock times that advance with the monotonic clock of
 * this run, so that a jump of the wall clock cannot stretch or shrink an outage.
 */
import type { Clock, Instant, Monotonic } from "../platform/clock.ts";
import type { OperationKind } from "./arrivals.ts";
import { Histogram, type LatencyReport } from "./histogram.ts";
import type { Outcome } from "./outcome.ts";
import { ReasonCounts } from "./reason-counts.ts";
import { RecentEnds } from "./recent-ends.ts";
import { type SequenceRange, Sequences } from "./sequences.ts";
import { Window, type WindowReport } from "./window.ts";

/** What was seen of the writes, or of the reads. */
export type StreamReport = {
  /** Operations whose time has come. */
  readonly arrivedCount: number;
  readonly okCount: number;
  readonly failedCount: number;
  readonly unknownCount: number;
  /** Waiting or sent, without an outcome yet. */
  readonly outstandingCount: number;
  readonly failedReasons: Readonly<Record<string, number>>;
  readonly unknownReasons: Readonly<Record<string, number>>;
  readonly latency: LatencyReport;
  /** Since the last mark, or since the start. */
  readonly window: WindowReport;
};

/** A window that a mark has closed. */
export type ClosedWindow = {
  /** Of the mark that began it; `start` for the first. */
  readonly label: string;
  readonly writes: WindowReport;
  readonly reads: WindowReport;
};

/** Everything the probe can say at one moment. */
export type ProbeReport = {
  readonly clientId: string;
  readonly atMs: number;
  readonly startedMs: number;
  readonly writes: StreamReport;
  readonly reads: StreamReport;
  /** Reads that were answered, and lacked the acknowledged row they asked for. */
  readonly rowMissingCount: number;
  /** Why connections could not be opened. */
  readonly connectReasons: Readonly<Record<string, number>>;
  /** Of the mark that began the window under way. */
  readonly label: string;
  /** The first WINDOWS_MAX windows that marks have closed. */
  readonly closed: readonly ClosedWindow[];
  /** Sent writes of unknown outcome: after a recovery they may be there or not. */
  readonly unknownRanges: readonly SequenceRange[];
  /** How many more of them there are than the ranges hold: of a row that is no other's it cannot be told whether it failed. */
  readonly unknownLeftOutCount: number;
  /** Sent writes that the server refused, as far as ranges hold them: they must never be there. */
  readonly refusedRanges: readonly SequenceRange[];
};

/** A report is one line of JSON, asked for many times a second. */
const WINDOWS_MAX = 200;

/** An operation that has ended. */
export type Ended = {
  readonly kind: OperationKind;
  readonly sequence: number;
  readonly dueAt: Monotonic;
  readonly endedAt: Monotonic;
  readonly outcome: Outcome;
};

/** Gathers what happens to operations. */
export class Measurements {
  readonly #clientId: string;
  readonly #startedAt: Monotonic;
  readonly #startedMs: Instant;
  readonly #writes: Stream;
  readonly #reads: Stream;
  readonly #connectReasons = new ReasonCounts();
  readonly #unknown = new Sequences();
  readonly #refused = new Sequences();
  readonly #closed: ClosedWindow[] = [];
  #label = "start";
  #rowMissingCount = 0;

  constructor(clock: Clock, clientId: string) {
    this.#clientId = clientId;
    this.#startedAt = clock.monotonic();
    this.#startedMs = clock.now();
    this.#writes = new Stream(this.#startedAt);
    this.#reads = new Stream(this.#startedAt);
  }

  /** An operation's time has come. */
  arrived(kind: OperationKind): void {
    this.#stream(kind).arrivedCount += 1;
  }

  /** A connection could not be opened. */
  connectFailed(reason: string): void {
    this.#connectReasons.add(reason);
  }

  /** A read was answered without the acknowledged row that it asked for. */
  rowMissing(): void {
    this.#rowMissingCount += 1;
  }

  /** An operation has ended. */
  ended(end: Ended): void {
    this.#stream(end.kind).ended(end);
    const { outcome, sequence } = end;
    if (end.kind === "read") return;
    if (outcome.kind === "failed" && outcome.sent) this.#refused.add(sequence);
    if (outcome.kind === "unknown") this.#unknown.add(sequence);
  }

  /**
   * Begins a new window of observation, now or at a moment that has just passed, at most a minute ago. What ended since then is
   * of the new window, and of the one that closes too.
   */
  mark(now: Monotonic, begins: { readonly label: string; readonly at?: Monotonic | undefined }): void {
    const wall = (at: Monotonic) => this.wallTime(at);
    if (this.#closed.length < WINDOWS_MAX) {
      const [writes, reads] = [this.#writes, this.#reads].map(({ window }) => window.report(now, wall));
      if (writes !== undefined && reads !== undefined) this.#closed.push({ label: this.#label, writes, reads });
    }
    this.#label = begins.label;
    const completeSince = Math.max(this.#writes.completeSince, this.#reads.completeSince);
    const at = Math.min(now, Math.max(completeSince, begins.at ?? now)) as Monotonic;
    for (const stream of [this.#writes, this.#reads]) stream.beginWindow(at);
  }

  /** A moment of this run as wall-clock time. */
  wallTime(at: Monotonic): Instant {
    return (this.#startedMs + Math.round(at - this.#startedAt)) as Instant;
  }

  /** A wall-clock time as a moment of this run. */
  monotonicTime(at: number): Monotonic {
    return (this.#startedAt + (at - this.#startedMs)) as Monotonic;
  }

  /** Operations without an outcome yet. */
  get outstandingCount(): number {
    return this.#writes.outstandingCount + this.#reads.outstandingCount;
  }

  /** The report as of `now`. */
  report(now: Monotonic): ProbeReport {
    const wall = (at: Monotonic) => this.wallTime(at);
    return {
      clientId: this.#clientId,
      atMs: this.wallTime(now),
      startedMs: this.#startedMs,
      writes: this.#writes.report(now, wall),
      reads: this.#reads.report(now, wall),
      rowMissingCount: this.#rowMissingCount,
      connectReasons: this.#connectReasons.report(),
      label: this.#label,
      closed: [...this.#closed],
      unknownRanges: this.#unknown.report(),
      unknownLeftOutCount: this.#unknown.leftOutCount,
      refusedRanges: this.#refused.report(),
    };
  }

  #stream(kind: OperationKind): Stream {
    return kind === "write" ? this.#writes : this.#reads;
  }
}

class Stream {
  arrivedCount = 0;
  #window: Window;
  readonly #recent: RecentEnds;
  readonly #latencies = new Histogram();
  readonly #failed = new ReasonCounts();
  readonly #unknown = new ReasonCounts();
  #okCount = 0;

  constructor(beganAt: Monotonic) {
    this.#window = new Window(beganAt);
    this.#recent = new RecentEnds(beganAt);
  }

  get window(): Window {
    return this.#window;
  }

  /** Windows can begin at this moment or later. */
  get completeSince(): Monotonic {
    return this.#recent.completeSince;
  }

  beginWindow(at: Monotonic): void {
    this.#window = new Window(at);
    for (const end of this.#recent.since(at)) this.#window.ended(end);
  }

  get outstandingCount(): number {
    return this.arrivedCount - this.#okCount - this.#failed.total - this.#unknown.total;
  }

  ended({ dueAt, endedAt, outcome }: Ended): void {
    if (outcome.kind === "ok") {
      this.#okCount += 1;
      this.#latencies.add(endedAt - dueAt);
    } else {
      (outcome.kind === "failed" ? this.#failed : this.#unknown).add(outcome.reason);
    }
    const reason = outcome.kind === "ok" ? "" : outcome.reason;
    const end = { kind: outcome.kind, reason, dueAt, endedAt };
    this.#window.ended(end);
    this.#recent.add(end);
  }

  report(now: Monotonic, wall: (at: Monotonic) => number): StreamReport {
    return {
      arrivedCount: this.arrivedCount,
      okCount: this.#okCount,
      failedCount: this.#failed.total,
      unknownCount: this.#unknown.total,
      outstandingCount: this.outstandingCount,
      failedReasons: this.#failed.report(),
      unknownReasons: this.#unknown.report(),
      latency: this.#latencies.report(),
      window: this.#window.report(now, wall),
    };
  }
}
