/**
 * What is asked of a stack's controller, by the daemon's socket or by a command where no daemon runs.
 *
 * Nouns: the *loop* is the controller that acts by itself; an *asked* action is what a person wants.
 * Invariants: an asked action has the lease to itself: the loop gives it up first and goes on afterwards, so that what an
 * asked action left half-way is finished or undone by the loop; one asked action at a time; a look needs no lease, and knows what
 * was seen before: what a primary that is gone acknowledged last is not to be seen any more.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { Acting } from "../failover/acting.ts";
import { decideAdoption } from "../failover/adoption.ts";
import { changeDurability } from "../failover/change-durability.ts";
import { CHECKPOINT_EFFECT, checkpointBefore } from "../failover/checkpoint-before.ts";
import { Controller, type ControllerOptions } from "../failover/controller.ts";
import { type Cost, isAccepted, sentenceOf, statedCosts, toBeAccepted } from "../failover/costs.ts";
import { keptWhile } from "../failover/kept-lease.ts";
import type { Memory } from "../failover/observation.ts";
import { type Plan, planJoined, STEP_EFFECTS } from "../failover/plan.ts";
import type { Durability, Epoch, FailoverPorts, NodeName, StoredRecord } from "../failover/ports.ts";
import { positionsOf } from "../failover/positions.ts";
import { type Reason, reason } from "../failover/reasons.ts";
import { runPlan } from "../failover/sequence.ts";
import { withSetback } from "../failover/setbacks.ts";
import { decideSwitchover, type SwitchoverDecision } from "../failover/switchover.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { shellQuoted } from "../platform/shell-word.ts";
import { adoptStack } from "./adopt.ts";
import { askedFailover, vaultInTheWay } from "./asked-failover.ts";
import { type CheckReport, checkReportOf, reasonOf } from "./check-report.ts";
import type { LocalMachines } from "./machines.ts";
import type { Reporter } from "./reporter.ts";
import { SURVEY_MS, SURVEY_PATIENT_MS, type Survey } from "./survey.ts";
import { type Look, Watcher } from "./watcher.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** How a person asks for an action. */
type AskOptions = CallOptions & {
  /** Aborts when who asked is gone: what has not begun by then is not begun, and what has goes on. Absent: `signal` is all there is. */
  readonly gone?: AbortSignal | undefined;
};

/** What control is made of. */
export type ControlParts = {
  readonly ports: FailoverPorts;
  readonly machines: LocalMachines;
  readonly reporter: Reporter;
  readonly survey: Survey;
  readonly options: ControllerOptions;
  readonly stack: string;
  /** Of a stack that nobody has recorded yet. */
  readonly durability: Durability;
  readonly notice: (message: string) => void;
};

/** What an asked action came to. */
export type ActionResult = {
  readonly done: boolean;
  readonly epoch: number;
  readonly from: NodeName;
  readonly to: NodeName;
  readonly shortcomings: readonly string[];
  readonly outageMs: number | null;
  readonly reportFile: string | null;
};

/** What the record says of durability. */
export type RecordedDurability = { readonly recorded: Durability };

/** A switchover that was only planned. */
export type SwitchoverPreview = {
  readonly plan: readonly (readonly string[])[];
  readonly blockedBy: readonly string[];
  /** What it would cost beside the writes that wait. */
  readonly costs: readonly Cost[];
  /** What must be typed to accept them; null: nothing must be. */
  readonly accept: string | null;
};

/** Between two looks of a person who follows. */
const FOLLOW_INTERVAL_MS = 250;
/** Long enough to tell a frozen primary from a slow one, and to be told why not. */
const SETTLE_MS = 10_000;
/** Whoever looks is not told of a pooler that was busy for a moment: on a busy machine it answered a look late for more than a second. */
const POOLERS_MS = 3_000;
/** A node that was made to follow streams after so long, or something is wrong with it. */
const STREAM_TIMEOUT_MS = 120_000;
const STREAM_LOOK_MS = 100;
/** One that streams is counted within a look or two, or something is wrong with the stack. */
const JOINED_TIMEOUT_MS = 10_000;
/** Nothing else is decided meanwhile: a replica that is further behind is waited for by whoever asks again. */
const DURABILITY_LIMITS = { orderMs: 2_000, pollMs: 20, coverMs: 5_000 };
/** Of a change that is made whether or not anybody follows. */
const FORCED_COVER_MS = 500;

