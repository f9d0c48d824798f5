/** What `up`, `down`, `ps`, `logs`, `restart`, `exec` and `scale` do with the configured stack. */
import type { Config } from "../config/schema.ts";
import { judgeDurability } from "../durability/decide.ts";
import { LifeboatError } from "../errors/error.ts";
import { SUPERVISOR } from "../platform/local/local-platform.ts";
import type { LogPosition } from "../platform/local/log-file.ts";
import { currentUid } from "../platform/run-as.ts";
import { runStackDown } from "../stack/down.ts";
import { durabilityInUse, observeStackDurability } from "../stack/durability.ts";
import { exclusively } from "../stack/exclusive.ts";
import { instancesOf } from "../stack/instances.ts";
import { refuseOtherPorts } from "../stack/kept-ports.ts";
import { lookAtComponents, missingToLook } from "../stack/look.ts";
import { lowSpace } from "../stack/low-space.ts";
import { makeOpenFolder } from "../stack/open-folder.ts";
import { refuseForeignOwner } from "../stack/owner.ts";
import { STEP_EFFECTS } from "../stack/plan.ts";
import { readPorts, settlePorts } from "../stack/ports.ts";
import { lifeboatConfigFile } from "../stack/receiver-config.ts";
import { recoveryKeyShown } from "../stack/recovery-key-mark.ts";
import { restartComponent } from "../stack/restart.ts";
import { isFailoverArmed, rolesInUse } from "../stack/roles.ts";
import { runScale, scaled, scaleInUse } from "../stack/scale.ts";
import { secretFile } from "../stack/secrets.ts";
import { replicaOf, type StackDescription } from "../stack/stack.ts";
import type { StepLookTools } from "../stack/steps.ts";
import { runningComponents } from "../stack/tools.ts";
import { checkedPlan, leftBehind, runStackUp, type UpEvent } from "../stack/up.ts";
import { describeDuration } from "../units/duration.ts";
import type { StoppedFacts, TakeDown } from "./down.ts";
import { MACHINE } from "./engine-machine.ts";
import { checkPlace, configuredStack, describedStack, placeAnyway, platformOf, stackTools } from "./engine-stack.ts";
import { stackToolsOrInstall } from "./engine-stack-programs.ts";
import type { ExecConfigured } from "./exec.ts";
import type { ReadLogs } from "./logs.ts";
import { programPaths } from "./program-paths.ts";
import type { LookAtStack } from "./ps.ts";
import type { RestartConfigured } from "./restart.ts";
import type { ScaleConfigured } from "./scale.ts";
import { overviewOf, type StackOverview } from "./stack-overview.ts";
import type { BroughtUp, UpEngine } from "./up.ts";
import type { Session } from "./verb.ts";

/** A line that was written shows at once to whoever looks. */
const FOLLOW_INTERVAL_MS = 100;

/** Plans a start-up, and carries it out. */
export const upEngine: UpEngine = {
  plan: async ({ config, session, ports }) => {
    const stack = await configuredStack(config);
    const platform = platformOf(stack, session);
    await stackTools({ config, session }, stack, platform);
    await refuseOtherPorts(MACHINE.files, stack, ports);
    const portsToChoose = ports === "auto" && (await readPorts(MACHINE.files, stack.place.portsFile)) === undefined;
    const tools = { ...MACHINE, clock: session.clock, platform };
    const steps = await checkedPlan(tools, stack, { signal: session.signal, portsChosen: !portsToChoose });
    return {
      stack: overview(stack),
      portsToChoose,
      steps: steps.map((step) => ({ step, effect: STEP_EFFECTS[step] })),
    };
  },
  run: async ({ config, session, ports, install }) => {
    const described = describedStack(config);
    await checkPlace(described);
    const { signal } = session;
    const platform = platformOf(described, session);
    // First of all: where a program is missing, nothing is begun.
    const tools = await stackToolsOrInstall({ config, session }, described, { platform, install });
    await makeOpenFolder(MACHINE.files, described.place.folder);
    return await exclusively(MACHINE, described, async () => {
      await refuseOtherPorts(MACHINE.files, await configuredStack(config), ports);
      const settled = await scaleInUse(MACHINE.files, await settlePorts(MACHINE, described, ports, { signal }));
      const stack = await durabilityInUse(MACHINE.files, await rolesInUse(MACHINE.files, settled));
      const told = new UpTeller(session);
      const { durationMs } = await runStackUp(tools, stack, { signal, onEvent: (event) => told.tell(event) });
      if (stack.recorded === "unsettled") session.notice(stack.daemon ? GOES_ON : WAITS);
      else await tellDurability({ ...stack, durability: described.durability }, session);
      const left = await leftBehind(MACHINE.files, stack);
      if (left !== undefined) session.notice(notFollowing(stack, left));
      const { steps, recoveryKey } = told;
      const onWritten = recoveryKey === undefined ? undefined : () => recoveryKeyShown(MACHINE, stack.place);
      return { stack: overview(stack), steps, durationMs, recoveryKey, onWritten };
    });
  },
};

