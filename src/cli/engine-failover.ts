/** What `failover`, `switchover`, `rebuild` and `daemon` do with the configured stack. */
import os from "node:os";
import path from "node:path";
import type { Config } from "../config/schema.ts";
import { askLivingDaemon } from "../daemon/ask.ts";
import { type Assembly, type AssemblyTools, type Authority, assemble, KEPT_SLOTS } from "../daemon/assemble.ts";
import { type CheckReport, costsOf, parseCheckReport, unwatched } from "../daemon/check-report.ts";
import { Control, type SwitchoverPreview, summaryOf } from "../daemon/control.ts";
import { hookService } from "../daemon/hooks.ts";
import type { LocalMachines } from "../daemon/machines.ts";
import { overseerService } from "../daemon/overseer.ts";
import { PlacedJournal } from "../daemon/placed-journal.ts";
import type { DaemonRequest } from "../daemon/protocol.ts";
import { Reporter } from "../daemon/reporter.ts";
import { sentinelService, wakeableClock } from "../daemon/sentinel.ts";
import { loopService, type Service, ServiceGroup } from "../daemon/service.ts";
import { socketServer } from "../daemon/socket-server.ts";
import { standBy } from "../daemon/stand-by.ts";
import { surveyService } from "../daemon/survey.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { ControllerOptions } from "../failover/controller.ts";
import { SEQUENCE_LIMITS } from "../failover/limits.ts";
import { type Clock, formatInstant, throwIfAborted, untilAborted } from "../platform/clock.ts";
import type { Platform } from "../platform/components.ts";
import { makeFolderDurable } from "../platform/durable.ts";
import type { Lock } from "../platform/lock.ts";
import { startTimer } from "../platform/timer.ts";
import { clientErrorsIn, type LogEnd } from "../pooler/client-errors.ts";
import { daemonSocketOf, standBySocketOf } from "../stack/daemon-config.ts";
import { instancesOf } from "../stack/instances.ts";
import { nodeAddress } from "../stack/nodes.ts";
import { NODE_NAMES, startedSecrets } from "../stack/primary.ts";
import type { StackDescription } from "../stack/stack.ts";
import type { StackPrograms } from "../stack/tools.ts";
import type { RunDaemon } from "./daemon.ts";
import { answererOf } from "./daemon-answers.ts";
import { MACHINE, serverUserOf } from "./engine-machine.ts";
import { configuredStack, platformOf, stackPrograms } from "./engine-stack.ts";
import type { ActionResult, FailoverEngine } from "./failover.ts";
import type { Session } from "./verb.ts";

type Call = { readonly config: Config; readonly session: Session };

/** A daemon that looks or acts says so within this, or is stuck. */
const SILENT_MS = 60_000;
const MIB = 1024 * 1024;

/** Looks and acts. */
export const failoverEngine: Omit<FailoverEngine, "putBack"> = {
  check: async (call) => {
    const { follow } = call;
    if (follow !== undefined) return await followChecks(call, follow);
    const asked = await ask(call, { call: "check", follow: false }, { silentMs: SILENT_MS });
    return asked === undefined ? await lookWithoutDaemon(call) : parseCheckReport(asked.result);
  },
  promote: async (call) => {
    const { acceptLoss } = call;
    const request = { call: "promote", ...(acceptLoss === undefined ? {} : { acceptLoss }) } as const;
    return await act<ActionResult>(call, request, (control, options) => control.promote({ acceptLoss }, options));
  },
  adopt: async (call) => {
    const { node } = call;
    return await act<ActionResult>(call, { call: "adopt", node }, (control, options) =>
      control.adopt({ node }, options),
    );
  },
  switchover: async (call) => {
    const { to, dryRun, accept } = call;
    const request = { call: "switchover", to, dryRun, ...(accept === undefined ? {} : { accept }) } as const;
    return await act<ActionResult | SwitchoverPreview>(call, request, (control, options) =>
      control.switchover({ to, dryRun, accept }, options),
    );
  },
  rebuild: async (call) => {
    const { node } = call;
    return await act(call, { call: "rebuild", node }, (control, options) => control.rebuild({ node }, options));
  },
  setMaintenance: async (call) => {
    const { paused, reason } = call;
    const request: DaemonRequest = paused ? { call: "pause", reason } : { call: "resume" };
    return await act(call, request, (control, options) => control.setMaintenance({ paused, reason }, options));
  },
};

