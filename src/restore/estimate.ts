/**
 * How long a restore will take, from its sizes. An estimate: rates measured on two cores with a local disk, kept low.
 */

/** Bytes of files written a second, from fetching to sync; docs/measurements.md, "Restore". */
const WRITE_BYTES_PER_S = 200 * 1024 * 1024;
/** Bytes of WAL replayed a second: replay is one process; published figures range from 25 to 90 MiB/s. */
const REPLAY_BYTES_PER_S = 40 * 1024 * 1024;
/** Starting and ending recovery, whatever the size. */
const FIXED_MS = 1500;

/** Rates that were measured, in bytes a second; undefined where none was. */
export type MeasuredRates = {
  readonly writeBytesPerS: number | undefined;
  readonly replayBytesPerS: number | undefined;
};

/** Milliseconds until the restored server accepts connections, by what was measured where something was. */
export function estimateMs(
  plan: { readonly writeBytes: number; readonly walBytes: number; readonly replayBytes: number },
  measured: MeasuredRates,
): number {
  const writeMs = ((plan.writeBytes + plan.walBytes) / (measured.writeBytesPerS ?? WRITE_BYTES_PER_S)) * 1000;
  const replayMs = (plan.replayBytes / (measured.replayBytesPerS ?? REPLAY_BYTES_PER_S)) * 1000;
  return Math.round(FIXED_MS + writeMs + replayMs);
}