/** Which node becomes the primary is seen when the daemon has looked at both. */
const GOES_ON =
  "a failover or switchover had not ended: the daemon goes on with it. See how far it is: lifeboat failover --check-only";

const WAITS =
  "a failover or switchover had not ended, and no daemon is described that would go on with it. See what you can do: lifeboat failover --check-only";

function notFollowing({ primary }: StackDescription, left: string): string {
  return `warning: ${left} was the primary before ${primary}, and is left as it is: no daemon is described that would make it follow. lifeboat rebuild ${left} does`;
}

/** A start changes no durability that somebody decided, and does not pass over it either when another is described. */
async function tellDurability(stack: StackDescription, { signal, notice }: Session): Promise<void> {
  const { faults } = judgeDurability(await observeStackDurability(MACHINE, stack, { signal }));
  for (const { message, remedy } of faults) notice(`warning: ${message}. ${remedy}`);
}

/** Tells a person how far a start-up is, and keeps what the result says of it. */
class UpTeller {
  readonly #session: Session;
  steps: BroughtUp["steps"] = [];
  recoveryKey: string | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  tell(event: UpEvent): void {
    const { progress, notice, disclose } = this.#session;
    if (event.kind === "recovery-key") {
      this.recoveryKey = event.recoveryKey;
      // At once and whatever was asked for: the result, which says it again, may not come, or be cut off by whom it is piped to.
      disclose(`Recovery key of the stack's vault: ${event.recoveryKey}`);
    } else if (event.kind === "begin") {
      progress.report({ phase: event.step, done: event.index, total: event.count, unit: "steps" });
    } else if (event.acted) {
      const { step, effect, durationMs } = event;
      this.steps = [...this.steps, { step, effect, durationMs }];
      notice(`${describeDuration(durationMs).padStart(TIME_WIDTH)}  ${effect}`);
    }
  }
}

/** Room for `59.9s` and `1m10s`. */
const TIME_WIDTH = 6;

/** Takes the configured stack down, with what runs it. */
export const takeDown: TakeDown = async ({ config, session }) => {
  const stack = await placeAnyway(config, session);
  await refuseForeignOwner(MACHINE.files, stack, currentUid());
  const { signal, clock, notice } = session;
  const platform = platformOf(stack, session);
  return await exclusively(MACHINE, stack, async () => {
    const begun = clock.monotonic();
    const stopped: StoppedFacts[] = [];
    const onEvent = (event: StoppedFacts): void => {
      stopped.push(event);
      notice(`${describeDuration(event.durationMs).padStart(TIME_WIDTH)}  ${event.component} has stopped`);
    };
    await runStackDown({ platform, clock, files: MACHINE.files }, stack, { signal, onEvent });
    await platform.end({ signal });
    const { name, place } = stack;
    return { stack: { name, folder: place.folder }, stopped, durationMs: Math.round(clock.monotonic() - begun) };
  });
};

/** Looks at the configured stack. */
export const lookAtStack: LookAtStack = async ({ config, session }) => {
  const { stack, tools } = await lookTools(config, session);
  const components = await lookAtComponents(tools, { signal: session.signal });
  const missing = await missingToLook(MACHINE.files, stack);
  const low = await lowSpace(MACHINE.files, stack);
  const refused = components.find((each) => each.refused !== undefined)?.refused;
  const notes = [
    ...(refused === undefined ? [] : [{ message: refused.message, remedy: "`lifeboat up` says how that is mended" }]),
    ...missing.map((file) => ({
      message: `${file} is not there`,
      remedy: "put it back from a copy, else run `lifeboat up`",
    })),
    ...(low === undefined ? [] : [low]),
  ];
  const { name, place, daemon, failoverPaused = false } = stack;
  const seen = { stack: { name, folder: place.folder }, now: session.clock.now(), components, notes };
  return { ...seen, failoverPaused: daemon && failoverPaused };
};

