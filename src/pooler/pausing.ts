/**
 * How a PgBouncer is paused so that no login of it is in flight: one that is cut short by the pause counts as failed, and
 * clients are refused afterwards.
 *
 * Nouns: *quiet* is a pooler that reads nothing from its clients, with no login in flight and nobody waiting for one.
 * Two ways. By looking: SHOW POOLS until no login is in flight, then PAUSE; in the moment between the two a login can begin,
 * on a busy machine often (docs/measurements.md). By suspending, after such a look: SUSPEND stops reading, has those served
 * that wait, and answers then; nobody can begin a login any more; RESUME and PAUSE follow as one piece, between which the
 * pooler does nothing else. Only looking is left where a pooler cannot be made quiet: its server is given up and serves
 * nobody who waits, or a client is stuck in its own login.
 * Invariants: whoever suspends has a second session open, since a suspended pooler lets nobody in, and resumes by it when
 * SUSPEND is not answered in time. When both are lost the pooler resumes by itself once it is quiet, after suspend_timeout (10 s)
 * at the latest.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import type { PoolerConsole } from "./console.ts";
import type { CallOptions } from "./pooler.ts";
import { type PoolTotals, readPools } from "./show.ts";

/** What pausing needs. */
export type PausingTools = {
  readonly clock: Clock;
  readonly console: PoolerConsole;
  /** For the commands that answer late, and for those that must not be separated from them by a new session. */
  readonly waitingConsole: PoolerConsole;
  /** Whether the global pause is on. */
  readonly isPaused: (options: CallOptions) => Promise<boolean>;
};

/** PgBouncer answers from memory in a millisecond; one that does not for so long hangs. */
export const COMMAND_TIMEOUT_MS = 2_000;
/** Suspending takes as long as those need who wait for a login; clients do not mind a quarter of a second. */
const QUIET_MS = 250;
/** How often it is tried: on a busy machine new clients come to wait between the look and SUSPEND. */
const SUSPENDS_MAX = 4;
/** Between two looks: a login takes 3 to 20 ms. */
const LOOK_MS = 2;
/**
 * While clients wait and the pool can grow, the next login begins as soon as one has ended. For so long looking waits for a
 * moment in which nobody waits; after that the pool is as large as it may be, or its server is slow.
 */
const STRICT_MS = 25;
const DRAIN_LOOK_MS = 5;

/** What came of it. */
export type PausingAnswer =
  | { readonly kind: "paused"; readonly drained: boolean }
  /** Not paused: a login is in flight. */
  | { readonly kind: "login-in-flight" };

/** Pauses when quiet, and waits until drained; both until the deadline. */
export async function pauseQuietly(
  tools: PausingTools,
  deadline: Monotonic,
  options: CallOptions,
): Promise<PausingAnswer> {
  if (await tools.isPaused(options)) {
    return { kind: "paused", drained: await sendPause(tools, ["PAUSE"], deadline, options) };
  }
  for (let attempts = 1; attempts <= SUSPENDS_MAX; attempts += 1) {
    if (!(await hasNoLogin(tools, deadline, options))) return { kind: "login-in-flight" };
    const suspended = await suspend(tools, deadline, options);
    if (suspended === "quiet") {
      return { kind: "paused", drained: await sendPause(tools, ["RESUME", "PAUSE"], deadline, options) };
    }
    if (suspended === "refused") break;
  }
  if (!(await hasNoLogin(tools, deadline, options))) return { kind: "login-in-flight" };
  return { kind: "paused", drained: await sendPause(tools, ["PAUSE"], deadline, options) };
}

/** Pauses at once, but for a moment's wait for a login in flight. `sparing`: where that has not ended, not at all. */
export async function pauseAtOnce(
  tools: PausingTools,
  how: { readonly loginUntil: Monotonic; readonly drainMs: number; readonly sparing: boolean },
  options: CallOptions,
): Promise<"login-in-flight" | { readonly drained: boolean; readonly cutLogin: boolean }> {
  const cutLogin = !(await tools.isPaused(options)) && !(await hasNoLogin(tools, how.loginUntil, options));
  if (cutLogin && how.sparing) return "login-in-flight";
  const deadline = (tools.clock.monotonic() + how.drainMs) as Monotonic;
  return { cutLogin, drained: await sendPause(tools, ["PAUSE"], deadline, options) };
}

