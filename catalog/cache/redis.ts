/** Redis, as a cache should be asked: briefly, and not at all while it is away. */
import { createClient } from "@redis/client";
import type { Clock } from "../../src/platform/clock.ts";
import { startTimer } from "../../src/platform/timer.ts";
import type { ChangingSecret } from "../settings/service-file.ts";

/** Where it is. */
export type RedisAddress = { readonly host: string; readonly port: number; readonly password: ChangingSecret };

/** A local redis answers in a millisecond; what takes longer is not worth waiting for. */
const ANSWER_TIMEOUT_MS = 40;
/** After so many failures in a row it is not asked for a while. */
const FAILURES_MAX = 3;
const REST_MS = 1_000;

/** What is asked of redis. */
type Client = ReturnType<typeof connect>;

/** Redis behind a breaker: every call ends soon, with its answer or with undefined. */
export class Redis {
  readonly #clock: Clock;
  readonly #client: Client;
  #failures = 0;
  #restsUntil = 0;

  constructor(clock: Clock, address: RedisAddress) {
    this.#clock = clock;
    this.#client = connect(address);
    // Told by what calls come to; without a listener it would end the process.
    this.#client.on("error", () => undefined);
    this.#client.connect().catch(() => undefined);
  }

  /** Whether it answered lately. */
  get answers(): boolean {
    return this.#client.isReady && this.#clock.monotonic() >= this.#restsUntil;
  }

  /** The text at a key; undefined when there is none, or nobody to ask. */
  async get(key: string): Promise<string | undefined> {
    return (await this.#try((client) => client.get(key))) ?? undefined;
  }

  /** Keeps a text for so long, if it can. */
  async set(key: string, text: string, keepMs: number): Promise<void> {
    await this.#try((client) =>
      client.set(key, text, { expiration: { type: "PX", value: Math.max(1, Math.round(keepMs)) } }),
    );
  }

  /** Adds one to a counter that ends after a while and reads another key with it; undefined when nobody answers. */
  async countAndGet(
    counter: string,
    { keepMs, key }: { readonly keepMs: number; readonly key: string },
  ): Promise<{ readonly count: number; readonly text: string | undefined } | undefined> {
    const answers = await this.#try(
      async (client) => await client.multi().incr(counter).pExpire(counter, keepMs, "NX").get(key).exec(),
    );
    if (answers === undefined) return undefined;
    const [count, , text] = answers as unknown as readonly [unknown, unknown, unknown];
    return { count: Number(count), text: typeof text === "string" ? text : undefined };
  }

  /** Lets go. */
  stop(): void {
    this.#client.destroy();
  }

  async #try<T>(call: (client: Client) => Promise<T>): Promise<T | undefined> {
    if (!this.answers) return undefined;
    let forget = (): void => undefined;
    try {
      const late = new Promise<typeof LATE>((resolve) => {
        forget = startTimer(ANSWER_TIMEOUT_MS, () => resolve(LATE));
      });
      const asked = call(this.#client);
      asked.catch(() => undefined);
      const answer = await Promise.race([asked, late]);
      if (answer === LATE) {
        this.#failed();
        return undefined;
      }
      this.#failures = 0;
      return answer;
    } catch {
      this.#failed();
      return undefined;
    } finally {
      forget();
    }
  }

  #failed(): void {
    this.#failures += 1;
    if (this.#failures < FAILURES_MAX) return;
    this.#failures = 0;
    this.#restsUntil = this.#clock.monotonic() + REST_MS;
  }
}

const LATE = Symbol("late");

function connect({ host, port, password }: RedisAddress) {
  return createClient({
    // Asked for at every login: a redis that was started again may have another one.
    credentialsProvider: {
      type: "async-credentials-provider",
      credentials: async () => ({ password: await password.now() }),
    },
    // Calls while it is away fail at once: none of them is worth anything later.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 1_000,
    socket: {
      host,
      port,
      connectTimeout: 500,
      keepAlive: true,
      noDelay: true,
      reconnectStrategy: (retries) => Math.min(50 * (retries + 1), 500),
    },
  });
}
