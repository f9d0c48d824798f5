/**
 * Carries a plan out: stage after stage, each step with its intent and outcome in the journal.
 *
 * Invariants: what runs is what the plan says, in its order; a step that fails ends the plan where it is, unless the step is
 * one that clients can do without (a fence whose stop need not be confirmed, a pooler that does not answer); a step that
 * goes on beside later stages has ended before the first one that needs it; clients that were made to wait do so until they are sent on; nothing is undone here: the
 * next plan is made from what is then seen, and so finishes or undoes what this one left, as after a crash.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { Acting } from "./acting.ts";
import type { SequenceLimits } from "./limits.ts";
import type { Plan, Step } from "./plan.ts";
import { PoolerHold } from "./pooler-hold.ts";
import type { StoredRecord } from "./ports.ts";
import { isLost, type Progress, type StepTools, stepFailed } from "./step-tools.ts";
import { performClientStep } from "./steps-clients.ts";
import { performClusterStep } from "./steps-cluster.ts";
import { performPromotionStep } from "./steps-promotion.ts";

/** How a plan ended. */
export type PlanOutcome =
  | { readonly kind: "done"; readonly stored: StoredRecord; readonly shortcomings: readonly string[] }
  /** It stopped at a step. `lost`: we may not act any more. */
  | { readonly kind: "failed"; readonly at: Step["kind"]; readonly lost: boolean; readonly error: LifeboatError };

type Settled = { readonly step: Step["kind"]; readonly result: PromiseSettledResult<Partial<Progress>> };

/** A step that goes on beside the stages after its own, and the first steps that it must have ended before. */
type Beside = { readonly running: Promise<Settled>; readonly until: readonly Step["kind"][] };

/** A pause that is late would undo these. */
const BESIDE_PAUSE: readonly Step["kind"][] = ["repoint-poolers", "resume-poolers"];

/** Steps that nothing rests on for a while, unless clients wait already for them alone, as in a switchover. */
const BESIDE: Readonly<Partial<Record<Step["kind"], readonly Step["kind"][]>>> = {
  "pause-poolers": BESIDE_PAUSE,
  "prepare-candidate": ["note-promotion"],
};

type Failure = { readonly step: Step["kind"]; readonly error: LifeboatError };

/**
 * Runs a plan over the record as it was read. `pausing`: a pause that was begun before under the same epoch; where that had all
 * poolers paused, the plan need not do it again. Never rejects but with `platform.aborted`.
 */
export async function runPlan(facts: {
  readonly acting: Acting;
  readonly limits: SequenceLimits;
  readonly plan: Plan;
  readonly stored: StoredRecord;
  readonly pausing?: Promise<PlanOutcome> | undefined;
}): Promise<PlanOutcome> {
  const { acting, limits, plan, pausing } = facts;
  const startedAt = acting.ports.clock.monotonic();
  const tools: StepTools = { acting, limits, plan, startedAt, background: [], paused: pausedBy(pausing) };
  let progress: Progress = { stored: facts.stored, shortcomings: [] };
  // On stable storage before anything is done, and it says all that will be: no step waits for a sync of its own.
  const steps = plan.stages.map((stage) => stage.map(({ kind }) => kind));
  const begun = acting.note({ kind: "intent", name: plan.kind, facts: { from: plan.from, to: plan.to, steps } });
  let beside: readonly Beside[] =
    pausing === undefined ? [] : [{ running: settledOf("pause-poolers", unlessLost(pausing)), until: BESIDE_PAUSE }];
  const hold = new PoolerHold(tools);
  if (pausing !== undefined) hold.begin();
  const ended = async (running: readonly Promise<Settled>[]): Promise<Failure | undefined> => {
    const settled = await Promise.all(running);
    for (const { result } of settled) if (result.status === "fulfilled") progress = merge(progress, result.value);
    return worstOf(settled);
  };
  const failed = async ({ step, error }: Failure): Promise<PlanOutcome> => {
    await hold.end();
    await Promise.allSettled([...tools.background, ...beside.map(({ running }) => running)]);
    if (error.code === "platform.aborted") throw error;
    return { kind: "failed", at: step, lost: isLost(error), error };
  };
  for (const stage of [...plan.stages, undefined]) {
    const due = beside.filter(({ until }) => stage === undefined || stage.some(({ kind }) => until.includes(kind)));
    beside = beside.filter((each) => !due.includes(each));
    if (stage === undefined || stage.some(({ kind }) => BESIDE_PAUSE.includes(kind))) await hold.end();
    else if (stage.some(({ kind }) => kind === "pause-poolers")) hold.begin();
    const late = await ended(due.map(({ running }) => running));
    if (late !== undefined) return await failed(late);
    const awaited: Promise<Settled>[] = [];
    for (const step of stage ?? []) {
      const running = settledOf(step.kind, runStep(tools, step, progress, begun));
      const until = plan.kind === "switchover" ? undefined : BESIDE[step.kind];
      if (until === undefined) awaited.push(running);
      else beside = [...beside, { running, until }];
    }
    const failure = await ended(awaited);
    if (failure !== undefined) return await failed(failure);
  }
  await Promise.allSettled(tools.background);
  const { stored, shortcomings } = progress;
  await acting.note({ kind: "outcome", name: plan.kind, facts: { primary: stored.record.primary, shortcomings } });
  return { kind: "done", stored, shortcomings };
}

