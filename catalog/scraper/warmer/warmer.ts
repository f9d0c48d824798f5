/**
 * Fills the cache before shoppers ask, and says how full it is.
 *
 * It asks the API through the balancer what wishes.ts says, as any client would: the API then keeps the answers at redis under
 * its own keys, whichever instance was asked. A *round* asks every wish once; its *hit rate* is the share of answers that came
 * from a copy, as the API's `x-cache` tells; the *goal* is the rate below which the cache counts as cold.
 *
 * What a round finds is what shoppers would have found; a second one right behind a cold one finds what the first has filled. A
 * cache that is cold then, too, does not keep anything. A scheduler that starts warms at once: restarting it is the runbook's
 * step after a loss of redis. Redis that comes back is also noticed without that.
 */
import { z } from "zod";
import { errorText } from "../../../src/errors/error-text.ts";
import { type Clock, throwIfAborted } from "../../../src/platform/clock.ts";
import { Loop } from "../../../src/platform/loop.ts";
import { startTimer } from "../../../src/platform/timer.ts";
import type { Log } from "../scheduler.ts";
import { type Ask, CATEGORIES_PATH, wishes } from "./wishes.ts";

/** A cache that answers less than this from copies is cold. */
export const HIT_RATE_GOAL = 0.8;

/** What a round found. */
export type Round = {
  readonly asked: number;
  readonly hits: number;
  readonly failed: number;
  /** Undefined when nothing was answered. */
  readonly hitRate: number | undefined;
};

/** What the warmer needs. */
export type WarmerTools = {
  readonly clock: Clock;
  /** Where the API is asked, through the balancer. */
  readonly api: string;
  /** `Authorization`, when there is a key. */
  readonly authorization: string | undefined;
  readonly ask: Ask;
  /** Whether redis answers. */
  readonly isRedisThere: () => boolean;
  readonly log: Log;
  readonly wishesMax?: number | undefined;
};

/** The first page of what half of all searches are about; a round of it is a tenth of a second of one core. */
const WISHES_MAX = 120;
/** At a time: enough to be quick, too little to push clients aside. */
const LANES = 4;
const REQUEST_TIMEOUT_MS = 5_000;
/** A sixth of it: an API that is not well is left alone until the next round. */
const FAILURES_MAX_SHARE = 6;
/** Copies of products are fresh for a quarter of a minute. */
const ROUND_EVERY_MS = 10_000;
/** While the cache is cold, or after redis came back. */
const ROUND_EVERY_COLD_MS = 2_000;
const LOOK_EVERY_MS = 500;

/** Warms until it is stopped. */
export class Warmer {
  readonly #tools: WarmerTools;
  readonly #loop = new Loop(async (signal) => await this.#turn(signal));
  #isCold = true;
  #wasRedisThere: boolean | undefined;
  #coldSince: number;
  #last: Round | undefined;
  #found: Round | undefined;
  readonly totals = { rounds: 0, asked: 0, hits: 0, failed: 0, warmed: 0 };
  /** How long it took the last time from cold, or from the return of redis, to the goal. */
  warmedInMs: number | undefined;

  constructor(tools: WarmerTools) {
    this.#tools = tools;
    this.#coldSince = tools.clock.monotonic();
  }

  /** The rate of the last round, whether it was the first or the second of its turn. */
  get hitRate(): number | undefined {
    return this.#last?.hitRate;
  }

  /** What the last turn found before it filled anything. */
  get foundRate(): number | undefined {
    return this.#found?.hitRate;
  }

  /** Begins. */
  start(): void {
    this.#loop.start();
  }