/** Control of one stack. */
export class Control {
  readonly #parts: ControlParts;
  #loop:
    | { readonly ending: AbortController; readonly ended: Promise<void>; readonly controller: Controller }
    | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  /** Adopts the stack where nobody has, then acts by itself until the signal aborts. Rejects with a bug of ours only. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { ports, options, notice } = this.#parts;
    let said = "";
    while (!signal.aborted) {
      try {
        if (await adoptStack(ports, this.#parts.durability, { signal })) break;
      } catch (error) {
        const why = errorText(error);
        if (why !== said && !signal.aborted) notice(`the stack cannot be taken on yet: ${why}`);
        said = why;
      }
      await ports.clock.sleep(options.pace.claimMs, { signal }).catch(() => undefined);
    }
    const failure = Promise.withResolvers<never>();
    const begin = (): void => {
      const ending = new AbortController();
      // What one that stood by has seen is known to the controller that it becomes.
      const controller = this.#standing ?? new Controller(ports, options, this.#memory);
      this.#standing = undefined;
      const ended = controller.run({ signal: ending.signal }).catch((error: unknown) => failure.reject(error));
      this.#loop = { ending, ended, controller };
    };
    this.#begin = begin;
    if (!signal.aborted) begin();
    const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    try {
      if (!signal.aborted) await Promise.race([stopped, failure.promise]);
    } finally {
      this.#begin = undefined;
      // What is under way ends first: an action that is cut short is for the next controller to finish.
      await this.#turn;
      await this.#endLoop();
      this.#over.abort();
    }
  }

  #begin: (() => void) | undefined;
  /** Aborts when this one controls nothing any more. */
  readonly #over = new AbortController();
  /** What was seen until the loop ended last, and beside no loop since then. */
  #memory: Memory | undefined;

  /** Looks and decides. With `follow` every other decision is told until the signal aborts. */
  async check(
    options: CallOptions & { readonly follow?: ((report: CheckReport) => void) | undefined },
  ): Promise<CheckReport> {
    const { ports, options: controller } = this.#parts;
    const watcher = this.#watcher();
    const { policy } = controller;
    const look = async (how: "settle" | "look"): Promise<CheckReport> => {
      const { record } = await this.#stored(options);
      const surveyed = this.#surveyBeside(options);
      const seen = await watcher[how](record, policy, { ...options, poolersMs: POOLERS_MS });
      const report = this.#report(seen);
      if (how === "look" || report.costs.every(({ seenAgoMs }) => seenAgoMs !== null)) return report;
      // Nothing was told yet, as where no daemon runs: for that a person waits, and nobody else.
      await this.#atMost(SURVEY_MS, surveyed, options);
      return this.#report(seen);
    };
    let report = await look("settle");
    if (options.follow === undefined) return report;
    options.follow(report);
    for (;;) {
      await ports.clock.sleep(FOLLOW_INTERVAL_MS, options).catch(() => undefined);
      if (options.signal?.aborted === true) return report;
      const next = await look("look");
      if (summaryOf(next) !== summaryOf(report)) options.follow(next);
      report = next;
    }
  }

  /**
   * Looks once, as the loop will, and tells nobody: what a look needs is open and warm then, and what it saw is known to the loop.
   * Before `run` only. Rejects and returns as `Controller.lookOn`.
   */
  async lookOn(options: { readonly signal: AbortSignal }): Promise<boolean> {
    const { ports, options: controller } = this.#parts;
    this.#standing ??= new Controller(ports, controller);
    return await this.#standing.lookOn(options);
  }

  #standing: Controller | undefined;

