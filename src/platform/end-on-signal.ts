/** Longer than a request, or a batch, takes; a supervisor waits longer. */
const STOP_DEADLINE_MS = 12_000;

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
