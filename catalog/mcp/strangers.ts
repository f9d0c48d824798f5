/** How often one may ask who shows no key: what is asked then is asked with ours, of which all strangers together have one. */
import type { Clock } from "../../src/platform/clock.ts";
import { type ApiClient, ApiFailure } from "./api-client.ts";

/** As much as a free key gives. */
const ASKED_MAX = 60;
const WINDOW_MS = 60_000;
/** Addresses that are counted in a minute; beyond them nobody new is let in until the next. */
const ADDRESSES_MAX = 20_000;

/** Counts by address, in windows of a minute. */
export class Strangers {
  readonly #clock: Clock;
  #asked = new Map<string, number>();
  #window = -1;
  refused = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The API as one address may ask it without a key. Calls beyond its share reject with RATE_LIMIT_EXCEEDED and reach nobody. */
  within(api: ApiClient, address: string): ApiClient {
    return {
      get: async (path, query, options) => {
        if (options.key === undefined) this.#take(address);
        return await api.get(path, query, options);
      },
      ask: async (path, body, options) => {
        if (options.key === undefined) this.#take(address);
        return await api.ask(path, body, options);
      },
      write: async (path, body, options) => await api.write(path, body, options),
    };
  }

  #take(address: string): void {
    const now = this.#clock.now();
    const window = Math.floor(now / WINDOW_MS);
    if (window !== this.#window) {
      this.#window = window;
      this.#asked = new Map();
    }
    const asked = this.#asked.get(address) ?? 0;
    if (asked < ASKED_MAX && (asked > 0 || this.#asked.size < ADDRESSES_MAX)) {
      this.#asked.set(address, asked + 1);
      return;
    }
    this.refused += 1;
    throw new ApiFailure(
      "RATE_LIMIT_EXCEEDED",
      `without a key of your own ${ASKED_MAX} questions a minute are answered: send one as Authorization: Bearer <key>`,
      { status: 429, retryAfterS: Math.ceil(((window + 1) * WINDOW_MS - now) / 1_000) },
    );
  }
}
