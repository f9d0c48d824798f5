/**
 * Keeps what nodes said of what replication does not carry, so that it is known of a primary that is gone.
 *
 * Nouns: a *survey* asks every node for its inventory, far less often than a look, and on sessions of its own.
 * Invariants: no look, decision or step waits for it; of a node that was the primary its word as the primary is kept apart, since as a
 * standby it has other slots.
 */
import { isLifeboatError } from "../errors/error.ts";
import { type Cost, costsOf, type Inventory } from "../failover/costs.ts";
import type { Call, NodeName } from "../failover/ports.ts";
import { type Clock, type Monotonic, throwIfAborted } from "../platform/clock.ts";
import { loopService, type Service } from "./service.ts";

/** Who is asked. */
export type Surveyed = { readonly name: NodeName; readonly ask: (call: Call) => Promise<Inventory> };

/** What promoting a candidate would cost. `seenAgoMs`: how old the older word is; undefined where one was never had. */
export type SurveyedCosts = {
  readonly candidate: NodeName;
  readonly seenAgoMs: number | undefined;
  readonly found: readonly Cost[];
};

/** Slots are made by people, and libraries change with updates of a machine. */
const INTERVAL_MS = 10_000;
/** Whoever asks is told what is true now, where the node answers so soon. */
const FRESH_MS = 1_000;
/** Three statements over catalogues take some ten ms. Whoever asks while a node is frozen waits no longer for it. */
const ANSWER_MS = 500;

type Told = { readonly at: Monotonic; readonly inventory: Inventory };

/** What nodes said last. */
export class Survey {
  readonly #clock: Clock;
  readonly #nodes: readonly Surveyed[];
  readonly #told = new Map<NodeName, Told>();
  readonly #toldAsPrimary = new Map<NodeName, Told>();

  constructor(clock: Clock, nodes: readonly Surveyed[]) {
    this.#clock = clock;
    this.#nodes = nodes;
  }

  /** Asks whoever said nothing lately. Who does not answer has said what it said before. Rejects with `platform.aborted` only. */
  async refresh({ signal }: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    throwIfAborted(signal, "asking nodes for their slots and collations");
    await Promise.all(
      this.#nodes.map(async ({ name, ask }) => {
        const before = this.#told.get(name);
        if (before !== undefined && this.#clock.monotonic() - before.at < FRESH_MS) return;
        try {
          const inventory = await ask({ timeoutMs: ANSWER_MS, signal });
          const told = { at: this.#clock.monotonic(), inventory };
          this.#told.set(name, told);
          if (!inventory.isStandby) this.#toldAsPrimary.set(name, told);
        } catch (error) {
          if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error) || error.kind === "bug")
            throw error;
          // Not known, or known of before: the costs say so.
        }
      }),
    );
  }

  /** What it would cost to promote one node in place of another, as far as it was ever told. */
  costs({ primary, candidate }: { readonly primary: NodeName; readonly candidate: NodeName }): SurveyedCosts {
    const [from, to] = [this.#toldAsPrimary.get(primary), this.#told.get(candidate)];
    const found = costsOf({
      primary: { name: primary, inventory: from?.inventory },
      candidate: { name: candidate, inventory: to?.inventory },
    });
    const seenAgoMs =
      from === undefined || to === undefined ? undefined : this.#clock.monotonic() - Math.min(from.at, to.at);
    return { candidate, seenAgoMs, found };
  }
}

/** Asks again and again. A failure that nobody expected ends it, and the daemon says so. */
export function surveyService(clock: Clock, survey: Survey, failed: (error: unknown) => void): Service {
  return loopService(
    "survey",
    async (signal) => {
      while (!signal.aborted) {
        try {
          await survey.refresh({ signal });
        } catch (error) {
          if (!signal.aborted) failed(error);
        }
        await clock.sleep(INTERVAL_MS, { signal }).catch(() => undefined);
      }
    },
    (_service, error) => failed(error),
  );
}
