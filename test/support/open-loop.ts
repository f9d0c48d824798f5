/**
 * A client that asks at a fixed rate, however slowly it is answered: requests are due at moments that were settled before, and
 * their latency counts from there. It repeats nothing. Everything but a 2xx within the time is a failure, with its reason.
 */
import { systemClock } from "../../src/platform/clock.ts";

/** One request. */
export type Ask = {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** What the requests of one kind came to. */
export type Tally = {
  okCount: number;
  readonly failures: string[];
  readonly latenciesMs: number[];
  /** When each 2xx came, in milliseconds since 1970. */
  readonly okAtMs: number[];
};

/** Longer than anything may take. */
const TIMEOUT_MS = 20_000;

/** Asks until it is stopped. */
export class OpenLoop {
  readonly tally: Tally = { okCount: 0, failures: [], latenciesMs: [], okAtMs: [] };
  /** Of requests that were answered with 2xx, by their place in the row. */
  readonly answered = new Set<number>();
  readonly #stop = new AbortController();
  readonly #flying = new Set<Promise<void>>();
  readonly #running: Promise<void>;

  constructor(perSecond: number, make: (index: number) => Ask) {
    this.#running = this.#run(perSecond, make);
  }

  /** Asks no more, waits for what is under way, and tells. */
  async stop(): Promise<Tally> {
    this.#stop.abort();
    await this.#running;
    await Promise.all(this.#flying);
    return this.tally;
  }

  async #run(perSecond: number, make: (index: number) => Ask): Promise<void> {
    const { signal } = this.#stop;
    const begun = systemClock.monotonic();
    for (let index = 0; !signal.aborted; index += 1) {
      const due = begun + (index * 1_000) / perSecond;
      const wait = due - systemClock.monotonic();
      if (wait > 0) await systemClock.sleep(wait, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const flight = this.#ask(index, make(index), due).finally(() => this.#flying.delete(flight));
      this.#flying.add(flight);
    }
  }

  async #ask(index: number, { method, url, headers, body }: Ask, due: number): Promise<void> {
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(url, { method, headers, signal, ...(body === undefined ? {} : { body }) });
      const text = await response.text();
      this.tally.latenciesMs.push(systemClock.monotonic() - due);
      if (response.ok) {
        this.tally.okCount += 1;
        this.tally.okAtMs.push(systemClock.now());
        this.answered.add(index);
      } else this.tally.failures.push(`${response.status} ${text.slice(0, 200)}`);
    } catch (error) {
      const { cause } = error instanceof Error ? error : { cause: undefined };
      this.tally.failures.push(`${String(error)} ${cause instanceof Error ? cause.message : ""}`);
    }
  }
}
