/**
 * Reads the fingerprints of a backup's pages, file by file.
 *
 * Invariant: a bounded number of chunks is held, however many files are asked for.
 */
import type { ChunkTable } from "./manifest.ts";
import { fetchChunks } from "./pack-reader.ts";
import type { Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Opened chunks that are held: neighbours in the manifest share them. */
const CHUNKS_HELD = 32;

/** Reads from the chunks of one manifest. */
export class FingerprintReader {
  readonly #vault: Vault;
  readonly #chunks: ChunkTable;
  readonly #held = new Map<number, Promise<Buffer>>();

  constructor(vault: Vault, chunks: ChunkTable) {
    this.#vault = vault;
    this.#chunks = chunks;
  }

  /** What the pieces of a file of pages name: all LSNs, then all CRC-32s. Throws what fetching throws. */
  async read(pieces: ArrayLike<number>, options: CallOptions): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; at < pieces.length; at += 3) {
      const [chunk = 0, from = 0, length = 0] = [pieces[at], pieces[at + 1], pieces[at + 2]];
      parts.push((await this.#open(chunk, options)).subarray(from, from + length));
    }
    return Buffer.concat(parts);
  }

  #open(chunk: number, options: CallOptions): Promise<Buffer> {
    const held = this.#held.get(chunk);
    if (held !== undefined) return held;
    const opened = this.#fetch(chunk, options);
    opened.catch(() => undefined);
    this.#held.set(chunk, opened);
    const oldest = this.#held.keys().next().value;
    if (this.#held.size > CHUNKS_HELD && oldest !== undefined) this.#held.delete(oldest);
    return opened;
  }

  async #fetch(chunk: number, options: CallOptions): Promise<Buffer> {
    const pack = this.#chunks.packs[this.#chunks.packOf[chunk] ?? 0];
    if (pack === undefined) return Buffer.alloc(0);
    const wanted = { table: this.#chunks, pack, numbers: [chunk] };
    for await (const fetched of fetchChunks(this.#vault, wanted, options)) return await fetched.plain;
    return Buffer.alloc(0);
  }
}
