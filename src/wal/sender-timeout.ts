/**
 * How long a server holds the slot of a receiver that vanished.
 *
 * A receiver whose machine or network is gone says no goodbye. Until the server's wal_sender_timeout has passed its walsender keeps
 * the slot, nobody else can receive, and every commit that waits for the receiver waits so long: a minute by default, for ever where it
 * is 0. So the receiver asks for less, and never for more than is set.
 */
import type { CallOptions, ReplicationConnection } from "../postgres/replication.ts";

/**
 * A receiver reports every second, but not while its disk syncs or its process stands still: what lasts 9 s ends nothing. Longer
 * costs a reconnection and loses nothing. The receiver's own patience with a silent server is 30 s: less than that, so that one
 * whose network came back does not wait for the walsender it had itself.
 */
const SENDER_TIMEOUT_MS = 10_000;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Opens a connection of which the server ends a silent one after 10 s at most. The setting is asked for only where it is needed, and
 * what is there already is used where it is refused, as by a proxy that passes no options on.
 */
export async function openForReceiver(
  open: (senderTimeoutMs: number | undefined) => Promise<ReplicationConnection>,
  options: CallOptions & { readonly senderTimeoutMs?: number },
): Promise<ReplicationConnection> {
  const { signal, senderTimeoutMs = SENDER_TIMEOUT_MS } = options;
  const first = await open(undefined);
  let second: ReplicationConnection;
  try {
    if (isAtMost(await first.show("wal_sender_timeout", { signal }), senderTimeoutMs)) return first;
    second = await open(senderTimeoutMs);
  } catch (error) {
    // Where that one is broken too, whoever uses it meets the reason.
    if (signal?.aborted !== true) return first;
    await Promise.allSettled([first.close()]);
    throw error;
  }
  await Promise.allSettled([first.close()]);
  return second;
}

/** Whether a setting, as SHOW prints it, is at most so long; what cannot be read is, and 0 is for ever. */
function isAtMost(shown: string, durationMs: number): boolean {
  const [, count, unit = "ms"] = /^(\d+)([a-z]+)?$/.exec(shown) ?? [];
  const shownMs = Number(count) * (UNIT_MS[unit] ?? Number.NaN);
  return Number.isNaN(shownMs) || (shownMs > 0 && shownMs <= durationMs);
}