/** Restarts a component of the configured stack. */
export const restartConfigured: RestartConfigured = async ({ config, session, component, acceptOutage }) => {
  const { stack, tools } = await lookTools(config, session);
  if (component === stack.primary) {
    await checkNobodyFailsOver(tools, stack, { signal: session.signal });
    await acceptOutage();
  }
  return await exclusively(MACHINE, stack, async () => {
    session.progress.report({ phase: `restarting ${component}` });
    const findMigrationTools = () => stackTools({ config, session }, stack, tools.platform);
    const { durationMs } = await restartComponent({ ...tools, findMigrationTools }, component, {
      signal: session.signal,
    });
    return { component, durationMs };
  });
};

/** Runs a command beside a component of the configured stack. */
export const execConfigured: ExecConfigured = async ({ config, session, component, ...command }) => {
  const stack = await placeAnyway(config, session);
  await checkPlace(stack);
  const [name = component] = instancesOf(stack, component);
  const { program, args, timeoutMs } = command;
  const request = { name, program, arguments: args, timeoutMs };
  return await platformOf(stack, session).exec(request, { signal: session.signal });
};

/** A daemon takes a primary that is being restarted for one that is gone. */
async function checkNobodyFailsOver(
  { platform }: StepLookTools,
  stack: StackDescription,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const running = await runningComponents(platform, options);
  if (!instancesOf(stack, "daemon").some((name) => running.has(name)) || !(await isFailoverArmed(MACHINE.files, stack)))
    return;
  throw new LifeboatError("stack.outage-not-accepted", {
    message: `${stack.primary} is the primary, and the daemon would answer its restart with a failover`,
    remedy: `Nothing was done. Hand the role over first (lifeboat switchover --to ${replicaOf(stack)}), or run lifeboat failover pause before and lifeboat failover resume after it.`,
  });
}

/** Scales a component of the configured stack. */
export const scaleConfigured: ScaleConfigured = async ({ config, session, component, count }) => {
  const { clock, signal } = session;
  const described = await configuredStack(config);
  const platform = platformOf(described, session);
  const tools = await stackTools({ config, session }, described, platform);
  await makeOpenFolder(MACHINE.files, described.place.folder);
  return await exclusively(MACHINE, described, async () => {
    const begun = clock.monotonic();
    const before = await configuredStack(config);
    session.progress.report({ phase: `scaling ${component}` });
    const result = await runScale(tools, scaled(before, component, count), component, { signal });
    const was = instancesOf(before, component).length;
    return { component, was, count, applied: result !== "down", durationMs: Math.round(clock.monotonic() - begun) };
  });
};

/** Opens logs of the configured stack. */
export const readLogs: ReadLogs = async ({ config, session, names, lines }) => {
  const stack = await placeAnyway(config, session);
  const platform = platformOf(stack, session);
  const programs = names.flatMap((name) => (name === SUPERVISOR ? [name] : instancesOf(stack, name)));
  const positions = new Map<string, LogPosition>();
  const logs: { readonly name: string; readonly lines: readonly string[] }[] = [];
  for (const name of programs) {
    const tail = await platform.tail(name, lines);
    positions.set(name, tail.next);
    logs.push({ name, lines: tail.lines });
  }
  const follow = async (onLine: (name: string, line: string) => void): Promise<void> => {
    while (!session.signal.aborted) {
      for (const [name, position] of positions) {
        const part = await platform.newLines(name, position);
        positions.set(name, part.next);
        for (const line of part.lines) onLine(name, line);
      }
      // Being stopped is the normal end of it.
      await session.clock.sleep(FOLLOW_INTERVAL_MS, { signal: session.signal }).catch(() => undefined);
    }
  };
  return { logs, follow };
};

async function lookTools(config: Config, session: Session) {
  const stack = await configuredStack(config);
  const tools = { ...MACHINE, clock: session.clock, platform: platformOf(stack, session), stack };
  return { stack, tools };
}

function overview(stack: StackDescription): StackOverview {
  return overviewOf(stack, {
    passwordFile: secretFile(stack.place, "application"),
    configFile: lifeboatConfigFile(stack),
    command: programPaths().command,
  });
}
