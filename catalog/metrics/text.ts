/**
 * Metrics in Prometheus' text format. Pure.
 *
 * Nouns: a *metric* has a name, a help text, a kind and *samples*: a value under each set of labels.
 * Invariants: a sample without a value is left out, never told as zero.
 */

/** A metric and its values now; one that is undefined is left out. */
export type Metric = {
  readonly name: string;
  readonly help: string;
  readonly kind: "gauge" | "counter";
  readonly samples: Iterable<Sample>;
};

/** Labels as they are written, without braces. */
type Sample = readonly [labels: string, value: number | undefined];

/** The lines of some metrics. */
export function metricsText(metrics: Iterable<Metric>): string {
  const lines: string[] = [];
  for (const { name, help, kind, samples } of metrics) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`);
    for (const [labels, value] of samples)
      if (value !== undefined) lines.push(labels === "" ? `${name} ${value}` : `${name}{${labels}} ${value}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}
