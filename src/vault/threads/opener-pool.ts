/**
 * Opens batches beside the main thread, or in it where there are too few for a thread to be worth its start.
 *
 * Invariant: a slot belongs to one batch at a time.
 */
import { type Opened, Opener, type SealedBatch, type Slot } from "./opener.ts";
import { type BegunTask, ChunkThreads, THREADS } from "./start.ts";

/**
 * Of each thread: one batch is opened, one waits for that, one is fetched or waits to be taken. Batches are taken in their order, and
 * one may take twice as long as the next.
 */
const SLOTS_PER_THREAD = 3;

/** One pool serves one fetcher. Close it. */
export class OpenerPool {
  readonly slots: readonly Slot[];
  readonly #memory: readonly SlotMemory[];
  readonly #here: Opener;
  readonly #threads: ChunkThreads;
  readonly #ownsThreads: boolean;
  #task: BegunTask<SealedBatch, Opened> | undefined;

  /** Slots have the given sizes. Without threads to share it has its own. */
  constructor(sizes: { readonly inputBytes: number; readonly outputBytes: number }, threads?: ChunkThreads) {
    this.#threads = threads ?? new ChunkThreads();
    this.#ownsThreads = threads === undefined;
    this.#memory = Array.from({ length: THREADS * SLOTS_PER_THREAD }, () => new SlotMemory(sizes));
    this.slots = this.#memory;
    this.#here = new Opener(this.slots);
  }

  /** From here on batches are opened by threads; repeatable. */
  startThreads(): void {
    this.#task ??= this.#threads.begin({ kind: "open", slots: this.#memory.map((slot) => slot.shared()) });
  }

  /** Opens a batch whose input is filled. */
  async open(batch: SealedBatch): Promise<Opened> {
    return this.#task === undefined ? this.#here.open(batch) : this.#task.askIdlest(batch);
  }

  /** Frees what it holds, and ends the threads that are its own. */
  async close(): Promise<void> {
    this.#here.close();
    this.#task?.end();
    if (this.#ownsThreads) await this.#threads.stop();
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
