/** Looks at what each component of a stack is doing, and whether it does its work. Changes nothing. */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import type { ComponentState } from "../platform/components.ts";
import { readRecord } from "../platform/local/record.ts";
import type { ComponentName } from "./component-names.ts";
import { type DaemonDuty, dutyOf } from "./daemon-config.ts";
import { componentOf, instancesOf } from "./instances.ts";
import type { LookTools } from "./observe.ts";
import { planDown, startStepOf } from "./plan.ts";
import { askPooler, leadsToPrimary } from "./prove.ts";
import { readSecrets, secretFile, unreadableSecrets } from "./secrets.ts";
import { askApi, canServeAnew } from "./service.ts";
import { componentsOf, type StackDescription } from "./stack.ts";
import { STEPS, type StepLookTools } from "./steps.ts";
import { type CallOptions, standingComponents } from "./tools.ts";

/** What was seen of a program of the stack. */
export type ComponentLook = {
  readonly component: ComponentName;
  /** At the platform: the component's own, but for further poolers. */
  readonly name: string;
  /** Undefined: it was never started, or the stack was taken down since. */
  readonly state: ComponentState | undefined;
  /** Whether it does its work, as a start-up looks at it: a node of a replication streams, the others answer. */
  readonly works: boolean;
  /** False: a secret is not there without which it cannot be asked, or the primary does not take it. */
  readonly wasAsked: boolean;
  /** What the primary refused, which knows whether it works. */
  readonly refused?: LifeboatError | undefined;
  /** False: it runs, and the stack is described without it. */
  readonly described: boolean;
  /** Of a daemon: whether it controls the stack or stands by. */
  readonly duty?: DaemonDuty | undefined;
};

/** A component on this machine that works answers in milliseconds; one that hangs is not waited for. */
const ANSWER_TIMEOUT_MS = 5_000;

/** Looks at all, at the same time. */
export async function lookAtComponents(tools: StepLookTools, options: CallOptions): Promise<readonly ComponentLook[]> {
  const { files, platform, stack } = tools;
  const states = await platform.state(options);
  const canAsk = (await missingToLook(files, stack)).length === 0;
  const described = componentsOf(stack).flatMap((component) =>
    instancesOf(stack, component).map((name) => ({ component, name, described: true })),
  );
  const others = planDown(await standingComponents(platform, options)).flatMap((name) => {
    const component = componentOf(name);
    const isThere = component === undefined || described.some((each) => each.name === name);
    return isThere ? [] : [{ component, name, described: false }];
  });
  const programs = [...described, ...others];
  const { components: recorded } = await readRecord(files, stack.place.supervisor);
  return await Promise.all(
    programs.map(async (program) => {
      const state = states.find(({ name }) => name === program.name);
      const runs = canAsk && state?.mode === "running";
      if (program.component === "daemon") {
        const duty = runs ? await dutyOf(stack, recorded.get(program.name)?.process?.pid, options) : undefined;
        return { ...program, state, works: duty !== undefined, wasAsked: canAsk, duty };
      }
      const looked = runs ? await doesItsWork(tools, program, options) : false;
      return typeof looked === "boolean"
        ? { ...program, state, wasAsked: canAsk, works: looked }
        : { ...program, state, wasAsked: false, works: false, refused: looked };
    }),
  );
}

/** Files of secrets without which nothing can be asked, and that are not there though the stack was started. */
export async function missingToLook(
  files: LookTools["files"],
  { place }: StackDescription,
): Promise<readonly string[]> {
  if ((await files.stat(place.secrets)) === undefined) return [];
  return (await unreadableSecrets(files, place)).map((name) => secretFile(place, name));
}

/** Whether it does, or the error of a primary that does not let us look. */
async function doesItsWork(
  tools: StepLookTools,
  { component, name }: Pick<ComponentLook, "component" | "name">,
  options: CallOptions,
): Promise<boolean | LifeboatError> {
  const tooLong = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const signal = options.signal === undefined ? tooLong : AbortSignal.any([options.signal, tooLong]);
  try {
    if (component === "api") {
      await askApi(tools.stack, name, { signal });
      // Ready it is also while it lives on what it has kept, which is over soon.
      return await canServeAnew(tools.stack, name, { signal });
    }
    if (component !== "pgbouncer") return await STEPS[startStepOf(component, tools.stack)].holds(tools, { signal });
    // Each by itself: one of several may be ill.
    const { stack, files } = tools;
    const secrets = await readSecrets(files, stack.place);
    // While nobody knows who the primary is, there is nobody to lead to.
    if (stack.recorded !== "unsettled") return await leadsToPrimary(stack, secrets, { signal, instance: name });
    await askPooler(stack, secrets, { signal, instance: name });
    return true;
  } catch (error) {
    if (options.signal?.aborted === true || !isLifeboatError(error)) throw error;
    return isLifeboatError(error, "stack.login-refused") ? error : false;
  }
}
