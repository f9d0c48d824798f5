/** The simulated lease store with the record beside it, on a machine of its own. Durable, linearizable, can be away. */
import type { ClusterRecord } from "../../src/failover/ports.ts";
import type { Stack } from "./stack.ts";
import { Process } from "./world.ts";

/** The store. */
export class Store {
  readonly stack: Stack;
  readonly process: Process;
  epoch = 1;
  #term: { readonly epoch: number; readonly holder: string; until: number } | undefined;
  version = 1;
  recordEpoch = 1;
  record: ClusterRecord;

  constructor(stack: Stack, record: ClusterRecord) {
    this.stack = stack;
    this.record = record;
    this.process = new Process("store", stack.world.machine("store"));
  }

  /** Grants the next epoch where nobody holds one. */
  claim(
    holder: string,
    floor: number,
    durationMs: number,
  ): { readonly epoch: number } | { readonly by: string; readonly epoch: number } {
    const term = this.#term;
    const now = this.stack.world.now * this.process.rate;
    if (term !== undefined && term.until > now) return { by: term.holder, epoch: term.epoch };
    this.epoch = Math.max(this.epoch, floor) + 1;
    this.#term = { epoch: this.epoch, holder, until: now + durationMs };
    return { epoch: this.epoch };
  }

  renew(epoch: number, durationMs: number): "renewed" | "lost" {
    const now = this.stack.world.now * this.process.rate;
    if (this.#term?.epoch !== epoch || this.#term.until <= now) return "lost";
    this.#term.until = now + durationMs;
    return "renewed";
  }

  end(epoch: number): void {
    if (this.#term?.epoch === epoch) this.#term = undefined;
  }

  /** Replaces what its writer has read, unless a greater epoch wrote before. */
  write(order: {
    readonly epoch: number;
    readonly over: number;
    readonly record: ClusterRecord;
  }): { readonly kind: "done"; readonly version: number } | { readonly kind: "conflict" } | { readonly kind: "stale" } {
    if (!this.stack.settings.without.has("epoch check")) {
      if (order.epoch < this.recordEpoch) return { kind: "stale" };
      if (order.over !== this.version) return { kind: "conflict" };
    }
    const begins = this.record.action === undefined && order.record.action?.kind === "failover";
    if (begins && this.record.maintenance) {
      this.stack.history.break("failed over in maintenance", `from ${order.record.primary}`);
    }
    this.version += 1;
    this.recordEpoch = order.epoch;
    this.record = order.record;
    this.stack.recordWritten();
    return { kind: "done", version: this.version };
  }
}
