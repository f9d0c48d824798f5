/**
 * Carries a plan out: stage after stage, each step with its intent and outcome in the journal.
 *
 * Invariants: what runs is what the plan says, in its order; a step that fails ends the plan where it is, unless the step is
 * one that clients can do without (a fence whose stop need not be confirmed, a pooler that does not answer); nothing is undone here: the
 * next plan is made from what is then seen, and so finishes or undoes what this one left, as after a crash.
 */
import { LifeboatError } from "../errors/error.ts";
import { type Acting, describe } from "./acting.ts";
import type { SequenceLimits } from "./limits.ts";
import type { Plan, Step } from "./plan.ts";
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

/** Runs a plan over the record as it was read. Never rejects but with `platform.aborted`. */
export async function runPlan(facts: {
  readonly acting: Acting;
  readonly limits: SequenceLimits;
  readonly plan: Plan;
  readonly stored: StoredRecord;
}): Promise<PlanOutcome> {
  const { acting, limits, plan } = facts;
  const tools: StepTools = { acting, limits, plan, startedAt: acting.ports.clock.monotonic(), background: [] };
  let progress: Progress = { stored: facts.stored, shortcomings: [] };
  // Written by one sync with the intents of the first stage, none of which is acted on before it.
  const begun = acting.note({ kind: "intent", name: plan.kind, facts: { from: plan.from, to: plan.to } });
  for (const stage of plan.stages) {
    const settled = await Promise.allSettled(stage.map((step) => runStep(tools, step, progress, begun)));
    const failures: { readonly step: Step["kind"]; readonly error: LifeboatError }[] = [];
    for (const [index, each] of settled.entries()) {
      const step = stage[index]?.kind ?? "note-action";
      if (each.status === "rejected") failures.push({ step, error: asLifeboatError(each.reason, step) });
      else progress = merge(progress, each.value);
    }
    const worst = failures.find(({ error }) => isLost(error)) ?? failures[0];
    if (worst !== undefined) {
      if (worst.error.code === "platform.aborted") throw worst.error;
      await Promise.allSettled(tools.background);
      return { kind: "failed", at: worst.step, lost: isLost(worst.error), error: worst.error };
    }
  }
  await Promise.allSettled(tools.background);
  const { stored, shortcomings } = progress;
  await acting.note({ kind: "outcome", name: plan.kind, facts: { primary: stored.record.primary, shortcomings } });
  return { kind: "done", stored, shortcomings };
}

async function runStep(
  tools: StepTools,
  step: Step,
  progress: Progress,
  begun: Promise<void>,
): Promise<Partial<Progress>> {
  const { acting } = tools;
  await Promise.all([begun, acting.note({ kind: "intent", name: step.kind, facts: { ...step } })]);
  try {
    const made = await perform(tools, step, progress);
    await acting.note({ kind: "outcome", name: step.kind, facts: { shortcomings: made.shortcomings ?? [] } });
    return made;
  } catch (error) {
    await acting.note({ kind: "outcome", name: step.kind, facts: { failed: describe(error) } });
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
      return performClientStep(tools, step);
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
  return error instanceof LifeboatError ? error : stepFailed(step, describe(error), error);
}
