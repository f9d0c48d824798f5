/** Keeps clients waiting for as long as a plan has them wait: a pooler's watchdog ends a pause that nobody renews. */
import { errorText } from "../errors/error-text.ts";
import type { PoolerPort } from "./ports.ts";
import type { StepTools } from "./step-tools.ts";

/** Of the time that a pause holds: two renewals may come to nothing. */
const RENEWALS = 3;

/** Renews pauses from `begin` on. */
export class PoolerHold {
  readonly #tools: StepTools;
  readonly #over = new AbortController();
  #renewing: Promise<void> | undefined;

  constructor(tools: StepTools) {
    this.#tools = tools;
  }

  /** Repeatable; after `end` it does nothing. */
  begin(): void {
    this.#renewing ??= this.#renew();
  }

  /** Returns when no renewal is under way: one that is late would pause a pooler that was resumed. Repeatable, never rejects. */
  async end(): Promise<void> {
    this.#over.abort();
    await this.#renewing;
  }

  async #renew(): Promise<void> {
    const { acting, limits } = this.#tools;
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        await acting.ports.clock.sleep(limits.pauseHoldMs / RENEWALS, { signal });
      } catch {
        // Only an abort ends a sleep.
        return;
      }
      await Promise.all(acting.ports.poolers.map((pooler) => this.#renewAt(pooler)));
    }
  }

  /** One that serves is left alone: it was resumed, or could not be paused. What fails is tried again with the next renewal. */
  async #renewAt(pooler: PoolerPort): Promise<void> {
    const { acting, limits } = this.#tools;
    const wish = { drain: false, gone: true, drainMs: 0, holdMsMax: limits.pauseHoldMs } as const;
    try {
      const { mode } = await pooler.view(acting.call(limits.pauseMs));
      if (mode !== "paused" || this.#over.signal.aborted) return;
      await acting.order(limits.pauseMs, (epoch, call) => pooler.pause({ epoch, ...wish }, call));
    } catch (error) {
      await acting.note({ kind: "note", name: "hold", facts: { pooler: pooler.name, failed: errorText(error) } });
    }
  }
}