/**
 * Pauses a pooler whose server is gone, by one command: it is busy with clients that lost their server and log in again (tens of
 * milliseconds between two answers), and there is no login that a look could spare.
 */
export async function pauseForGone(
  tools: PausingTools,
  deadline: Monotonic,
  options: CallOptions,
): Promise<{ readonly drained: boolean; readonly cutLogin: boolean }> {
  return { cutLogin: false, drained: await sendPause(tools, ["PAUSE"], deadline, options) };
}

/** Suspends it. Unless `quiet` is answered it is not suspended any more. `refused`: it is paused, or cannot be suspended. */
async function suspend(
  tools: PausingTools,
  deadline: Monotonic,
  options: CallOptions,
): Promise<"quiet" | "not-yet" | "refused"> {
  const { clock, console, waitingConsole } = tools;
  const until = Math.min(deadline, clock.monotonic() + QUIET_MS);
  const inTime = { ...options, timeoutMs: Math.max(1, Math.ceil(until - clock.monotonic())) };
  try {
    await waitingConsole.run("SUSPEND", inTime);
    // A client that left does not end the login it began.
    while (readPools(await waitingConsole.run("SHOW POOLS", inTime)).serversLoggingIn > 0) {
      if (clock.monotonic() >= until) return await notYet(console, options);
      await clock.sleep(LOOK_MS, options);
    }
    return "quiet";
  } catch (error) {
    if (isLifeboatError(error, "pooler.refused")) return "refused";
    if (isLifeboatError(error, "pooler.unreachable")) return await notYet(console, options);
    // An abort among them: nobody may be left suspended.
    await notYet(console, {}).catch(() => undefined);
    throw error;
  }
}

async function notYet(console: PoolerConsole, options: CallOptions): Promise<"not-yet"> {
  try {
    await console.run("RESUME", { ...options, timeoutMs: COMMAND_TIMEOUT_MS });
  } catch (error) {
    // It has resumed by itself.
    if (!isLifeboatError(error, "pooler.refused")) throw error;
  }
  return "not-yet";
}

/** Looks until no login is in flight; false when the time is over. */
async function hasNoLogin(tools: PausingTools, deadline: Monotonic, options: CallOptions): Promise<boolean> {
  const { clock, waitingConsole } = tools;
  // Opened anew here if need be: between the last look and the pause there is no time for a login of ours. The other session
  // is open once it has looked.
  await waitingConsole.run("SHOW VERSION", { ...options, timeoutMs: COMMAND_TIMEOUT_MS });
  const strictUntil = clock.monotonic() + STRICT_MS;
  for (;;) {
    const { serversLoggingIn, clientsWaiting } = await lookAtPools(tools, options);
    const isStrict = clock.monotonic() < strictUntil;
    if (serversLoggingIn === 0 && (clientsWaiting === 0 || !isStrict)) return true;
    if (clock.monotonic() >= deadline) return serversLoggingIn === 0;
    await clock.sleep(LOOK_MS, options);
  }
}

/** Sends the commands, the last of which pauses; true when drained by the deadline. Paused in either case. */
async function sendPause(
  tools: PausingTools,
  commands: readonly string[],
  deadline: Monotonic,
  options: CallOptions,
): Promise<boolean> {
  const { clock, waitingConsole, isPaused } = tools;
  const timeoutMs = Math.max(1, Math.ceil(deadline - clock.monotonic()));
  try {
    await waitingConsole.runAtOnce(commands, { ...options, timeoutMs });
    return true;
  } catch (error) {
    const isOne = isLifeboatError(error, "pooler.refused") || isLifeboatError(error, "pooler.unreachable");
    // A suspended pooler whose session was lost takes a turn to resume, and looks paused until then.
    if (isOne && (await isPaused(options))) await clock.sleep(DRAIN_LOOK_MS, options);
    // Refused because it is paused, or no answer because something still runs: either way it is paused. Else it failed.
    if (!isOne || !(await isPaused(options))) throw error;
  }
  for (;;) {
    if ((await lookAtPools(tools, options)).serversActive === 0) return true;
    if (clock.monotonic() >= deadline) return false;
    await clock.sleep(DRAIN_LOOK_MS, options);
  }
}

async function lookAtPools({ console }: PausingTools, options: CallOptions): Promise<PoolTotals> {
  return readPools(await console.run("SHOW POOLS", { ...options, timeoutMs: COMMAND_TIMEOUT_MS }));
}
