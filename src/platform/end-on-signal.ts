/** Longer than what a program of the service waits for at its end, a write that waits for a primary; a supervisor waits longer. */
export const STOP_DEADLINE_MS = 30_000;

/** Ends a program when it is asked to: at once when it is asked again, or when stopping does not end in time. */
export function endOnSignal(stop: () => Promise<void>): void {
  let isStopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
      void stop().then(() => process.exit(0));
    });
  }
}
