/** Counts of one instance, in Prometheus' text format. */
import { type Metric, metricsText } from "../metrics/text.ts";

/** Seconds; fine around what is promised, a hundred milliseconds. */
const BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type Timing = { readonly counts: number[]; sum: number; count: number };

/** What has its values when somebody looks. */
export type Gauge = Omit<Metric, "samples"> & { readonly read: () => Metric["samples"] };

/** Requests by operation and status, how long they took, and what others tell. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #timings = new Map<string, Timing>();
  readonly #gauges: Gauge[] = [];

  /** A request was answered. */
  request(operation: string, status: number, durationMs: number): void {
    const key = `operation="${operation}",status="${status}"`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
    let timing = this.#timings.get(operation);
    if (timing === undefined) {
      timing = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
      this.#timings.set(operation, timing);
    }
    const seconds = durationMs / 1_000;
    timing.sum += seconds;
    timing.count += 1;
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
    if (bucket !== -1) timing.counts[bucket] = (timing.counts[bucket] ?? 0) + 1;
  }

  /** What is asked whenever somebody looks. */
  add(gauge: Gauge): void {
    this.#gauges.push(gauge);
  }

  /** All of it. */
  text(): string {
    const requests: Metric = {
      name: "catalog_requests_total",
      help: "Requests answered.",
      kind: "counter",
      samples: this.#requests,
    };
    const gauges = this.#gauges.map(({ read, ...gauge }): Metric => ({ ...gauge, samples: read() }));
    return metricsText([requests]) + this.#timingsText() + metricsText(gauges);
  }

  #timingsText(): string {
    const name = "catalog_request_seconds";
    const lines: string[] = [`# HELP ${name} How long requests took.`, `# TYPE ${name} histogram`];
    for (const [operation, { counts, sum, count }] of this.#timings) {
      let below = 0;
      for (const [index, bound] of BUCKETS.entries()) {
        below += counts[index] ?? 0;
        lines.push(`${name}_bucket{operation="${operation}",le="${bound}"} ${below}`);
      }
      lines.push(`${name}_bucket{operation="${operation}",le="+Inf"} ${count}`);
      lines.push(`${name}_sum{operation="${operation}"} ${sum}`, `${name}_count{operation="${operation}"} ${count}`);
    }
    return `${lines.join("\n")}\n`;
  }
}
