/**
 * Remembers, for a party that cannot do so itself, the greatest epoch that has given it an order.
 *
 * Invariant: an epoch is on stable storage before the order that brought it has its effect, so that a smaller one is refused
 * by every process of this machine, also after a restart.
 */
import type { Epoch, StaleEpoch } from "../failover/ports.ts";
import { NO_EPOCH } from "../lease/lease.ts";
import type { Register } from "../lease/register.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A party's memory. */
export class EpochGuard {
  readonly #register: Register;
  /** Orders that come together are admitted one after the other: only one can write. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(register: Register) {
    this.#register = register;
  }

  /** Undefined: the order may have its effect. Rejects as the register does; the order is then not to be carried out. */
  async admit(epoch: Epoch, options: CallOptions): Promise<StaleEpoch | undefined> {
    const mine = this.#turn.then(() => this.#admit(epoch, options));
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }

  async #admit(epoch: Epoch, options: CallOptions): Promise<StaleEpoch | undefined> {
    for (;;) {
      const content = await this.#register.read(options);
      const seen = content?.epoch ?? NO_EPOCH;
      if (seen > epoch) return { kind: "stale-epoch", seen };
      if (seen === epoch) return undefined;
      const answer = await this.#register.write({ over: content?.version ?? 0, epoch, value: null }, options);
      if (answer.kind === "written") return undefined;
      if (answer.kind === "stale") return { kind: "stale-epoch", seen: answer.seen };
      // Somebody else was admitted in between: looked at anew, and every round of it is a greater epoch.
    }
  }
}
