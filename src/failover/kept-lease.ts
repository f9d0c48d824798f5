/** A lease is kept for as long as something is done under it. */
import type { FailoverPorts, HeldLease } from "./ports.ts";

/**
 * Does it, and renews well before the lease ends beside it. Settles as the work does, when no renewal is under way any more; whoever
 * has the lease ends it.
 */
export async function keptWhile<T>(
  { clock, lease: { durationMs } }: Pick<FailoverPorts, "clock" | "lease">,
  lease: HeldLease,
  { signal }: { readonly signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const keeping = keep(AbortSignal.any([over.signal, ...(signal === undefined ? [] : [signal])]));
  try {
    return await work();
  } finally {
    over.abort();
    await keeping;
  }

  async function keep(ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      try {
        await clock.sleep(durationMs / 4, { signal: ending });
        await lease.renew({ signal: ending });
      } catch {
        // Only an abort ends a sleep; what fails in a renewal leaves the deadline where it is.
        return;
      }
    }
  }
}
