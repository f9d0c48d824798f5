/**
 * Brings a stack up: carries out the plan of plan.ts, step by step.
 *
 * Invariants: each step looks whether its effect is there, acts, and looks again until it shows or its time is over; what
 * is there is never made twice; a step that fails leaves all before it as they are, and the next `up` goes on from there. One that the
 * stack does without, as it would had it lost it while it was up, ends the start only when all behind it were tried.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Monotonic, throwIfAborted } from "../platform/clock.ts";
import { applicationRoleChanged } from "./application-role.ts";
import type { ComponentName } from "./component-names.ts";
import { componentOf } from "./instances.ts";
import { makeOwedRecoveryKey } from "./making.ts";
import { nodeDataOf } from "./nodes.ts";
import { type LookTools, observeStack } from "./observe.ts";
import {
  APART_STEPS,
  CONFIRMER_STEPS,
  hasCluster,
  planUp,
  RESTS_ON,
  STEP_EFFECTS,
  type StackFacts,
  type UpPlan,
  type UpStep,
} from "./plan.ts";
import { checkPortsFree } from "./ports.ts";
import { runStep } from "./run-step.ts";
import { componentsOf, LISTENER, replicaOf, type StackDescription } from "./stack.ts";
import { STEPS, type StepTools } from "./steps.ts";
import type { CallOptions, StackTools } from "./tools.ts";

/** What is told while a stack comes up. */
export type UpEvent =
  | { readonly kind: "begin"; readonly step: UpStep; readonly index: number; readonly count: number }
  | {
      readonly kind: "step";
      readonly step: UpStep;
      readonly effect: string;
      readonly durationMs: number;
      readonly acted: boolean;
    }
  /** Shown once and kept nowhere else. One that was made earlier, and may have been shown to nobody, is followed by another. */
  | { readonly kind: "recovery-key"; readonly recoveryKey: string };

/** What was done. */
export type UpResult = {
  /** Steps that changed something; empty: the stack was up. */
  readonly acted: readonly UpStep[];
  readonly durationMs: number;
};

/** Looks and plans. Rejects with `stack.data-missing`, `stack.vault-missing`, `stack.failover-paused`, `stack.database-changed`, `stack.application-role-changed`, `stack.login-refused` or `stack.roles-changed` where nothing must be done. */
export async function planStackUp(
  tools: LookTools,
  stack: StackDescription,
  options: CallOptions,
): Promise<{ readonly facts: StackFacts; readonly steps: readonly UpStep[] }> {
  const facts = await observeStack(tools, stack, options);
  const plan = planUp(facts);
  if (plan.kind === "refused") throw refusal(stack, plan, facts);
  return { facts, steps: plan.steps };
}

/**
 * The same for a stack that shall come up now: also looks at the ports, unless they are still to be chosen. Rejects as
 * `planStackUp`, and with `stack.port-busy`.
 */
export async function checkedPlan(
  tools: LookTools,
  stack: StackDescription,
  options: CallOptions & { readonly portsChosen: boolean },
): Promise<readonly UpStep[]> {
  const { steps } = await planStackUp(tools, stack, options);
  if (!options.portsChosen) return steps;
  // What waits to be started again has no process: who holds its port may be why it ended.
  const before = await holdersOf(tools, options);
  // The port of a component that the stack is to do without may be somebody else's.
  const wanted = new Set(componentsOf(stack));
  try {
    await checkPortsFree(stack.ports, (name) => wanted.has(LISTENER[name]) && !before.has(LISTENER[name]));
  } catch (error) {
    if (!isLifeboatError(error, "stack.port-busy")) throw error;
    // It was started meanwhile, and holds its port itself.
    const now = await holdersOf(tools, options);
    await checkPortsFree(stack.ports, (name) => wanted.has(LISTENER[name]) && !now.has(LISTENER[name]));
  }
  return steps;
}

/** The components that have a process, and may listen. */
async function holdersOf(
  { platform }: LookTools,
  options: CallOptions,
): Promise<ReadonlySet<ComponentName | undefined>> {
  const states = await platform.state(options);
  return new Set(
    states.filter(({ mode }) => mode === "running" || mode === "frozen").map(({ name }) => componentOf(name)),
  );
}

/**
 * Brings up what is not, and tells a recovery key as long as none is known to have been shown (recovery-key-mark.ts). Rejects as `checkedPlan`, with `stack.step-failed` (with the step, and the last
 * words of the program's log), or with what making the missing part rejects with.
 */
export async function runStackUp(
  tools: StackTools,
  stack: StackDescription,
  options: CallOptions & { readonly onEvent: (event: UpEvent) => void },
): Promise<UpResult> {
  const begun = tools.clock.monotonic();
  const steps = await checkedPlan(tools, stack, { ...options, portsChosen: true });
  const acted: UpStep[] = [];
  let hasToldKey = false;
  const stepTools: StepTools = {
    ...tools,
    stack,
    onRecoveryKey: (recoveryKey) => {
      hasToldKey = true;
      options.onEvent({ kind: "recovery-key", recoveryKey });
    },
  };
  const run = async (step: UpStep, index: number): Promise<void> => {
    throwIfAborted(options.signal, `bringing up stack ${stack.name}, before step ${step}`);
    options.onEvent({ kind: "begin", step, index, count: steps.length });
    const from = tools.clock.monotonic();
    const did = await runStep(stepTools, step, options);
    if (did) acted.push(step);
    const durationMs = since(tools, from);
    options.onEvent({ kind: "step", step, effect: STEP_EFFECTS[step], durationMs, acted: did });
  };
  const isDecided = async (): Promise<boolean> => await STEPS.durability.holds(stepTools, options);
  await carryOut(steps, run, isDecided);
  // At the end: a start that fails again and again would leave a key of each time.
  if (!hasToldKey) await makeOwedRecoveryKey(stepTools, options);
  return { acted, durationMs: since(tools, begun) };
}

