/**
 * A single delayed call, for ports that guard a socket and cannot wait in a promise.
 */

/** Calls `action` once after `delayMs`, unless the returned function is called first. Cancelling is repeatable. */
export function startTimer(delayMs: number, action: () => void): () => void {
  const timer = setTimeout(action, delayMs);
  return () => clearTimeout(timer);
}
