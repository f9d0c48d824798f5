/** Reads: from whichever server answers. */
import { startTimer } from "../../src/platform/timer.ts";
import { isConflict, isServerGone, isTimeout } from "./gone.ts";
import type { RawRows } from "./json-rows.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { Row } from "./session.ts";
import type { RawAsked, Way } from "./way.ts";

/** A first choice that is silent for so long is not waited for: the other is asked, too. */
const HEDGE_AFTER_MS = 200;
/** What a read may take of a server; the balancer gives up after a minute, a person much earlier. */
export const READ_LIMIT_MS = 4_500;
/** The same of one that lost its server and asks the same way again: by then another one is at its end, or none is for longer. */
const AGAIN_LIMIT_MS = 2_000;
/** What a read may take of servers in all. */
export const READ_LONGEST_MS = READ_LIMIT_MS + AGAIN_LIMIT_MS;

/**
 * Whether another server may have the answer: this one is gone, or is a replica whose replay took away what the statement reads.
 */
function isElsewhere(error: unknown): boolean {
  return isServerGone(error) || isConflict(error);
}

/** What was read, and where; a server that is not known to be a primary counts as a replica, which may lack the newest. */
export type ReadRows = { readonly rows: readonly Row[]; readonly from: "primary" | "replica" };

/** What reads can be asked of. */
export interface Reads {
  /** Rows of one statement that writes nothing. Rejects when no server answers in time, or with what one says. */
  read(text: string, values: readonly unknown[]): Promise<ReadRows>;
  /** The same as the server sent them. */
  readRaw(asked: RawAsked): Promise<RawRows>;
}

/** What is asked of a way. */
type ReadWay = Pick<Way, "view" | "rows" | "rawRows" | "suspect" | "onSilence">;

/**
 * Asks the main way first while a primary is there, else the other; the second one when the first is gone, or silent for too
 * long and the budget has room. The first answer counts. Both ways may lead to one server that is frozen: when one of them is lost while
 * the other is waited for, it is asked once more within the budget, and leads to another server by then.
 */
export class HedgedReads implements Reads {
  readonly #main: ReadWay;
  readonly #other: ReadWay | undefined;
  readonly #budget: RetryBudget;
  hedged = 0;

  constructor(ways: { readonly main: ReadWay; readonly other: ReadWay | undefined; readonly budget: RetryBudget }) {
    this.#main = ways.main;
    this.#other = ways.other;
    this.#budget = ways.budget;
  }

  async read(text: string, values: readonly unknown[]): Promise<ReadRows> {
    return await this.#ask(async (way, limitMs) => {
      const rows = await way.rows(text, values, { limitMs });
      return { rows, from: way.view === "primary" ? "primary" : "replica" };
    });
  }

  async readRaw(asked: RawAsked): Promise<RawRows> {
    return await this.#ask(async (way, limitMs) => await way.rawRows(asked, { limitMs }));
  }

  async #ask<T>(ask: (way: ReadWay, limitMs: number) => Promise<T>): Promise<T> {
    this.#budget.count();
    const [first, second] = this.#order();
    if (second === undefined) return await ask(first, READ_LIMIT_MS);
    const opening = ask(first, READ_LIMIT_MS);
    const { needed, forget } = this.#hedge(first, opening);
    const asked = { both: false, again: false };
    const again = async (way: ReadWay, error: unknown): Promise<T> => {
      const isLost = isElsewhere(error) && !isTimeout(error);
      if (!isLost || !asked.both || asked.again || !this.#budget.take()) throw error;
      asked.again = true;
      return await ask(way, AGAIN_LIMIT_MS);
    };
    const fallback = async (): Promise<T> => {
      await needed;
      asked.both = true;
      return await ask(second, READ_LIMIT_MS).catch(async (error: unknown) => await again(second, error));
    };
    try {
      return await firstAnswer(
        opening.catch(async (error: unknown) => await again(first, error)),
        fallback(),
      );
    } finally {
      forget();
    }
  }

  #order(): readonly [first: ReadWay, second: ReadWay | undefined] {
    const main = this.#main;
    const other = this.#other;
    if (other === undefined) return [main, undefined];
    const isMainGood = main.view === "primary" || main.view === "unknown";
    const isOtherGood = other.view === "primary" || other.view === "replica";
    return isMainGood || !isOtherGood ? [main, other] : [other, main];
  }

  /**
   * `needed` resolves when the second is to be asked, and rejects when it is not; `forget` lets go of what was waited for. A server
   * that is slow costs budget: two then work for one read. One that is gone, or is seen to be silent, does not: its work is
   * moved, not doubled.
   */
  #hedge(first: ReadWay, opening: Promise<unknown>): { readonly needed: Promise<void>; readonly forget: () => void } {
    const cancels: (() => void)[] = [];
    const slow = new Promise<"slow">((resolve) => {
      cancels.push(startTimer(HEDGE_AFTER_MS, () => resolve("slow")));
    });
    const ended = opening.then(
      () => "answered" as const,
      (error: unknown) => (isElsewhere(error) ? ("gone" as const) : ("answered" as const)),
    );
    const decide = async (): Promise<void> => {
      let seen: "answered" | "gone" | "slow" | "silent" = await Promise.race([ended, slow]);
      if (seen === "slow") {
        first.suspect();
        // One that is known to be silent costs nothing: two do not work for one read.
        if (first.view !== "silent" && !this.#budget.take()) {
          const silent = new Promise<"silent">((resolve) => cancels.push(first.onSilence(() => resolve("silent"))));
          seen = await Promise.race([ended, silent]);
        }
      }
      if (seen === "answered") throw new NotNeeded();
      this.hedged += 1;
    };
    return {
      needed: decide(),
      forget: () => {
        for (const cancel of cancels) cancel();
      },
    };
  }
}

/** The second server was not asked. */
class NotNeeded extends Error {}

/** The first answer of the two; when both fail, what says most: an opinion of a server before a server that is gone. */
async function firstAnswer<T>(opening: Promise<T>, fallback: Promise<T>): Promise<T> {
  try {
    return await Promise.any([opening, fallback]);
  } catch (cause) {
    const errors: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
    const real = errors.filter((error) => !(error instanceof NotNeeded));
    throw real.find((error) => !isElsewhere(error)) ?? real[0] ?? cause;
  }
}
