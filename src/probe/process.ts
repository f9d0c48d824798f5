/**
 * Starts the probe process and speaks with it.
 *
 * Invariants: a request gets its answer, or an error when the process ends or falls silent first; ending us ends the
 * process, because its standard input closes.
 */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { abortedError, throwIfAborted } from "../platform/clock.ts";
import type { Processes, RunningProcess } from "../platform/processes.ts";
import { startTimer } from "../platform/timer.ts";
import type { ProbeReport } from "./measurements.ts";
import type { Address, ProbeOptions } from "./probe.ts";
import { type ProbeAnswer, type ProbeRequest, parseAnswer } from "./protocol.ts";

/** How to start the probe. */
export type ProbeProcessRequest = {
  /** The Node program and the probe's entry: src/probe/main.ts, or what it was bundled to. */
  readonly node: string;
  readonly entry: string;
  readonly probe: ProbeOptions;
  /** Must not exist yet. */
  readonly ledgerFile: string;
  readonly signal?: AbortSignal | undefined;
};

/** How long a call may wait. */
export type CallLimits = { readonly signal?: AbortSignal | undefined };

/** Answers come at once; a machine that is restoring a database on two cores may take a while to run us. */
const ANSWER_TIMEOUT_MS = 30_000;

/** What we keep of the standard error of the process, for the error message. */
const LAST_WORDS_CHARACTERS = 2_000;

/** The probe in its own process. */
export class ProbeProcess {
  readonly #process: RunningProcess;
  readonly #input: Writable;
  readonly #options: ProbeOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #lastWords = "";
  #ended: string | undefined;

  private constructor(process: RunningProcess, options: ProbeOptions) {
    this.#process = process;
    this.#options = options;
    this.#input = present(process.stdin);
    // A process that is gone does not read; its end is told by `exited`.
    this.#input.on("error", () => undefined);
    createInterface({ input: present(process.stdout) }).on("line", (line) => this.#heard(line));
    process.stderr?.on("data", (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString("utf8")).slice(-LAST_WORDS_CHARACTERS);
    });
    void process.exited.then((exit) => {
      this.#ended = exit.kind === "exited" ? `ended with status ${exit.status}` : `was ended by ${exit.signal}`;
      for (const pending of this.#pending.values()) pending.reject(this.#failure(this.#ended));
      this.#pending.clear();
    });
  }

  /**
   * Starts the process and in it the probe; resolves when it writes. The server need not be there. Rejects with
   * `probe.process-failed` when the process does not come up or refuses, for example because the ledger exists.
   */
  static async start(processes: Processes, request: ProbeProcessRequest): Promise<ProbeProcess> {
    throwIfAborted(request.signal, "starting the probe");
    const process = await processes.start({
      command: request.node,
      args: [request.entry],
      output: { kind: "pipe" },
      input: "pipe",
      detached: false,
    });
    const probe = new ProbeProcess(process, request.probe);
    try {
      const { ledgerFile, probe: options } = request;
      await probe.#call((id) => ({ kind: "start", id, ledgerFile, probe: started(options) }), request);
      return probe;
    } catch (error) {
      await probe.kill();
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What the probe has seen so far. */
  status(limits: CallLimits): Promise<ProbeReport> {
    return this.#call((id) => ({ kind: "status", id }), limits);
  }

  /** Begins a new window of observation, now or at a moment just past; the report is the first of it. */
  mark(
    limits: CallLimits,
    begins: { readonly label: string; readonly atMs?: number | undefined } = { label: "mark" },
  ): Promise<ProbeReport> {
    return this.#call((id) => ({ kind: "mark", id, ...begins }), limits);
  }

  /** Lets the probe go to another server from now on. */
  reconnectTo(address: Address, limits: CallLimits): Promise<ProbeReport> {
    return this.#call((id) => ({ kind: "reconnect", id, ...address }), limits);
  }

  /** Ends the arrivals, waits for the outcome of every operation and for the end of the process; the last report. */
  async stop({ signal }: CallLimits): Promise<ProbeReport> {
    const { queueDeadlineMs, answerDeadlineMs } = this.#options;
    const timeoutMs = queueDeadlineMs + answerDeadlineMs + ANSWER_TIMEOUT_MS;
    const report = await this.#call((id) => ({ kind: "stop", id }), { signal, timeoutMs });
    await this.#process.exited;
    return report;
  }

  /** Ends the process at once. What it acknowledged is in the ledger all the same. Repeatable. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  async #call(
    request: (id: number) => ProbeRequest,
    { signal, timeoutMs = ANSWER_TIMEOUT_MS }: CallLimits & { readonly timeoutMs?: number },
  ): Promise<ProbeReport> {
    const id = ++this.#lastId;
    const message = request(id);
    const step = `waiting for the probe's answer to ${message.kind}`;
    throwIfAborted(signal, step);
    if (this.#ended !== undefined) throw this.#failure(this.#ended);
    const { promise, resolve, reject } = Promise.withResolvers<ProbeReport>();
    const onAbort = () => this.#settle(id)?.reject(abortedError(step, signal?.reason));
    const cancel = startTimer(timeoutMs, () => {
      this.#settle(id)?.reject(this.#failure(`gave no answer to ${message.kind} within ${timeoutMs} ms`));
    });
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#pending.set(id, { resolve, reject });
    this.#input.write(`${JSON.stringify(message)}\n`);
    try {
      return await promise;
    } finally {
      cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Whatever is not understood may be the answer to any question. */
  #heard(line: string): void {
    try {
      this.#answered(parseAnswer(line));
    } catch (error) {
      for (const pending of this.#pending.values()) pending.reject(this.#failure(`said: ${errorText(error)}`));
      this.#pending.clear();
    }
  }

  #answered(answer: ProbeAnswer): void {
    const pending = this.#settle(answer.id);
    if (answer.kind === "done") pending?.resolve(answer.report);
    else pending?.reject(this.#failure(`refused: ${answer.message} (${answer.code})`));
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #failure(what: string): LifeboatError {
    const words = this.#lastWords.trim();
    return new LifeboatError("probe.process-failed", {
      message: `the probe process ${this.#process.pid} ${what}${words === "" ? "" : `; it last said: ${words}`}`,
      remedy: "Run it again; if it happens twice, report it with this text.",
    });
  }
}

type Pending = { resolve(report: ProbeReport): void; reject(cause: Error): void };

/** The options as they go over the pipe; the probe speaks no TLS. */
function started(options: ProbeOptions): Extract<ProbeRequest, { kind: "start" }>["probe"] {
  const { tls: _tls, ...connect } = options.connect;
  return { ...options, connect };
}

function present<T extends Readable | Writable>(stream: T | undefined): T {
  if (stream === undefined) throw new TypeError("the probe process was started without pipes");
  return stream;
}