/**
 * Runs steps in their order, up to one that fails and that all others need; `isDecided` says whether it is decided for whom commits wait.
 * Rejects with what the first one failed of, and says there what others did.
 */
export async function carryOut(
  steps: readonly UpStep[],
  run: (step: UpStep, index: number) => Promise<void>,
  isDecided: () => Promise<boolean>,
): Promise<void> {
  const failures: LifeboatError[] = [];
  const undone = new Set<UpStep>();
  for (const [index, step] of steps.entries()) {
    if (RESTS_ON[step]?.some((other) => undone.has(other)) === true) {
      undone.add(step);
      continue;
    }
    try {
      await run(step, index);
    } catch (error) {
      if (!isLifeboatError(error) || error.kind === "bug" || isLifeboatError(error, "platform.aborted")) throw error;
      failures.push(error);
      undone.add(step);
      if (!APART_STEPS.has(step) && !(CONFIRMER_STEPS.has(step) && (await isDecided()))) break;
    }
  }
  const [first, ...others] = failures;
  if (first === undefined) return;
  if (others.length === 0) throw first;
  const { code, remedy, retryable, details, cause } = first;
  const message = [first, ...others].map((each) => each.message).join("; and ");
  throw new LifeboatError(code, { message, remedy, retryable, details, cause });
}

/**
 * The replica that a start-up leaves as it is, and that nobody would make follow: it was the primary before, and no daemon is described.
 * Undefined: there is none.
 */
export async function leftBehind(
  files: LookTools["files"],
  stack: StackDescription,
): Promise<ReturnType<typeof replicaOf> | undefined> {
  if (stack.daemon || stack.recorded !== "settled") return undefined;
  const replica = replicaOf(stack);
  return (await nodeDataOf(files, stack.place.dataOf(replica))) === "primary" ? replica : undefined;
}

function since({ clock }: StackTools, from: Monotonic): number {
  return Math.round(clock.monotonic() - from);
}

function refusal(
  stack: StackDescription,
  plan: Extract<UpPlan, { readonly kind: "refused" }>,
  facts: StackFacts,
): LifeboatError {
  const { place, primary } = stack;
  const other = replicaOf(stack);
  if (plan.reason === "data-missing") {
    const target = place.dataOf(primary);
    const vault = { absent: "", "no-backup": "", ...VAULT_HOLDS }[facts.vault];
    const held = [
      ...(vault === "" ? [] : [`the vault ${place.vault} ${vault}`]),
      ...(hasCluster(facts.replica) ? [`${other} has data in ${place.dataOf(other)}`] : []),
    ];
    const restore =
      vault === ""
        ? `Else keep a copy of ${place.dataOf(other)}, which is the only one`
        : `Else restore it there, or run a restore that was cut short again: lifeboat --config ${place.configOf("receiver")}/lifeboat.yaml restore --target ${target}`;
    return new LifeboatError("stack.data-missing", {
      message: `the primary of stack ${stack.name}, ${primary}, has no data that could start in ${target}, and ${held.join("; ")}`,
      remedy: `Nothing was started. Is a disk not mounted, or a secret not there? Put back what is missing. ${restore}. To begin an empty stack, choose another stack.name.`,
    });
  }
  if (plan.reason === "vault-missing") {
    return new LifeboatError("stack.vault-missing", {
      message: `the receiver of stack ${stack.name} has worked with vault ${plan.vaultId}, and there is none in ${place.vault}`,
      remedy: `Nothing was started. Is its disk not mounted? Put the vault back. If it is lost for good, make a new one with \`lifeboat --config ${place.configOf("receiver")}/lifeboat.yaml vault init\`, as the user whom the stack runs as; \`lifeboat up\` then restarts the receiver with it and takes a backup.`,
    });
  }
  if (plan.reason === "failover-paused") {
    return new LifeboatError("stack.failover-paused", {
      message: `the primary of stack ${stack.name}, ${primary}, does not run, and failover is paused: its daemon starts nothing and promotes nothing`,
      remedy: `Nothing was started. Start it where it is: lifeboat restart ${primary} --accept-outage. Or let ${other} take its place: lifeboat failover --check-only says what that costs, lifeboat failover --promote does it. lifeboat failover resume leaves it to the daemon again.`,
    });
  }
  if (plan.reason === "database-changed") {
    return new LifeboatError("stack.database-changed", {
      message: `stack.database is ${stack.database}, and stack ${stack.name} was made with ${plan.database}, to which its poolers lead`,
      remedy: `Nothing was changed. Set stack.database to ${plan.database} again. For another database make another stack (stack.name), or one beside it with CREATE DATABASE.`,
    });
  }
  if (plan.reason === "application-role-changed") return applicationRoleChanged(stack, plan.role);
  return new LifeboatError("stack.roles-changed", {
    message:
      plan.node === primary
        ? `${place.dataOf(primary)} holds a standby, described is the primary`
        : `${place.dataOf(other)} holds a cluster that would start as a primary, described is the replica`,
    remedy:
      "Nothing was started. Find out which node has the newest data before either runs; then remove the other's folder.",
  });
}

const VAULT_HOLDS = {
  "has-backup": "holds backups of it",
  unread: "may hold backups of it, which nobody can tell without the secrets that are missing",
} as const;
