/**
 * Lets clients go on whom a dead controller left waiting. A program of its own beside the poolers, since it must outlive every
 * controller: `lifeboat pooler watch`.
 *
 * Invariants: a pause whose hold is renewed in time is never ended, whatever it waits for; one whose holder is silent for
 * longer than it promised is, within two looks. The time is counted from when the hold was seen to change last, by this
 * process' monotonic clock, and anew after this process was itself held up: it never takes its own absence for the holder's.
 * The hold is judged again under the pooler's lock and kept locked until clients go on, so that a controller that comes
 * meanwhile pauses after that. A pause without a hold is somebody's own doing and is left. Instances are watched
 * independently: one that does not answer delays no other.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { ProcessUser } from "../platform/processes.ts";
import type { PoolerConsole } from "./console.ts";
import { holdFileOf, readHold } from "./hold-file.ts";
import type { CallOptions, PoolerHold } from "./pooler.ts";
import { lockPooler } from "./pooler-lock.ts";

/** An instance to watch. */
export type WatchedPooler = {
  /** As its controllers call it. */
  readonly name: string;
  readonly console: PoolerConsole;
  readonly databasesFile: string;
  readonly owner?: ProcessUser | undefined;
};

/** What is told. */
export type WatchEvent =
  /** A hold ran out, and clients go on. `heldMs`: how long the hold had not changed. */
  | { readonly kind: "resumed"; readonly pooler: string; readonly hold: PoolerHold; readonly heldMs: number }
  /** Once for each failure that differs from the one before; it is tried again. */
  | { readonly kind: "failed"; readonly pooler: string; readonly error: LifeboatError };

/** What the watchdog needs. */
export type WatchTools = {
  readonly clock: Clock;
  readonly files: Files;
  readonly locks: Locks;
  readonly onEvent: (event: WatchEvent) => void;
};

/** Between two looks at a hold: a small file that is read, nothing else. */
export const WATCH_INTERVAL_MS = 100;
/** A look that comes later than this after the one before: this process was held up, and saw no renewals meanwhile. */
const HELD_UP_MS = 5 * WATCH_INTERVAL_MS;
/** PgBouncer answers in a millisecond. */
const COMMAND_TIMEOUT_MS = 2_000;

/** Watches until the signal aborts, and then returns. Failures are told and outlived. */
export async function watchPoolers(
  tools: WatchTools,
  poolers: readonly WatchedPooler[],
  options: CallOptions,
): Promise<void> {
  await Promise.all(poolers.map((pooler) => watchOne(tools, pooler, options)));
}

/** The hold that was seen last, and since when it has not changed. */
type Seen = { readonly hold: PoolerHold; readonly since: Monotonic };

async function watchOne(tools: WatchTools, pooler: WatchedPooler, options: CallOptions): Promise<void> {
  let seen: Seen | undefined;
  let lookedAt = tools.clock.monotonic();
  let failure: string | undefined;
  for (;;) {
    try {
      const now = tools.clock.monotonic();
      seen = lookAgain(await readHold(tools.files, holdFileOf(pooler)), {
        seen: now - lookedAt > HELD_UP_MS ? undefined : seen,
        now,
      });
      lookedAt = now;
      if (seen !== undefined && hasRunOut(seen, now)) await resumeFor(tools, pooler, seen, options);
      failure = undefined;
    } catch (error) {
      if (isLifeboatError(error, "platform.aborted")) return;
      // A bug of ours is one all the same; what the world does to us is tried again.
      if (!isLifeboatError(error) || error.kind === "bug") throw error;
      if (failure !== error.message) tools.onEvent({ kind: "failed", pooler: pooler.name, error });
      failure = error.message;
      lookedAt = tools.clock.monotonic();
    }
    if (!(await pauseFor(tools.clock, options))) return;
  }
}

/** What is known of the hold after another look. */
function lookAgain(
  hold: PoolerHold | undefined,
  before: { readonly seen: Seen | undefined; readonly now: Monotonic },
): Seen | undefined {
  if (hold === undefined) return undefined;
  return before.seen !== undefined && isSameHold(hold, before.seen.hold) ? before.seen : { hold, since: before.now };
}

function hasRunOut({ hold, since }: Seen, now: Monotonic): boolean {
  return now - since > hold.holdMs;
}

async function resumeFor(tools: WatchTools, pooler: WatchedPooler, seen: Seen, options: CallOptions): Promise<void> {
  const file = holdFileOf(pooler);
  const resumed = await lockPooler(
    tools,
    { databasesFile: pooler.databasesFile, owner: pooler.owner },
    options,
    async () => {
      const hold = await readHold(tools.files, file);
      if (hold === undefined || !isSameHold(hold, seen.hold)) return false;
      try {
        await pooler.console.run("RESUME", { ...options, timeoutMs: COMMAND_TIMEOUT_MS });
      } catch (error) {
        // It is not paused: its controller died before the pause or after the resume, or the pooler was started anew. Or it
        // shuts down, and clients come back when it was started again.
        if (!isLifeboatError(error, "pooler.refused")) throw error;
      }
      await tools.files.remove(file);
      return true;
    },
  );
  const heldMs = Math.round(tools.clock.monotonic() - seen.since);
  if (resumed) tools.onEvent({ kind: "resumed", pooler: pooler.name, hold: seen.hold, heldMs });
}

function isSameHold(a: PoolerHold, b: PoolerHold): boolean {
  return a.epoch === b.epoch && a.turn === b.turn && a.pausedAt === b.pausedAt;
}

async function pauseFor(clock: Clock, options: CallOptions): Promise<boolean> {
  try {
    await clock.sleep(WATCH_INTERVAL_MS, options);
    return true;
  } catch (error) {
    if (isLifeboatError(error, "platform.aborted")) return false;
    throw error;
  }
}
