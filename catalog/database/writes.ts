/**
 * Writes: held while there is no primary, and repeated where that is safe.
 *
 * Invariants: at most WAITING_MAX writes wait, with WAITING_BYTES_MAX of what they bring, each at most its time; all that are under
 * way have brought UNDER_WAY_BYTES_MAX at most; a statement that
 * takes too long is given up by the server itself, so that what is answered for is not at work any more; a commit that was answered
 * with a warning is unknown, never done (rule B11); one whose outcome is unknown is repeated only when it
 * finds by itself what came of it before (an idempotency key, a natural key), and such a repeat writes: what it found may be confirmed by
 * nobody yet, and only who writes waits for that; all that wait go on a random moment after the
 * primary is back, not together.
 */
import { errorText } from "../../src/errors/error-text.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { RandomSource } from "../../src/platform/random.ts";
import { isConflict, isGivenUp, isServerFull, isServerGone } from "./gone.ts";
import { ANSWER_MARGIN_MS } from "./read-limit.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { LentSession, Session } from "./session.ts";
import type { Way } from "./way.ts";

/** Three seconds of the rate that an instance is made for, and more than a failover takes. */
const WAITING_MAX = 256;
/** Sixteen of the largest bodies; parsed, each takes some times its length. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** What waits, and as much again on its way: all connections with the largest bodies. A server that hangs keeps those in line for one too. */
const UNDER_WAY_BYTES_MAX = 2 * WAITING_BYTES_MAX;
/** How long a write is held: longer than a failover, shorter than the balancer waits. */
export const WRITE_DEADLINE_MS = 8_000;
/**
 * What all statements of a try may take together, and what it waits for a connection: a batch of a thousand offers takes a fraction of
 * it, at a server that is busy with other things as well.
 */
const ATTEMPT_MS = 5_500;
/** Its server is told anew what is left when that is so much less than it was told: not before every statement. */
const LEFT_STEP_MS = 250;
const CONFLICTS_MAX = 5;
const TELL_REFUSED_EVERY_MS = 60_000;
/** All that waited begin again within so long. */
const SPREAD_MS = 120;

/** What a write may take from its beginning to its answer: to the end of its waiting, and then one try. */
export function writeLongestMs({
  deadlineMs = WRITE_DEADLINE_MS,
  attemptMs = ATTEMPT_MS,
}: {
  readonly deadlineMs?: number;
  readonly attemptMs?: number;
}): number {
  return deadlineMs + SPREAD_MS + attemptMs + LEFT_STEP_MS + ANSWER_MARGIN_MS;
}

/** Why writes are refused. */
const REFUSED = {
  full: "more wait already than are kept, or were repeated",
  late: "the database has not done them in time",
  "no-room": "the database has no room",
} as const;

/** Why a write was not done. Unless it is `unknown`, nothing of it is there. */
export class WriteNotDone extends Error {
  readonly reason: keyof typeof REFUSED | "unknown";
  constructor(reason: WriteNotDone["reason"], options?: { readonly cause?: unknown }) {
    super(`the write was not done: ${reason}`, options);
    this.reason = reason;
  }
}

/** The time of a try was over between two of its statements. */
class OutOfTime extends Error {
  override readonly message = "the time of its try was over between two statements";
}

/** Its commit was answered with a warning. */
class Unconfirmed extends Error {
  override readonly message = "the wait for those who confirm a commit was cancelled: it is on the primary alone";
}

/** What writes need. */
type WriteTools = {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly way: Pick<Way, "lend" | "untilPrimary" | "load">;
  readonly budget: RetryBudget;
  readonly tell?: (what: string) => void;
};

/** See `run`. */
type WriteLimits = {
  readonly repeatable: boolean;
  readonly deadlineMs?: number;
  readonly attemptMs?: number;
  readonly bytes?: number;
};

/** Runs transactions on the primary. */
export class Writes {
  readonly #tools: WriteTools;
  #held = 0;
  #heldBytes = 0;
  #underWayBytes = 0;
  readonly #tellFrom = new Map<keyof typeof REFUSED, number>();
  held = { total: 0, shed: 0, late: 0 };

  constructor(tools: WriteTools) {
    this.#tools = tools;
  }

  /** Writes that wait for a primary now. */
  get waiting(): number {
    return this.#held;
  }

