/**
 * The probe: a client that stands outside, writes and reads at a fixed rate whatever the server does, and knows of every
 * operation how it ended.
 *
 * Nouns: an *operation* is one write or one read, each a statement of its own; it *arrives* when its time has come by the
 * fixed rate; its *outcome* is ok, failed or unknown (outcome.ts); the *ledger* holds the acknowledged writes (ledger.ts); a
 * *lane* is one of its few connections (lane.ts); a *window* is what is observed between two marks (window.ts).
 * Invariants: arrivals never wait for answers and none is left out, so latencies count from the intended arrival; an
 * operation is sent once and never again; a write counts as acknowledged only when the ledger is synced; every arrival gets
 * one outcome; waiting operations are bounded in number and time, and each has its own time for an answer once it is sent;
 * no answer of the server, nor its absence, ends the probe.
 */
import { assert } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { type Arrival, ArrivalQueue, type Expiry, type OperationKind } from "./arrivals.ts";
import { type Answered, runLane } from "./lane.ts";
import type { LedgerWriter } from "./ledger.ts";
import { Measurements, type ProbeReport } from "./measurements.ts";
import { type Outcome, REASONS } from "./outcome.ts";
import { checksumOf, payloadOf } from "./write-table.ts";

/** How the probe behaves. */
export type ProbeOptions = {
  readonly connect: ConnectOptions;
  /** 16 bytes in hexadecimal; part of every row. */
  readonly clientId: string;
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  /** Connections; one operation at a time on each. */
  readonly laneCount: number;
  /** How long an operation may wait for a connection before it counts as failed. */
  readonly queueDeadlineMs: number;
  /** How long a sent operation may go without an answer before its connection is dropped; a write is unknown then. */
  readonly answerDeadlineMs: number;
};

/** Where a server is. */
export type Address = { readonly host: string; readonly port: number };

/** Waiting operations are looked through for expired ones at least this often. */
const SWEEP_MS = 25;
/** A read asks for one of the last so many acknowledged writes. */
const RECENT_MAX = 200;

/** A running probe. */
export class Probe {
  readonly #clock: Clock;
  readonly #ledger: LedgerWriter;
  readonly #options: ProbeOptions;
  readonly #measurements: Measurements;
  readonly #queue: ArrivalQueue;
  readonly #recent: number[] = [];
  readonly #arrivalsOver = new AbortController();
  readonly #lanesOver = new AbortController();
  readonly #running: Promise<unknown>;
  #acknowledgedCount = 0;
  #connect: ConnectOptions;
  #left = new AbortController();

