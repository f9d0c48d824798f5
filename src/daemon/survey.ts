/**
 * Keeps what nodes said of what replication does not carry, so that it is known of a primary that is gone.
 *
 * Nouns: a *survey* asks every node for its inventory, far less often than a look, and on sessions of its own.
 * Invariants: no failover, look or step waits for it, nor fails by it; of a node that was the primary its word as the primary is kept
 * apart, since as a standby it has other slots.
 */
import { isLifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { type Cost, costsOf, type Inventory } from "../failover/costs.ts";
import type { Call, NodeName } from "../failover/ports.ts";
import { type Clock, type Monotonic, throwIfAborted } from "../platform/clock.ts";
import { loopService, type Service, type ServiceFailed } from "./service.ts";

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
/** A login and three statements over catalogues take some ten ms. What it tells after so long is of no use to whoever is in a hurry. */
export const SURVEY_MS = 500;
/** Nobody is in a hurry, and what is not known stands in the way: for a switchover, and for whoever asks again and again. */
export const SURVEY_PATIENT_MS = 5_000;

const STEP = "asking nodes for their slots and collations";

type Told = { readonly at: Monotonic; readonly inventory: Inventory };

/** What nodes said last. */
export class Survey {
  readonly #clock: Clock;
  readonly #nodes: readonly Surveyed[];
  readonly #notice: (message: string) => void;
  readonly #told = new Map<NodeName, Told>();
  readonly #toldAsPrimary = new Map<NodeName, Told>();
  /** Why a node did not answer when it was asked last. */
  readonly #unanswered = new Map<NodeName, string>();
  /** What nobody expected of a node, and was said. */
  readonly #said = new Map<NodeName, string>();

  constructor(clock: Clock, nodes: readonly Surveyed[], notice: (message: string) => void) {
    this.#clock = clock;
    this.#nodes = nodes;
    this.#notice = notice;
  }

  /**
   * Asks whoever said nothing lately, or with `anew` everybody, each for `patienceMs`. Who does not answer has said what it said before. Rejects with
   * `platform.aborted` only.
   */
  async refresh({
    patienceMs: timeoutMs = SURVEY_MS,
    anew = false,
    signal,
  }: {
    readonly anew?: boolean;
    readonly patienceMs?: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<void> {
    throwIfAborted(signal, STEP);
    const due = this.#nodes.filter(({ name }) => anew || !this.#isFresh(name));
    await Promise.all(due.map((node) => this.#ask(node, { timeoutMs, signal })));
  }

  #isFresh(name: NodeName): boolean {
    const before = this.#told.get(name);
    return before !== undefined && this.#clock.monotonic() - before.at < FRESH_MS;
  }

  async #ask({ name, ask }: Surveyed, call: Call): Promise<void> {
    try {
      const inventory = await ask(call);
      const told = { at: this.#clock.monotonic(), inventory };
      this.#told.set(name, told);
      if (!inventory.isStandby) this.#toldAsPrimary.set(name, told);
      this.#said.delete(name);
      this.#unanswered.delete(name);
    } catch (error) {
      throwIfAborted(call.signal, STEP);
      this.#unanswered.set(name, errorText(error));
      // Not known, or known of before: the costs say so.
      if (isLifeboatError(error) && error.kind !== "bug") return;
      // A bug of ours in a question that nothing rests on ends neither a promotion nor the daemon. It is told, and not every ten seconds.
      const text = `what ${name} tells of slots and collations: ${errorText(error)}`;
      if (this.#said.get(name) !== text) this.#notice(text);
      this.#said.set(name, text);
    }
  }

  /** What it would cost to promote one node in place of another, as far as it was ever told. */
  costs({ primary, candidate }: { readonly primary: NodeName; readonly candidate: NodeName }): SurveyedCosts {
    const [from, to] = [this.#toldAsPrimary.get(primary), this.#told.get(candidate)];
    const found = costsOf({
      primary: { name: primary, inventory: from?.inventory, unanswered: this.#unanswered.get(primary) },
      candidate: { name: candidate, inventory: to?.inventory, unanswered: this.#unanswered.get(candidate) },
    });
    const seenAgoMs =
      from === undefined || to === undefined ? undefined : this.#clock.monotonic() - Math.min(from.at, to.at);
    return { candidate, seenAgoMs, found };
  }
}

/** Asks again and again. What is wrong with an answer the survey tells by itself, and goes on. */
export function surveyService(clock: Clock, survey: Survey, failed: ServiceFailed): Service {
  return loopService(
    "survey",
    async (signal) => {
      while (!signal.aborted) {
        // Rejects when it is told to stop, which ends the loop.
        await survey.refresh({ patienceMs: SURVEY_PATIENT_MS, signal });
        await clock.sleep(INTERVAL_MS, { signal });
      }
    },
    failed,
  );
}
