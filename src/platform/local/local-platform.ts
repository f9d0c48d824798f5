/**
 * The platform of one machine: a supervisor of its own for each stack, which is started when something is to be started,
 * survives who started it, and is asked over a Unix socket.
 *
 * Invariant: without a supervisor nothing is known to run but what its record says, so the calls that look and the calls
 * that end something bring one up first where a record is there: what a killed supervisor left is taken over.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../../errors/error.ts";
import { type Clock, type Instant, throwIfAborted } from "../clock.ts";
import {
  type ComponentSpec,
  type ComponentState,
  EXEC_OUTPUT_BYTES_MAX,
  type ExecRequest,
  type ExecResult,
  type FenceAnswer,
  type OrderOptions,
  type Platform,
} from "../components.ts";
import { errnoOf } from "../errno.ts";
import { exchange } from "../exchange.ts";
import type { Files } from "../files.ts";
import type { ProcessExit, Processes, ProcessFacts } from "../processes.ts";
import { currentUid } from "../run-as.ts";
import { refuseForeignFolder } from "../shared-folder.ts";
import { type LogPart, type LogPosition, lastLinesOf, newLinesOf, tailOf } from "./log-file.ts";
import { type Answer, parseAnswer, type Request } from "./protocol.ts";
import { type ComponentRecord, hasRecord, namesProcess, readRecord, recordedSpec } from "./record.ts";
import { logFolderOf } from "./supervisor.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What it needs of the machine. */
export type LocalTools = { readonly files: Files; readonly processes: Processes; readonly clock: Clock };

/** Where a stack's supervisor lies and how it is started. */
export type LocalPlace = {
  /** The supervisor's own: only who runs it may write there, since it runs what it finds. */
  readonly folder: string;
  /** A command line that runs main.ts, without its arguments. */
  readonly supervisor: { readonly command: string; readonly args: readonly string[] };
  readonly environment?: Readonly<Record<string, string>> | undefined;
};

/** The name of the supervisor's own log among those of its components; none of them has this name. */
export const SUPERVISOR = "supervisor" as const;

/** What a supervisor ends with that found another one at work. */
export const STATUS_BUSY = 3;
/** Loading a program of this size on a cold disk, and taking over what an earlier supervisor left. */
const READY_TIMEOUT_MS = 30_000;
const READY_LOOK_MS = 25;
/** A supervisor that lives answers at once. */
const STATE_TIMEOUT_MS = 10_000;
/** One that says nothing twice in a row, each time as long as this, hangs: greeting it needs neither a disk nor a component. */
const HELLO_TIMEOUT_MS = 5_000;
/** A component may take a minute to stop, and as long to be killed. */
const ACT_TIMEOUT_MS = 300_000;
/** Both streams, each byte of them written as \u001f, and what is around them. */
const EXEC_ANSWER_BYTES_MAX = 2 * 6 * EXEC_OUTPUT_BYTES_MAX + 4096;
/** Source: unix(7), sun_path. */
const SOCKET_PATH_BYTES_MAX = 107;

/** What was seen of a supervisor. `silent`: one listens, and said nothing. `none`: none listens. */
type Presence = "answers" | "silent" | "none";

/** A stack's platform on this machine. */
export class LocalPlatform implements Platform {
  readonly #tools: LocalTools;
  readonly #place: LocalPlace;
  readonly #helloTimeoutMs: number;
  readonly #socket: string;

  constructor(tools: LocalTools, place: LocalPlace, helloTimeoutMs = HELLO_TIMEOUT_MS) {
    this.#tools = tools;
    this.#place = place;
    this.#helloTimeoutMs = helloTimeoutMs;
    this.#socket = socketOf(place.folder);
  }

  async start(spec: ComponentSpec, options: OrderOptions): Promise<void> {
    await this.#ensure(options);
    await this.#ask({ call: "start", spec: recordedSpec(spec), epoch: options.epoch }, options);
  }

  async stop(name: string, options: OrderOptions): Promise<{ readonly killed: boolean }> {
    const { killed = false } = await this.#askOf({ call: "stop", name, epoch: options.epoch }, options);
    return { killed };
  }

