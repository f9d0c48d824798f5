/**
 * Starts a restored server and makes sure that it came as far as was planned.
 *
 * Looked at from outside, without logging in: the control file says when the server left recovery, and the history of the
 * timeline it began says where. Where WAL is left to be fed, it is fed meanwhile. A server that came up short is stopped and reported, never handed over as recovered.
 */
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import { formatLsn, type Lsn, lsnMax, parseLsn, type Timeline } from "../postgres/lsn.ts";
import type { LocalServer } from "../postgres/server.ts";
import { AheadOfTarget } from "./ahead-of-target.ts";
import type { RestorePlan } from "./plan.ts";
import { hasRecovered, readReached } from "./reached.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { describeStop } from "./target.ts";
import { feedWal, removeFeed } from "./wal-feeder.ts";
import { isReplayed } from "./wal-tablespaces.ts";
import { findWholeEnd } from "./whole-end.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** How often the control file is looked at while the server recovers. */
const LOOK_INTERVAL_MS = 20;
/** A server that came up short has nothing worth a long goodbye. */
const STOP_TIMEOUT_MS = 60_000;

export type BootTools = {
  readonly server: LocalServer;
  readonly files: Files;
  readonly clock: Clock;
  readonly wal: RestoreWal;
  /** For a plan with WAL to feed. */
  readonly locks?: Locks | undefined;
  /** Told of segments that are fed. */
  readonly onFed?: ((doneCount: number) => void) | undefined;
  /** Told of what was fed and somebody should look at. */
  readonly onNotice?: ((text: string) => void) | undefined;
};

/** Where recovery ended. */
export type Reached = { readonly timeline: Timeline; readonly lsn: Lsn; readonly recoveryMs: number };

/**
 * Starts the server and waits until it left recovery. Throws `restore.point-not-reached` when it ended elsewhere than
 * at the planned stop, or, with nothing to stop at, before the last whole record of the planned WAL, or at one that is damaged; and whatever starting
 * throws; `restore.feed-failed` for all of that when WAL was fed, the server being stopped then.
 */
export async function bootRestored(
  tools: BootTools,
  plan: RestorePlan,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Reached> {
  const { server, clock } = tools;
  const begun = clock.monotonic();
  // The server takes as long to start as this takes to find out.
  const looking = neededEnd(tools.wal, plan, options);
  looking.catch(() => undefined);
  await whileFed(tools, plan, options, async () => {
    await server.start({ until: "accepting", ...options });
    await untilInProduction(tools, { ...options, deadlineMs: begun + options.timeoutMs });
  });
  const recoveryMs = clock.monotonic() - begun;
  const needed = await looking.catch(async (error: unknown) => {
    await server.stop({ mode: "fast", timeoutMs: STOP_TIMEOUT_MS });
    throw error;
  });
  const reached = await readReached(tools.files, server.setup.dataFolder);
  if (isAsPlanned(plan, reached.lsn, needed)) return { ...reached, recoveryMs };
  await server.stop({ mode: "fast", timeoutMs: STOP_TIMEOUT_MS });
  const planned = plan.stop.kind === "end-of-wal" ? needed : plan.stop.reaches;
  throw new LifeboatError("restore.point-not-reached", {
    message: `the restored server in ${server.setup.dataFolder} ended recovery at ${formatLsn(reached.lsn)}, planned was ${formatLsn(planned)}, ${describeStop(plan.stop)}`,
    remedy: "It was stopped. Look at its log, run `lifeboat vault check --read-data`, and restore again.",
    details: { reached: formatLsn(reached.lsn), planned: formatLsn(planned) },
  });
}

/** Runs `recover` while the server is fed what the plan leaves to be fed. */
async function whileFed(
  tools: BootTools,
  plan: RestorePlan,
  options: CallOptions,
  recover: () => Promise<void>,
): Promise<void> {
  if (plan.fed.length === 0) return recover();
  const { server, locks, files } = tools;
  const { dataFolder, user: owner } = server.setup;
  assert(locks !== undefined, "a plan with WAL to feed is booted with locks");
  const ending = new AbortController();
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal]);
  const replays = (record: { readonly lsn: Lsn }): boolean => isReplayed(plan, record);
  const feed = { ...plan, dataFolder, segments: plan.fed.map(({ name }) => name), owner, replays };
  const ahead = new AheadOfTarget(plan);
  let failure: unknown;
  const feeder = { ...tools, locks, onSegment: tools.onFed, onPassing: ahead.pass };
  const feeding = feedWal(feeder, feed, { signal }).catch((error: unknown) => {
    if (!ending.signal.aborted) failure = error;
  });
  try {
    await recover();
  } catch (error) {
    if (isLifeboatError(error, "platform.aborted") || isLifeboatError(failure, "platform.aborted")) throw error;
    // Nobody would feed it any more.
    await server.stop({ mode: "fast", timeoutMs: STOP_TIMEOUT_MS });
    throw feedError(dataFolder, isLifeboatError(failure) ? failure : error);
  } finally {
    ending.abort();
    await feeding;
  }
  await removeFeed(files, dataFolder);
  if (ahead.found !== undefined) tools.onNotice?.(ahead.found);
}

function feedError(dataFolder: string, cause: unknown): LifeboatError {
  return new LifeboatError("restore.feed-failed", {
    message: `recovery in ${dataFolder} stopped: ${errorText(cause)}`,
    remedy: `What was replayed is kept. When the cause is mended, run \`lifeboat wal feed --target ${dataFolder}\` and start the server beside it.`,
    // Damage is no better at the next try.
    retryable: isLifeboatError(cause) && cause.retryable,
    cause,
  });
}

/** The least that recovery must reach. */
async function neededEnd(wal: RestoreWal, plan: RestorePlan, options: CallOptions): Promise<Lsn> {
  const consistent = parseLsn(plan.backup.endLsn);
  const end = await findWholeEnd(plan, wal, options);
  return lsnMax(consistent, end?.last?.end ?? consistent);
}

/** Whether recovery ended where the plan says. */
function isAsPlanned(plan: RestorePlan, reached: Lsn, needed: Lsn): boolean {
  const { stop } = plan;
  if (stop.kind === "end-of-wal") return reached >= needed && reached <= plan.endLsn;
  if (reached === stop.reaches) return true;
  return stop.kind === "consistent" && reached < stop.reaches && reached >= parseLsn(plan.backup.startLsn);
}

async function untilInProduction(
  { files, server, clock }: BootTools,
  options: { readonly deadlineMs: number; readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for (;;) {
    if (await hasRecovered(files, server.setup.dataFolder)) return;
    const state = await server.state();
    if (state.kind === "stopped" || state.kind === "crashed") {
      const logTail = await server.logTail();
      throw new LifeboatError("restore.point-not-reached", {
        message: `the restored server in ${server.setup.dataFolder} ended during recovery; its log ends: ${logTail}`,
        remedy: `Look at ${server.setup.logFile} for what stopped recovery.`,
        details: { logTail },
      });
    }
    if (clock.monotonic() > options.deadlineMs) {
      throw new LifeboatError("restore.point-not-reached", {
        message: `the restored server in ${server.setup.dataFolder} was still recovering after ${options.timeoutMs} ms`,
        remedy: "It was left running and goes on; look at its log for how far it is, or raise restore.bootTimeout.",
        retryable: true,
      });
    }
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}