/** Looks in the place of a daemon, which it takes for this one look: a daemon that comes must not stand by for whoever looks. */
async function lookWithoutDaemon(call: Call): Promise<CheckReport> {
  return await withControl(call, async (control, { stack }) => {
    return unwatched(await control.check({ signal: call.session.signal }), stack);
  });
}

/** Tells every other decision until the session ends: the daemon's, and where none runs what is found without one. */
async function followChecks(call: Call, follow: (report: CheckReport) => void): Promise<CheckReport> {
  const { signal, clock } = call.session;
  let last: CheckReport | undefined;
  const tell = (report: CheckReport): void => {
    if (last === undefined || summaryOf(report) !== summaryOf(last)) follow(report);
    last = report;
  };
  const onPart = (part: unknown): void => tell(parseCheckReport(part));
  let noticed = "";
  for (;;) {
    try {
      const asked = await ask(call, { call: "check", follow: true }, { onPart, silentMs: undefined });
      if (asked === undefined) tell(await lookWithoutDaemon(call));
    } catch (error) {
      // Who followed has seen enough.
      if (signal.aborted && last !== undefined) return last;
      // It ended, or another is only beginning.
      if (!isLifeboatError(error, "daemon.no-answer")) throw error;
      if (error.message !== noticed) call.session.notice(`${formatInstant(clock.now())} ${error.message}`);
      noticed = error.message;
    }
    await clock.sleep(FOLLOW_AGAIN_MS, { signal }).catch(() => undefined);
    if (signal.aborted && last !== undefined) return last;
    throwIfAborted(signal, "following what is decided");
  }
}

/** Between two looks without a daemon: long enough for one that was started to take its place. */
const FOLLOW_AGAIN_MS = 2_000;

/** Runs the daemon until the session's signal aborts. */
export const runDaemon: RunDaemon = async (call) => {
  const { session } = call;
  const failure = Promise.withResolvers<never>();
  const controlled = withControl(call, async (control, { stack, watches, programs, machines, opened }) => {
    const failed = (service: string, error: unknown): void =>
      failure.reject(error instanceof Error ? error : new Error(`${service}: ${String(error)}`));
    const socket = daemonSocketOf(stack);
    opened.catch((error: unknown) => failed("journal", error));
    const group = new ServiceGroup("daemon", [
      watches,
      loopService("controller", (signal) => control.run({ signal }), failed),
      folderFirst(path.dirname(socket), socketServer(MACHINE.files, socket, answererOf(control))),
    ]);
    await group.start({ signal: session.signal });
    // Of rebuilds that an earlier daemon did not see the end of.
    for (const node of NODE_NAMES) {
      machines.letGoLater(node);
      void machines.recallUnfinished(node);
    }
    session.notice(`${formatInstant(session.clock.now())} the daemon of stack ${stack.name} watches`);
    // A node that is to be started again need not wait for them then.
    const cancel = startTimer(PROGRAMS_AFTER_MS, () => {
      programs().catch(() => undefined);
    });
    try {
      await Promise.race([untilAborted(session.signal), failure.promise]);
    } finally {
      cancel();
      await group.stop();
    }
  });
  try {
    await controlled;
  } catch (error) {
    // It stood by: whoever ends it then ends nothing that was under way.
    if (!session.signal.aborted || !isLifeboatError(error, "platform.aborted")) throw error;
  }
};

