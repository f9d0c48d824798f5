/**
 * Durations as people write them.
 *
 * Nouns: a *duration* is a length of time in milliseconds, never negative; its text is a number and a unit, or several
 * of them from the longest unit to the shortest: `500ms`, `10s`, `1h30m`, `2d`.
 * Invariant: `parseDuration(formatDuration(d))` is `d` for every whole number of milliseconds.
 */

/** A length of time, milliseconds. */
export type DurationMs = number & { readonly brand: "DurationMs" };

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** Ten thousand days: longer than anybody waits, and far from where milliseconds stop being exact. */
export const DURATION_MAX_MS = 10_000 * 86_400_000;

/** Reads `1h30m`; a number needs its unit, `1.5s` is accepted. Undefined for anything else and beyond DURATION_MAX_MS. */
export function parseDuration(text: string): DurationMs | undefined {
  const match = /^(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?$/.exec(
    text.replaceAll(" ", ""),
  );
  if (match === null || text === "") return undefined;
  let totalMs = 0;
  for (const [index, [, unitMs]] of UNITS.entries()) {
    const count = match[index + 1];
    if (count === undefined) continue;
    if (!/^\d+(\.\d+)?$/.test(count)) return undefined;
    totalMs += Number(count) * unitMs;
  }
  return totalMs > DURATION_MAX_MS ? undefined : (Math.round(totalMs) as DurationMs);
}

/** Writes a duration exactly, in whole milliseconds: `1h30m`, `0s`. */
export function formatDuration(durationMs: number): string {
  let restMs = Math.round(durationMs);
  let text = "";
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(restMs / unitMs);
    restMs -= count * unitMs;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}

/** Writes a duration for people: the two biggest units, or one decimal below ten seconds: `2h5m`, `48s`, `3.2s`, `80ms`. */
export function describeDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.round(durationMs)}ms`;
  if (durationMs < 9_950) return `${(durationMs / 1_000).toFixed(1)}s`;
  const biggest = UNITS.findIndex(([, unitMs]) => Math.round(durationMs / 1_000) * 1_000 >= unitMs);
  const smallestMs = UNITS[Math.min(biggest + 1, 3)]?.[1] ?? 1_000;
  return formatDuration(Math.round(durationMs / smallestMs) * smallestMs);
}
