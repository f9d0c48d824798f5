/**
 * The controller: looks, decides, acts, again and again, for as long as it holds the lease.
 *
 * Nouns: a *pace* is how often and how long it looks; a *wish* is what an operator asked for; an epoch is *fresh* while no
 * action has run under it.
 * Invariants: it acts only under a lease; an action has an epoch to itself, so that an order of an earlier action that was
 * long on its way is refused; one plan runs at a time, and looking goes on only beside one that has clients wait while nothing
 * is decided yet; events wake nobody, each round decides from fresh facts; a controller that comes after another begins by
 * looking.
 */
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { Monotonic } from "../platform/clock.ts";
import { type Lsn, lsnMin } from "../postgres/lsn.ts";
import { Acting } from "./acting.ts";
import { checkpointBefore } from "./checkpoint-before.ts";
import { type Decision, decideFailover, type FailoverPolicy } from "./decide.ts";
import { keptWhile } from "./kept-lease.ts";
import { grantLifetime, type SequenceLimits } from "./limits.ts";
import { Lookout, type Round } from "./look.ts";
import { type Memory, remember } from "./observation.ts";
import { type Plan, planNext, type Rejoined, rejoinedSince } from "./plan.ts";
import type { Epoch, FailoverPorts, HeldLease, NodeName, StoredRecord } from "./ports.ts";
import { positionsOf } from "./positions.ts";
import { type PlanOutcome, runPlan } from "./sequence.ts";
import {
  isDue,
  noteFailure,
  type Setback,
  type Setbacks,
  setbackOf,
  standingSetback,
  stateOf,
  withSetback,
} from "./setbacks.ts";
import { stepFailed } from "./step-tools.ts";
import { decideSwitchover } from "./switchover.ts";

/** How often it looks. */
export type Pace = {
  /** How long a probe may take: what is slower is silent in this round. */
  readonly probeMs: number;
  /** Between the end of a round and the next one. */
  readonly intervalMs: number;
  /** The same while the primary is suspected: what takes two looks to decide is decided so much sooner. */
  readonly suspectMs: number;
  /** Between two claims while somebody else holds the lease. */
  readonly claimMs: number;
  /** A node that is down or not connected for so long is made to follow again. */
  readonly rejoinAfterMs: number;
  /** A standby that waits for WAL of the vault, and in so long got no further, is made to follow again too. */
  readonly catchUpMs: number;
  /** One that was asked to follow is not asked again for so long. */
  readonly rejoinAgainMs: number;
  /** After an action that came to nothing. */
  readonly retryMs: number;
};

/** What a controller works by. */
export type ControllerOptions = {
  readonly policy: FailoverPolicy;
  readonly limits: SequenceLimits;
  readonly pace: Pace;
};

/** What the controller sees and is about to do, for `--check-only`. */
export type ControllerState = {
  readonly mode: "waiting-for-lease" | "watching" | "acting";
  readonly epoch: Epoch | undefined;
  readonly decision: Decision | undefined;
  readonly plan: Plan | undefined;
  /** What keeps failing, and is tried ever later; the decision says so. */
  readonly setback: Setback | undefined;
};

/** A plan that makes clients wait, beside the looks that tell whether they must. */
type Pausing = {
  readonly done: Promise<PlanOutcome>;
  outcome: PlanOutcome | undefined;
  endedAt: Monotonic | undefined;
};

type FailedPlan = Extract<PlanOutcome, { readonly kind: "failed" }>;

type Wish = {
  readonly to: NodeName;
  readonly settle: (outcome: SwitchoverOutcome) => void;
  /** Whose checkpoint was asked for, and whether it is written. */
  checkpoint: { readonly of: NodeName; written: boolean } | undefined;
};

/** What came of a switchover. */
export type SwitchoverOutcome =
  | { readonly kind: "done"; readonly shortcomings: readonly string[] }
  | { readonly kind: "refused"; readonly reasons: ReturnType<typeof decideSwitchover> }
  | { readonly kind: "failed"; readonly error: LifeboatError };

/** After so many looks at one trouble only time tells more. */
const TELLING_ROUNDS = 3;

