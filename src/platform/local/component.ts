/**
 * One program that a supervisor runs.
 *
 * Nouns: its *wish* is whether it shall run; its *end* is told by the kernel for a child of ours, and seen by looking for one
 * that was adopted. Calls come one after another: the supervisor sees to it.
 * Invariants: a program's own code begins only after its process was recorded, so that no supervisor is killed between the
 * two and leaves a process nobody knows (it is started halted on a pipe, and what it waits for never comes then); a process
 * is known by its number and its start, never by the number alone; a node whose process was killed is not down before what
 * that one had started is gone.
 */
import path from "node:path";
import { assert, LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import type { Clock, Instant, Monotonic } from "../clock.ts";
import type {
  ComponentMode,
  ComponentSpec,
  ComponentState,
  ExecRequest,
  ExecResult,
  FenceAnswer,
} from "../components.ts";
import { leftBehind } from "../left-behind.ts";
import type { ProcessExit, Processes } from "../processes.ts";
import { startTimer } from "../timer.ts";
import { componentFailed, Executions } from "./executions.ts";
import { type ComponentRecord, recordedSpec, specOf } from "./record.ts";
import { afterEnd } from "./restart.ts";

/** What a component needs of its supervisor. */
export type ComponentTools = {
  readonly processes: Processes;
  readonly clock: Clock;
  readonly logFolder: string;
  /** Which run of the machine this is; undefined where nobody can tell. */
  readonly boot: string | undefined;
  /** Brings this component's record to stable storage. */
  readonly save: (name: string, record: ComponentRecord) => Promise<void>;
  /** Told of what cannot be told to anybody else. */
  readonly notice: (message: string) => void;
  /** Runs `work` when it is this component's turn. */
  readonly inTurn: (name: string, work: () => Promise<void>) => void;
};

/** A program that does not see what ends with its shell's input. */
const GATE = 'read -r go && exec "$@" </dev/null';

/** How often an adopted process is looked for: its end is nobody else's to tell. */
const ADOPTED_LOOK_MS = 200;
const GONE_LOOK_MS = 10;
/** SIGKILL takes effect at once, except for a process that waits for a disk. */
const KILL_TIMEOUT_MS = 20_000;
const FREEZE_TIMEOUT_MS = 5_000;
/** A busy disk takes a record within some tenths of a second; one that hangs takes none, and what is fenced goes on meanwhile. */
const FENCE_RECORD_MS = 1_000;
/** An init process removes a dead orphan within a second or two; a container's first process may never do it. */
const REAP_TIMEOUT_MS = 10_000;

type Running = {
  readonly pid: number;
  readonly startTicks: string;
  readonly startedAt: Instant;
  readonly begun: Monotonic;
  readonly adopted: boolean;
  readonly boot: string | undefined;
  /** It has ended, and nothing is there any more of what it had started. */
  isWhollyGone: boolean;
};

/** A component. */
export class Component {
  readonly name: string;
  readonly #tools: ComponentTools;
  readonly #executions: Executions;
  #spec: ComponentSpec | undefined;
  #fencedAt: Instant | undefined;
  #running: Running | undefined;
  /** A process that died and was no child of ours: another one has to take it out of the kernel's table. */
  #orphan: Running | undefined;
  /** What ran last: its record says that something shall run, while that waits to be started again. */
  #last: Running | undefined;
  #mode: ComponentMode = "stopped";
  #since: Instant;
  #lastEnd: string | undefined;
  #restarts = 0;
  #quickEnds = 0;
  /** Nothing starts it again but who asks for it, whatever becomes of this supervisor before it is down. */
  #isToldDown = false;
  #cancelRestart: (() => void) | undefined;
  #stopLooking: (() => void) | undefined;

  constructor(tools: ComponentTools, name: string) {
    this.#tools = tools;
    this.#executions = new Executions(tools);
    this.name = name;
    this.#since = tools.clock.now();
  }

  /** Takes over what an earlier supervisor recorded; a process that still lives is kept. */
  async adopt(record: ComponentRecord): Promise<void> {
    this.#spec = record.spec === undefined ? undefined : specOf(record.spec);
    this.#fencedAt = record.fencedAt === null ? undefined : (record.fencedAt as Instant);
    if (this.#fencedAt !== undefined) this.#enter("fenced", this.#fencedAt);
    const held = record.process;
    if (held === null) return;
    this.#isToldDown = held.toldDown === true;
    const running: Running = {
      ...held,
      boot: held.boot,
      startedAt: held.startedAt as Instant,
      begun: this.#tools.clock.monotonic(),
      adopted: true,
      isWhollyGone: false,
    };
    if (!(await this.#isThere(running))) {
      this.#orphan = running;
      this.#last = running;
      this.#lastEnd = "it ended while nobody looked after it";
      await this.#endLeftBehind(running);
      const sameBoot = held.boot !== undefined && held.boot === this.#tools.boot;
      // What a machine that was restarted runs, and in which order, is for who brings the stack up.
      if (this.#fencedAt !== undefined || !sameBoot || this.#isToldDown) return this.#settleDown("ended");
      return await this.#afterEnd(0);
    }
    this.#running = running;
    if (this.#fencedAt !== undefined) return await this.#fenceAnew(running);
    const facts = await this.#tools.processes.facts(running.pid);
    this.#enter(facts?.halted === true ? "frozen" : "running", running.startedAt);
    this.#look();
  }

  /** A fence that was cut short before it had killed, or whose process waits for a disk: that one must keep no other component waiting. */
  async #fenceAnew(running: Running): Promise<void> {
    try {
      await this.fence();
    } catch (error) {
      this.#tools.notice(`a fence of before could not be completed: ${errorText(error)}`);
      this.#running = running;
      this.#look();
    }
  }

  async start(spec: ComponentSpec): Promise<void> {
    if (this.#fencedAt !== undefined) {
      throw new LifeboatError("platform.component-fenced", {
        message: `${this.name} is fenced: it was taken out of service and must not come back by itself`,
        remedy: "Find out why before it runs again; a fenced database node is rebuilt.",
      });
    }
    this.#spec = spec;
    this.#isToldDown = false;
    if (this.#running !== undefined) return this.#save();
    this.#cancelRestart?.();
    this.#restarts = 0;
    this.#quickEnds = 0;
    await this.#spawn();
  }

  /** What to record of one that is to go down. */
  tellDown(): ComponentRecord {
    this.#isToldDown = true;
    return this.#record();
  }

  /** Beside what is done about it, which waits for no disk; the next record of it waits for this one, and tells what is wrong. */
  #recordDown(): void {
    if (this.#isToldDown || (this.#running === undefined && this.#mode !== "backing-off")) return;
    this.#tools.save(this.name, this.tellDown()).catch(() => undefined);
  }

  stop(): Promise<{ readonly killed: boolean }> {
    this.#recordDown();
    return this.#stop();
  }

  async #stop(): Promise<{ readonly killed: boolean }> {
    const { spec, running } = this.#leaveAlone();
    // Before it stops: a program that waits for its clients would wait for them.
    const commandsEnded = this.#endCommands();
    if (running === undefined || spec === undefined) {
      await commandsEnded;
      await this.#killLeftBehind(this.#last);
      await this.#settleDown("stopped");
      return { killed: false };
    }
    const gone = await this.#unlessItStays(running, () => this.#askToEnd(running, spec));
    if (!gone) await this.#killTree(running);
    await this.#killLeftBehind(running);
    await commandsEnded;
    this.#lastEnd = gone ? "stopped on request" : `killed: it had not stopped after ${spec.stop.timeoutMs} ms`;
    await this.#settleDown("stopped");
    return { killed: !gone };
  }

  async #askToEnd(running: Running, { stop }: ComponentSpec): Promise<boolean> {
    // A frozen program hears nothing.
    await this.#signalTree(running, "SIGCONT");
    this.#tools.processes.signal(running.pid, stop.signal);
    return await this.#untilGone([running.pid], stop.timeoutMs, running);
  }

  async kill(): Promise<void> {
    this.#recordDown();
    const { running } = this.#leaveAlone();
    await this.#killAll(running);
    if (running !== undefined) this.#lastEnd = "killed on request";
    await this.#settleDown("stopped");
  }

  async freeze(): Promise<void> {
    const running = this.#mustRun();
    const { clock, processes } = this.#tools;
    const deadline = clock.monotonic() + FREEZE_TIMEOUT_MS;
    for (;;) {
      // Again: a process may have begun another between the look and the signal.
      const pids = await this.#signalTree(running, "SIGSTOP");
      const facts = await Promise.all(pids.map((pid) => processes.facts(pid)));
      if (facts.every((each) => each === undefined || each.halted || each.zombie)) break;
      if (clock.monotonic() > deadline) throw this.#failed(`was not halted after ${FREEZE_TIMEOUT_MS} ms`);
      await clock.sleep(GONE_LOOK_MS, {});
    }
    this.#enter("frozen");
  }

  async thaw(): Promise<void> {
    await this.#signalTree(this.#mustRun(), "SIGCONT");
    if (this.#mode === "frozen") this.#enter("running");
  }

  async restart(): Promise<void> {
    const spec = this.#spec;
    if (spec === undefined) throw this.#failed("was never started");
    await this.#stop();
    await this.start(spec);
  }

  async fence(): Promise<FenceAnswer> {
    this.#fencedAt ??= this.#tools.clock.now();
    // Durable first: whoever comes after us must not start it, and ends what is left of it. A disk that takes no record, or none yet,
    // saves nobody: it is killed all the same, and who asked is told that the fence does not outlive this supervisor.
    const isRecorded = await this.#savedInTime();
    const { running } = this.#leaveAlone();
    await this.#killAll(running);
    if (running !== undefined) this.#lastEnd = "killed by a fence";
    await (isRecorded ? this.#settleDown("fenced") : this.#settle("fenced"));
    return { ran: running !== undefined, at: this.#tools.clock.now() };
  }

  async #savedInTime(): Promise<boolean> {
    const saved = this.#save().then(
      () => true,
      () => false,
    );
    let cancel = (): void => undefined;
    const late = new Promise<boolean>((resolve) => {
      cancel = startTimer(FENCE_RECORD_MS, () => resolve(false));
    });
    const isSaved = await Promise.race([saved, late]);
    cancel();
    return isSaved;
  }

  async unfence(): Promise<void> {
    if (this.#fencedAt === undefined) return;
    this.#fencedAt = undefined;
    await this.#settle("stopped");
  }

  /** Not in turn with the others. */
  async exec(request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
    this.#mustRun();
    if (this.#mode === "frozen") throw this.#failed("is frozen");
    assert(this.#spec !== undefined, "what runs was described");
    return await this.#executions.run(this.#spec, request, signal);
  }

  get state(): ComponentState {
    return {
      name: this.name,
      mode: this.#mode,
      since: this.#since,
      adopted: this.#running?.adopted ?? false,
      lastEnd: this.#lastEnd,
      restarts: this.#restarts,
      ports: this.#spec?.ports ?? [],
    };
  }

  /** When it is started again by itself. */
  get restartRule(): ComponentSpec["restart"] {
    return this.#spec?.restart ?? "never";
  }

  /** Where the program's output goes. */
  get logFile(): string {
    return path.join(this.#tools.logFolder, `${this.name}.log`);
  }

  async #spawn(): Promise<void> {
    const spec = this.#spec;
    assert(spec !== undefined && this.#running === undefined, "a component that is started is described and down");
    const { processes, clock } = this.#tools;
    await this.#untilReaped();
    const child = await processes.start({
      command: "/bin/sh",
      args: ["-c", GATE, spec.name, spec.program, ...spec.arguments],
      folder: spec.workFolder,
      environment: spec.environment,
      user: spec.runAs,
      output: { kind: "file", file: this.logFile, staysOurs: true },
      input: "pipe",
      detached: true,
    });
    const startTicks = (await processes.facts(child.pid))?.startTicks ?? "";
    const running: Running = {
      pid: child.pid,
      startTicks,
      startedAt: clock.now(),
      begun: clock.monotonic(),
      adopted: false,
      boot: this.#tools.boot,
      isWhollyGone: false,
    };
    this.#running = running;
    try {
      await this.#save();
    } catch (error) {
      // Its gate stays shut: it ends as soon as its input does.
      this.#running = undefined;
      child.stdin?.destroy();
      throw error;
    }
    // It may be gone already: then its end is told below.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end("go\n");
    this.#enter("running");
    void child.exited.then((exit) => {
      running.isWhollyGone = hasEndedInOrder(exit);
      this.#tools.inTurn(this.name, () => this.#ended(running, describeExit(exit)));
    });
  }

  /** It ended. Nothing to do where somebody meant it to. */
  async #ended(running: Running, how: string): Promise<void> {
    if (this.#running !== running) return;
    this.#down();
    this.#stopLooking?.();
    this.#lastEnd = how;
    const ranMs = this.#tools.clock.monotonic() - running.begun;
    await Promise.all([this.#endLeftBehind(running), this.#endCommands()]);
    await this.#afterEnd(ranMs);
  }

  async #afterEnd(ranMs: number): Promise<void> {
    const spec = this.#spec;
    assert(spec !== undefined, "what ran was described");
    if (this.#isToldDown) return this.#settleDown("ended");
    const next = afterEnd({ restart: spec.restart, ranMs, quickEnds: this.#quickEnds });
    if (next.kind === "leave") return this.#settleDown(next.mode);
    this.#quickEnds = next.quickEnds;
    // Whatever becomes of the record: on a full disk, too, it is tried again.
    this.#cancelRestart = startTimer(next.delayMs, () => this.#tools.inTurn(this.name, () => this.#again()));
    await this.#settleDown("backing-off");
  }

  async #again(): Promise<void> {
    if (this.#mode !== "backing-off") return;
    this.#restarts += 1;
    try {
      await this.#spawn();
    } catch (error) {
      // It cannot even be begun: that is an end, too.
      this.#lastEnd = errorText(error);
      await this.#afterEnd(0);
    }
  }

  /** From here on its end is ours, nothing starts it again, and no command is begun beside it. */
  #leaveAlone(): { readonly spec: ComponentSpec | undefined; readonly running: Running | undefined } {
    const running = this.#running;
    this.#down();
    this.#cancelRestart?.();
    this.#stopLooking?.();
    return { spec: this.#spec, running };
  }

  /** The component before its commands: none of them may keep it alive. */
  async #killAll(running: Running | undefined): Promise<void> {
    try {
      if (running !== undefined) await this.#killTree(running);
      await this.#killLeftBehind(running ?? this.#last);
    } finally {
      await this.#endCommands();
    }
  }

  /** Never rejects. One that is left has its SIGKILL: when its wait for a disk is over, it does nothing more. */
  async #endCommands(): Promise<void> {
    for (const program of await this.#executions.end()) {
      this.#tools.notice(`${this.name}: ${program}, run beside it, was killed and is still there`);
    }
  }

  #down(): void {
    this.#last = this.#running ?? this.#last;
    if (this.#running?.adopted === true) this.#orphan = this.#running;
    this.#running = undefined;
  }

  /**
   * Waits until the process before is out of the kernel's table. A dead one still answers to `kill -0`, by which PostgreSQL
   * and PgBouncer judge whether their pid file is a living server's, and would not start.
   */
  async #untilReaped(): Promise<void> {
    const orphan = this.#orphan;
    if (orphan === undefined) return;
    const { clock, processes, notice } = this.#tools;
    const deadline = clock.monotonic() + REAP_TIMEOUT_MS;
    while ((await processes.facts(orphan.pid))?.startTicks === orphan.startTicks) {
      if (clock.monotonic() > deadline) {
        notice(
          `${this.name}: process ${orphan.pid} is dead and nobody reaps it; process 1 must be an init (docker run --init)`,
        );
        break;
      }
      await clock.sleep(GONE_LOOK_MS, {});
    }
    this.#orphan = undefined;
  }

  async #settle(mode: ComponentMode): Promise<void> {
    this.#enter(this.#fencedAt === undefined ? mode : "fenced");
    await this.#save();
  }

  /**
   * The same when it has no process any more. A record that cannot be written, on a full disk, is no reason to fail, and is told: from
   * what is recorded the next supervisor would start it again.
   */
  async #settleDown(mode: ComponentMode): Promise<void> {
    try {
      await this.#settle(mode);
    } catch (error) {
      this.#tools.notice(
        `the record does not say that ${this.name} is down, and a supervisor after this one may start it again: ${errorText(error)}`,
      );
    }
  }

  #enter(mode: ComponentMode, since: Instant = this.#tools.clock.now()): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#since = since;
  }

  async #save(): Promise<void> {
    await this.#tools.save(this.name, this.#record());
  }

  #record(): ComponentRecord {
    const recorded = this.#running ?? (this.#mode === "backing-off" ? this.#last : undefined);
    const toldDown = this.#isToldDown ? ({ toldDown: true } as const) : {};
    return {
      spec: this.#spec === undefined ? undefined : recordedSpec(this.#spec),
      fencedAt: this.#fencedAt ?? null,
      process: recorded === undefined ? null : { ...recordedProcess(recorded), ...toldDown },
    };
  }

  #mustRun(): Running {
    if (this.#running === undefined) throw this.#failed("does not run");
    return this.#running;
  }

  #failed(what: string): LifeboatError {
    return componentFailed(this.name, what);
  }

  async #isThere({ pid, startTicks }: Pick<Running, "pid" | "startTicks">): Promise<boolean> {
    const facts = await this.#tools.processes.facts(pid);
    return facts !== undefined && !facts.zombie && facts.startTicks === startTicks;
  }

  /** Looks for an adopted process until it is gone. */
  #look(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#stopLooking?.();
    this.#stopLooking = startTimer(ADOPTED_LOOK_MS, () =>
      this.#tools.inTurn(this.name, async () => {
        if (this.#running !== running) return;
        if (await this.#isThere(running)) this.#look();
        else await this.#ended(running, "it ended; how, only its log tells");
      }),
    );
  }

  async #signalTree(running: Running, signal: NodeJS.Signals): Promise<readonly number[]> {
    if (!(await this.#isThere(running))) return [];
    const { processes } = this.#tools;
    const pids = await processes.tree(running.pid);
    for (const pid of pids) processes.signal(pid, signal);
    return pids;
  }

  async #killTree(running: Running): Promise<void> {
    await this.#unlessItStays(running, async () => {
      if (!(await this.#isThere(running))) return;
      const killed = await this.#tools.processes.killTree(running.pid);
      if (await this.#untilGone(killed, KILL_TIMEOUT_MS, running)) return;
      throw this.#failed(`is still there ${KILL_TIMEOUT_MS} ms after SIGKILL: a process of it waits for a disk`);
    });
  }

  /** What could not be ended is looked after as before, so that its end is seen and no second one is started beside it. */
  async #unlessItStays<T>(running: Running, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // Nobody could look: it is taken for one that is there.
      if (await this.#isThere(running).catch(() => true)) {
        this.#running = running;
        if (running.adopted) this.#look();
      } else this.#enter("ended");
      throw error;
    }
  }

  /** Never rejects: who stops or fences it looks again, and is told. */
  async #endLeftBehind(running: Running): Promise<void> {
    try {
      await this.#killLeftBehind(running);
    } catch (error) {
      this.#tools.notice(errorText(error));
    }
  }

  /**
   * A backend whose postmaster was killed notices when it waits, and commits until then. By then a node that is called down must not
   * acknowledge anything, and one that is started again finds the shared memory in use.
   */
  async #killLeftBehind(running: Running | undefined): Promise<void> {
    const folder = this.#spec === undefined ? undefined : dataFolderOf(this.#spec);
    if (this.#spec === undefined || folder === undefined || running?.isWhollyGone === true) return;
    const { processes, notice } = this.#tools;
    const program = path.basename(this.#spec.program);
    try {
      const left = await leftBehind(processes, { pid: running?.pid, program, folder });
      for (const pid of left) processes.signal(pid, "SIGKILL");
      if (left.length > 0) notice(`${this.name}: ended what had outlived its process: ${left.join(", ")}`);
      const areGone = await this.#untilGone(left, KILL_TIMEOUT_MS);
      if (!areGone) throw this.#failed(`left what is there ${KILL_TIMEOUT_MS} ms after SIGKILL: ${left.join(", ")}`);
    } catch (error) {
      // Its process is gone, whatever becomes of the others.
      this.#enter("ended");
      throw error;
    }
    if (running !== undefined) running.isWhollyGone = true;
  }

  async #untilGone(pids: readonly number[], timeoutMs: number, running?: Running): Promise<boolean> {
    const { clock, processes } = this.#tools;
    const deadline = clock.monotonic() + timeoutMs;
    for (;;) {
      const there = await Promise.all(
        pids.map((pid) => (pid === running?.pid ? this.#isThere(running) : processes.isAlive(pid))),
      );
      if (!there.includes(true)) return true;
      if (clock.monotonic() > deadline) return false;
      await clock.sleep(GONE_LOOK_MS, {});
    }
  }
}

/** With the status that PostgreSQL has after a shutdown, in which it waits for all that it started. */
function hasEndedInOrder(exit: ProcessExit): boolean {
  return exit.kind === "exited" && exit.status === 0;
}

/** In which all processes of a node work, which its command line names; undefined for what is no node. Others share a folder. */
function dataFolderOf({ restart, arguments: given }: ComponentSpec): string | undefined {
  const option = given.indexOf("-D");
  return restart === "never" && option >= 0 ? given[option + 1] : undefined;
}

function describeExit(exit: ProcessExit): string {
  return exit.kind === "exited" ? `it ended with status ${exit.status}` : `it was ended by ${exit.signal}`;
}

function recordedProcess({ pid, startTicks, startedAt, boot }: Running): NonNullable<ComponentRecord["process"]> {
  return { pid, startTicks, startedAt, ...(boot === undefined ? {} : { boot }) };
}
