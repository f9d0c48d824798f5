/**
 * Brings a stack up: carries out the plan of plan.ts, step by step.
 *
 * Invariants: each step looks whether its effect is there, acts, and looks again until it shows or its time is over; what
 * is there is never made twice; a step that fails leaves all before it as they are, and the next `up` goes on from there.
 */
import { LifeboatError } from "../errors/error.ts";
import { type Monotonic, throwIfAborted } from "../platform/clock.ts";
import { observeStack } from "./observe.ts";
import { notRunning, planUp, STEP_EFFECTS, type StackFacts, type UpPlan, type UpStep } from "./plan.ts";
import { checkPortsFree } from "./ports.ts";
import { LISTENER, type StackDescription } from "./stack.ts";
import { STEPS, type StepTools } from "./steps.ts";
import { type CallOptions, runningComponents, type StackTools } from "./tools.ts";

/** What is told while a stack comes up. */
export type UpEvent =
  | {
      readonly kind: "step";
      readonly step: UpStep;
      readonly effect: string;
      readonly durationMs: number;
      readonly acted: boolean;
    }
  /** Shown once and kept nowhere else. */
  | { readonly kind: "recovery-key"; readonly recoveryKey: string };

/** What was done. */
export type UpResult = {
  /** Steps that changed something; empty: the stack was up. */
  readonly acted: readonly UpStep[];
  readonly durationMs: number;
};

/** Looks and plans. Rejects with `stack.data-missing` or `stack.roles-changed` where nothing must be done. */
export async function planStackUp(
  tools: StackTools,
  stack: StackDescription,
  options: CallOptions,
): Promise<{ readonly facts: StackFacts; readonly steps: readonly UpStep[] }> {
  const facts = await observeStack(tools, stack, options);
  const plan = planUp(facts);
  if (plan.kind === "refused") throw refusal(stack, plan);
  return { facts, steps: plan.steps };
}

/**
 * Brings up what is not. Rejects as `planStackUp`, with `stack.port-busy`, `stack.step-failed` (with the step, and the last
 * words of the program's log), or with what making the missing part rejects with.
 */
export async function runStackUp(
  tools: StackTools,
  stack: StackDescription,
  options: CallOptions & { readonly onEvent: (event: UpEvent) => void },
): Promise<UpResult> {
  const begun = tools.clock.monotonic();
  const { facts, steps } = await planStackUp(tools, stack, options);
  const starting = new Set(notRunning(facts));
  await checkPortsFree(stack.ports, (name) => starting.has(LISTENER[name]));
  const acted: UpStep[] = [];
  const stepTools: StepTools = {
    ...tools,
    stack,
    onRecoveryKey: (recoveryKey) => options.onEvent({ kind: "recovery-key", recoveryKey }),
  };
  for (const step of steps) {
    throwIfAborted(options.signal, `bringing up stack ${stack.name}, before step ${step}`);
    const from = tools.clock.monotonic();
    const did = await runStep(stepTools, step, options);
    if (did) acted.push(step);
    const durationMs = since(tools, from);
    options.onEvent({ kind: "step", step, effect: STEP_EFFECTS[step], durationMs, acted: did });
  }
  return { acted, durationMs: since(tools, begun) };
}

/** Milliseconds between two looks at an effect: a start of the quickest program takes about thirty. */
const LOOK_INTERVAL_MS = 25;

async function runStep(tools: StepTools, name: UpStep, options: CallOptions): Promise<boolean> {
  const step = STEPS[name];
  if (await step.holds(tools, options)) return false;
  await step.act(tools, options);
  const deadline = tools.clock.monotonic() + step.timeoutMs;
  while (!(await step.holds(tools, options))) {
    if (tools.clock.monotonic() > deadline) throw await stepFailed(tools, name);
    // A program that has ended will not answer, however long one waits.
    if (step.component !== undefined && !(await runningComponents(tools.platform, options)).has(step.component)) {
      throw await stepFailed(tools, name);
    }
    await tools.clock.sleep(LOOK_INTERVAL_MS, options);
  }
  return true;
}

/** Of a failed program's log: the line that says why, and those around it. */
const LOG_LINES = 5;

async function stepFailed(tools: StepTools, name: UpStep): Promise<LifeboatError> {
  const step = STEPS[name];
  const lines = step.component === undefined ? [] : await tools.platform.lastLines(step.component, LOG_LINES, {});
  const log = lines.join("; ");
  const said = log === "" ? "" : `; its log ends: ${log}`;
  return new LifeboatError("stack.step-failed", {
    message: `step ${name} of stack ${tools.stack.name} was done, and it does not hold that ${STEP_EFFECTS[name]}${said}`,
    remedy: `What was started runs on. Look at ${tools.stack.place.logs}, then run lifeboat up again: it goes on from here.`,
    retryable: true,
    details: { step: name },
  });
}

function since({ clock }: StackTools, from: Monotonic): number {
  return Math.round(clock.monotonic() - from);
}

function refusal(stack: StackDescription, plan: Extract<UpPlan, { readonly kind: "refused" }>): LifeboatError {
  if (plan.reason === "data-missing") {
    return new LifeboatError("stack.data-missing", {
      message: `the primary of stack ${stack.name} has no data in ${stack.place.dataOf("db")}, and the vault ${stack.place.vault} holds backups of it`,
      remedy: `Restore it there: lifeboat --config ${stack.place.configOf("receiver")}/lifeboat.yaml restore --target ${stack.place.dataOf("db")}. To begin an empty stack, choose another stack.name.`,
    });
  }
  return new LifeboatError("stack.roles-changed", {
    message:
      plan.node === "db"
        ? `${stack.place.dataOf("db")} holds a standby, described is the primary`
        : `${stack.place.dataOf("db_replica")} holds a cluster that would start as a primary, described is the replica`,
    remedy:
      "Nothing was started. Find out which node has the newest data before either runs; then remove the other's folder.",
  });
}
