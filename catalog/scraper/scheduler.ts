/**
 * The scraper-scheduler: a process that keeps the catalogue as new as its merchants' feeds.
 *
 * Nouns: a *source* is read at its interval (sources/); a *run* is one reading; *warming* asks the API what shoppers ask most,
 * so that its answers lie in the cache before they do (warmer/).
 * Invariants: any number of schedulers may run beside each other, of which each source has one (sources/source.ts); nothing here
 * is remembered but in the database, so that a scheduler can be killed at any moment; a database that is away is waited for, and so is
 * the schema of one that was restored.
 */
import { errorText } from "../../src/errors/error-text.ts";
import { type Clock, throwIfAborted } from "../../src/platform/clock.ts";
import { claimNext } from "./sources/claim.ts";
import { type RunResult, type RunTools, runSource, type Transactions } from "./sources/run.ts";
import { sweepOld } from "./sources/sweep.ts";

/** What is told of what happens; `fields` are for programs. */
export type Log = (event: string, fields: Readonly<Record<string, string | number>>) => void;

/** What a scheduler is told. */
export type SchedulerOptions = {
  /** Its name in the database, unique among schedulers. */
  readonly holder: string;
  /** Sources at a time. */
  readonly concurrency: number;
  /** How long it leaves the machine to those who start with it: reading all sources at once takes a core. Default 0. */
  readonly startAfterMs?: number | undefined;
  readonly hostGapMs?: number | undefined;
  readonly log: Log;
  /** Whether the database has the schema that this program knows; while it has not, nothing is claimed. */
  readonly schema: { readonly isThere: boolean };
  readonly finished?: ((result: RunResult) => void) | undefined;
};

/** How often a scheduler with nothing to do looks whether something is due. */
const LOOK_EVERY_MS = 1_000;
/** The database was away longer than a transaction waits; the next look waits for it again. */
const AWAY_PAUSE_MS = 500;
const SWEEP_EVERY_MS = 60 * 60_000;
/** While there is more than one sweep may remove: several times of what comes. */
const SWEEP_ON_MS = 10_000;

/** Claims and runs sources until it is stopped. */
export class Scheduler {
  readonly #tools: RunTools;
  readonly #options: SchedulerOptions;
  readonly #stop = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  #looping: Promise<void> = Promise.resolve();
  #sweepFrom = 0;
  #waitsForHistory = false;
  /** When the database last answered, monotonic; undefined before it did. */
  #answeredAt: number | undefined;
  readonly totals = new Map<string, number>();

  constructor(tools: RunTools, options: SchedulerOptions) {
    const transactions: Transactions = {
      run: async (work, each) => {
        const result = await tools.transactions.run(work, each);
        this.#answeredAt = tools.clock.monotonic();
        return result;
      },
    };
    this.#tools = { ...tools, transactions };
    this.#options = options;
  }

  /** Names of sources that are read now. */
  get running(): readonly string[] {
    return [...this.#running.keys()];
  }

  /** Milliseconds since the database last answered; undefined before it did. */
  get silentMs(): number | undefined {
    return this.#answeredAt === undefined ? undefined : this.#clock.monotonic() - this.#answeredAt;
  }

  get #clock(): Clock {
    return this.#tools.clock;
  }

  /** Begins. Call it when the database has answered. */
  start(): void {
    this.#answeredAt = this.#clock.monotonic();
    this.#looping = this.#loop();
  }

  /** Ends: runs stop between two batches and give their sources back. Repeatable. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#looping;
    await Promise.all(this.#running.values());
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    await this.#pause(this.#options.startAfterMs ?? 0);
    while (!signal.aborted) {
      try {
        await this.#turn(signal);
      } catch (error) {
        // Whatever the database says, it is asked again: there is nothing else for a scheduler to do.
        if (!signal.aborted) this.#options.log("database-away", { why: errorText(error) });
        await this.#pause(AWAY_PAUSE_MS);
      }
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (!this.#options.schema.isThere) {
      await this.#pause(LOOK_EVERY_MS);
      return;
    }
    if (this.#running.size >= this.#options.concurrency) {
      await Promise.race(this.#running.values());
      return;
    }
    throwIfAborted(signal, "claiming a source");
    const { transactions, leaseMs } = this.#tools;
    const { holder, hostGapMs } = this.#options;
    // The claim's time counts from before it is asked for: the database's own deadline is never earlier than ours.
    const begunAt = this.#clock.monotonic();
    const claimed = await transactions.run(
      async (session) => await claimNext(session, { holder, leaseMs, hostGapMs }),
      {
        repeatable: true,
      },
    );
    if (claimed.kind === "claimed") {
      const { name } = claimed.claim.source;
      this.#options.log("run-begun", { source: name, epoch: claimed.claim.epoch, run: claimed.claim.runId });
      this.#running.set(
        name,
        this.#run(claimed.claim, begunAt).finally(() => this.#running.delete(name)),
      );
      return;
    }
    await this.#sweep();
    const waitMs = claimed.kind === "history-new" ? Math.min(claimed.waitMs, LOOK_EVERY_MS) : LOOK_EVERY_MS;
    if (claimed.kind === "history-new" && !this.#waitsForHistory) {
      this.#options.log("history-new", { waitMs: Math.ceil(claimed.waitMs) });
    }
    this.#waitsForHistory = claimed.kind === "history-new";
    await this.#pause(waitMs);
  }

  async #run(claim: Parameters<typeof runSource>[1], begunAt: number): Promise<void> {
    const result = await runSource(this.#tools, claim, { begunAt, signal: this.#stop.signal });
    const { counts, end } = result;
    const { inserted, updated, unchanged, priceChanges, withdrawn, rejected } = counts;
    this.#add(`runs ${end.kind}`, 1);
    this.#add("rows inserted", inserted);
    this.#add("rows updated", updated);
    this.#add("rows unchanged", unchanged);
    this.#add("rows withdrawn", withdrawn);
    this.#add("price-changes", priceChanges);
    let rejectedCount = 0;
    for (const [reason, count] of rejected) {
      this.#add(`rejected ${reason}`, count);
      rejectedCount += count;
    }
    this.#options.log("run-ended", {
      source: claim.source.name,
      run: claim.runId,
      end: end.kind,
      inserted,
      updated,
      unchanged,
      priceChanges,
      withdrawn,
      rejected: rejectedCount,
      ...(counts.endUntold ? { note: "nothing is withdrawn: its server tells no length, this may be a part" } : {}),
      ...(end.kind === "failed" ? { error: end.error } : {}),
    });
    this.#options.finished?.(result);
  }

  #add(name: string, count: number): void {
    this.totals.set(name, (this.totals.get(name) ?? 0) + count);
  }

  async #sweep(): Promise<void> {
    const now = this.#clock.monotonic();
    if (now < this.#sweepFrom) return;
    // Also where it fails: what is old can wait.
    this.#sweepFrom = now + SWEEP_EVERY_MS;
    if (await sweepOld(this.#tools.transactions)) this.#sweepFrom = now + SWEEP_ON_MS;
  }

  async #pause(durationMs: number): Promise<void> {
    await this.#clock.sleep(durationMs, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
