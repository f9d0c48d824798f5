/**
 * Compresses chunks beside the main thread; the first ones in it, since most backups of a test are over before a thread
 * has started.
 *
 * Nouns: a *place* is memory for one chunk that the threads see too; a *batch* is some chunks that one thread compresses in
 * one go, since a message costs as much as a tenth of a chunk.
 * Invariants: a place belongs to one chunk from `take` to `giveBack`; an output belongs to one batch until its frames were
 * released; batches begin in the order they were given.
 */
import { CODEC, type CompressionChoice, type Packed } from "../codec.ts";
import { CHUNK_BYTES } from "../pack.ts";
import { type FrameLengths, OUTPUT_STRIDE, Packer, type PlainBatch } from "./packer.ts";
import { type BegunTask, ChunkThreads, THREADS } from "./start.ts";

/** Chunks of a batch: one MiB. */
export const BATCH_CHUNKS = 16;
/** Of each thread: one batch is compressed, one waits to be compressed or sealed. */
const OUTPUTS_PER_THREAD = 2;
/** More than are ever under way, but for a file of bytes that comes to many chunks at once. Not memory before they are used. */
const PLACES = 256;
/** Chunks that are compressed before threads are started: 8 MiB. */
const CHUNKS_HERE = 128;

/** A chunk's memory and how much of it is filled. */
export type PlainChunk = { readonly buffer: Buffer; readonly plainBytes: number };

/** A batch's chunks as they will be sealed. The bytes hold until `release`. */
export type PackedBatch = { readonly packed: readonly Packed[]; readonly release: () => void };

/** One pool serves one backup. Close it. */
export class PackerPool {
  readonly #choice: CompressionChoice;
  readonly #plain = new SharedArrayBuffer(PLACES * CHUNK_BYTES);
  readonly #outputs: readonly SharedArrayBuffer[];
  readonly #views: readonly Buffer[];
  readonly #here: Packer;
  readonly #free: Buffer[];
  readonly #idle: number[];
  readonly #waiting: ((output: number) => void)[] = [];
  readonly #threads = new ChunkThreads();
  #task: BegunTask<PlainBatch, FrameLengths> | undefined;
  #chunkCount = 0;

  constructor(choice: CompressionChoice) {
    this.#choice = choice;
    const outputs = Array.from({ length: THREADS * OUTPUTS_PER_THREAD }, () => BATCH_CHUNKS * OUTPUT_STRIDE);
    this.#outputs = outputs.map((bytes) => new SharedArrayBuffer(bytes));
    this.#views = this.#outputs.map((output) => Buffer.from(output));
    this.#idle = [...this.#outputs.keys()];
    this.#free = Array.from({ length: PLACES }, (_, index) =>
      Buffer.from(this.#plain, index * CHUNK_BYTES, CHUNK_BYTES),
    );
    this.#here = new Packer(choice, { plain: Buffer.from(this.#plain), outputs: this.#views });
  }

  /** Memory for a chunk. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }

  /** Takes a chunk's memory back: nobody may look at it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#isPlace(buffer)) this.#free.push(buffer);
  }

  /** Compresses at most BATCH_CHUNKS chunks, whose memory must not change until the promise settles. */
  async pack(chunks: readonly PlainChunk[]): Promise<PackedBatch> {
    const output = this.#idle.pop() ?? (await this.#nextIdle());
    const lengths = await this.#lengths(chunks, output);
    const view = this.#views[output] ?? Buffer.alloc(0);
    const packed = chunks.map(({ buffer, plainBytes }, index): Packed => {
      const length = lengths[index] ?? 0;
      if (length === 0) return { codec: CODEC.raw, bytes: buffer.subarray(0, plainBytes) };
      return { codec: CODEC.zstd, bytes: view.subarray(index * OUTPUT_STRIDE, index * OUTPUT_STRIDE + length) };
    });
    return { packed, release: () => this.#release(output) };
  }

  /** Ends the threads and frees what they hold. Batches under way are lost. */
  async close(): Promise<void> {
    this.#here.close();
    await this.#threads.stop();
  }

  async #lengths(chunks: readonly PlainChunk[], output: number): Promise<FrameLengths> {
    this.#chunkCount += chunks.length;
    const shared = chunks.every(({ buffer }) => this.#isPlace(buffer));
    if (!shared) return this.#packElsewhere(chunks, output);
    const batch = { output, chunks: chunks.map(({ buffer, plainBytes }) => ({ at: buffer.byteOffset, plainBytes })) };
    if (this.#chunkCount <= CHUNKS_HERE) return this.#here.pack(batch);
    const memory = { plain: this.#plain, outputs: this.#outputs };
    this.#task ??= this.#threads.begin({ kind: "pack", choice: this.#choice, ...memory });
    return this.#task.ask(output % THREADS, batch);
  }

  /** Chunks that got no place: by a packer that sees their memory. */
  #packElsewhere(chunks: readonly PlainChunk[], output: number): FrameLengths {
    return chunks.map(({ buffer, plainBytes }, index) => {
      const into = (this.#views[output] ?? Buffer.alloc(0)).subarray(
        index * OUTPUT_STRIDE,
        (index + 1) * OUTPUT_STRIDE,
      );
      const packer = new Packer(this.#choice, { plain: buffer, outputs: [into] });
      const [length = 0] = packer.pack({ output: 0, chunks: [{ at: 0, plainBytes }] });
      packer.close();
      return length;
    });
  }

  #isPlace(buffer: Buffer): boolean {
    return buffer.buffer === this.#plain;
  }

  #nextIdle(): Promise<number> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(output: number): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(output);
    else next(output);
  }
}
