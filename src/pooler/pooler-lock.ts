/**
 * One at a time: a lock beside a pooler's files, for whoever reads them, judges and acts. It is held for milliseconds, and
 * never while statements are waited for.
 */
import { LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { ProcessUser } from "../platform/processes.ts";
import type { CallOptions } from "./pooler.ts";

/** Longer than a console takes that does not answer. */
const LOCK_TIMEOUT_MS = 5_000;
const LOOK_INTERVAL_MS = 2;

/** Runs `work` with the lock. Rejects with `pooler.busy` when it is not free in time. */
export async function lockPooler<T>(
  { clock, files, locks }: { readonly clock: Clock; readonly files: Files; readonly locks: Locks },
  of: { readonly databasesFile: string; readonly owner: ProcessUser | undefined },
  options: CallOptions,
  work: () => Promise<T>,
): Promise<T> {
  const file = `${of.databasesFile}.lock`;
  const deadline = clock.monotonic() + LOCK_TIMEOUT_MS;
  let lock = locks.tryAcquire(file);
  while (lock === undefined) {
    if (clock.monotonic() > deadline) throw busy(file);
    await clock.sleep(LOOK_INTERVAL_MS, options);
    lock = locks.tryAcquire(file);
  }
  try {
    // Whoever comes first makes the file; the others may be of another user.
    if (of.owner !== undefined) await files.changeOwner(file, of.owner);
    return await work();
  } finally {
    lock.release();
  }
}

function busy(file: string): LifeboatError {
  return new LifeboatError("pooler.busy", {
    message: `the lock ${file} was not free within ${LOCK_TIMEOUT_MS} ms`,
    remedy:
      "See which process holds it (fuser, lsof): a controller or a watchdog that hangs. It is free once that is gone.",
    retryable: true,
  });
}
