/**
 * The open-loop client of the demo: writes to the server at a fixed rate, whatever the server does, and knows of every
 * write how it ended.
 *
 * Nouns: a write *arrives* when its time has come by the fixed rate; its *outcome* is ok, failed or unknown (outcome.ts);
 * the *ledger* holds the acknowledged ones (ledger.ts); a *lane* is one of its few connections (lane.ts); the *window* is
 * what is observed since the last mark (measurements.ts).
 * Invariants: arrivals never wait for answers and none is left out, so latencies count from the scheduled arrival; a write
 * is sent once and never again; it counts as acknowledged only when the ledger is synced; every arrival gets one outcome;
 * waiting writes are bounded in number and time; no answer of the server, nor its absence, ends the client.
 */
import { assert } from "../../errors/error.ts";
import type { Clock, Monotonic } from "../../platform/clock.ts";
import type { ConnectOptions } from "../../postgres/replication.ts";
import { type Arrival, ArrivalQueue, type Expiry } from "./arrivals.ts";
import { runLane } from "./lane.ts";
import type { LedgerWriter } from "./ledger.ts";
import { type ClientReport, Measurements } from "./measurements.ts";
import { type Outcome, REASONS } from "./outcome.ts";
import { checksumOf, payloadOf } from "./write-table.ts";

/** How the client behaves. */
export type ClientOptions = {
  readonly connect: ConnectOptions;
  /** 16 bytes in hexadecimal; part of every row. */
  readonly clientId: string;
  readonly ratePerSecond: number;
  /** Connections; one write at a time on each. */
  readonly laneCount: number;
  /** How long a write may wait for a connection before it counts as failed. */
  readonly queueDeadlineMs: number;
  /** How long a sent write may go without an answer before it counts as unknown and its connection is dropped. */
  readonly answerDeadlineMs: number;
};

/** Where a server is. */
export type Address = { readonly host: string; readonly port: number };

/** Waiting writes are looked through for expired ones at least this often. */
const SWEEP_MS = 25;

/** A running client. */
export class OpenLoopClient {
  readonly #clock: Clock;
  readonly #ledger: LedgerWriter;
  readonly #options: ClientOptions;
  readonly #measurements: Measurements;
  readonly #queue: ArrivalQueue;
  readonly #arrivalsOver = new AbortController();
  readonly #lanesOver = new AbortController();
  readonly #running: Promise<unknown>;
  #connect: ConnectOptions;
  #left = new AbortController();

  /** Starts at once; the server need not be there. The ledger is the client's until `stop` has returned. */
  constructor(clock: Clock, ledger: LedgerWriter, options: ClientOptions) {
    assert(options.ratePerSecond > 0 && options.laneCount > 0, "a client has a rate and a connection");
    this.#clock = clock;
    this.#ledger = ledger;
    this.#options = options;
    this.#connect = options.connect;
    this.#measurements = new Measurements(clock, options.clientId);
    this.#queue = new ArrivalQueue(clock, {
      deadlineMs: options.queueDeadlineMs,
      expired: (arrival, why) => this.#expired(arrival, why),
    });
    const lanes = Array.from({ length: options.laneCount }, () => this.#runLane());
    this.#running = Promise.all([this.#arrive(), ...lanes]);
  }

  /** What was seen so far. */
  report(): ClientReport {
    return this.#measurements.report(this.#clock.monotonic());
  }

  /** Begins a new window of observation. */
  mark(): void {
    this.#measurements.mark(this.#clock.monotonic());
  }

  /** Writes to another server from now on. Writes under way at the old one are finished or given up there. */
  reconnectTo(address: Address): void {
    this.#connect = { ...this.#connect, ...address };
    const left = this.#left;
    this.#left = new AbortController();
    left.abort();
  }

  /** Ends the arrivals, waits until every write has its outcome (the two deadlines bound it), closes all. Repeatable. */
  async stop(): Promise<ClientReport> {
    this.#arrivalsOver.abort();
    await this.#running;
    await this.#ledger.close();
    return this.report();
  }

  async #arrive(): Promise<void> {
    const startedAt = this.#clock.monotonic();
    const intervalMs = 1000 / this.#options.ratePerSecond;
    for (let number = 0; !this.#arrivalsOver.signal.aborted; number++) {
      const dueAt = (startedAt + number * intervalMs) as Monotonic;
      if (!(await this.#waitUntil(dueAt))) break;
      this.#measurements.arrived();
      this.#queue.add({ sequence: number + 1, dueAt });
    }
    while (this.report().outstandingCount > 0) {
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
      answerDeadlineMs: this.#options.answerDeadlineMs,
      connectFailed: (reason) => this.#measurements.connectFailed(reason),
      answered: (arrival, end) => this.#answered(arrival, end),
      signal: this.#lanesOver.signal,
    });
  }

  async #answered(
    { sequence, dueAt }: Arrival,
    { outcome, at }: { readonly outcome: Outcome; readonly at: Monotonic },
  ): Promise<void> {
    const counted = outcome.kind === "ok" ? await this.#record(sequence, at) : outcome;
    this.#measurements.ended({ sequence, dueAt, endedAt: at, outcome: counted });
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
      return { kind: "ok" };
    } catch {
      // Told by its reason in the report: the client has to go on measuring even with a full disk.
      return { kind: "unknown", reason: REASONS.ledger };
    }
  }

  #expired({ sequence, dueAt }: Arrival, why: Expiry): void {
    const reason = why === "overload" ? REASONS.overload : REASONS.queueDeadline;
    const outcome: Outcome = { kind: "failed", reason, sent: false };
    this.#measurements.ended({ sequence, dueAt, endedAt: this.#clock.monotonic(), outcome });
  }
}
