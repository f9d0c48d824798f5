/**
 * Plans of restores for a replica that is made anew: waits until the vault has what the primary had.
 *
 * Invariant: a replica that is restored over an older one has all that the primary had flushed when it was asked, and so all that
 * the older one can have confirmed. The record goes on counting it as one that has; a copy with less would be promoted without
 * what only the older one had, and what it replaces would have been the last other copy.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import { formatLsn, type Lsn } from "../postgres/lsn.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What the primary flushed is in the vault's spool within milliseconds; a new timeline's history comes with its first WAL. */
const CATCH_UP_TIMEOUT_MS = 30_000;
/** A plan is dear where the backup is large: it is made less and less often. */
const LOOK_MIN_MS = 100;
const LOOK_MAX_MS = 2_000;

/** Where the plan is to end, and how it is made. */
export type CaughtUpRequest<P> = {
  /** The position that the primary had flushed. */
  readonly needed: Lsn;
  readonly prepare: () => Promise<P>;
  /** Where WAL ends in a plan. */
  readonly endOf: (plan: P) => Lsn;
  /** Why a replica of the plan's backup would lack a database, and be promoted without it; undefined when nothing says so. */
  readonly lacks: (plan: P) => string | undefined;
  /** The command that takes a backup of the primary. */
  readonly backup: string;
};

/**
 * The first plan that has enough. Rejects with `stack.rejoin-refused` when there is none in time, or the vault lacks WAL or a database that only a new
 * backup makes up for, and as `prepare` does.
 */
export async function prepareCaughtUp<P>(
  clock: Clock,
  { needed, prepare, endOf, lacks, backup }: CaughtUpRequest<P>,
  options: CallOptions,
): Promise<P> {
  const deadline = clock.monotonic() + CATCH_UP_TIMEOUT_MS;
  for (let lookMs = LOOK_MIN_MS; ; lookMs = Math.min(lookMs * 2, LOOK_MAX_MS)) {
    const isLast = clock.monotonic() > deadline;
    const plan = await prepare().catch((error: unknown) => {
      if (isLifeboatError(error, "restore.wal-gap")) throw gap(error, backup);
      if (!isLifeboatError(error, "restore.no-backup") || isLast) throw error;
      return undefined;
    });
    if (plan !== undefined) {
      const lacking = lacks(plan);
      if (lacking !== undefined) throw incomplete(lacking, backup);
      const end = endOf(plan);
      if (end >= needed) return plan;
      if (isLast) throw behind(end, needed);
    }
    await clock.sleep(lookMs, options);
  }
}

function behind(end: Lsn, needed: Lsn): LifeboatError {
  return new LifeboatError("stack.rejoin-refused", {
    message: `the vault has WAL up to ${formatLsn(end)}, the primary up to ${formatLsn(needed)}: a replica made of it would lack writes that the old one may have confirmed`,
    remedy: "Nothing was written over. See why the vault's receiver is behind: lifeboat status.",
    retryable: true,
  });
}

function incomplete(lacking: string, backup: string): LifeboatError {
  return new LifeboatError("stack.rejoin-refused", {
    message: `${lacking}: a replica can be made of a backup that is taken now (${backup})`,
    remedy: `Nothing was written over. Take a backup of the primary: ${backup}.`,
    retryable: true,
  });
}

function gap(cause: LifeboatError, backup: string): LifeboatError {
  return new LifeboatError("stack.rejoin-refused", {
    message: `${cause.message}: a replica can be made of a backup that is taken now (${backup})`,
    remedy: `Nothing was written over. Take a backup of the primary: ${backup}.`,
    retryable: true,
    cause,
  });
}
