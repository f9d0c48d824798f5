/** Carries out one step of a start-up, and waits until its effect shows. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { ComponentName } from "./component-names.ts";
import { instancesOf } from "./instances.ts";
import { lowSpace } from "./low-space.ts";
import { STEP_EFFECTS, startStepOf, type UpStep } from "./plan.ts";
import { rolesInUse } from "./roles.ts";
import type { StackDescription } from "./stack.ts";
import { STEPS, type StepLookTools, type StepTools, stepComponent } from "./steps.ts";
import { type CallOptions, runningComponents } from "./tools.ts";

/** Milliseconds between two looks at an effect: a start of the quickest program takes about thirty. */
const LOOK_INTERVAL_MS = 25;

/** Of a failed program's log: the line that says why, and those around it. */
const LOG_LINES = 5;

/** Acts unless the effect is there already. Answers whether it acted; rejects with `stack.step-failed`. */
export async function runStep(tools: StepTools, name: UpStep, options: CallOptions): Promise<boolean> {
  const step = STEPS[name];
  if (await step.holds(tools, options)) return false;
  try {
    await step.act(tools, options);
  } catch (error) {
    throw await withEnds(tools, error);
  }
  await awaitEffect(tools, name, options);
  return true;
}

/** Waits for the effect of a step that was acted. Rejects with `stack.step-failed` when its time is over. */
export async function awaitEffect(tools: StepLookTools, name: UpStep, options: CallOptions): Promise<void> {
  const component = stepComponent(STEPS[name], tools.stack);
  const deadline = tools.clock.monotonic() + STEPS[name].timeoutMs;
  for (;;) {
    // A failover meanwhile makes another node the primary: by the roles of the beginning the wait would be in vain.
    const { stack, step } = await inRolesOfNow(tools, name, component);
    const now = { ...tools, stack };
    if (await STEPS[step].holds(now, options)) return;
    if (tools.clock.monotonic() > deadline) throw await stepFailed(now, step);
    // A program that has ended will not answer, however long one waits.
    if (component !== undefined && (await hasEnded(now, component, options))) throw await stepFailed(now, step);
    await tools.clock.sleep(LOOK_INTERVAL_MS, options);
  }
}

/** What shows now that a step has had its effect. While an action has not ended, as before: nobody knows yet what it comes to. */
async function inRolesOfNow(
  { files, stack }: StepLookTools,
  step: UpStep,
  component: ComponentName | undefined,
): Promise<{ readonly stack: StackDescription; readonly step: UpStep }> {
  const now = await rolesInUse(files, stack);
  if (now.recorded !== "settled" || now.primary === stack.primary) return { stack, step };
  const isNode = component === "db" || component === "db_replica";
  return { stack: now, step: isNode ? startStepOf(component, now) : step };
}

async function hasEnded(tools: StepLookTools, component: ComponentName, options: CallOptions): Promise<boolean> {
  const running = await runningComponents(tools.platform, options);
  return instancesOf(tools.stack, component).some((name) => !running.has(name));
}

const NEED_PRIMARY: ReadonlySet<UpStep> = new Set(["receiver", "replica-start", "durability", "proof"]);

async function stepFailed(tools: StepLookTools, name: UpStep): Promise<LifeboatError> {
  const { stack } = tools;
  const component = stepComponent(STEPS[name], stack);
  const programs = component === undefined ? [] : instancesOf(stack, component);
  const running = await runningComponents(tools.platform, {});
  // Where some have ended, what the others say is beside the point.
  const ended = programs.filter((program) => !running.has(program));
  const telling = ended.length === 0 ? programs : ended;
  const said = (await Promise.all(telling.map((program) => lastWords(tools, program)))).join("");
  const logs =
    component === undefined
      ? `Look into ${stack.place.logs}`
      : `Mend what its log says (lifeboat logs ${component})${name === "replica-start" ? `, or have it made anew (lifeboat rebuild ${component})` : ""}`;
  // Their own logs cannot know more.
  const wait = stack.daemon && NEED_PRIMARY.has(name) && !running.has(stack.primary);
  const first = wait
    ? `${stack.primary}, the primary, does not run: lifeboat failover --check-only says what the daemon does about that, and what you can do`
    : logs;
  return new LifeboatError("stack.step-failed", {
    message: `stack ${stack.name} is not up: step ${name} was done, but not so that ${STEP_EFFECTS[name]}${said}${await spaceLeft(tools)}`,
    remedy: `${first}, then run lifeboat up again: it goes on from here. What was started runs on.${component === "redis" ? cacheRemedy(stack) : ""}`,
    retryable: true,
    details: { step: name },
  });
}

/** A power cut may leave zeros at the end of a file that was written last, which redis does not start with. */
function cacheRemedy({ place }: StackDescription): string {
  const files = `${place.dataOf("redis")}/appendonlydir`;
  return ` Where redis cannot read what it kept ("Bad file format"), move ${files} aside first: what lies there can be made anew.`;
}

/** The same error with the ends of the programs that ended: whoever asked one of them knows only that it is gone. */
async function withEnds(tools: StepLookTools, error: unknown): Promise<unknown> {
  if (!isLifeboatError(error) || error.kind !== "world") return error;
  const isFull = isLifeboatError(error, "platform.disk-full");
  const ended = isFull
    ? // It says why already, and they would all say the same.
      []
    : (await tools.platform.state({})).filter(({ mode }) => mode === "ended" || mode === "gave-up");
  const words = (await Promise.all(ended.map(({ name }) => lastWords(tools, name)))).join("");
  const space = isFull ? "" : await spaceLeft(tools);
  if (words + space === "") return error;
  const { code, remedy, retryable, details, cause } = error;
  return new LifeboatError(code, { message: `${error.message}${words}${space}`, remedy, retryable, details, cause });
}

/** Said where there is next to none: a program that cannot write says it in its own words, or not at all. */
async function spaceLeft({ files, stack }: StepLookTools): Promise<string> {
  const low = await lowSpace(files, stack);
  return low === undefined ? "" : `; ${low.message}: ${low.remedy}`;
}

/** What the platform and the log say of a program that failed. */
async function lastWords({ platform }: StepLookTools, program: string): Promise<string> {
  const state = (await platform.state({})).find(({ name }) => name === program);
  const log = (await platform.lastLines(program, LOG_LINES, {})).join("; ");
  const mode = state === undefined || state.mode === "running" ? "" : `; ${program} is ${state.mode}`;
  const how = mode === "" || state?.lastEnd === undefined ? "" : ` (${state.lastEnd})`;
  return `${mode}${how}${log === "" ? "" : `; its log ends: ${log}`}`;
}