  /** Ends. Repeatable. */
  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { log } = this.#tools;
    try {
      let round = await this.round(signal);
      this.#found = round;
      if (!isGood(round)) round = await this.round(signal);
      this.#judge(round);
    } catch (error) {
      // The database or the API is away: nothing can be warmed, and the next round will tell.
      if (!signal.aborted) log("warming-failed", { why: errorText(error) });
    }
    const isBack = await this.#pause(this.#isCold ? ROUND_EVERY_COLD_MS : ROUND_EVERY_MS, signal);
    this.#isCold ||= isBack;
  }

  #judge(round: Round): void {
    const { clock, log } = this.#tools;
    const isCold = !isGood(round);
    if (!isCold && this.#isCold) {
      this.warmedInMs = clock.monotonic() - this.#coldSince;
      this.totals.warmed += 1;
      log("cache-warm", { hitRate: round.hitRate ?? 0, asked: round.asked, ms: Math.round(this.warmedInMs) });
    } else if (isCold && !this.#isCold) {
      this.#coldSince = clock.monotonic();
      log("cache-cold", { hitRate: round.hitRate ?? 0, asked: round.asked });
    }
    this.#isCold = isCold;
  }

  /** Asks every wish once. Rejects when the wishes cannot be read, or it is stopped. */
  async round(signal: AbortSignal): Promise<Round> {
    const { ask, wishesMax = WISHES_MAX } = this.#tools;
    const categories = slugsOf((await this.#request(CATEGORIES_PATH, signal))?.text);
    const waiting = [...(await wishes(ask, { categories, wishesMax }))];
    const total = waiting.length;
    let [asked, hits, failed] = [0, 0, 0];
    const lane = async (): Promise<void> => {
      for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
        throwIfAborted(signal, "warming the cache");
        if (failed * FAILURES_MAX_SHARE > total) return;
        asked += 1;
        const from = (await this.#request(path, signal))?.from;
        if (from === "memory" || from === "redis") hits += 1;
        if (from === undefined) failed += 1;
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    const round = { asked, hits, failed, hitRate: asked === failed ? undefined : hits / (asked - failed) };
    this.#last = round;
    this.totals.rounds += 1;
    this.totals.asked += asked;
    this.totals.hits += hits;
    this.totals.failed += failed;
    return round;
  }

  /** What was answered, and from where; undefined when there was no answer. */
  async #request(
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly from: string; readonly text: string } | undefined> {
    const late = new AbortController();
    const cancel = startTimer(REQUEST_TIMEOUT_MS, () => late.abort());
    try {
      const { api, authorization } = this.#tools;
      const response = await fetch(api + path, {
        headers: authorization === undefined ? {} : { authorization },
        signal: AbortSignal.any([signal, late.signal]),
        redirect: "error",
      });
      const text = await response.text();
      // A wish whose product is gone meanwhile was answered, too.
      return response.status < 429 ? { from: response.headers.get("x-cache") ?? "database", text } : undefined;
    } catch {
      return undefined;
    } finally {
      cancel();
    }
  }

  /** Waits for the next round; true when redis came back meanwhile. */
  async #pause(durationMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, isRedisThere, log } = this.#tools;
    const until = clock.monotonic() + durationMs;
    do {
      const isThere = isRedisThere();
      const isBack = isThere && this.#wasRedisThere === false;
      this.#wasRedisThere = isThere;
      if (isBack) {
        log("redis-back", {});
        this.#coldSince = clock.monotonic();
        return true;
      }
      await clock.sleep(Math.min(LOOK_EVERY_MS, durationMs), { signal }).catch(() => undefined);
    } while (!signal.aborted && clock.monotonic() < until);
    return false;
  }
}

function isGood({ hitRate = 0 }: Round): boolean {
  return hitRate >= HIT_RATE_GOAL;
}

const categoriesSchema = z.object({ items: z.array(z.object({ slug: z.string() })) });

/** Slugs of the categories that the API lists; none where it did not. */
function slugsOf(text: string | undefined): readonly string[] {
  try {
    return categoriesSchema.parse(JSON.parse(text ?? "")).items.map(({ slug }) => slug);
  } catch {
    return [];
  }
}