  /**
   * Runs `work` as a transaction. `repeatable`: running it again after an unknown outcome has the same effect; `bytes`: what it
   * keeps in memory until it is done; `attemptMs`: what all statements of a try may take together. All of it takes `writeLongestMs` at
   * most. Waiting for a primary and then trying once more is free; whatever is tried again beyond that is taken from the budget. Rejects with WriteNotDone when there was
   * no primary in time or a statement took too long, or with what the server says.
   */
  async run<T>(work: (session: Session) => Promise<T>, limits: WriteLimits): Promise<T> {
    const { way, budget } = this.#tools;
    const { bytes = 0 } = limits;
    budget.count();
    // Who waits for a connection waits as well.
    if (this.#held + way.load.waiting >= WAITING_MAX) this.#shed(false);
    if (this.#underWayBytes + bytes > UNDER_WAY_BYTES_MAX) this.#shed(false);
    this.#underWayBytes += bytes;
    try {
      return await this.#run(work, limits);
    } finally {
      this.#underWayBytes -= bytes;
    }
  }

  async #run<T>(
    work: (session: Session) => Promise<T>,
    { repeatable, deadlineMs = WRITE_DEADLINE_MS, attemptMs = ATTEMPT_MS, bytes = 0 }: WriteLimits,
  ): Promise<T> {
    const { clock, way, budget } = this.#tools;
    const deadline = clock.monotonic() + deadlineMs;
    // Of any try: what a lost one committed is there, whatever comes of the next.
    let isCommitSent = false;
    for (let conflicts = 0, holds = 0; ; ) {
      const attempt = { isCommitSent: false, until: clock.monotonic() + attemptMs, clock };
      const leftMs = (): number => Math.max(0, attempt.until - clock.monotonic()) + LEFT_STEP_MS + ANSWER_MARGIN_MS;
      try {
        return await way.lend(async (session) => await transaction(session, work, attempt), { timeoutMs: leftMs });
      } catch (error) {
        if (isConflict(error)) {
          conflicts += 1;
          if (conflicts > CONFLICTS_MAX || clock.monotonic() > deadline || !budget.take()) {
            this.#shed(isCommitSent, error);
          }
          await this.#pause(SPREAD_MS);
          continue;
        }
        if (isServerFull(error)) throw this.#refused("no-room", isCommitSent, error);
        if (error instanceof OutOfTime || isGivenUp(error)) throw this.#refused("late", isCommitSent, error);
        if (!isServerGone(error)) throw error;
        isCommitSent ||= attempt.isCommitSent;
        if (isCommitSent && !repeatable) throw new WriteNotDone("unknown", { cause: error });
        holds += 1;
        // A server that is lost again and again, or answers looks and nothing else, gets no load from those who try again and again.
        if (holds > 1 && !budget.take()) this.#shed(isCommitSent, error);
        await this.#hold(deadline, { cause: error, isCommitSent, bytes });
      }
    }
  }

  async #hold(
    deadline: number,
    { cause, isCommitSent, bytes }: { readonly cause: unknown; readonly isCommitSent: boolean; readonly bytes: number },
  ): Promise<void> {
    const { clock, way } = this.#tools;
    if (this.#held >= WAITING_MAX || this.#heldBytes + bytes > WAITING_BYTES_MAX) {
      this.#shed(isCommitSent, cause);
    }
    this.#held += 1;
    this.#heldBytes += bytes;
    this.held.total += 1;
    try {
      const back = await way.untilPrimary(deadline - clock.monotonic());
      if (back) await this.#pause(SPREAD_MS);
      if (!back || clock.monotonic() > deadline) {
        this.held.late += 1;
        throw this.#refused("late", isCommitSent, cause);
      }
    } finally {
      this.#held -= 1;
      this.#heldBytes -= bytes;
    }
  }

  #shed(isCommitSent: boolean, cause?: unknown): never {
    this.held.shed += 1;
    throw this.#refused("full", isCommitSent, cause);
  }

  /** Told at most once in a while for each reason: who reads the log is to do something, and the log is on a disk as well. */
  #refused(why: keyof typeof REFUSED, isCommitSent: boolean, cause: unknown): WriteNotDone {
    const { clock, tell } = this.#tools;
    const now = clock.monotonic();
    if (now >= (this.#tellFrom.get(why) ?? now)) {
      this.#tellFrom.set(why, now + TELL_REFUSED_EVERY_MS);
      tell?.(`writes are refused, ${REFUSED[why]}${cause === undefined ? "" : `: ${errorText(cause)}`}`);
    }
    return new WriteNotDone(isCommitSent ? "unknown" : why, { cause });
  }

  async #pause(longestMs: number): Promise<void> {
    const { clock, random } = this.#tools;
    await clock.sleep((random(2).readUInt16LE() / 65_536) * longestMs, {});
  }
}

async function transaction<T>(
  session: LentSession,
  work: (session: Session) => Promise<T>,
  attempt: { isCommitSent: boolean; readonly until: number; readonly clock: Pick<Clock, "monotonic"> },
): Promise<T> {
  const left = (): number => Math.floor(attempt.until - attempt.clock.monotonic());
  let told = left();
  if (told <= 0) throw new OutOfTime();
  // A role or a database that hides warnings would hide that a commit was not confirmed.
  await session.query(`begin; set local statement_timeout = ${told}; set local client_min_messages = warning`);
  const limited: Session = {
    query: async (text, values) => {
      const now = left();
      if (now <= 0) throw new OutOfTime();
      if (now < told - LEFT_STEP_MS) {
        told = now;
        await session.query(`set local statement_timeout = ${told}`);
      }
      return await session.query(text, values);
    },
  };
  let result: T;
  try {
    result = await work(limited);
  } catch (error) {
    if (!isServerGone(error)) await session.query("rollback");
    throw error;
  }
  attempt.isCommitSent = true;
  // Not tried again by us, who would only wait for those again who do not confirm: whoever cancelled the wait wants it over.
  if ((await session.commit()).isWarned) throw new WriteNotDone("unknown", { cause: new Unconfirmed() });
  return result;
}
