/** Looks at what each component of a stack is doing, and whether it does its work. Changes nothing. */
import { isLifeboatError } from "../errors/error.ts";
import type { ComponentState } from "../platform/components.ts";
import { readRecord } from "../platform/local/record.ts";
import type { ComponentName } from "./component-names.ts";
import { type DaemonDuty, dutyOf } from "./daemon-config.ts";
import { instancesOf } from "./instances.ts";
import { startStepOf } from "./plan.ts";
import { askPooler } from "./prove.ts";
import { missingSecrets, readSecrets } from "./secrets.ts";
import { askApi } from "./service.ts";
import { componentsOf } from "./stack.ts";
import { STEPS, type StepLookTools } from "./steps.ts";
import type { CallOptions } from "./tools.ts";

/** What was seen of a program of the stack. */
export type ComponentLook = {
  readonly component: ComponentName;
  /** At the platform: the component's own, but for further poolers. */
  readonly name: string;
  /** Undefined: it was never started, or the stack was taken down since. */
  readonly state: ComponentState | undefined;
  /** Whether it does its work, as a start-up looks at it: a node of a replication streams, the others answer. */
  readonly works: boolean;
  /** Of a daemon: whether it controls the stack or stands by. */
  readonly duty?: DaemonDuty | undefined;
};

/** A component on this machine that works answers in milliseconds; one that hangs is not waited for. */
const ANSWER_TIMEOUT_MS = 5_000;

/** Looks at all, at the same time. */
export async function lookAtComponents(tools: StepLookTools, options: CallOptions): Promise<readonly ComponentLook[]> {
  const { files, platform, stack } = tools;
  const states = await platform.state(options);
  const secrets = (await files.stat(stack.place.secrets)) !== undefined && (await missingSecrets(files, stack.place));
  const canAsk = secrets !== false && secrets.length === 0;
  const programs = componentsOf(stack).flatMap((component) =>
    instancesOf(stack, component).map((name) => ({ component, name })),
  );
  const pids = await readRecord(files, stack.place.supervisor);
  return await Promise.all(
    programs.map(async (program) => {
      const state = states.find(({ name }) => name === program.name);
      const runs = canAsk && state?.mode === "running";
      if (program.component === "daemon") {
        const duty = runs ? await dutyOf(stack, pids.get(program.name)?.process?.pid, options) : undefined;
        return { ...program, state, works: duty !== undefined, duty };
      }
      return { ...program, state, works: runs && (await doesItsWork(tools, program, options)) };
    }),
  );
}

async function doesItsWork(
  tools: StepLookTools,
  { component, name }: Pick<ComponentLook, "component" | "name">,
  options: CallOptions,
): Promise<boolean> {
  const tooLong = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const signal = options.signal === undefined ? tooLong : AbortSignal.any([options.signal, tooLong]);
  try {
    if (component === "api") {
      await askApi(tools.stack, name, { signal });
      return true;
    }
    if (component !== "pgbouncer") return await STEPS[startStepOf(component, tools.stack)].holds(tools, { signal });
    // Each by itself: one of several may be ill.
    const { stack, files } = tools;
    await askPooler(stack, await readSecrets(files, stack.place), { signal, instance: name });
    return true;
  } catch (error) {
    if (options.signal?.aborted !== true && isLifeboatError(error)) return false;
    throw error;
  }
}
