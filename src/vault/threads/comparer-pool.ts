/**
 * Compares files beside the main thread; a small folder in it, since a thread takes as long to start as that to compare.
 *
 * Invariants: a slot belongs to one batch at a time, and always to the same thread; threads read the machine's own files,
 * which are what is given but for a test of a few of them.
 */
import type { KeyObject } from "node:crypto";
import { LifeboatError } from "../../errors/error.ts";
import type { Files } from "../../platform/files.ts";
import { BLOCK_BYTES } from "../../postgres/control-file.ts";
import {
  type CompareAnswer,
  type CompareBatch,
  Comparer,
  type CompareSlot,
  CRC_BYTES,
  type FilePartFound,
  type FilePartWanted,
  LSN_BYTES,
  slotOf,
} from "./comparer.ts";
import { type BegunTask, ChunkThreads, THREADS } from "./start.ts";

/** Pages of a batch: 8 MiB, the work of a hundredth of a second. */
export const BATCH_PAGES = 1024;
/** Parts of a batch, however small: a message costs as much as a few small files. */
export const BATCH_PARTS = 64;
/** Of each thread: one batch is compared, one waits. */
const SLOTS_PER_THREAD = 2;
/** Bytes that are compared before threads are started. */
const BYTES_HERE = 32 * 1024 * 1024;

/** How a pool works. */
export type ComparerPoolOptions = {
  /** Whether the pages that differ are wanted, too. */
  readonly takesPages?: boolean;
  readonly bytesHere?: number;
  /** Undefined: the pool has its own. */
  readonly threads?: ChunkThreads | undefined;
};

/** One pool serves one comparison of folders. Close it. */
export class ComparerPool {
  /** Memory for the fingerprints of a batch, and for the pages that differ. */
  readonly slots: readonly CompareSlot<Buffer>[];
  readonly #memory: readonly CompareSlot<SharedArrayBuffer>[];
  readonly #key: KeyObject;
  readonly #here: Comparer;
  readonly #bytesHere: number;
  readonly #threads: ChunkThreads;
  readonly #ownsThreads: boolean;
  #task: BegunTask<CompareBatch, CompareAnswer> | undefined;
  #bytes = 0;

  constructor(files: Pick<Files, "openBlocking">, key: KeyObject, options: ComparerPoolOptions = {}) {
    const { takesPages = false, bytesHere = BYTES_HERE, threads } = options;
    this.#threads = threads ?? new ChunkThreads();
    this.#ownsThreads = threads === undefined;
    this.#memory = Array.from({ length: THREADS * SLOTS_PER_THREAD }, () => ({
      fingerprints: new SharedArrayBuffer(BATCH_PAGES * (LSN_BYTES + CRC_BYTES)),
      differing: takesPages ? new SharedArrayBuffer(BATCH_PAGES * BLOCK_BYTES) : undefined,
    }));
    this.slots = this.#memory.map(slotOf);
    this.#key = key;
    this.#here = new Comparer(files, this.slots, key);
    this.#bytesHere = bytesHere;
  }

  /** Says that about so many bytes will be compared: threads that are worth it start now. */
  expect(bytes: number): void {
    if (bytes > this.#bytesHere) this.#begin();
  }

  /** Compares a batch whose slot is filled. Throws what reading throws. */
  async compare(batch: CompareBatch): Promise<readonly FilePartFound[]> {
    for (const part of batch.parts) this.#bytes += bytesOf(part);
    if (this.#task === undefined && this.#bytes <= this.#bytesHere) return this.#here.compare(batch);
    const answer = await this.#begin().ask(batch.slot % THREADS, batch);
    if (answer.kind === "found") return answer.found;
    throw new LifeboatError(answer.code, { message: answer.message, remedy: answer.remedy });
  }

  /** Ends the threads that are its own. */
  async close(): Promise<void> {
    this.#task?.end();
    if (this.#ownsThreads) await this.#threads.stop();
  }

  #begin(): BegunTask<CompareBatch, CompareAnswer> {
    this.#task ??= this.#threads.begin({ kind: "compare", slots: this.#memory, key: this.#key });
    return this.#task;
  }
}

/** What is to be read for a part. */
export function bytesOf(part: FilePartWanted): number {
  return part.kind === "pages" ? part.pageCount * BLOCK_BYTES : part.sizeBytes;
}
