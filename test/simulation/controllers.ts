/** Controllers of the simulated stack: src/failover as it is, started, ended and halted like any process. */

import { isLifeboatError } from "../../src/errors/error.ts";
import { Acting } from "../../src/failover/acting.ts";
import { Controller, type ControllerOptions } from "../../src/failover/controller.ts";
import type { FailoverPolicy } from "../../src/failover/decide.ts";
import { SEQUENCE_LIMITS, type SequenceLimits } from "../../src/failover/limits.ts";
import type { Epoch, JournalEntry } from "../../src/failover/ports.ts";
import { LEASE_MS, type OwnClock, portsOf } from "./ports.ts";
import type { Stack } from "./stack.ts";
import { Process } from "./world.ts";

const POLICY: Omit<FailoverPolicy, "grants" | "diskFull"> = {
  automatic: true,
  silentMs: 1_500,
  refusedMs: 300,
  startingMs: 3_000,
  stuckMs: 1_800,
  candidateFreeBytesMin: 1_000,
  viewMaxAgeMs: 2_000,
  acceptLoss: undefined,
};

const LIMITS: SequenceLimits = {
  ...SEQUENCE_LIMITS,
  orderMs: 400,
  pollMs: 40,
  drainMs: 600,
  fenceMs: 500,
  checkpointMs: 600,
  stopMs: 1_200,
  startMs: 6_000,
  listenMs: 600,
  receiversMs: 1_500,
  replayStallMs: 1_500,
  promoteMs: 1_000,
  proveMs: 500,
};

/** What the witness is granted at a time, where a grant ends by itself. */
const GRANT_MS = 1_800;

const PACE = {
  probeMs: 400,
  intervalMs: 300,
  suspectMs: 60,
  claimMs: 600,
  rejoinAfterMs: 1_000,
  catchUpMs: 1_500,
  rejoinAgainMs: 2_500,
  retryMs: 200,
};

/** A controller. */
export class SimulatedController implements OwnClock {
  readonly stack: Stack;
  readonly process: Process;
  wallOffsetMs = 0;
  controller: Controller | undefined;
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  readonly #watch: (self: SimulatedController, entry: JournalEntry) => boolean;

  constructor(stack: Stack, name: string, watch: (self: SimulatedController, entry: JournalEntry) => boolean) {
    this.stack = stack;
    this.process = new Process(name, stack.world.machine(name));
    this.#watch = watch;
  }

  start(): void {
    if (this.process.alive && this.controller !== undefined) return;
    if (!this.process.machine.up) return;
    this.process.alive = true;
    this.#stop = new AbortController();
    const { life } = this.process;
    const { leased, diskFull } = this.stack.settings;
    const options: ControllerOptions = {
      policy: { ...POLICY, grants: leased ? "leased" : "lasting", diskFull },
      limits: { ...LIMITS, grantMs: leased ? GRANT_MS : undefined },
      pace: PACE,
    };
    const ports = portsOf(this.stack, this, (entry) => this.#watch(this, entry));
    const controller = new Controller(ports, options);
    this.controller = controller;
    this.#ended = controller.run({ signal: this.#stop.signal }).catch((error: unknown) => {
      if (this.process.life !== life) return;
      this.stack.history.break("bug", error instanceof Error ? (error.stack ?? error.message) : String(error));
    });
    this.stack.world.woken = true;
  }

  /**
   * `lifeboat failover pause` and `resume`, as the daemon does it: the loop ends, the record is written under an epoch of its
   * own, the loop begins again. What does not work out is asked again by whoever wants it.
   */
  async setMaintenance(paused: boolean): Promise<void> {
    if (this.controller === undefined) return;
    const { life } = this.process;
    const { counts } = this.stack;
    this.controller = undefined;
    this.#stop.abort();
    await this.#ended;
    const ports = portsOf(this.stack, this, () => false);
    try {
      const answer = await ports.lease.claim(1 as Epoch, { timeoutMs: LIMITS.orderMs });
      if (answer.kind === "held") return;
      const acting = new Acting(ports, answer.lease, undefined);
      const stored = await ports.record.read({ timeoutMs: LIMITS.orderMs });
      if (stored !== undefined) {
        const record = { ...stored.record, maintenance: paused };
        await acting.order(LIMITS.orderMs, (epoch, call) =>
          ports.record.write({ epoch, over: stored.version, record }, call),
        );
        counts.note(paused ? "failover paused for maintenance" : "failover resumed");
      }
      await answer.lease.end();
    } catch (error) {
      if (!isLifeboatError(error)) throw error;
    } finally {
      if (this.process.life === life) this.start();
    }
  }

  /** Ends it where it is: nothing it waits for ever comes. */
  crash(): void {
    this.stack.world.kill(this.process);
    this.controller = undefined;
  }
}

/** Long enough for a halted controller to have lost its lease. */
export const BEYOND_LEASE_MS = LEASE_MS * 1.5;
