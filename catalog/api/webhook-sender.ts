/** Tells webhooks of what changed: at least once, soon, and not for ever. */
import { createHmac } from "node:crypto";
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import type { Clock } from "../../src/platform/clock.ts";
import type { Writes } from "../database/writes.ts";

const EVERY_MS = 1_000;
const BATCH = 10;
const CALL_TIMEOUT_MS = 5_000;
/** Longer than a batch takes: what a killed instance had in hand comes again after it. */
const IN_HAND_S = 60;
/** With delays that double from ten seconds: most of an hour. */
const ATTEMPTS_MAX = 8;

type Delivery = {
  readonly id: number;
  readonly attempts: number;
  readonly url: string;
  readonly secret: string;
  readonly payload: unknown;
};

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
        const { isDone, answer } = await this.#call(delivery);
        await writes.run(
          async (session) => session.query(TOLD_SQL, [delivery.id, isDone, answer.slice(0, 200), ATTEMPTS_MAX]),
          {
            repeatable: true,
          },
        );
      }),
    );
  }

  async #call({ id, url, secret, payload }: Delivery): Promise<{ readonly isDone: boolean; readonly answer: string }> {
    try {
      if (!this.#tools.allowPrivate && (await isPrivate(new URL(url).hostname)))
        return { isDone: false, answer: "leads to a private network" };
      const body = JSON.stringify(payload);
      const response = await fetch(url, {
        method: "POST",
        redirect: "error",
        headers: {
          "content-type": "application/json",
          "x-lifeboat-delivery": String(id),
          "x-lifeboat-signature": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
        },
        body,
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      });
      await response.body?.cancel();
      return { isDone: response.ok, answer: String(response.status) };
    } catch (error) {
      return { isDone: false, answer: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** Taken rows are due again later, whatever happens to who took them. */
const TAKE_SQL = `update webhook_deliveries d set attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
from webhooks h where h.id = d.webhook_id and d.id in (
  select id from webhook_deliveries where due_at <= now() and delivered_at is null and given_up_at is null
  order by due_at limit $1 for update skip locked)
returning d.id, d.attempts, h.url, h.secret, d.payload`;

const TOLD_SQL = `update webhook_deliveries set last_answer = $3, delivered_at = case when $2 then now() end,
  given_up_at = case when not $2 and attempts >= $4 then now() end,
  due_at = now() + make_interval(secs => 5 * power(2, attempts)) where id = $1`;

const PRIVATE = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
] as const) {
  PRIVATE.addSubnet(net, bits, "ipv4");
}
for (const [net, bits] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
] as const) {
  PRIVATE.addSubnet(net, bits, "ipv6");
}

/** Whether a host is, or is found at, an address that is not of the public internet. */
async function isPrivate(host: string): Promise<boolean> {
  const bare = host.replace(/^\[|\]$/g, "");
  const addresses = isIP(bare) === 0 ? await lookup(bare, { all: true }) : [{ address: bare, family: isIP(bare) }];
  return addresses.some(({ address, family }) => PRIVATE.check(address, family === 6 ? "ipv6" : "ipv4"));
}
