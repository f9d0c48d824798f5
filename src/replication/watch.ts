/** Looks at replication again and again: observe, judge, hand on. */
import { isLifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import type { CallOptions } from "../postgres/replication.ts";
import { type ReplicationPolicy, type ReplicationView, viewReplication } from "./decide.ts";
import type { Confirmer } from "./facts.ts";
import { lookAtReplication, type WatchedNode } from "./observe.ts";
import { LagSamples } from "./samples.ts";

/** What is watched. */
export type WatchedReplication = {
  readonly nodes: readonly WatchedNode[];
  /** Asked at every look: a failover gives the receiver another name. */
  readonly confirmers: () => Promise<readonly Confirmer[]>;
  readonly policy: ReplicationPolicy;
};

/** On one machine a heartbeat is replayed within 0.3 s, the time in which an idle primary flushes it included. */
const SETTLE_MS = 1_000;

/** Remembers samples from look to look. Not for concurrent looks. */
export class ReplicationWatch {
  readonly #clock: Clock;
  readonly #watched: WatchedReplication;
  readonly #samples = new LagSamples();
  #looked = false;

  constructor({ clock }: { readonly clock: Clock }, watched: WatchedReplication) {
    this.#clock = clock;
    this.#watched = watched;
  }

  /** One look. Rejects as `lookAtReplication`. */
  async look(options: CallOptions): Promise<ReplicationView> {
    const { nodes, confirmers, policy } = this.#watched;
    const samples = this.#samples;
    // Later looks have the samples of those before.
    const settleMs = this.#looked ? 0 : SETTLE_MS;
    const look = await lookAtReplication({ clock: this.#clock }, { nodes, samples, settleMs }, options);
    this.#looked = true;
    const now = this.#clock.monotonic();
    return viewReplication({ look, samples, now, confirmers: await confirmers() }, policy);
  }

  /** A look at every interval until the signal aborts: its normal end. A look that takes longer delays the next. */
  async run(
    { intervalMs, onView }: { readonly intervalMs: number; readonly onView: (view: ReplicationView) => Promise<void> },
    options: CallOptions,
  ): Promise<void> {
    try {
      for (let due = this.#clock.monotonic(); ; ) {
        await onView(await this.look(options));
        due = Math.max(due + intervalMs, this.#clock.monotonic()) as typeof due;
        await this.#clock.sleep(due - this.#clock.monotonic(), options);
      }
    } catch (error) {
      if (!isLifeboatError(error, "platform.aborted") || options.signal?.aborted !== true) throw error;
    }
  }
}
