/**
 * Threads of this process.
 *
 * Nouns: a *thread* runs a program of its own beside everything else here; it answers every message it is sent with one
 * message, in their order. Memory that both sides see is given to it at its start.
 * Invariants: whoever waits for an answer gets it, or the error that ended the thread; a thread that nobody waits for keeps
 * no process alive; a stopped thread runs no more, whatever it was doing.
 */
import { parentPort, Worker, workerData } from "node:worker_threads";
import { assert } from "../errors/error.ts";

/**
 * A thread's own heap, in MiB. What it works on is shared memory; left to the limits of the main thread, it would keep as much
 * garbage as that.
 */
const HEAP = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 };

type Waiting<Answer> = { readonly resolve: (answer: Answer) => void; readonly reject: (cause: unknown) => void };

/** A running thread. Its program and its user agree on the types. */
export class Thread<Question, Answer> {
  readonly #worker: Worker;
  readonly #waiting: Waiting<Answer>[] = [];
  #ended: { readonly cause: unknown } | undefined;
  #stopping = false;

  /** Starts `program`, which calls `answerQuestions`; `given` is what that hands to it. */
  constructor(program: URL, given: unknown) {
    this.#worker = new Worker(program, { workerData: given, resourceLimits: HEAP });
    this.#worker.unref();
    this.#worker.on("message", (answer: Answer) => {
      this.#waiting.shift()?.resolve(answer);
      // Who waits for its end must get that, even when nothing else is left to do.
      if (this.#waiting.length === 0 && !this.#stopping) this.#worker.unref();
    });
    this.#worker.on("error", (cause) => this.#end(cause));
    this.#worker.on("exit", (status) => this.#end(new Error(`a thread ended with status ${status}`)));
  }

  /** Sends a message and waits for its answer. Rejects with the error that ended the thread. */
  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended.cause);
      this.#waiting.push({ resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage(question);
    });
  }

  /** Ends the thread; repeatable. Answers that are waited for reject. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#worker.terminate();
  }

  #end(cause: unknown): void {
    this.#ended ??= { cause };
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended.cause);
  }
}

/** What a thread's program does: makes its answers from what it was given at its start. An answer that throws ends the thread. */
export function answerQuestions<Given, Question, Answer>(
  begin: (given: Given) => (question: Question) => Answer,
): void {
  const port = parentPort;
  assert(port !== null, "a thread's program runs in a thread");
  const answer = begin(workerData as Given);
  port.on("message", (question: Question) => port.postMessage(answer(question)));
}
