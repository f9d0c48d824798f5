/**
 * Starts the client process and speaks with it.
 *
 * Invariants: a request gets its answer, or an error when the process ends or falls silent first; ending us ends the
 * process, because its standard input closes.
 */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { LifeboatError } from "../../errors/error.ts";
import { abortedError, throwIfAborted } from "../../platform/clock.ts";
import type { Processes, RunningProcess } from "../../platform/processes.ts";
import { startTimer } from "../../platform/timer.ts";
import type { Address, ClientOptions } from "./client.ts";
import type { ClientReport } from "./measurements.ts";
import { type ClientAnswer, type ClientRequest, parseAnswer } from "./protocol.ts";

/** How to start the client. */
export type ClientProcessRequest = {
  /** The Node program and the client's entry: src/demo/client/main.ts, or what it was bundled to. */
  readonly node: string;
  readonly entry: string;
  readonly client: ClientOptions;
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

/** The client in its own process. */
export class ClientProcess {
  readonly #process: RunningProcess;
  readonly #input: Writable;
  readonly #options: ClientOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #lastWords = "";
  #ended: string | undefined;

  private constructor(process: RunningProcess, options: ClientOptions) {
    this.#process = process;
    this.#options = options;
    this.#input = present(process.stdin);
    // A process that is gone does not read; its end is told by `exited`.
    this.#input.on("error", () => undefined);
    createInterface({ input: present(process.stdout) }).on("line", (line) => this.#answered(parseAnswer(line)));
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
   * Starts the process and in it the client; resolves when it writes. The server need not be there. Rejects with
   * `demo.client-failed` when the process does not come up or refuses, for example because the ledger exists.
   */
  static async start(processes: Processes, request: ClientProcessRequest): Promise<ClientProcess> {
    throwIfAborted(request.signal, "starting the client");
    const process = await processes.start({
      command: request.node,
      args: [request.entry],
      output: { kind: "pipe" },
      input: "pipe",
      detached: false,
    });
    const client = new ClientProcess(process, request.client);
    try {
      const { ledgerFile, client: options } = request;
      await client.#call((id) => ({ kind: "start", id, ledgerFile, client: started(options) }), request);
      return client;
    } catch (error) {
      await client.kill();
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What the client has seen so far. */
  status(limits: CallLimits): Promise<ClientReport> {
    return this.#call((id) => ({ kind: "status", id }), limits);
  }

  /** Begins a new window of observation; the report is the first of it. */
  mark(limits: CallLimits): Promise<ClientReport> {
    return this.#call((id) => ({ kind: "mark", id }), limits);
  }

  /** Lets the client write to another server from now on. */
  reconnectTo(address: Address, limits: CallLimits): Promise<ClientReport> {
    return this.#call((id) => ({ kind: "reconnect", id, ...address }), limits);
  }

  /** Ends the arrivals, waits for the outcome of every write and for the end of the process; the last report. */
  async stop({ signal }: CallLimits): Promise<ClientReport> {
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
    request: (id: number) => ClientRequest,
    { signal, timeoutMs = ANSWER_TIMEOUT_MS }: CallLimits & { readonly timeoutMs?: number },
  ): Promise<ClientReport> {
    const id = ++this.#lastId;
    const message = request(id);
    const step = `waiting for the client's answer to ${message.kind}`;
    throwIfAborted(signal, step);
    if (this.#ended !== undefined) throw this.#failure(this.#ended);
    const { promise, resolve, reject } = Promise.withResolvers<ClientReport>();
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

  #answered(answer: ClientAnswer): void {
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
    return new LifeboatError("demo.client-failed", {
      message: `the client process ${this.#process.pid} ${what}${words === "" ? "" : `; it last said: ${words}`}`,
      remedy: "Run the demo again; if it happens twice, report it with this text.",
    });
  }
}

type Pending = { resolve(report: ClientReport): void; reject(cause: Error): void };

/** The options as they go over the pipe; the client speaks no TLS. */
function started(options: ClientOptions): Extract<ClientRequest, { kind: "start" }>["client"] {
  const { tls: _tls, ...connect } = options.connect;
  return { ...options, connect };
}

function present<T extends Readable | Writable>(stream: T | undefined): T {
  if (stream === undefined) throw new TypeError("the client process was started without pipes");
  return stream;
}