  /** Replaces a primary that is gone. Rejects with `failover.primary-lives`, `failover.blocked`, `failover.loss-not-stated`. */
  async promote(asked: { readonly acceptLoss: string | undefined }, options: AskOptions): Promise<ActionResult> {
    return await this.#asked(options, async (acting, stored) => {
      const watcher = this.#watcher();
      // A person decides: neither maintenance nor a policy that leaves it to a person speaks against it.
      const record = { ...stored.record, maintenance: false };
      const policy = { ...this.#parts.options.policy, automatic: true };
      // For what is told afterwards.
      void this.#surveyBeside(options);
      const look = await watcher.settle(record, policy, options);
      this.#memory = watcher.memory;
      const facts = { ...look.decision, asked: true, positions: positionsOf(look.seen) };
      await acting.note({ kind: "decision", name: look.decision.kind, facts });
      return await this.#carryOut(acting, stored, askedFailover(look, record, asked.acceptLoss), options);
    });
  }

  /** Has a node be the primary as it is, of two that are: a person has said whose writes stay. Rejects with `failover.not-adopted`. */
  async adopt({ node }: { readonly node: NodeName }, options: AskOptions): Promise<ActionResult> {
    return await this.#asked(options, async (acting, stored) => {
      const { seen } = await this.#watcher().settle(stored.record, this.#parts.options.policy, options);
      const adoption = decideAdoption(seen, node);
      if (adoption.kind === "refused") throw notAdopted(node, adoption.why);
      const facts = { asked: true, node, positions: positionsOf(seen) };
      await acting.note({ kind: "decision", name: "adopt", facts });
      return await this.#carryOut(acting, stored, adoption.plan, options);
    });
  }

  /**
   * Hands the role over; what comes before it, a checkpoint, goes on beside the loop. Rejects with `failover.switchover-refused`,
   * `failover.cost-not-accepted`, or with what the step rejects with that did not work out.
   */
  async switchover(
    { to, dryRun, accept }: { readonly to: NodeName; readonly dryRun: boolean; readonly accept: string | undefined },
    options: AskOptions,
  ): Promise<ActionResult | SwitchoverPreview> {
    const { policy } = this.#parts.options;
    const decide = async ({ record }: Pick<StoredRecord, "record">) => {
      const { seen } = await this.#watcher().settle(record, policy, options);
      return { seen, answer: decideSwitchover(seen, { to, policy }) };
    };
    const before = await this.#stored(options);
    const costsNow = (primary: NodeName) => {
      const { found: costs } = this.#parts.survey.costs({ primary, candidate: to });
      return { costs, stated: isAccepted(costs, accept) ? null : (statedCosts(costs) ?? null) };
    };
    const surveyed = this.#parts.survey.refresh({ anew: true, patienceMs: SURVEY_PATIENT_MS, ...options });
    const [{ answer }] = await Promise.all([decide(before), surveyed]);
    const { costs, stated } = costsNow(before.record.primary);
    if (dryRun) {
      if (answer.kind === "refused") {
        return { plan: [], blockedBy: answer.reasons.map(describeReason), costs, accept: stated };
      }
      const stages = answer.plan.stages.map((stage) => stage.map(({ kind }) => STEP_EFFECTS[kind]));
      return { plan: [[CHECKPOINT_EFFECT], ...stages], blockedBy: [], costs, accept: stated };
    }
    planOf(to, answer);
    if (stated !== null) throw costNotAccepted(to, { costs, stated, typed: accept });
    // The loop goes on beside it: nothing has begun, and a primary that freezes now is replaced as ever.
    const { checkpointMs: timeoutMs } = this.#parts.options.limits;
    await checkpointBefore(this.#parts.ports, { primary: before.record.primary, to }, { timeoutMs, ...options });
    return await this.#asked(options, async (acting, stored) => {
      const [{ seen, answer }] = await Promise.all([
        decide(stored),
        this.#parts.survey.refresh({ anew: true, ...options }),
      ]);
      const plan = planOf(to, answer);
      // A checkpoint may take minutes: what was made meanwhile was accepted by nobody.
      const late = costsNow(plan.from);
      if (late.stated !== null) throw costNotAccepted(to, { ...late, stated: late.stated, typed: accept });
      const facts = { asked: true, positions: positionsOf(seen) };
      await acting.note({ kind: "decision", name: "switchover", facts });
      return await this.#carryOut(acting, stored, plan, options);
    });
  }

  /**
   * Makes a node a replica again, and returns when it streams. Ordered under the lease, and waited for beside the loop: a restore takes
   * hours, in which a primary may end, and writes that wait may have to be released. Rejects with `stack.rejoin-refused`, or with what the
   * restore rejects with.
   */
  async rebuild(
    asked: { readonly node: NodeName },
    options: AskOptions,
  ): Promise<{ readonly node: NodeName; readonly did: string; readonly durationMs: number }> {
    const { ports, machines } = this.#parts;
    const { node } = asked;
    const begun = ports.clock.monotonic();
    const acting = await this.#asked(options, async (acting, { record }) => {
      if (node === record.primary || record.action !== undefined) throw rejoinRefused(node, record.primary);
      await acting.note({ kind: "intent", name: "rebuild", facts: { node, upstream: record.primary } });
      const answer = await acting.order(2_000, (epoch, call) =>
        ports.machines.rejoin({ epoch, node, upstream: record.primary, asked: true }, call),
      );
      if (answer.kind === "refused") throw rejoinRefused(node, record.primary, answer.reason);
      return acting;
    });
    await machines.idle();
    const failure = machines.failureOf(node);
    if (failure !== undefined) throw failure;
    const did = machines.lastRejoin(node);
    // What is under way goes on with whoever controls the stack next.
    const signal = AbortSignal.any([this.#over.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    await this.#untilStreaming(node, { signal });
    await machines.letGone(node);
    // The loop counts it as a candidate; where none runs, nobody else would, ever.
    if (this.#begin === undefined) await this.#countJoined(node, { ...options, signal });
    const durationMs = Math.round(ports.clock.monotonic() - begun);
    // Under the epoch that it was ordered by, for whoever reads; others may have acted since.
    await acting.note({ kind: "outcome", name: "rebuild", facts: { node, did, durationMs } });
    return { node, did, durationMs };
  }

  /** Has the record count a node that streams as a candidate, by the rule of the loop; where it cannot be, that is told. */
  async #countJoined(node: NodeName, options: CallOptions): Promise<void> {
    const { ports, options: controller, notice } = this.#parts;
    const watcher = this.#watcher();
    const plan = async ({ record }: StoredRecord) => planJoined(await watcher.look(record, controller.policy, options));
    const deadline = ports.clock.monotonic() + JOINED_TIMEOUT_MS;
    for (;;) {
      const stored = await this.#stored(options);
      if (stored.record.joined.includes(node)) return;
      if ((await plan(stored)) !== undefined) break;
      if (ports.clock.monotonic() > deadline)
        return notice(`${node} streams, and is not counted as a candidate: ${NOT_JOINED}`);
      await ports.clock.sleep(STREAM_LOOK_MS, options);
    }
    await this.#asked(options, async (acting, stored) => {
      const joined = await plan(stored);
      if (joined === undefined) return notice(`${node} streams, and is not counted as a candidate: ${NOT_JOINED}`);
      const outcome = await runPlan({ acting, limits: controller.limits, plan: joined, stored });
      if (outcome.kind === "failed") throw outcome.error;
    });
  }

  /** Failover by itself off, or on again; durable. */
  async setMaintenance(
    asked: { readonly paused: boolean; readonly reason: string },
    options: AskOptions,
  ): Promise<CheckReport> {
    await this.#asked(options, async (acting, stored) => {
      const { ports } = this.#parts;
      const name = asked.paused ? "failover-paused" : "failover-resumed";
      await acting.note({ kind: "note", name, facts: { reason: asked.reason } });
      const record = { ...stored.record, maintenance: asked.paused };
      const written = await acting.order(2_000, (epoch, call) =>
        ports.record.write({ epoch, over: stored.version, record }, call),
      );
      if (written.kind !== "done") throw leaseHeld("another controller wrote the record");
      ports.hooks.tell({ kind: name, at: ports.clock.now(), facts: { reason: asked.reason } });
    });
    return await this.check(options);
  }

  /** What a failover reckons with. */
  async recordedDurability(options: CallOptions): Promise<RecordedDurability> {
    return { recorded: (await this.#stored(options)).record.durability };
  }

  /**
   * Changes it at the primary and in the record (rule B13). Rejects as `changeDurability`; with `force` not for confirmers that
   * lack what was acknowledged before, unless in async: the record then goes on saying less than the primary does.
   */
  async setDurability(
    asked: { readonly to: Durability; readonly force: boolean },
    options: AskOptions,
  ): Promise<RecordedDurability> {
    const { to, force } = asked;
    const limits = force ? { ...DURABILITY_LIMITS, coverMs: FORCED_COVER_MS } : DURABILITY_LIMITS;
    return await this.#asked(options, async (acting, stored) => {
      try {
        const { record } = await changeDurability(acting, stored, { to, limits });
        return { recorded: record.durability };
      } catch (error) {
        // Out of async nobody goes like that: who waits there without a record that says so is held back by a failover.
        const stays = force && stored.record.durability !== "async";
        if (!stays || !isLifeboatError(error, "durability.not-taken")) throw error;
        return await this.recordedDurability(options);
      }
    });
  }

  async #carryOut(acting: Acting, stored: StoredRecord, plan: Plan, { gone }: AskOptions): Promise<ActionResult> {
    const { options, reporter } = this.#parts;
    // It may have looked for seconds.
    this.#refuseForNobody(gone);
    const outcome = await runPlan({ acting, limits: options.limits, plan, stored });
    if (outcome.kind === "failed") {
      const isVault = plan.kind === "failover" && outcome.at === "withdraw-witness" && !outcome.lost;
      throw isVault ? vaultInTheWay(outcome.error) : outcome.error;
    }
    // It ends no outage that was seen to begin, and has no report.
    const written = plan.kind === "adopt" ? undefined : await reporter.last();
    const lost =
      plan.from === plan.to ? [] : this.#parts.survey.costs({ primary: plan.from, candidate: plan.to }).found;
    const shortcomings = [...outcome.shortcomings, ...toBeAccepted(lost).map(sentenceOf)];
    const { outageMs } = written?.report ?? { outageMs: null };
    return {
      done: true,
      epoch: acting.epoch,
      from: plan.from,
      to: plan.to,
      shortcomings,
      outageMs,
      reportFile: written?.file ?? null,
    };
  }

  /** Gives `work` the lease, with the loop out of the way. Rejects with `failover.lease-held`, and with `platform.aborted`. */
  async #asked<T>(asked: AskOptions, work: (acting: Acting, stored: StoredRecord) => Promise<T>): Promise<T> {
    const { gone, ...options } = asked;
    const mine = this.#turn.then(async () => {
      const { ports } = this.#parts;
      // Others had their turn before, or this process was halted: who asked may have done something else since.
      this.#refuseForNobody(gone);
      await this.#endLoop();
      try {
        const answer = await ports.lease.claim(0 as Epoch, { timeoutMs: 5_000, ...options });
        if (answer.kind === "held") throw leaseHeld(answer.by);
        try {
          // Replay may take longer than the lease lasts.
          return await keptWhile(ports, answer.lease, options, async () => {
            this.#refuseForNobody(gone);
            return await work(new Acting(ports, answer.lease, options.signal), await this.#stored(options));
          });
        } finally {
          await answer.lease.end();
        }
      } finally {
        this.#begin?.();
      }
    });
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }

  /** What nobody waits for any more is not begun. Throws `platform.aborted`. */
  #refuseForNobody(gone: AbortSignal | undefined): void {
    if (gone?.aborted !== true) return;
    this.#parts.notice("what was asked for is not begun: who asked for it has gone, or this daemon ends");
    throwIfAborted(gone, "waiting for its turn");
  }

  async #endLoop(): Promise<void> {
    const loop = this.#loop;
    this.#loop = undefined;
    loop?.ending.abort();
    await loop?.ended;
    this.#memory = loop?.controller.memory ?? this.#memory;
  }

  async #stored(options: CallOptions): Promise<StoredRecord> {
    const stored = await this.#parts.ports.record.read({ timeoutMs: 2_000, ...options });
    if (stored !== undefined) return stored;
    throw new LifeboatError("failover.no-record", {
      message: `nothing says which node of stack ${this.#parts.stack} is the primary`,
      remedy: "Bring it up once: lifeboat up. Its daemon records who the primary is.",
      retryable: true,
    });
  }

  async #untilStreaming(node: NodeName, options: CallOptions): Promise<void> {
    const { ports } = this.#parts;
    const port = ports.nodes.find(({ name }) => name === node);
    const deadline = ports.clock.monotonic() + STREAM_TIMEOUT_MS;
    for (;;) {
      const probe = await port?.probe({ timeoutMs: 2_000, ...options });
      const role = probe?.kind === "answered" ? probe.view.role : undefined;
      if (role?.kind === "standby" && role.receiver.kind === "streaming") return;
      if (ports.clock.monotonic() > deadline) {
        throw new LifeboatError("failover.step-failed", {
          message: `${node} was prepared and does not stream after ${STREAM_TIMEOUT_MS} ms`,
          remedy: `Look at its log: lifeboat logs ${node}.`,
          retryable: true,
        });
      }
      await ports.clock.sleep(STREAM_LOOK_MS, options);
    }
  }

  /** Asks nodes what replication does not carry, unless that is under way. For whoever waits for it or not: it never rejects. */
  #surveyBeside(options: CallOptions): Promise<void> {
    this.#surveying ??= this.#parts.survey
      .refresh(options)
      // It was told to stop with whoever asked.
      .catch(() => undefined)
      .finally(() => {
        this.#surveying = undefined;
      });
    return this.#surveying;
  }

  #surveying: Promise<void> | undefined;

  async #atMost(durationMs: number, work: Promise<void>, { signal }: CallOptions): Promise<void> {
    const over = new AbortController();
    const until = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    const late = this.#parts.ports.clock.sleep(durationMs, { signal: until }).catch(() => undefined);
    await Promise.race([work, late]);
    over.abort();
  }

  #watcher(): Watcher {
    const { ports, options } = this.#parts;
    const { probeMs, intervalMs } = options.pace;
    const memory = this.#loop?.controller.memory ?? this.#memory;
    return new Watcher(ports, { probeMs, intervalMs, settleMs: SETTLE_MS }, memory);
  }

  /** Of nodes that are down: one that answers is judged by what it says. */
  #refusals({ nodes }: Look["seen"]): readonly Reason[] {
    return [...nodes].flatMap(([name, { probe }]) => {
      const why = probe.kind === "answered" ? undefined : this.#parts.machines.refusalOf(name);
      return why === undefined ? [] : [reason("rejoin-refused", name, { why })];
    });
  }

  /** With what the loop has learnt by trying. */
  #report({ seen, decision: decided, poolers }: Look): CheckReport {
    const { stack, ports, survey } = this.#parts;
    const decision = withSetback(decided, this.#loop?.controller.state.setback);
    const report = checkReportOf({ stack, at: ports.clock.now(), seen, decision, poolers, survey });
    return { ...report, reasons: [...report.reasons, ...this.#refusals(seen).map(reasonOf)] };
  }
}

/** What to do about a node that is none though it streams. */
const NOT_JOINED = "see why with lifeboat failover --check-only, mend that, and run lifeboat rebuild again";

/** What must change for a report to be told again: not its numbers. */
/** What makes a report another one for who follows them. */
export function summaryOf(report: CheckReport): string {
  const { state, candidate, primary, epoch, reasons, against, maintenance, action } = report;
  const costs = report.costs.flatMap(({ found }) => found.map(({ code, of }) => `${code} ${of}`));
  const codes = [...reasons, ...against].map(({ code, node }) => `${code} ${node}`);
  return JSON.stringify([state, candidate, primary, epoch, maintenance, action, codes, costs]);
}

function describeReason({ node, code }: { readonly node: NodeName | undefined; readonly code: string }): string {
  return node === undefined ? code : `${node}: ${code}`;
}

function planOf(to: NodeName, answer: SwitchoverDecision): Plan {
  if (answer.kind === "ready") return answer.plan;
  const uncounted = answer.reasons.some(({ code }) => code === "never-joined");
  const mend = uncounted ? `A daemon counts ${to} when it streams, else lifeboat rebuild ${to} does. ` : "";
  throw new LifeboatError("failover.switchover-refused", {
    message: `${to} cannot take over as planned: ${answer.reasons.map(describeReason).join("; ")}`,
    remedy: `${mend}Mend what is named. A primary that is gone is replaced by \`lifeboat failover --promote\`.`,
  });
}

function costNotAccepted(
  to: NodeName,
  {
    costs,
    stated,
    typed,
  }: { readonly costs: readonly Cost[]; readonly stated: string; readonly typed: string | undefined },
): LifeboatError {
  const what = toBeAccepted(costs).map(({ says }) => says);
  const accepted = typed === undefined ? "" : `; accepted was "${typed}"`;
  return new LifeboatError("failover.cost-not-accepted", {
    message: `handing the role over to ${to} would cost something: ${what.join("; ")}${accepted}`,
    remedy: `See what can be done about it: lifeboat switchover --to ${to} --dry-run. To hand it over all the same: --accept ${shellQuoted(stated)}.`,
    details: { stated },
  });
}

function rejoinRefused(node: NodeName, primary: NodeName, why?: string): LifeboatError {
  const because = why ?? (node === primary ? "it is the primary" : "a failover or switchover has not ended");
  return new LifeboatError("stack.rejoin-refused", {
    message: `${node} is not made to follow ${primary}: ${because}`,
    remedy: "See who is what: lifeboat failover --check-only.",
  });
}

function notAdopted(node: NodeName, why: string): LifeboatError {
  return new LifeboatError("failover.not-adopted", {
    message: `${node} is not made the primary as it is: ${why}`,
    remedy: "See who is what: lifeboat failover --check-only. To write a node over: lifeboat rebuild NODE.",
  });
}

function leaseHeld(by: string): LifeboatError {
  return new LifeboatError("failover.lease-held", {
    message: `the right to act is held by somebody else: ${by}`,
    remedy: "Wait for it, or ask the daemon that has it.",
    retryable: true,
  });
}
