/** Reads: from whichever server answers. */
import type { Clock } from "../../src/platform/clock.ts";
import { isServerGone } from "./gone.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { Row } from "./session.ts";
import type { Way } from "./way.ts";

/** A first choice that is silent for so long is not waited for: the other is asked, too. */
const HEDGE_AFTER_MS = 200;
/** The whole read; the balancer gives up after a minute, a person much earlier. */
const READ_TIMEOUT_MS = 5_000;

/** What was read, and where. */
export type ReadRows = { readonly rows: readonly Row[]; readonly from: "primary" | "replica" };

/** What reads can be asked of. */
export interface Reads {
  /** Rows of one statement that writes nothing. Rejects when no server answers in time, or with what one says. */
  read(text: string, values: readonly unknown[]): Promise<ReadRows>;
}

/**
 * Asks the main way first while a primary is there, else the other; the second one when the first is gone, or silent for too
 * long and the budget has room. The first answer counts.
 */
export class HedgedReads implements Reads {
  readonly #clock: Clock;
  readonly #main: Way;
  readonly #other: Way | undefined;
  readonly #budget: RetryBudget;
  hedged = 0;

  constructor(
    clock: Clock,
    ways: { readonly main: Way; readonly other: Way | undefined; readonly budget: RetryBudget },
  ) {
    this.#clock = clock;
    this.#main = ways.main;
    this.#other = ways.other;
    this.#budget = ways.budget;
  }

  async read(text: string, values: readonly unknown[]): Promise<ReadRows> {
    this.#budget.count();
    const [first, second] = this.#order();
    if (second === undefined) return await ask(first, text, values);
    const over = new AbortController();
    const opening = ask(first, text, values);
    const fallback = this.#hedge(first, opening, over.signal).then(async () => await ask(second, text, values));
    try {
      return await firstAnswer(opening, fallback);
    } finally {
      over.abort();
    }
  }

  #order(): readonly [first: Way, second: Way | undefined] {
    const main = this.#main;
    const other = this.#other;
    if (other === undefined) return [main, undefined];
    const isMainGood = main.view === "primary" || main.view === "unknown";
    const isOtherGood = other.view === "primary" || other.view === "replica";
    return isMainGood || !isOtherGood ? [main, other] : [other, main];
  }

  /** Resolves when the second is to be asked; rejects when it is not needed. */
  async #hedge(first: Way, opening: Promise<ReadRows>, signal: AbortSignal): Promise<void> {
    const failed = opening.then(
      () => "answered" as const,
      (error: unknown) => (isServerGone(error) ? ("gone" as const) : ("answered" as const)),
    );
    const silent = this.#clock.sleep(HEDGE_AFTER_MS, { signal }).then(() => "silent" as const);
    silent.catch(() => undefined);
    const what = await Promise.race([failed, silent]);
    if (what === "answered") throw new NotNeeded();
    if (!this.#budget.take()) {
      // The first may still answer.
      if ((await failed) !== "gone") throw new NotNeeded();
      throw new NotNeeded("the budget of second tries is used up");
    }
    this.hedged += 1;
    first.suspect();
  }
}

/** The second server was not asked. */
class NotNeeded extends Error {}

/** The first answer of the two; when both fail, what says most: an opinion of a server before a server that is gone. */
async function firstAnswer(opening: Promise<ReadRows>, fallback: Promise<ReadRows>): Promise<ReadRows> {
  try {
    return await Promise.any([opening, fallback]);
  } catch (cause) {
    const errors: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
    const real = errors.filter((error) => !(error instanceof NotNeeded));
    throw real.find((error) => !isServerGone(error)) ?? real[0] ?? cause;
  }
}

async function ask(way: Way, text: string, values: readonly unknown[]): Promise<ReadRows> {
  const rows = await way.rows(text, values, { timeoutMs: READ_TIMEOUT_MS });
  return { rows, from: way.view === "replica" ? "replica" : "primary" };
}
