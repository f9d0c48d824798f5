/**
 * Tells how far long work has come.
 *
 * Nouns: work goes through *phases*; within one, *done* grows towards *total*, both in one unit. The *rate* is that of the
 * last seconds, so that a stall shows.
 * Invariants: on a terminal one line of stderr is redrawn, never wider than the terminal, at most ten times a second;
 * elsewhere a plain line at each change of phase and at most every ten seconds; with `--json` a JSON line at each change
 * of phase and at most every second. `end` leaves the cursor at the start of a clean line, also after an abort.
 */
import type { Clock } from "../platform/clock.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { Sink } from "./output.ts";
import { cut, printable } from "./style.ts";

/** One report. `total` is left out where it is not known. */
export type ProgressUpdate = {
  readonly phase: string;
  readonly done?: number | undefined;
  readonly total?: number | undefined;
  /** What is counted: `bytes`, or the plural of a thing: `segments`. Default `bytes`. */
  readonly unit?: string | undefined;
};

/** Where long work reports to. Cheap enough to be called for every chunk. */
export interface Progress {
  report(update: ProgressUpdate): void;
  /** Says something once, above the progress. */
  note(text: string): void;
  /** Takes the progress off the screen; legal at any time, repeatable; a later report shows it again. */
  end(): void;
}

/** How progress is shown. */
export type ProgressMode = "terminal" | "plain" | "json" | "quiet";

/** Redraws no eye could follow are wasted; ten a second look smooth. */
const TERMINAL_INTERVAL_MS = 100;
/** A log of an hour's work stays readable. */
const PLAIN_INTERVAL_MS = 10_000;
const JSON_INTERVAL_MS = 1_000;

const INTERVAL_MS: Readonly<Record<ProgressMode, number>> = {
  terminal: TERMINAL_INTERVAL_MS,
  plain: PLAIN_INTERVAL_MS,
  json: JSON_INTERVAL_MS,
  quiet: Number.POSITIVE_INFINITY,
};

/** Long enough to smooth bursts, short enough to show a stall. */
const RATE_WINDOW_MS = 10_000;
const RATE_SAMPLES_MAX = 20;
/** A rate from less than this is noise. */
const RATE_SPAN_MIN_MS = 500;

const ERASE_LINE = "\r\u001b[K";

/** Progress on a sink. */
export function createProgress(sink: Sink, tools: { readonly mode: ProgressMode; readonly clock: Clock }): Progress {
  const { mode, clock } = tools;
  let meter: Meter | undefined;
  let drawnMs = Number.NEGATIVE_INFINITY;
  let onScreen = false;
  const end = () => {
    if (onScreen) sink.write(ERASE_LINE);
    onScreen = false;
  };
  return {
    report: (update) => {
      if (mode === "quiet") return;
      const nowMs = clock.monotonic();
      const newPhase = meter === undefined || meter.phase !== update.phase;
      if (meter === undefined || newPhase) meter = new Meter(update.phase);
      meter.take(update, nowMs);
      const finished = update.total !== undefined && update.done === update.total && update.total > 0;
      const due = nowMs - drawnMs >= INTERVAL_MS[mode] || newPhase || (finished && !meter.finishTold);
      if (!due) return;
      meter.finishTold = finished;
      drawnMs = nowMs;
      if (mode === "json") sink.write(`${JSON.stringify({ progress: meter.facts() })}\n`);
      else if (mode === "plain") sink.write(`${meter.line()}\n`);
      else sink.write(`${ERASE_LINE}${cut(meter.line(), Math.max(1, sink.columns - 1))}`);
      onScreen = mode === "terminal";
    },
    note: (text) => {
      if (mode === "quiet") return;
      end();
      const harmless = printable(text);
      sink.write(mode === "json" ? `${JSON.stringify({ note: harmless })}\n` : `${harmless}\n`);
    },
    end,
  };
}

class Meter {
  readonly phase: string;
  finishTold = false;
  #latest: ProgressUpdate | undefined;
  #samples: { readonly atMs: number; readonly done: number }[] = [];

  constructor(phase: string) {
    this.phase = phase;
  }

  take(update: ProgressUpdate, nowMs: number): void {
    this.#latest = update;
    if (update.done === undefined) return;
    const last = this.#samples.at(-1);
    const spacingMs = RATE_WINDOW_MS / RATE_SAMPLES_MAX;
    const penultimate = this.#samples.at(-2);
    // The newest sample moves along until it is far enough from the one before it.
    if (last !== undefined && penultimate !== undefined && last.atMs - penultimate.atMs < spacingMs)
      this.#samples.pop();
    this.#samples.push({ atMs: nowMs, done: update.done });
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? nowMs) >= RATE_WINDOW_MS)
      this.#samples.shift();
  }

  facts() {
    const { done, total, unit } = this.#latest ?? {};
    const rate = this.#rate();
    const leftMs = this.#leftMs(rate);
    return {
      phase: this.phase,
      unit: unit ?? "bytes",
      ...(done === undefined ? {} : { done }),
      ...(total === undefined ? {} : { total }),
      ...(rate === undefined ? {} : { ratePerSecond: Math.round(rate) }),
      ...(leftMs === undefined ? {} : { timeLeftMs: Math.round(leftMs) }),
    };
  }

  line(): string {
    const { done, total, unit = "bytes" } = this.#latest ?? {};
    const count = (value: number) => (unit === "bytes" ? describeByteSize(value) : `${Math.round(value)}`);
    const rate = this.#rate();
    const leftMs = this.#leftMs(rate);
    const parts = [printable(this.phase).replaceAll("\n", " ")];
    if (done !== undefined && total !== undefined && total > 0) {
      // Rounded down: 100 % is said of finished work only.
      parts.push(`${Math.min(100, Math.floor((done / total) * 100))}%`, `${count(done)} of ${count(total)}`);
    } else if (done !== undefined) parts.push(count(done));
    if (done !== undefined && unit !== "bytes") parts.push(`${parts.pop()} ${unit}`);
    if (rate !== undefined) parts.push(unit === "bytes" ? `${describeByteSize(rate)}/s` : `${rate.toFixed(1)}/s`);
    if (leftMs !== undefined && leftMs > 0) parts.push(`${describeDuration(Math.max(1_000, leftMs))} left`);
    return parts.join("  ");
  }

  #rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs - first.atMs < RATE_SPAN_MIN_MS) return undefined;
    return Math.max(0, ((last.done - first.done) * 1000) / (last.atMs - first.atMs));
  }

  #leftMs(rate: number | undefined): number | undefined {
    const { done, total } = this.#latest ?? {};
    if (rate === undefined || rate === 0 || done === undefined || total === undefined) return undefined;
    return (Math.max(0, total - done) / rate) * 1000;
  }
}
