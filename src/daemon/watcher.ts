/** Looks and decides beside the controller, for whoever asks: changes nothing and needs no lease. */
import { type Decision, decideFailover, type FailoverPolicy } from "../failover/decide.ts";
import { Lookout, type SeenPooler } from "../failover/look.ts";
import { type Memory, type Observation, remember } from "../failover/observation.ts";
import type { ClusterRecord, FailoverPorts } from "../failover/ports.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What one look came to. */
export type Look = { readonly seen: Observation; readonly decision: Decision; readonly poolers: readonly SeenPooler[] };

/** How it looks. */
export type WatchPace = { readonly probeMs: number; readonly intervalMs: number; readonly settleMs: number };

/** Remembers from look to look: some things only time tells. */
export class Watcher {
  readonly #ports: Pick<FailoverPorts, "clock" | "nodes" | "witness" | "poolers">;
  readonly #pace: WatchPace;
  readonly #lookout: Lookout;
  #memory: Memory | undefined;

  /** `memory`: what was seen before it began. Of a primary that is gone it tells what cannot be seen any more. */
  constructor(
    ports: Pick<FailoverPorts, "clock" | "nodes" | "witness" | "poolers">,
    pace: WatchPace,
    memory: Memory | undefined,
  ) {
    this.#ports = ports;
    this.#lookout = new Lookout(ports);
    this.#pace = pace;
    this.#memory = memory;
  }

  get memory(): Memory | undefined {
    return this.#memory;
  }

  /** One look. Rejects with `platform.aborted` only. */
  async look(record: ClusterRecord, policy: FailoverPolicy, options: CallOptions): Promise<Look> {
    const round = await this.#lookout.round(record.primary, { timeoutMs: this.#pace.probeMs, ...options });
    this.#memory = remember(this.#memory, { record, nodes: round.nodes, witness: round.witness });
    const seen = { ...this.#memory, now: this.#ports.clock.monotonic() };
    return { seen, decision: decideFailover(seen, policy), poolers: round.poolers };
  }

  /** Looks until the decision is more than a suspicion, or that has lasted too long. */
  async settle(record: ClusterRecord, policy: FailoverPolicy, options: CallOptions): Promise<Look> {
    const { clock } = this.#ports;
    const deadline = clock.monotonic() + this.#pace.settleMs;
    for (;;) {
      const look = await this.look(record, policy, options);
      if (look.decision.kind !== "suspect" || clock.monotonic() > deadline) return look;
      await clock.sleep(this.#pace.intervalMs, options);
    }
  }
}