  async kill(name: string, options: CallOptions): Promise<void> {
    await this.#askOf({ call: "kill", name }, options);
  }

  async freeze(name: string, options: CallOptions): Promise<void> {
    await this.#askOf({ call: "freeze", name }, options);
  }

  async thaw(name: string, options: CallOptions): Promise<void> {
    await this.#askOf({ call: "thaw", name }, options);
  }

  async restart(name: string, options: CallOptions): Promise<void> {
    await this.#askOf({ call: "restart", name }, options);
  }

  async fence(name: string, options: OrderOptions): Promise<FenceAnswer> {
    await this.#ensure(options);
    const { fence } = await this.#ask({ call: "fence", name, epoch: options.epoch }, options);
    if (fence === undefined) throw silent(this.#socket, "the answer to a fence says nothing of it");
    return fence;
  }

  async unfence(name: string, options: OrderOptions): Promise<void> {
    await this.#askOf({ call: "unfence", name, epoch: options.epoch }, options);
  }

  async exec(request: ExecRequest, options: CallOptions): Promise<ExecResult> {
    const { executed } = await this.#askOf({ call: "exec", ...request, arguments: [...request.arguments] }, options);
    if (executed === undefined) throw silent(this.#socket, "the answer to a command says nothing of its end");
    return executed;
  }

  async state(options: CallOptions): Promise<readonly ComponentState[]> {
    const seen = await this.#presence(options);
    const resting = await this.#restingWithout(seen);
    if (resting !== undefined) return [...resting].map(([name, record]) => restingState(name, record));
    await this.#ensure(options, { seen });
    return (await this.#ask({ call: "state" }, options)).components ?? [];
  }

  /** Brings a supervisor up where none answers and something shall run; true when it had to. Rejects with `platform.no-answer`. */
  async ensureSupervisor(options: CallOptions): Promise<boolean> {
    const seen = await this.#presence(options);
    if ((await this.#restingWithout(seen)) !== undefined) return false;
    return await this.#ensure(options, { seen, args: [IF_NEEDED] });
  }

  /** What is recorded, where no supervisor answers and there is nothing to take over: what is fenced needs nobody to look after it. */
  async #restingWithout(seen: Presence): Promise<ReadonlyMap<string, ComponentRecord> | undefined> {
    if (seen === "answers") return undefined;
    const { components } = await readRecord(this.#tools.files, this.#place.folder);
    return namesProcess(components) ? undefined : components;
  }

  async lastLines(name: string, lines: number, _options: CallOptions): Promise<readonly string[]> {
    return lastLinesOf(this.#tools.files, this.logOf(name), lines);
  }

  /** The last whole lines of a log, and where to go on from. */
  tail(name: string, lines: number): Promise<LogPart> {
    return tailOf(this.#tools.files, this.logOf(name), lines);
  }

  /** What was written since. */
  newLines(name: string, position: LogPosition): Promise<LogPart> {
    return newLinesOf(this.#tools.files, this.logOf(name), position);
  }

  /** Stops what still runs, ends the supervisor and forgets all but what is fenced; logs stay. Repeatable. */
  async end(options: CallOptions): Promise<void> {
    const seen = await this.#presence(options);
    if (seen !== "answers" && (await this.state(options)).every(({ mode }) => mode === "fenced")) return;
    await this.#ensure(options);
    const { pid } = await this.#ask({ call: "hello" }, options);
    await this.#ask({ call: "end" }, options);
    const { clock, files, processes } = this.#tools;
    const deadline = clock.monotonic() + READY_TIMEOUT_MS;
    while (pid !== undefined && (await processes.isAlive(pid))) {
      if (clock.monotonic() > deadline) throw silent(this.#socket, "the supervisor had not ended in time");
      await clock.sleep(READY_LOOK_MS, options);
    }
    const folder = path.dirname(this.#socket);
    if (folder !== this.#place.folder) await files.removeTree(folder);
  }

  /** The log of a component, or the supervisor's own. */
  logOf(name: string): string {
    if (name === SUPERVISOR) return path.join(this.#place.folder, "supervisor.log");
    return path.join(logFolderOf(this.#place.folder), `${name}.log`);
  }

  async #askOf(request: Request & { readonly name: string }, options: CallOptions): Promise<Answer> {
    const seen = await this.#presence(options);
    if (seen !== "answers" && !(await hasRecord(this.#tools.files, this.#place.folder))) {
      throw new LifeboatError("platform.component-unknown", {
        message: `there is no component ${request.name}: nothing runs or is fenced of what is kept in ${this.#place.folder}`,
        remedy: "`lifeboat up` starts the stack.",
      });
    }
    await this.#ensure(options, { seen });
    return this.#ask(request, options);
  }

  async #ask(request: Request, options: CallOptions): Promise<Answer> {
    try {
      return await this.#exchange(request, options);
    } catch (error) {
      // One of an earlier version outlives an upgrade. It has done nothing, and is asked as it knows to be.
      if (!("epoch" in request) || request.epoch === undefined || !knowsNoEpoch(error)) throw error;
      return await this.#exchange({ ...request, epoch: undefined }, options);
    }
  }

  async #exchange(request: Request, options: CallOptions): Promise<Answer> {
    const timeoutMs = request.call === "hello" ? this.#helloTimeoutMs : timeoutOf(request);
    const answer = await exchange({
      to: { socket: this.#socket },
      send: `${JSON.stringify(request)}\n`,
      whole: (text) => text.endsWith("\n"),
      timeoutMs,
      answerBytesMax: request.call === "exec" ? EXEC_ANSWER_BYTES_MAX : undefined,
      ...options,
    });
    if (!answer.endsWith("\n")) throw silent(this.#socket, "it ended while it was asked");
    return parseAnswer(answer.trimEnd());
  }

  /** Returns when a supervisor answers, having started one where none did, and there is one only; whether it had to. */
  async #ensure(
    options: CallOptions,
    { seen, args = [] }: { readonly seen?: Presence; readonly args?: readonly string[] } = {},
  ): Promise<boolean> {
    let presence = seen ?? (await this.#presence(options));
    if (presence === "answers") return false;
    const { files, processes, clock } = this.#tools;
    const { folder, supervisor, environment } = this.#place;
    await files.makeFolder(folder, 0o700);
    await files.makeFolder(path.dirname(this.#socket), 0o700);
    await refuseForeignPlace(files, folder);
    const log = this.logOf(SUPERVISOR);
    const started = await processes.start({
      command: supervisor.command,
      args: [...supervisor.args, folder, this.#socket, ...args],
      folder: "/",
      environment,
      output: { kind: "file", file: log },
      input: "none",
      detached: true,
    });
    let exit: ProcessExit | undefined;
    void started.exited.then((ended) => {
      exit = ended;
    });
    const deadline = clock.monotonic() + READY_TIMEOUT_MS;
    for (let before = presence; ; before = presence) {
      presence = await this.#presence(options);
      if (presence === "answers") break;
      throwIfAborted(options.signal, "waiting for the supervisor");
      const isLate = clock.monotonic() > deadline;
      if (exit !== undefined && isBusy(exit)) {
        // Another command may have started one at the same time: that one answers soon.
        if (isLate || (before === "silent" && presence === "silent")) throw await this.#hanging();
      } else if (isLate || exit !== undefined) {
        const said = (await lastLinesOf(files, log, 1)).join();
        throw silent(this.#socket, `the supervisor did not come up; its log ends: ${said}`);
      }
      await clock.sleep(READY_LOOK_MS, options);
    }
    const { pid } = await this.#ask({ call: "hello" }, options);
    // Ours came second. It would come first, and stay, if the other one ended before it has looked.
    if (pid !== started.pid) await Promise.race([started.exited, clock.sleep(READY_TIMEOUT_MS, options)]);
    return true;
  }

  async #presence(options: CallOptions): Promise<Presence> {
    await refuseForeignPlace(this.#tools.files, this.#place.folder);
    if ((await this.#tools.files.stat(this.#socket)) === undefined) return "none";
    try {
      await this.#ask({ call: "hello" }, options);
      return "answers";
    } catch (error) {
      if (!isLifeboatError(error, "platform.no-answer")) throw error;
      // The system refuses who comes when as many wait as it keeps waiting: nobody lets them in.
      return "timeoutMs" in error.details || errnoOf(error.cause) === "EAGAIN" ? "silent" : "none";
    }
  }

  /** Of a supervisor that has the folder, so that no other one can take it, and answers nothing. */
  async #hanging(): Promise<LifeboatError> {
    const { processes } = this.#tools;
    const { folder } = this.#place;
    const found: ProcessFacts[] = [];
    for (const pid of await processes.all()) {
      const line = await processes.commandLine(pid);
      if (line[line.lastIndexOf(this.#socket) - 1] !== folder) continue;
      const facts = await processes.facts(pid);
      if (facts !== undefined) found.push(facts);
    }
    // Whoever found the folder taken came later.
    const [holder] = found.toSorted((a, b) => Number(BigInt(a.startTicks) - BigInt(b.startTicks)));
    const named = holder === undefined ? "" : `, process ${holder.pid},`;
    const why = holder?.halted === true ? "it is halted" : "it hangs, or waits for a disk";
    return new LifeboatError("platform.no-answer", {
      message: `no answer at ${this.#socket}: the supervisor${named} has its place and does not answer: ${why}`,
      remedy: `End it with \`kill -9 ${holder?.pid ?? "PID"}\`${holder === undefined ? ` (its command line ends with ${this.#socket})` : ""}: the programs of the stack run on, and the next command, or a daemon, brings up another supervisor that takes them over.`,
      retryable: true,
    });
  }
}

function isBusy(exit: ProcessExit): boolean {
  return exit.kind === "exited" && exit.status === STATUS_BUSY;
}

function timeoutOf(request: Exclude<Request, { readonly call: "hello" }>): number {
  switch (request.call) {
    case "exec":
      return request.timeoutMs + STATE_TIMEOUT_MS;
    case "state":
      return STATE_TIMEOUT_MS;
    default:
      return ACT_TIMEOUT_MS;
  }
}

function restingState(name: string, { spec, fencedAt }: ComponentRecord): ComponentState {
  const mode = fencedAt === null ? "stopped" : "fenced";
  const since = (fencedAt ?? 0) as Instant;
  return { name, mode, since, adopted: false, lastEnd: undefined, restarts: 0, ports: spec?.ports ?? [] };
}

/** What a supervisor says whose requests have no epoch: it reads all of a request before it does anything. */
function knowsNoEpoch(error: unknown): boolean {
  if (!isLifeboatError(error, "platform.component-failed")) return false;
  // That version sent the whole text of its schema's error.
  return error.message.includes("unrecognized_keys") && error.message.includes('"epoch"');
}

/** Makes a supervisor end that finds no process to look after: whoever started it to look after some may be gone, and they too. */
export const IF_NEEDED = "if-needed";

/** Where a supervisor listens: in its folder, or beside it all where that path is too long for a socket. */
export function socketOf(folder: string): string {
  const inside = path.join(folder, "control.sock");
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  const short = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  return path.join("/tmp", `lifeboat-supervisor-${short}`, "control.sock");
}

/** Believes whoever listens for a supervisor only where it, or this user, has put the socket. Rejects with `platform.folder-foreign`. */
export async function refuseForeignPlace(files: Pick<Files, "stat">, folder: string): Promise<void> {
  const at = path.dirname(socketOf(folder));
  if (at === folder) return;
  await refuseForeignFolder(files, at, [currentUid(), (await files.stat(folder))?.uid]);
}

function silent(socket: string, what: string): LifeboatError {
  return new LifeboatError("platform.no-answer", {
    message: `no answer at ${socket}: ${what}`,
    remedy: "Look at supervisor.log beside it, then run the command again.",
    retryable: true,
  });
}
