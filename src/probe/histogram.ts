/** Latencies in buckets that grow by two per cent: a quantile is exact to that, and memory is bounded. */

/** Latencies of operations that ended well, from the intended arrival to the server's answer, in milliseconds. */
export type LatencyReport = {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
};

const LOWEST_MS = 0.05;
const GROWTH = 1.02;
/** Reaches past an hour. */
const BUCKET_COUNT = 1_000;

/** Gathers latencies. */
export class Histogram {
  readonly #buckets = new Uint32Array(BUCKET_COUNT);
  #count = 0;
  #max = 0;

  /** Adds a latency in milliseconds. */
  add(latencyMs: number): void {
    const latency = Math.max(0, latencyMs);
    const bucket = Math.ceil(Math.log(Math.max(latency, LOWEST_MS) / LOWEST_MS) / Math.log(GROWTH));
    const index = Math.min(BUCKET_COUNT - 1, bucket);
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count += 1;
    this.#max = Math.max(this.#max, latency);
  }

  /** The quantiles; all 0 when nothing was added. */
  report(): LatencyReport {
    return {
      count: this.#count,
      p50Ms: this.#quantile(0.5),
      p90Ms: this.#quantile(0.9),
      p99Ms: this.#quantile(0.99),
      maxMs: this.#max,
    };
  }

  #quantile(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (let index = 0; index < BUCKET_COUNT; index++) {
      left -= this.#buckets[index] ?? 0;
      if (left <= 0) return Math.min(this.#max, LOWEST_MS * GROWTH ** index);
    }
    return this.#max;
  }
}
