/** Tells webhooks of what changed: at least once, soon, and not for ever. */
import type { Clock } from "../../src/platform/clock.ts";
import type { Writes } from "../database/writes.ts";
import { callWebhook, type Delivery } from "./webhook-call.ts";
import { SPREAD_SQL, TAKE_SQL, TOLD_SQL } from "./webhook-queue.ts";

const EVERY_MS = 1_000;
const BATCH = 10;
/** Longer than a batch takes: what a killed instance had in hand comes again after it. */
const IN_HAND_S = 60;
/** With delays that double from ten seconds: most of an hour. */
const ATTEMPTS_MAX = 8;
/** Changes that are spread in one statement; fewer when so many want to know that it takes too long. */
const CHANGES_MAX = 500;
/** Not known to be told, a call is made again: nothing is waited for long. */
const DEADLINE_MS = 1_000;

/** The loop of one instance; several share the work. */
export class WebhookSender {
  readonly #tools: { readonly clock: Clock; readonly writes: Writes; readonly allowPrivate: boolean };
  readonly #ended = new AbortController();
  #sending: Promise<void> = Promise.resolve();
  #changesMax = CHANGES_MAX;

  constructor(tools: { readonly clock: Clock; readonly writes: Writes; readonly allowPrivate: boolean }) {
    this.#tools = tools;
  }

  /** Begins to look for what is to be told. */
  start(): void {
    this.#sending = this.#sendOn();
  }

  /** Ends after the calls under way. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#sending;
  }

  async #sendOn(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await this.#tools.clock.sleep(EVERY_MS, { signal }).catch(() => undefined);
      // Without a primary there is nothing to take, and what was sent is told of later: it may be sent twice.
      if (!signal.aborted) await this.#spread().catch(() => undefined);
      if (!signal.aborted) await this.#round().catch(() => undefined);
    }
  }

  /** Finds out who is to be told of what changed. */
  async #spread(): Promise<void> {
    const { signal } = this.#ended;
    for (let isMore = true; isMore && !signal.aborted; ) {
      const most = this.#changesMax;
      try {
        const { rows } = await this.#tools.writes.run(async (session) => await session.query(SPREAD_SQL, [most]), {
          // What a lost one has spread is not there to be spread again.
          repeatable: true,
          deadlineMs: DEADLINE_MS,
        });
        isMore = Number(rows[0]?.["count"]) >= most;
        this.#changesMax = Math.min(CHANGES_MAX, most * 2);
      } catch (error) {
        this.#changesMax = Math.max(1, Math.floor(most / 2));
        throw error;
      }
    }
  }

  async #round(): Promise<void> {
    const { writes } = this.#tools;
    const taken = await writes.run(async (session) => (await session.query(TAKE_SQL, [BATCH, IN_HAND_S])).rows, {
      repeatable: false,
      deadlineMs: DEADLINE_MS,
    });
    await Promise.all(
      (taken as unknown as readonly Delivery[]).map(async (delivery) => {
        const { isDone, answer } = await callWebhook(delivery, this.#tools);
        await writes.run(
          async (session) => session.query(TOLD_SQL, [delivery.id, isDone, answer.slice(0, 200), ATTEMPTS_MAX]),
          { repeatable: true, deadlineMs: DEADLINE_MS },
        );
      }),
    );
  }
}
