/**
 * A single delayed call, for ports that guard a socket and cannot wait in a promise; and a turn for others.
 */

/** The longest that Node.js waits, 24 days: of more it makes one millisecond. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** Calls `action` once after `delayMs`, unless the returned function is called first. Cancelling is repeatable. */
export function startTimer(delayMs: number, action: () => void): () => void {
  const timer = setTimeout(action, Math.min(delayMs, DELAY_MS_MAX));
  return () => clearTimeout(timer);
}

/** Resolves when whatever else waits for this thread had its turn: between pieces of work that block it. */
export function turnOfOthers(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
