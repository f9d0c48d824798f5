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

/** One pool serves one fetcher. Close it. */
export class OpenerPool {
  readonly slots: readonly Slot[];
  readonly #memory: readonly SlotMemory[];
  readonly #here: Opener;
  #threads: readonly Thread<SealedBatch, Opened>[] = [];

  /** Slots have the given sizes. */
  constructor(sizes: { readonly inputBytes: number; readonly outputBytes: number }) {
    this.#memory = Array.from({ length: THREADS * SLOTS_PER_THREAD }, () => new SlotMemory(sizes));
    this.slots = this.#memory;
    this.#here = new Opener(this.slots);
  }

  /** From here on batches are opened by threads; repeatable. */
  startThreads(): void {
    if (this.#threads.length === 0)
      this.#threads = startThreads({ kind: "open", slots: this.#memory.map((slot) => slot.shared()) });
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

/** A slot whose memory is there from its first use: who fetches little uses one of all, and the others cost as much to get. */
class SlotMemory implements Slot {
  readonly #sizes: { readonly inputBytes: number; readonly outputBytes: number };
  #shared: { readonly input: SharedArrayBuffer; readonly output: SharedArrayBuffer } | undefined;
  #input: Buffer | undefined;
  #output: Buffer | undefined;

  constructor(sizes: { readonly inputBytes: number; readonly outputBytes: number }) {
    this.#sizes = sizes;
  }

  get input(): Buffer {
    this.#input ??= Buffer.from(this.shared().input);
    return this.#input;
  }

  get output(): Buffer {
    this.#output ??= Buffer.from(this.shared().output);
    return this.#output;
  }

  /** What a thread is given. */
  shared(): { readonly input: SharedArrayBuffer; readonly output: SharedArrayBuffer } {
    const { inputBytes, outputBytes } = this.#sizes;
    this.#shared ??= { input: new SharedArrayBuffer(inputBytes), output: new SharedArrayBuffer(outputBytes) };
    return this.#shared;
  }
}
