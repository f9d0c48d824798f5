/**
 * The right to act: an order leaves only under a lease that still holds, and a stale answer ends the action.
 *
 * Invariant: between the look at the clock and the sending of an order nothing waits. An order that is halted behind the
 * look all the same (the process was stopped there) arrives late under an old epoch, and is refused where it arrives.
 */
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { Call, Epoch, FailoverPorts, HeldLease, JournalEntry, StaleEpoch } from "./ports.ts";

/** The journal is on a local disk: one that takes longer is stuck, and saving the data goes on without it. */
const JOURNAL_TIMEOUT_MS = 500;

/** Sends orders under one lease. */
export class Acting {
  readonly ports: FailoverPorts;
  readonly #lease: HeldLease;
  readonly #signal: AbortSignal | undefined;

  constructor(ports: FailoverPorts, lease: HeldLease, signal: AbortSignal | undefined) {
    this.ports = ports;
    this.#lease = lease;
    this.#signal = signal;
  }

  get epoch(): Epoch {
    return this.#lease.epoch;
  }

  /** A bounded call that changes nothing and needs no lease. */
  call(timeoutMs: number): Call {
    return { timeoutMs, signal: this.#signal };
  }

  /**
   * Sends an order. Rejects with `failover.lease-lost` before it is sent, `failover.stale-epoch` when it was refused, or with
   * what the port rejects with: its effect is then unknown.
   */
  async order<T>(timeoutMs: number, send: (epoch: Epoch, call: Call) => Promise<T | StaleEpoch>): Promise<T> {
    if (!this.#lease.holds(timeoutMs)) await this.#lease.renew({ signal: this.#signal });
    if (!this.#lease.holds(timeoutMs)) throw leaseLost(this.epoch);
    const answer = await send(this.epoch, this.call(timeoutMs));
    if (isStale(answer)) throw staleEpoch(this.epoch, answer.seen);
    return answer;
  }

  /** Writes to the journal. A journal that fails stops nobody from saving the data: the hook tells. Never rejects. */
  async note(entry: Omit<JournalEntry, "epoch">): Promise<void> {
    try {
      await this.ports.journal.append({ ...entry, epoch: this.epoch }, this.call(JOURNAL_TIMEOUT_MS));
    } catch (error) {
      const at = this.ports.clock.now();
      this.ports.hooks.tell({ kind: "journal-failed", at, facts: { entry: entry.name, why: errorText(error) } });
    }
  }

  /** Waits on our own clock. Rejects with `platform.aborted`. */
  async sleep(durationMs: number): Promise<void> {
    await this.ports.clock.sleep(durationMs, { signal: this.#signal });
  }
}

function isStale(answer: unknown): answer is StaleEpoch {
  return typeof answer === "object" && answer !== null && "kind" in answer && answer.kind === "stale-epoch";
}

function leaseLost(epoch: Epoch): LifeboatError {
  return new LifeboatError("failover.lease-lost", {
    message: `epoch ${epoch} is no longer ours: nothing more is done under it`,
    remedy: "Another controller may act: see `lifeboat failover --check-only`.",
    retryable: true,
    details: { epoch },
  });
}

function staleEpoch(epoch: Epoch, seen: Epoch): LifeboatError {
  return new LifeboatError("failover.stale-epoch", {
    message: `an order of epoch ${epoch} was refused: epoch ${seen} acts`,
    remedy: "Another controller acts: see `lifeboat failover --check-only`.",
    retryable: true,
    details: { epoch, seen },
  });
}
