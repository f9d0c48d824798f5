/** Tells webhooks of what changed: at least once, soon, and not for ever. */
import type { Clock } from "../../src/platform/clock.ts";
import { Loop } from "../../src/platform/loop.ts";
import { type Writes, writeLongestMs } from "../database/writes.ts";
import { CALL_TIMEOUT_MS, callWebhook, type Delivery } from "./webhook-call.ts";
import { WebhookLanes } from "./webhook-lanes.ts";
import { SPREAD_SQL, TAKE_SQL, TOLD_SQL } from "./webhook-queue.ts";

const EVERY_MS = 1_000;
/** While there is more than there were places for, a call that ends makes room for the next. */
const SOONEST_MS = 100;
/** Longer than a call and its record take: what a killed instance had in hand comes again after it. */
const IN_HAND_S = 60;
/** With delays that double from ten seconds: most of an hour. */
const ATTEMPTS_MAX = 8;
/** Changes that are spread in one statement; fewer when so many want to know that it takes too long. */
const CHANGES_MAX = 500;
/** Not known to be told, a call is made again: nothing is waited for long. */
const LIMITS = { deadlineMs: 1_000, attemptMs: 2_000 };

/** What is under way takes at most: it was just taken, is called, and recorded. */
export const WEBHOOKS_LONGEST_MS = 2 * writeLongestMs(LIMITS) + CALL_TIMEOUT_MS;

/** The loop of one instance; several share the work. No call is waited for by another (webhook-lanes.ts). */
export class WebhookSender {
  readonly #tools: { readonly clock: Clock; readonly writes: Writes; readonly allowPrivate: boolean };
  readonly #lanes: WebhookLanes;
  readonly #loop = new Loop(async (signal) => await this.#turn(signal));
  readonly #calls = new Set<Promise<void>>();
  #changesMax = CHANGES_MAX;
  #isMore = false;
  #wake: () => void = () => undefined;

  constructor(tools: { readonly clock: Clock; readonly writes: Writes; readonly allowPrivate: boolean }) {
    this.#tools = tools;
    this.#lanes = new WebhookLanes(tools.clock);
  }

  /** Begins to look for what is to be told. */
  start(): void {
    this.#loop.start();
  }

  /** Ends after the calls under way. */
  async stop(): Promise<void> {
    const over = this.#loop.stop();
    this.#wake();
    await over;
    await Promise.all(this.#calls);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    await this.#pause(signal);
    // Without a primary there is nothing to take, and what was sent is told of later: it may be sent twice.
    if (!signal.aborted) await this.#spread(signal).catch(() => undefined);
    if (!signal.aborted) await this.#takeOn().catch(() => undefined);
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.#tools;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await clock.sleep(SOONEST_MS, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await clock.sleep(EVERY_MS - SOONEST_MS, { signal: woken.signal }).catch(() => undefined);
  }

  /** Finds out who is to be told of what changed. */
  async #spread(signal: AbortSignal): Promise<void> {
    for (let isMore = true; isMore && !signal.aborted; ) {
      const most = this.#changesMax;
      try {
        const { rows } = await this.#tools.writes.run(async (session) => await session.query(SPREAD_SQL, [most]), {
          // What a lost one has spread is not there to be spread again.
          repeatable: true,
          ...LIMITS,
        });
        isMore = Number(rows[0]?.["count"]) >= most;
        this.#changesMax = Math.min(CHANGES_MAX, most * 2);
      } catch (error) {
        this.#changesMax = Math.max(1, Math.floor(most / 2));
        throw error;
      }
    }
  }

  async #takeOn(): Promise<void> {
    const { busy, slow, quickPlaces, slowPlaces } = this.#lanes.room();
    this.#isMore = false;
    if (quickPlaces + slowPlaces === 0) return;
    const values = [IN_HAND_S, [...busy.keys()], [...busy.values()], slow, slowPlaces, quickPlaces];
    const taken = await this.#tools.writes.run(async (session) => (await session.query(TAKE_SQL, values)).rows, {
      repeatable: false,
      ...LIMITS,
    });
    this.#isMore = taken.length > 0;
    for (const delivery of taken as unknown as readonly (Delivery & { readonly lane: string })[]) {
      const call = this.#tell(delivery).finally(() => {
        this.#calls.delete(call);
        if (this.#isMore) this.#wake();
      });
      this.#calls.add(call);
    }
  }

  /** One call, and its record. Never rejects: what is not recorded is told again. */
  async #tell(delivery: Delivery & { readonly lane: string }): Promise<void> {
    const inHand = this.#lanes.begin(delivery.lane);
    const { isDone, answer } = await callWebhook(delivery, this.#tools).finally(() => this.#lanes.end(inHand));
    await this.#tools.writes
      .run(async (session) => session.query(TOLD_SQL, [delivery.id, isDone, answer.slice(0, 200), ATTEMPTS_MAX]), {
        // A failure that is counted twice lets a webhook rest a little sooner.
        repeatable: true,
        ...LIMITS,
      })
      .catch(() => undefined);
  }
}