/** Makes the folder that a service needs, beside what was started before it. */
function folderFirst(folder: string, service: Service): Service {
  return {
    name: service.name,
    start: async (options) => {
      await makeFolderDurable(MACHINE.files, folder);
      await service.start(options);
    },
    stop: () => service.stop(),
  };
}

/** A daemon that was started because the one before was killed has something better to do at first. */
const PROGRAMS_AFTER_MS = 3_000;

/** Asks the daemon; without one the same is done here, where nobody else can act meanwhile. */
async function act<T>(
  call: Call,
  request: DaemonRequest,
  work: (control: Control, options: { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  call.session.progress.report({ phase: request.call });
  const asked = await ask(call, request, { silentMs: ACT_SILENT_MS }).catch((error: unknown) => {
    throw isLifeboatError(error, "platform.aborted") ? leftToDaemon(request.call, error) : error;
  });
  // Between two processes of one version: what the daemon made, this one prints.
  if (asked !== undefined) return asked.result as T;
  return await withControl(call, (control) => work(control, { signal: call.session.signal }));
}

/** Who asked has gone, and does not know whether the daemon had begun. */
function leftToDaemon(call: DaemonRequest["call"], cause: LifeboatError): LifeboatError {
  return new LifeboatError("platform.aborted", {
    message: `stopped on request while the daemon was asked to do it (${call})`,
    remedy:
      "What the daemon had begun it ends, and what it had not begun it leaves. See which it was: lifeboat failover --check-only.",
    cause,
  });
}

/** A rebuild says nothing until it has ended. */
const ACT_SILENT_MS = 3_600_000;

/** Asks the daemon. Undefined: none runs. */
export async function ask(
  { config, session }: Call,
  request: DaemonRequest,
  options: { readonly silentMs: number | undefined; readonly onPart?: (part: unknown) => void },
): Promise<{ readonly result: unknown } | undefined> {
  const stack = await configuredStack(config);
  return await askLivingDaemon(daemonSocketOf(stack), request, { signal: session.signal, ...options });
}

/** What is controlled, and what else a daemon runs. */
type Controlled = {
  readonly stack: StackDescription;
  readonly watches: Service;
  readonly programs: () => Promise<StackPrograms>;
  readonly machines: LocalMachines;
  /** Rejects when the journal cannot be opened. */
  readonly opened: Promise<void>;
};

/**
 * Controls the stack in this process, where no daemon does. Rejects with `daemon.no-answer` where another process has it, unless
 * this one is to stand by: then its end is waited for, with all that can be made ready.
 */
export async function withControl<T>(
  call: Call & { readonly standBy?: boolean },
  work: (control: Control, parts: Controlled) => Promise<T>,
): Promise<T> {
  const { config, session } = call;
  const { clock } = session;
  const stack = await configuredStack(config);
  const [secrets, user] = await Promise.all([
    startedSecrets(MACHINE.files, stack),
    serverUserOf(config.postgres.runAs, session.signal),
  ]);
  const programs = onceFound(() => stackPrograms(call, stack, user));
  const folder = stack.place.controller;
  await makeFolderDurable(MACHINE.files, folder);
  const notice = (message: string): void => session.notice(`${formatInstant(clock.now())} ${message}`);
  const { webhook, hookCommand } = config.failover;
  const hooks = hookService(
    { ...MACHINE, clock, fetch, notice },
    { webhook, command: hookCommand, stack: stack.name, stopMaxMs: call.standBy === true ? LAST_HOOKS_MS : HOOK_MS },
  );
  const journal = new PlacedJournal();
  const bound = controlOver(call, { stack, secrets, user, programs, journal, hooks, notice });
  const { assembly, control, watches } = bound;
  let lock = MACHINE.locks.tryAcquire(path.join(folder, LOCK_FILE));
  try {
    if (lock === undefined) {
      if (call.standBy !== true) throw daemonBusy(stack);
      lock = await waitForPlace(call, { stack, notice, ...bound });
    }
    const opened = journal.open({ ...MACHINE, clock }, path.join(folder, "journal"));
    // A daemon begins beside it: what it tells waits until the journal is open.
    if (call.standBy !== true) await opened;
    const { machines } = assembly;
    return await work(control, { stack, watches, programs, machines, opened });
  } finally {
    await watches.stop();
    await assembly.close();
    await journal.close();
    lock?.release();
    // Last: a hook may take long, and whoever takes the place need not wait for it.
    await hooks.stop();
  }
}

/** A person's command waits for the hook of what it did as long as that may take. */
const HOOK_MS = 60_000;
/** A stack's daemon is killed 15 s after it was asked to end, and would say nothing of what it did not tell. */
const LAST_HOOKS_MS = 8_000;

/** Whoever controls the stack holds it. */
const LOCK_FILE = "daemon.lock";

/** Stands by until the place is free. */
async function waitForPlace(
  { session: { clock, signal } }: Call,
  of: Pick<AssemblyTools, "stack" | "notice"> & Bound,
): Promise<Lock> {
  const { stack, control, assembly, watches, wakeable, notice } = of;
  const warmUp = async (options: { readonly signal: AbortSignal }): Promise<boolean> => {
    const [looked] = await Promise.allSettled([control.lookOn(options), assembly.warmUp(options)]);
    return looked.status === "fulfilled" && looked.value;
  };
  await watches.start({ signal });
  notice(`another daemon controls stack ${stack.name}: this one stands by`);
  const folder = stack.place.controller;
  const lock = await standBy(
    { ...MACHINE, clock, wakeable, pid: ownPid(), warmUp },
    {
      lockFile: path.join(folder, LOCK_FILE),
      socket: daemonSocketOf(stack),
      own: { socket: standBySocketOf(stack), lockFile: path.join(folder, "stand-by.lock") },
    },
    { signal },
  );
  notice(`the daemon that controlled stack ${stack.name} has ended: this one takes its place`);
  return lock;
}

/** A report is written beside everything else. */
const REPORT_LOOK_MS = 2_000;

/** What controls a stack, and what wakes it. */
type Bound = {
  readonly assembly: Assembly;
  readonly control: Control;
  /** Beside the controller: sentinels, the survey, and who sees to a supervisor. */
  readonly watches: Service;
  /** The clock that sentinels wake. */
  readonly wakeable: Clock;
};

/** Binds what controls a stack. */
function controlOver(
  { config, session }: Call,
  parts: Pick<AssemblyTools, "stack" | "secrets" | "user" | "programs" | "hooks" | "notice"> & {
    readonly journal: PlacedJournal;
  },
): Bound {
  const { clock } = session;
  const { stack, secrets, journal, notice } = parts;
  const platform = platformOf(stack, session);
  const assembly = assemble({
    ...MACHINE,
    ...parts,
    clock,
    platform,
    authority: authorityOf(config),
    holder: `process ${ownPid()} on ${os.hostname()}`,
    onRecoveryKey: () => undefined,
    onBeyond: (found) => reporter.noteBeyond(found),
  });
  const reporter = new Reporter(assembly.ports.journal, {
    files: MACHINE.files,
    clock,
    folder: path.join(stack.place.controller, "reports"),
    stack: stack.name,
    journalHead: () => journal.head,
    timelineStart: async (name) => {
      const probe = await assembly.ports.nodes.find((node) => node.name === name)?.probe({ timeoutMs: REPORT_LOOK_MS });
      const role = probe?.kind === "answered" ? probe.view.role : undefined;
      return role?.kind === "primary" ? role.timelineStart : undefined;
    },
    costs: async ({ from, to }) => {
      await assembly.survey.refresh({});
      return costsOf(assembly.survey.costs({ primary: from, candidate: to }));
    },
    clientErrors: async (span) =>
      clientErrorsIn(await poolerLogs(stack, platform), { database: stack.database, ...span }),
    notice,
  });
  const { clock: wakeable, wake } = wakeableClock(clock);
  const addresses = NODE_NAMES.map((node) => nodeAddress(stack, secrets, node));
  const control = new Control({
    ports: { ...assembly.ports, clock: wakeable, journal: reporter },
    machines: assembly.machines,
    reporter,
    survey: assembly.survey,
    options: controllerOptions(config),
    stack: stack.name,
    durability: stack.durability,
    notice,
  });
  const watches = new ServiceGroup("watches", [
    sentinelService(clock, addresses, wake),
    surveyService(clock, assembly.survey, (_service, error) =>
      notice(`the survey of slots and collations: ${errorText(error)}`),
    ),
    overseerService({ clock, platform, notice }, (_service, error) => notice(`the overseer: ${errorText(error)}`)),
  ]);
  return { assembly, control, wakeable, watches };
}

/** Of some seconds in which every client connects anew. */
const POOLER_LINES_MAX = 10_000;

async function poolerLogs(stack: StackDescription, platform: Pick<Platform, "lastLines">): Promise<readonly LogEnd[]> {
  return await Promise.all(
    instancesOf(stack, "pgbouncer").map(async (name) => {
      const lines = await platform.lastLines(name, POOLER_LINES_MAX, {});
      return { lines, isAll: lines.length < POOLER_LINES_MAX };
    }),
  );
}

/** Looks once; what was missing is looked for again. */
function onceFound(find: () => Promise<StackPrograms>): () => Promise<StackPrograms> {
  let found: Promise<StackPrograms> | undefined;
  return () => {
    if (found !== undefined) return found;
    const finding = find();
    found = finding;
    finding.catch(() => {
      found = undefined;
    });
    return finding;
  };
}

function controllerOptions({ failover }: Config): ControllerOptions {
  return {
    policy: {
      automatic: failover.automatic === "on",
      silentMs: failover.silentAfter,
      refusedMs: failover.refusedAfter,
      startingMs: failover.startingAfter,
      stuckMs: failover.stuckAfter,
      diskFull: failover.diskFull,
      candidateFreeBytesMin: 256 * MIB,
      viewMaxAgeMs: 2_000,
      grants: "lasting",
      acceptLoss: undefined,
    },
    // On a busy disk a pooler's hold takes its time to be written, and clients fail until it is.
    limits: { ...SEQUENCE_LIMITS, slots: KEPT_SLOTS, pauseMs: 1_000 },
    // A look is slow when a disk is: a single one that was too slow has clients wait for the next.
    pace: {
      probeMs: 500,
      // Whoever ends wakes it; only a server that hangs is found by looking.
      intervalMs: 100,
      suspectMs: 10,
      claimMs: 500,
      rejoinAfterMs: 3_000,
      // A segment from a slow store, and what it holds replayed.
      catchUpMs: 20_000,
      rejoinAgainMs: 20_000,
      retryMs: 500,
    },
  };
}

/** For people, who see it in a lease. */
function ownPid(): number {
  return process.pid;
}

function authorityOf({ failover, stack }: Config): Authority {
  const { etcdEndpoints, etcdPrefix, etcdTtl } = failover;
  if (etcdEndpoints === undefined) return { kind: "file" };
  const endpoints = etcdEndpoints.split(",").map((each) => each.trim());
  return {
    kind: "etcd",
    endpoints,
    prefix: etcdPrefix ?? `/lifeboat/${stack.name}`,
    ttlSeconds: Math.ceil(etcdTtl / 1_000),
  };
}

function daemonBusy(stack: StackDescription): LifeboatError {
  return new LifeboatError("daemon.no-answer", {
    message: `another process controls stack ${stack.name}, and nobody answers at ${daemonSocketOf(stack)}`,
    remedy: "A daemon that starts answers in a moment; one that hangs is ended by `lifeboat restart daemon`.",
    retryable: true,
  });
}
