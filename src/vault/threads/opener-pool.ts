/**
 * Opens batches beside the main thread, or in it where there are too few for a thread to be worth its start.
 *
 * Invariant: a slot belongs to one batch at a time, and always to the same thread.
 */
import type { Thread } from "../../platform/thread.ts";
import { type Opened, Opener, type SealedBatch, type Slot } from "./opener.ts";
import { startThreads, THREADS } from "./start.ts";

/** Of each thread: one batch is opened, one is fetched or waits to be taken. */
const SLOTS_PER_THREAD = 2;

/** One pool serves one restore. Close it. */
export class OpenerPool {
  readonly slots: readonly Slot[];
  readonly #threads: readonly Thread<SealedBatch, Opened>[];
  readonly #here: Opener;

  /** Slots have the given sizes; `beside` says whether threads are started. */
  constructor(sizes: { readonly inputBytes: number; readonly outputBytes: number }, beside: boolean) {
    const slots = Array.from({ length: THREADS * SLOTS_PER_THREAD }, () => ({
      input: new SharedArrayBuffer(sizes.inputBytes),
      output: new SharedArrayBuffer(sizes.outputBytes),
    }));
    this.slots = slots.map(({ input, output }) => ({ input: Buffer.from(input), output: Buffer.from(output) }));
    this.#here = new Opener(this.slots);
    this.#threads = beside ? startThreads<SealedBatch, Opened>({ kind: "open", slots }) : [];
  }

  /** Opens a batch whose input is filled. */
  async open(batch: SealedBatch): Promise<Opened> {
    const thread = this.#threads[batch.slot % THREADS];
    return thread === undefined ? this.#here.open(batch) : thread.ask(batch);
  }

  /** Ends the threads and frees what they hold. */
  async close(): Promise<void> {
    this.#here.close();
    await Promise.all(this.#threads.map((thread) => thread.stop()));
  }
}