async function settledOf(step: Step["kind"], work: Promise<Partial<Progress>>): Promise<Settled> {
  const [result] = await Promise.allSettled([work]);
  return { step, result };
}

async function pausedBy(pausing: Promise<PlanOutcome> | undefined): Promise<boolean> {
  const [before] = await Promise.allSettled([pausing]);
  if (before.status === "rejected" || before.value === undefined) return false;
  return before.value.kind === "done" && before.value.shortcomings.length === 0;
}

/** What a pause that was begun before did not do, that of the plan itself does. */
async function unlessLost(pausing: Promise<PlanOutcome>): Promise<Partial<Progress>> {
  const outcome = await pausing;
  if (outcome.kind === "failed" && outcome.lost) throw outcome.error;
  return {};
}

function worstOf(settled: readonly Settled[]): Failure | undefined {
  const failures = settled.flatMap(({ step, result }) =>
    result.status === "rejected" ? [{ step, error: asLifeboatError(result.reason, step) }] : [],
  );
  return failures.find(({ error }) => isLost(error)) ?? failures[0];
}

async function runStep(
  tools: StepTools,
  step: Step,
  progress: Progress,
  begun: Promise<void>,
): Promise<Partial<Progress>> {
  const { acting } = tools;
  await Promise.all([begun, acting.note({ kind: "intent", name: step.kind, facts: { ...step }, covered: true })]);
  try {
    const made = await perform(tools, step, progress);
    await acting.note({ kind: "outcome", name: step.kind, facts: { shortcomings: made.shortcomings ?? [] } });
    return made;
  } catch (error) {
    const code = isLifeboatError(error) ? { code: error.code } : {};
    await acting.note({ kind: "outcome", name: step.kind, facts: { failed: errorText(error), ...code } });
    throw error;
  }
}

async function perform(tools: StepTools, step: Step, progress: Progress): Promise<Partial<Progress>> {
  switch (step.kind) {
    case "check-logins":
    case "pause-poolers":
    case "repoint-poolers":
    case "drop-dead":
    case "resume-poolers":
    case "prove-writes":
      return performClientStep(tools, step, progress);
    case "note-action":
    case "stop-primary":
    case "fence":
    case "start-primary":
    case "start-candidate":
    case "note-primary":
    case "name-confirmers":
    case "witness-follows":
    case "receive-from":
    case "rejoin":
    case "note-joined":
    case "note-unkept":
      return performClusterStep(tools, step, progress);
    case "withdraw-witness":
    case "stop-receiving":
    case "outwait-grant":
    case "see-receivers-gone":
    case "fill-gap":
    case "await-replay":
    case "prepare-candidate":
    case "note-promotion":
    case "promote":
    case "see-promoted":
      return performPromotionStep(tools, step, progress);
  }
}

function merge(progress: Progress, made: Partial<Progress>): Progress {
  return { ...progress, ...made, shortcomings: [...progress.shortcomings, ...(made.shortcomings ?? [])] };
}

function asLifeboatError(error: unknown, step: Step["kind"]): LifeboatError {
  return error instanceof LifeboatError ? error : stepFailed(step, errorText(error), error);
}
