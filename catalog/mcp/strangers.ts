/** How often one may ask who shows no key: what is asked then is asked with ours, of which all strangers together have one. */
import type { Clock } from "../../src/platform/clock.ts";
import { MinuteCounts } from "../../src/platform/minute-counts.ts";
import { type ApiClient, ApiFailure } from "./api-client.ts";

/** As much as a free key gives. */
const ASKED_MAX = 60;
/** Addresses that are counted in a minute; beyond them nobody new is let in until the next. */
const ADDRESSES_MAX = 20_000;

/** Counts by address, in windows of a minute. */
export class Strangers {
  readonly #asked: MinuteCounts;
  refused = 0;

  constructor(clock: Clock) {
    this.#asked = new MinuteCounts(clock, ADDRESSES_MAX);
  }

  /** The API as one address may ask it without a key, told of the address. Calls beyond its share reject with RATE_LIMIT_EXCEEDED and reach nobody. */
  within(api: ApiClient, address: string): ApiClient {
    return {
      get: async (path, query, options) => {
        if (options.key === undefined) this.#take(address);
        return await api.get(path, query, { ...options, address });
      },
      ask: async (path, body, options) => {
        if (options.key === undefined) this.#take(address);
        return await api.ask(path, body, { ...options, address });
      },
      write: async (path, body, options) => await api.write(path, body, { ...options, address }),
    };
  }

  #take(address: string): void {
    const asked = this.#asked.of(address);
    if (asked !== undefined && asked < ASKED_MAX) {
      this.#asked.add(address);
      return;
    }
    this.refused += 1;
    throw new ApiFailure(
      "RATE_LIMIT_EXCEEDED",
      `without a key of your own ${ASKED_MAX} questions a minute are answered: send one as Authorization: Bearer <key>`,
      { status: 429, retryAfterS: this.#asked.now().resetS },
    );
  }
}
