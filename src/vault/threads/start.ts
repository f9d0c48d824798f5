/**
 * The threads of this folder: a thread takes a tenth of a second of a core to start, so the same ones do one task after another.
 *
 * Nouns: a *task* is what is begun once and then asked again and again (main.ts).
 * Invariant: a thread answers the questions of all tasks in the order in which they were asked.
 */
import { assert } from "../../errors/error.ts";
import { Thread } from "../../platform/thread.ts";
import type { Task, ThreadMessage } from "./main.ts";

/** As many as the smallest machine has cores: whoever takes their work needs its share of them too. */
export const THREADS = 2;

/** The bundle has no types, the sources have. */
const PROGRAM = new URL(import.meta.url.endsWith(".ts") ? "./main.ts" : "./chunk-thread.js", import.meta.url);

/** A task that was begun. */
export type BegunTask<Question, Answer> = {
  /** Asks the thread that has this number. Rejects with the error that ended it. */
  readonly ask: (thread: number, question: Question) => Promise<Answer>;
  /** Asks the thread that has least to answer. Rejects as `ask`. */
  readonly askIdlest: (question: Question) => Promise<Answer>;
  /** The threads let go of what the task holds. No answer may be waited for. */
  readonly end: () => void;
};

/** Threads, started when they are first needed or sooner. Whoever makes them stops them. */
export class ChunkThreads {
  #threads: readonly Thread<ThreadMessage, unknown>[] = [];
  /** Questions that each thread has not answered yet. */
  readonly #open = Array.from({ length: THREADS }, () => 0);
  #taskCount = 0;

  /** Starts them; repeatable. */
  start(): void {
    if (this.#threads.length > 0) return;
    this.#threads = Array.from({ length: THREADS }, () => new Thread<ThreadMessage, unknown>(PROGRAM, undefined));
  }

  /** Begins a task in all of them. */
  begin<Question, Answer>(task: Task): BegunTask<Question, Answer> {
    this.start();
    const threads = this.#threads;
    this.#taskCount += 1;
    const number = this.#taskCount;
    const tell = (message: ThreadMessage): void => {
      // Why a thread ended is learned by whoever asks it.
      for (const thread of threads) thread.ask(message).catch(() => undefined);
    };
    tell({ kind: "begin", number, task });
    const open = this.#open;
    const ask = async (index: number, question: Question): Promise<Answer> => {
      const thread = threads[index];
      assert(thread !== undefined, "a thread has a number below THREADS");
      open[index] = (open[index] ?? 0) + 1;
      try {
        return (await thread.ask({ kind: "question", number, question })) as Answer;
      } finally {
        open[index] = (open[index] ?? 0) - 1;
      }
    };
    return {
      ask,
      askIdlest: (question) => ask(open.indexOf(Math.min(...open)), question),
      end: () => tell({ kind: "end", number }),
    };
  }

  /** Ends them; repeatable. */
  async stop(): Promise<void> {
    const threads = this.#threads;
    this.#threads = [];
    await Promise.all(threads.map((thread) => thread.stop()));
  }
}
