/** Reads: from whichever server answers. */
import { startTimer } from "../../src/platform/timer.ts";
import { isConflict, isGivenUp, isServerGone, isTimeout } from "./gone.ts";
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

/** A replica that is further behind is not asked in the place of a primary that is merely slow: copies are fresh for not much longer. */
const HEDGE_BEHIND_MAX_MS = 10_000;

/** What is known of rows beside what they say. */
export type Age = {
  /** By how much the server that they are from was behind its primary. */
  readonly behindMs: number;
};

/** What was read, and where; a server that is not known to be a primary counts as a replica, which may lack the newest. */
export type ReadRows = Age & { readonly rows: readonly Row[]; readonly from: "primary" | "replica" };

/** What reads can be asked of. */
export interface Reads {
  /** Rows of one statement that writes nothing. Rejects when no server answers in time, or with what one says. */
  read(text: string, values: readonly unknown[]): Promise<ReadRows>;
  /** The same as the server sent them. */
  readRaw(asked: RawAsked): Promise<Age & RawRows>;
}

/** Reads that remember the oldest of what they gave. */
export class AgedReads implements Reads {
  readonly #reads: Reads;
  /** By how much the server was behind that was furthest behind. */
  behindMs = 0;

  constructor(reads: Reads) {
    this.#reads = reads;
  }

  async read(text: string, values: readonly unknown[]): Promise<ReadRows> {
    return this.#aged(await this.#reads.read(text, values));
  }

  async readRaw(asked: RawAsked): Promise<Age & RawRows> {
    return this.#aged(await this.#reads.readRaw(asked));
  }

  #aged<T extends Age>(read: T): T {
    this.behindMs = Math.max(this.behindMs, read.behindMs);
    return read;
  }
}

/** What is asked of a way. */
type ReadWay = Pick<Way, "view" | "behindMs" | "rows" | "rawRows" | "suspect" | "onSilence">;

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
      return { rows, from: way.view === "primary" ? "primary" : "replica", behindMs: way.behindMs };
    });
  }

  async readRaw(asked: RawAsked): Promise<Age & RawRows> {
    return await this.#ask(async (way, limitMs) => {
      const rows = await way.rawRows(asked, { limitMs });
      return { ...rows, behindMs: way.behindMs };
    });
  }

  async #ask<T>(ask: (way: ReadWay, limitMs: number) => Promise<T>): Promise<T> {
    this.#budget.count();
    const [first, second] = this.#order();
    if (second === undefined) return await ask(first, READ_LIMIT_MS);
    const opening = ask(first, READ_LIMIT_MS);
    const { needed, forget } = this.#hedge(first, second, opening);
    const asked = { both: false, again: false };
    const again = async (way: ReadWay, error: unknown): Promise<T> => {
      const isLost = isElsewhere(error) && !isTimeout(error);
      if (!isLost || !asked.both || asked.again || !this.#budget.take()) throw error;
      asked.again = true;
      return await ask(way, AGAIN_LIMIT_MS);
    };
    const fallback = async (): Promise<T> => {
      const limitMs = await needed;
      asked.both = true;
      return await ask(second, limitMs).catch(async (error: unknown) => await again(second, error));
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
   * `needed` resolves with the limit of the second when that is to be asked, and rejects when it is not; `forget` lets go of what was waited for. A server
   * that is slow costs budget: two then work for one read. One that is gone, or is seen to be silent, does not: its work is
   * moved, not doubled. One that is far behind is asked for what a slow one has given up: an old answer is better than none.
   */
  #hedge(
    first: ReadWay,
    second: ReadWay,
    opening: Promise<unknown>,
  ): { readonly needed: Promise<number>; readonly forget: () => void } {
    const cancels: (() => void)[] = [];
    const slow = new Promise<"slow">((resolve) => {
      cancels.push(startTimer(HEDGE_AFTER_MS, () => resolve("slow")));
    });
    const ended = opening.then(
      () => "answered" as const,
      (error: unknown) => (isElsewhere(error) ? "gone" : isGivenUp(error) ? "given-up" : "answered"),
    );
    const decide = async (): Promise<number> => {
      let seen: "answered" | "gone" | "given-up" | "slow" | "silent" = await Promise.race([ended, slow]);
      let isFar = false;
      if (seen === "slow") {
        first.suspect();
        // One that is known to be silent costs nothing: two do not work for one read.
        isFar = second.behindMs > Math.max(HEDGE_BEHIND_MAX_MS, first.behindMs);
        if (first.view !== "silent" && (isFar || !this.#budget.take())) {
          const silent = new Promise<"silent">((resolve) => cancels.push(first.onSilence(() => resolve("silent"))));
          seen = await Promise.race([ended, silent]);
        }
      }
      const isLate = seen === "given-up";
      if (seen === "answered" || (isLate && !(isFar && this.#budget.take()))) throw new NotNeeded();
      this.hedged += 1;
      return isLate ? AGAIN_LIMIT_MS : READ_LIMIT_MS;
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
