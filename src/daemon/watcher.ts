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

  /**
   * Looks until the decision is more than a suspicion, or that has lasted too long. `poolersMs`: where all is well, poolers that do
   * not answer at once are asked again for so long.
   */
  async settle(
    record: ClusterRecord,
    policy: FailoverPolicy,
    options: CallOptions & { readonly poolersMs?: number },
  ): Promise<Look> {
    const { clock } = this.#ports;
    const begun = clock.monotonic();
    const { poolersMs = 0, ...call } = options;
    for (;;) {
      const look = await this.look(record, policy, call);
      const isQuiet = look.decision.kind === "healthy" && look.poolers.some(({ view }) => view === undefined);
      const patienceMs = look.decision.kind === "suspect" ? this.#pace.settleMs : isQuiet ? poolersMs : 0;
      if (clock.monotonic() - begun >= patienceMs) return look;
      await clock.sleep(this.#pace.intervalMs, options);
    }
  }
}