/** One controller. Several may run; one of them holds the lease. */
export class Controller {
  readonly #ports: FailoverPorts;
  readonly #options: ControllerOptions;
  #state: ControllerState = {
    mode: "waiting-for-lease",
    epoch: undefined,
    decision: undefined,
    plan: undefined,
    setback: undefined,
  };
  #setbacks: Setbacks = new Map();
  /** What the last round came to, whatever failed before; `state` as of setbacks.ts. */
  #seen: { readonly decided: Decision; readonly state: string } | undefined;
  #memory: Memory | undefined;
  #floor = 0 as Epoch;
  #acceptLoss: FailoverPolicy["acceptLoss"];
  #wish: Wish | undefined;
  #rejoined = new Map<NodeName, Rejoined>();
  readonly #lookout: Lookout;

  /** `memory`: what was seen before it began. */
  constructor(ports: FailoverPorts, options: ControllerOptions, memory?: Memory) {
    this.#ports = ports;
    this.#memory = memory;
    this.#lookout = new Lookout(ports);
    this.#options = options;
  }

  /**
   * One look while somebody else acts: changes nothing, and what it saw is known when it is our turn. Returns whether another look
   * would tell more at once. Rejects as the record does, and with `platform.aborted`.
   */
  async lookOn({ signal }: { readonly signal: AbortSignal }): Promise<boolean> {
    const { pace, limits } = this.#options;
    const stored = await this.#ports.record.read({ timeoutMs: limits.orderMs, signal });
    if (stored === undefined) return false;
    const { record } = stored;
    const { nodes, witness } = await this.#lookout.round(record.primary, { timeoutMs: pace.probeMs, signal });
    this.#memory = remember(this.#memory, { record, nodes, witness });
    const trouble = this.#memory.nodes.get(record.primary)?.trouble;
    return trouble !== undefined && trouble.rounds < TELLING_ROUNDS;
  }

  get state(): ControllerState {
    return this.#state;
  }

  /** What it has seen so far. */
  get memory(): Memory | undefined {
    return this.#memory;
  }

  /** Whether a switchover was asked for and has not ended. */
  get hasWish(): boolean {
    return this.#wish !== undefined;
  }

  /** Asks for a switchover; resolves when it has ended. One at a time. */
  switchOver(to: NodeName): Promise<SwitchoverOutcome> {
    assert(this.#wish === undefined, "one switchover at a time");
    return new Promise((resolve) => {
      this.#wish = { to, settle: resolve, checkpoint: undefined };
    });
  }

  /** A person has accepted this loss, for the failover that is blocked now. */
  acceptLoss(accepted: { readonly bytesMax: number } | undefined): void {
    this.#acceptLoss = accepted;
  }

  /** Runs until the signal aborts; then it has given up the lease. Never rejects but with a bug of ours. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#claimAndHold(signal);
      } catch (error) {
        if (signal.aborted) return;
        // What ends a term (a lease store or record that cannot be reached) is waited out; a bug is not.
        if (!isLifeboatError(error) || error.kind === "bug") throw error;
        const facts = { code: error.code, why: error.message };
        this.#ports.hooks.tell({ kind: "controller-waits", at: this.#ports.clock.now(), facts });
        await this.#pause(this.#options.pace.claimMs, signal);
      }
    }
  }

  async #claimAndHold(signal: AbortSignal): Promise<void> {
    const { lease: leases } = this.#ports;
    const answer = await leases.claim(this.#floor, { timeoutMs: this.#options.limits.orderMs, signal });
    if (answer.kind === "held") {
      this.#setState({ mode: "waiting-for-lease", epoch: undefined });
      await this.lookOn({ signal });
      await this.#pause(this.#options.pace.claimMs, signal);
      return;
    }
    const { lease } = answer;
    this.#floor = lease.epoch;
    this.#setState({ mode: "watching", epoch: lease.epoch });
    try {
      await keptWhile(this.#ports, lease, { signal }, () => this.#hold(lease, signal));
    } finally {
      await lease.end();
    }
  }

  /** Rounds under one epoch; returns when the epoch is used up or lost. */
  async #hold(lease: HeldLease, signal: AbortSignal): Promise<void> {
    const acting = new Acting(this.#ports, lease, signal);
    const { pace } = this.#options;
    const first = this.#firstRound(signal);
    let stored = await this.#takeRecord(acting, signal);
    let ahead = first?.primary === stored.record.primary ? first.round : undefined;
    let pausing: Pausing | undefined;
    try {
      while (!signal.aborted && lease.holds(0)) {
        const { primary } = stored.record;
        const looking = ahead ?? this.#lookout.round(primary, { timeoutMs: this.#probeMs(stored), signal });
        ahead = undefined;
        const round = await looking;
        if (!lease.holds(0)) return;
        const decision = await this.#judge(acting, stored, round);
        const asked = this.#askedPlan(stored, signal);
        // Where the role moves now, nobody is to confirm any more.
        const moves = decision.kind === "promotable" && decision.automatic;
        if (asked === undefined && !moves) await this.#grant(acting, stored, round);
        const plan = asked ?? this.#nextPlan(stored, round, decision);
        if (plan === undefined || makesWait(plan, decision)) {
          if (plan !== undefined && !this.#isPausedSince(pausing, round)) {
            pausing = this.#beginPausing(acting, plan, stored);
          }
          await this.#pause(decision.kind === "suspect" ? pace.suspectMs : pace.intervalMs, signal);
          if (pausing?.outcome?.kind === "failed") return await this.#afterFailure(pausing.outcome, signal);
          continue;
        }
        // A failover pauses by itself, and sends nobody elsewhere before both pauses have ended.
        const paused = plan.kind === "failover" ? undefined : await pausing?.done;
        const outcome = paused?.kind === "failed" ? paused : await this.#act(acting, plan, stored, pausing?.done);
        if (outcome.kind === "failed") return await this.#afterFailure(outcome, signal);
        stored = outcome.stored;
        if (plan.kind !== "mend") return;
      }
    } finally {
      await pausing?.done.catch(() => undefined);
    }
  }

  async #afterFailure({ lost }: FailedPlan, signal: AbortSignal): Promise<void> {
    if (!lost) await this.#pause(this.#options.pace.retryMs, signal);
  }

  #beginPausing(acting: Acting, plan: Plan, stored: StoredRecord): Pausing {
    const pausing: Pausing = { done: this.#act(acting, plan, stored), outcome: undefined, endedAt: undefined };
    pausing.done.then(
      (outcome) => {
        pausing.outcome = outcome;
        pausing.endedAt = this.#ports.clock.monotonic();
      },
      // Stopped on request: whoever waits for it is, too.
      () => undefined,
    );
    return pausing;
  }

  /**
   * Whether they are being made to wait, or were so only after the round had begun, which saw them as they were before; or it did
   * not work out everywhere a moment ago: a login that is spared takes as long as the server is silent.
   */
  #isPausedSince(pausing: Pausing | undefined, { poolers }: Round): boolean {
    if (pausing === undefined) return false;
    const { endedAt, outcome } = pausing;
    if (endedAt === undefined || poolers.some(({ sentAt }) => sentAt < endedAt)) return true;
    const fellShort = outcome?.kind === "done" && outcome.shortcomings.length > 0;
    return fellShort && this.#ports.clock.monotonic() - endedAt < this.#options.pace.retryMs;
  }

  /** The first look under an epoch goes on beside taking the record over: whom it names is known, as a rule. */
  #firstRound(signal: AbortSignal): { readonly primary: NodeName; readonly round: Promise<Round> } | undefined {
    if (this.#memory === undefined) return undefined;
    const { primary } = this.#memory.record;
    const round = this.#lookout.round(primary, { timeoutMs: this.#probeMs(this.#memory), signal });
    // Where the record cannot be taken over nobody waits for it.
    round.catch(() => undefined);
    return { primary, round };
  }

  /**
   * Reads the record and writes it as it is under our own epoch: a write of a controller before us that is still on its way is
   * refused from here on. Without that one arrived behind our back, and an action that nobody knew of stayed for ever.
   */
  async #takeRecord(acting: Acting, signal: AbortSignal): Promise<StoredRecord> {
    const { orderMs } = this.#options.limits;
    const stored = await this.#ports.record.read({ timeoutMs: orderMs, signal });
    if (stored === undefined) {
      throw new LifeboatError("failover.no-record", {
        message: "nothing says which node is the primary",
        remedy: "Bring the stack up once: lifeboat up.",
        retryable: true,
      });
    }
    const { record, version: over } = stored;
    try {
      const answer = await acting.order(orderMs, (epoch, call) =>
        acting.ports.record.write({ epoch, over, record }, call),
      );
      if (answer.kind === "done") return { version: answer.version, epoch: acting.epoch, record };
    } catch (error) {
      this.#heed(error);
      throw error;
    }
    throw stepFailed("note-action", "the record was written while it was taken over");
  }

  /** A node that has been silent for nearly as long as the policy waits is given exactly the rest: no look that ends just before. */
  #probeMs({ record }: Pick<StoredRecord, "record">): number {
    const { pace, policy } = this.#options;
    const { trouble, failingSince } = this.#memory?.nodes.get(record.primary) ?? {};
    if (trouble?.kind !== "silent" || failingSince === undefined) return pace.probeMs;
    const leftMs = failingSince + policy.silentMs - this.#ports.clock.monotonic();
    return leftMs > pace.probeMs / 2 && leftMs < pace.probeMs * 1.5 ? leftMs : pace.probeMs;
  }

  async #judge(acting: Acting, { record }: StoredRecord, round: Round): Promise<Decision> {
    this.#memory = remember(this.#memory, { record, nodes: round.nodes, witness: round.witness });
    const policy = { ...this.#options.policy, acceptLoss: this.#acceptLoss };
    const seen = { ...this.#memory, now: this.#ports.clock.monotonic() };
    const decided = decideFailover(seen, policy);
    const state = stateOf(seen, decided, round.poolers);
    this.#seen = { decided, state };
    const setback = standingSetback(this.#setbacks, state);
    const decision = withSetback(decided, setback);
    const before = this.#state.decision;
    this.#setState({ decision, setback });
    if (before === undefined || summary(before) !== summary(decision)) {
      const positions = positionsOf(seen);
      await acting.note({ kind: "decision", name: decision.kind, facts: { ...decision, positions } });
      const at = this.#ports.clock.now();
      this.#ports.hooks.tell({ kind: `decision-${decision.kind}`, at, facts: { ...decision } });
    }
    return decision;
  }

  #askedPlan({ record }: StoredRecord, signal: AbortSignal): Plan | undefined {
    const wish = this.#wish;
    if (wish === undefined || this.#memory === undefined || record.action !== undefined) return undefined;
    const seen = { ...this.#memory, now: this.#ports.clock.monotonic() };
    const answer = decideSwitchover(seen, { to: wish.to, policy: this.#options.policy });
    if (answer.kind === "ready") return this.#hasCheckpoint(wish, record.primary, signal) ? answer.plan : undefined;
    this.#wish = undefined;
    wish.settle({ kind: "refused", reasons: answer });
    return undefined;
  }

  /** Asks for it where nobody has. Nobody waits for it: rounds go on, and the one that finds it written begins the plan. */
  #hasCheckpoint(wish: Wish, primary: NodeName, signal: AbortSignal): boolean {
    if (wish.checkpoint?.of === primary) return wish.checkpoint.written;
    const checkpoint = { of: primary, written: false };
    wish.checkpoint = checkpoint;
    const { checkpointMs: timeoutMs } = this.#options.limits;
    checkpointBefore(this.#ports, { primary, to: wish.to }, { timeoutMs, signal }).then(
      () => {
        checkpoint.written = true;
      },
      (error: unknown) => {
        if (this.#wish !== wish || wish.checkpoint !== checkpoint || !isLifeboatError(error)) return;
        this.#wish = undefined;
        wish.settle({ kind: "failed", error });
      },
    );
    return false;
  }

  /** What failed again and again is put off, and what else can be done is done instead. */
  #nextPlan({ record }: StoredRecord, round: Round, decision: Decision): Plan | undefined {
    if (this.#memory === undefined || this.#seen === undefined) return undefined;
    const { decided, state } = this.#seen;
    const now = this.#ports.clock.monotonic();
    const { rejoinAfterMs, catchUpMs, rejoinAgainMs, retryMs } = this.#options.pace;
    const seen = { ...this.#memory, record, now };
    this.#rejoined = rejoinedSince(seen, this.#rejoined);
    const timing = { rejoinAfterMs, catchUpMs, rejoinAgainMs, rejoined: this.#rejoined };
    const situation = { seen, poolers: round.poolers, timing };
    const unlessPutOff = (plan: Plan | undefined): Plan | undefined => {
      const setback = setbackOf(this.#setbacks, plan, state);
      return setback === undefined || isDue(setback, now, retryMs) ? plan : undefined;
    };
    return (
      unlessPutOff(planNext({ ...situation, decision: decided })) ?? unlessPutOff(planNext({ ...situation, decision }))
    );
  }

  /** A plan that was ended from outside says nothing of itself; one that went well changes everything. Poolers are mended always. */
  #noteOutcome(plan: Plan, outcome: PlanOutcome): void {
    if (plan.kind === "mend") return;
    if (outcome.kind === "done") this.#setbacks = new Map();
    else if (!outcome.lost && this.#seen !== undefined) {
      const { at: step, error } = outcome;
      const at = this.#ports.clock.monotonic();
      const failure = { plan, step, code: error.code, why: errorText(error), state: this.#seen.state, at };
      this.#setbacks = noteFailure(this.#setbacks, failure);
    }
  }

  /** Lets the witness confirm for a while longer (rules B5, B9). What fails is tried again in the next round. */
  async #grant(acting: Acting, { record }: StoredRecord, { witness }: Round): Promise<void> {
    const { view } = witness;
    if (view === undefined || view.mode.kind !== "following" || record.action !== undefined) return;
    if (view.mode.reign !== record.reign || view.mode.upstream !== record.primary) return;
    const { limits } = this.#options;
    const { orderMs } = limits;
    const grant = {
      reign: record.reign,
      lifetime: grantLifetime(limits, view.ticket),
      contiguousWith: this.#contiguousWith(),
    };
    try {
      await acting.order(orderMs, (epoch, call) => acting.ports.witness.grant({ ...grant, epoch }, call));
    } catch (error) {
      if (!isLifeboatError(error, "failover.stale-epoch")) return;
      this.#heed(error);
      throw error;
    }
  }

  /** The least of what the candidates have, as far as it was ever seen; a position only grows. */
  #contiguousWith(): Lsn | undefined {
    const { record, nodes } = this.#memory ?? {};
    if (record === undefined || nodes === undefined) return undefined;
    if (record.joined.length === 0) {
      const role = nodes.get(record.primary)?.last?.view.role;
      return role?.kind === "primary" ? role.timelineStart : undefined;
    }
    let least: Lsn | undefined;
    for (const name of record.joined) {
      const view = nodes.get(name)?.last?.view;
      if (view?.role.kind !== "standby" || view.timeline !== record.timeline) return undefined;
      least = least === undefined ? view.role.flushed : lsnMin(least, view.role.flushed);
    }
    return least;
  }

  async #act(acting: Acting, plan: Plan, stored: StoredRecord, pausing?: Promise<PlanOutcome>): Promise<PlanOutcome> {
    this.#setState({ mode: "acting", plan });
    for (const step of plan.stages.flat()) {
      if (step.kind !== "rejoin" && step.kind !== "start-candidate") continue;
      const { tries = 0 } = this.#rejoined.get(step.node) ?? {};
      this.#rejoined.set(step.node, { askedAt: acting.ports.clock.monotonic(), tries: tries + 1 });
    }
    const outcome = await runPlan({ acting, limits: this.#options.limits, plan, stored, pausing });
    // Unless another one has begun beside it.
    if (this.#state.plan === plan) this.#setState({ mode: "watching", plan: undefined });
    this.#noteOutcome(plan, outcome);
    if (outcome.kind === "failed") this.#heed(outcome.error);
    else if (plan.kind === "failover") this.#acceptLoss = undefined;
    this.#settleWish(plan, outcome);
    const facts =
      outcome.kind === "done"
        ? { primary: outcome.stored.record.primary, shortcomings: outcome.shortcomings }
        : { at: outcome.at, why: errorText(outcome.error) };
    this.#ports.hooks.tell({ kind: `${plan.kind}-${outcome.kind}`, at: this.#ports.clock.now(), facts });
    return outcome;
  }

  #settleWish(plan: Plan, outcome: PlanOutcome): void {
    const wish = this.#wish;
    if (plan.kind !== "switchover" || wish === undefined) return;
    this.#wish = undefined;
    wish.settle(
      outcome.kind === "done"
        ? { kind: "done", shortcomings: outcome.shortcomings }
        : { kind: "failed", error: outcome.error },
    );
  }

  /** The next claim asks for an epoch beyond every one that refused us. */
  #heed(error: unknown): void {
    if (!isLifeboatError(error, "failover.stale-epoch")) return;
    this.#floor = Math.max(this.#floor, Number(error.details["seen"] ?? 0)) as Epoch;
  }

  #setState(change: Partial<ControllerState>): void {
    this.#state = { ...this.#state, ...change };
  }

  /** Waits, and returns at once when the signal aborts. */
  async #pause(durationMs: number, signal: AbortSignal): Promise<void> {
    await this.#ports.clock.sleep(durationMs, { signal }).catch(() => undefined);
  }
}

/** Nothing is decided yet, and clients are to wait for it instead of failing. */
function makesWait({ kind }: Plan, decision: Decision): boolean {
  return kind === "mend" && decision.kind === "suspect";
}

/** What must change for a decision to be told again: not its numbers. */
function summary(decision: Decision): string {
  const reasons = "reasons" in decision ? decision.reasons.map(({ code, node }) => `${code} ${node}`) : [];
  return `${decision.kind} ${"candidate" in decision ? decision.candidate : ""} ${reasons.join(",")}`;
}
