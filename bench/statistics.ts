/** Medians, percentiles and ratios of repeated measurements. Pure. */

/** A measurement made several times. */
export type Spread = { readonly median: number; readonly min: number; readonly max: number };

/** Median, least and greatest of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: percentile(values, 0.5), min: percentile(values, 0), max: percentile(values, 1) };
}

/**
 * The value below which the share `of` (0 to 1) of all values lies, interpolated between neighbours.
 * Throws a RangeError without values.
 */
export function percentile(values: readonly number[], of: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = of * (sorted.length - 1);
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError("no values to take a percentile of");
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * The ratios of measurements made in turns, round by round: what disturbs the machine for a minute disturbs both sides of
 * a pair. Rounds that one side did not finish are left out.
 */
export function ratiosByRound(ours: readonly number[], theirs: readonly number[]): readonly number[] {
  return ours.flatMap((value, round) => {
    const other = theirs[round];
    return other === undefined ? [] : [value / other];
  });
}
