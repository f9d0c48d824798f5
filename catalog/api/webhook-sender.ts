/** Tells webhooks of what changed: at least once, soon, and not for ever. */
import type { Clock } from "../../src/platform/clock.ts";
import type { Writes } from "../database/writes.ts";
import { callWebhook, type Delivery } from "./webhook-call.ts";

const EVERY_MS = 1_000;
const BATCH = 10;
/** Longer than a batch takes: what a killed instance had in hand comes again after it. */
const IN_HAND_S = 60;
/** With delays that double from ten seconds: most of an hour. */
const ATTEMPTS_MAX = 8;

/** The loop of one instance; several share the work. */
export class WebhookSender {
  readonly #tools: { readonly clock: Clock; readonly writes: Writes; readonly allowPrivate: boolean };
  readonly #ended = new AbortController();
  #sending: Promise<void> = Promise.resolve();

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
      if (!signal.aborted) await this.#round().catch(() => undefined);
    }
  }

  async #round(): Promise<void> {
    const { writes } = this.#tools;
    const taken = await writes.run(async (session) => (await session.query(TAKE_SQL, [BATCH, IN_HAND_S])).rows, {
      repeatable: false,
      deadlineMs: 1_000,
    });
    await Promise.all(
      (taken as unknown as readonly Delivery[]).map(async (delivery) => {
        const { isDone, answer } = await callWebhook(delivery, this.#tools);
        await writes.run(
          async (session) => session.query(TOLD_SQL, [delivery.id, isDone, answer.slice(0, 200), ATTEMPTS_MAX]),
          {
            repeatable: true,
          },
        );
      }),
    );
  }
}

/** Taken rows are due again later, whatever happens to who took them. Whoever was deleted, or whose key has ended, is told no more. */
const TAKE_SQL = `update webhook_deliveries d set attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
from webhooks h where h.id = d.webhook_id and d.id in (
  select due.id from webhook_deliveries due
  join webhooks hook on hook.id = due.webhook_id and hook.is_active
  join api_keys k on k.id = hook.api_key_id and k.revoked_at is null
  where due.due_at <= now() and due.delivered_at is null and due.given_up_at is null
  order by due.due_at limit $1 for update of due skip locked)
returning d.id, h.url, h.secret, d.payload`;

const TOLD_SQL = `update webhook_deliveries set last_answer = $3, delivered_at = case when $2 then now() end,
  given_up_at = case when not $2 and attempts >= $4 then now() end,
  due_at = now() + make_interval(secs => 5 * power(2, attempts)) where id = $1`;