  /** Starts at once; the server need not be there. The ledger is the probe's until `stop` has returned. */
  constructor(clock: Clock, ledger: LedgerWriter, options: ProbeOptions) {
    const { writesPerSecond, readsPerSecond, laneCount } = options;
    assert(writesPerSecond + readsPerSecond > 0 && laneCount > 0, "a probe has a rate and a connection");
    this.#clock = clock;
    this.#ledger = ledger;
    this.#options = options;
    this.#connect = options.connect;
    this.#measurements = new Measurements(clock, options.clientId);
    this.#queue = new ArrivalQueue(clock, {
      deadlineMs: options.queueDeadlineMs,
      expired: (arrival, why) => this.#expired(arrival, why),
    });
    const lanes = Array.from({ length: laneCount }, () => this.#runLane());
    this.#running = Promise.all([this.#arrive(), ...lanes]);
  }

  /** What was seen so far. */
  report(): ProbeReport {
    return this.#measurements.report(this.#clock.monotonic());
  }

  /** Begins a new window of observation: now, or at a moment just past, in milliseconds since 1970. */
  mark(begins: { readonly label: string; readonly atMs?: number | undefined }): void {
    const { label, atMs } = begins;
    const at = atMs === undefined ? undefined : this.#measurements.monotonicTime(atMs);
    this.#measurements.mark(this.#clock.monotonic(), { label, at });
  }

  /** Goes to another server from now on. Operations under way at the old one are finished or given up there. */
  reconnectTo(address: Address): void {
    this.#connect = { ...this.#connect, ...address };
    const left = this.#left;
    this.#left = new AbortController();
    left.abort();
  }

  /** Ends the arrivals, waits until every operation has its outcome (the deadlines bound it), closes all. Repeatable. */
  async stop(): Promise<ProbeReport> {
    this.#arrivalsOver.abort();
    await this.#running;
    await this.#ledger.close();
    return this.report();
  }

  async #arrive(): Promise<void> {
    const startedAt = this.#clock.monotonic();
    const { writesPerSecond, readsPerSecond } = this.#options;
    const next = { write: 0, read: 0 };
    const dueOf = (kind: OperationKind, perSecond: number) => ({
      kind,
      dueAt: (perSecond === 0 ? Infinity : startedAt + (next[kind] * 1_000) / perSecond) as Monotonic,
    });
    while (!this.#arrivalsOver.signal.aborted) {
      const [write, read] = [dueOf("write", writesPerSecond), dueOf("read", readsPerSecond)];
      const { kind, dueAt } = write.dueAt <= read.dueAt ? write : read;
      if (!(await this.#waitUntil(dueAt))) break;
      next[kind] += 1;
      this.#measurements.arrived(kind);
      this.#queue.add({ kind, sequence: next[kind], dueAt });
    }
    while (this.#measurements.outstandingCount > 0) {
      await this.#clock.sleep(SWEEP_MS, {});
      this.#queue.dropExpired();
    }
    this.#lanesOver.abort();
  }

  /** False when the arrivals are over. */
  async #waitUntil(dueAt: Monotonic): Promise<boolean> {
    const { signal } = this.#arrivalsOver;
    while (!signal.aborted) {
      const leftMs = dueAt - this.#clock.monotonic();
      if (leftMs <= 0) return true;
      // The wait ends early when the arrivals do, which the loop sees.
      await this.#clock.sleep(Math.min(leftMs, SWEEP_MS), { signal }).catch(() => undefined);
      this.#queue.dropExpired();
    }
    return false;
  }

  #runLane(): Promise<void> {
    return runLane({
      clock: this.#clock,
      clientId: this.#options.clientId,
      queue: this.#queue,
      endpoint: () => ({ connect: this.#connect, left: this.#left.signal }),
      rowToRead: (read) => this.#recent[read % this.#recent.length],
      answerDeadlineMs: this.#options.answerDeadlineMs,
      connectFailed: (reason) => this.#measurements.connectFailed(reason),
      answered: (arrival, end) => this.#answered(arrival, end),
      signal: this.#lanesOver.signal,
    });
  }

  async #answered({ kind, sequence, dueAt }: Arrival, { outcome, at, rowMissing }: Answered): Promise<void> {
    const isRecorded = kind === "write" && outcome.kind === "ok";
    const counted = isRecorded ? await this.#record(sequence, at) : outcome;
    if (rowMissing) this.#measurements.rowMissing();
    this.#measurements.ended({ kind, sequence, dueAt, endedAt: at, outcome: counted });
  }

  /** A write whose record is not on the disk was not acknowledged, as far as the proof goes. */
  async #record(sequence: number, at: Monotonic): Promise<Outcome> {
    const key = { clientId: this.#options.clientId, sequence };
    try {
      await this.#ledger.append({
        sequence,
        acknowledgedAt: this.#measurements.wallTime(at),
        checksum: checksumOf({ ...key, payload: payloadOf(key) }),
      });
    } catch {
      // Told by its reason in the report: the probe has to go on measuring even with a full disk.
      return { kind: "unknown", reason: REASONS.ledger };
    }
    this.#recent[this.#acknowledgedCount % RECENT_MAX] = sequence;
    this.#acknowledgedCount += 1;
    return { kind: "ok" };
  }

  #expired({ kind, sequence, dueAt }: Arrival, why: Expiry): void {
    const reason = why === "overload" ? REASONS.overload : REASONS.queueDeadline;
    const outcome: Outcome = { kind: "failed", reason, sent: false };
    this.#measurements.ended({ kind, sequence, dueAt, endedAt: this.#clock.monotonic(), outcome });
  }
}
