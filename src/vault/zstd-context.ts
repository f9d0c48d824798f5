/**
 * A zstd context that is kept and called at once, without a turn through the pool of threads.
 *
 * Node's one-shot functions make a context for every call, and its streams go through the pool for every write: for chunks of
 * 128 KiB either costs a fifth of the work itself. The streams' own handle can do better, and npm's archives are read by it
 * for years; but no manual describes it. So it is tried before it is used, and where it does not answer as it should there is
 * no context: whoever asks has the one-shot functions to fall back on, and asks them too before calling anything damaged.
 * Invariant: input and output are whole frames; after a failure the context is not used again.
 */
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync } from "node:zlib";

/** What a stream's handle can do, as far as it is used here. */
type Handle = {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void;
  onerror: (message: string) => void;
};

type Stream = { destroy(): unknown };

/** One context. Not for concurrent calls. */
export class ZstdContext {
  readonly #stream: Stream;
  readonly #handle: Handle;
  /** Room left in the output, bytes left of the input: written by the handle. */
  readonly #left: Uint32Array;
  readonly #flush: number;
  #failed = false;

  private constructor(stream: Stream, flush: number) {
    this.#stream = stream;
    this.#flush = flush;
    // Not in the stream's type; `tried` is what tells whether it is there.
    const inside = stream as unknown as { readonly _handle: Handle; readonly _writeState: Uint32Array };
    this.#handle = inside._handle;
    this.#left = inside._writeState;
    this.#handle.onerror = () => {
      this.#failed = true;
    };
  }

  /** A context that compresses with these parameters; undefined where this Node.js has none. */
  static compressor(params: Readonly<Record<number, number>>): ZstdContext | undefined {
    return tried(
      () => new ZstdContext(createZstdCompress({ params }), constants.ZSTD_e_end),
      (context) => {
        const frame = new Uint8Array(SAMPLE.byteLength + frameOverhead(SAMPLE.byteLength));
        const bytes = context.run(SAMPLE, frame) ?? 0;
        return bytes > 0 && bytes < SAMPLE.byteLength && ZstdContext.#undoes(frame.subarray(0, bytes));
      },
    );
  }

  /** A context that decompresses; undefined where this Node.js has none. */
  static decompressor(): ZstdContext | undefined {
    return tried(
      () => new ZstdContext(createZstdDecompress(), constants.ZSTD_e_continue),
      (context) => isSample(context, zstdCompressSync(SAMPLE)) && isSample(context, zstdCompressSync(SAMPLE)),
    );
  }

  static #undoes(frame: Uint8Array): boolean {
    const context = ZstdContext.decompressor();
    if (context === undefined) return false;
    try {
      return isSample(context, frame);
    } finally {
      context.close();
    }
  }

  /** One frame from one run of bytes, or the other way round: how many bytes it became; undefined when it did not all fit or failed. */
  run(input: Uint8Array, output: Uint8Array): number | undefined {
    if (this.#failed) return undefined;
    this.#handle.writeSync(this.#flush, input, 0, input.byteLength, output, 0, output.byteLength);
    const [room = 0, rest = 0] = this.#left;
    if (!this.#failed && rest === 0) return output.byteLength - room;
    this.#failed = true;
    return undefined;
  }

  /** Frees it. */
  close(): void {
    this.#failed = true;
    this.#stream.destroy();
  }
}

/** Bytes that a frame may be longer than what it holds. Source: ZSTD_compressBound of zstd's manual, rounded up. */
export function frameOverhead(plainBytes: number): number {
  return (plainBytes >> 8) + 512;
}

const SAMPLE = Buffer.from("a page, and a page, and another page\n".repeat(100));

function tried(make: () => ZstdContext, check: (context: ZstdContext) => boolean): ZstdContext | undefined {
  try {
    const context = make();
    if (check(context)) return context;
    context.close();
    return undefined;
  } catch {
    // Whatever is missing, the one-shot functions are there.
    return undefined;
  }
}

function isSample(context: ZstdContext, frame: Uint8Array): boolean {
  const plain = Buffer.alloc(SAMPLE.byteLength);
  return context.run(frame, plain) === SAMPLE.byteLength && plain.equals(SAMPLE);
}
