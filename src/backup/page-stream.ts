/**
 * Cuts files of pages into chunks and takes each page's fingerprint on the way.
 *
 * Invariants: a page lies in one chunk, whole; a chunk holds pages of several files one after another, so that a thousand
 * small files cost few chunks; a page of zeros is stored nowhere; every page has a fingerprint, stored or not.
 */
import { crc32 } from "node:zlib";
import { assert } from "../errors/error.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { ZERO_CHUNK } from "../vault/manifest.ts";
import { CHUNK_BYTES_MAX } from "../vault/pack.ts";
import type { OpenChunk, PackWriter } from "../vault/pack-writer.ts";
import type { ByteStream } from "./byte-stream.ts";

const ZERO_PAGE = Buffer.alloc(BLOCK_BYTES);
const ZERO_PAGE_CRC = crc32(ZERO_PAGE);
const LSN_BYTES = 8;
const CRC_BYTES = 4;

/** What the manifest keeps of one file of pages. */
export type StoredPages = { readonly extents: readonly number[]; readonly fingerprints: readonly number[] };

/** One stream serves one backup; files come one after another. */
export class PageStream {
  readonly #packs: PackWriter;
  readonly #fingerprints: ByteStream;
  #chunk: OpenChunk | undefined;
  /** Bytes of the open chunk that hold whole pages, and bytes of the page being filled. */
  #whole = 0;
  #partial = 0;
  #page = 0;
  #pageCount = 0;
  #prints: Buffer = Buffer.alloc(0);
  #extents: number[] = [];

  constructor(packs: PackWriter, fingerprints: ByteStream) {
    this.#packs = packs;
    this.#fingerprints = fingerprints;
  }

  /** Begins a file of `sizeBytes`, a multiple of the page size. */
  beginFile(sizeBytes: number): void {
    assert(sizeBytes % BLOCK_BYTES === 0, "a file of pages has whole pages");
    assert(this.#partial === 0, "the file before ended with a whole page");
    this.#page = 0;
    this.#pageCount = sizeBytes / BLOCK_BYTES;
    this.#prints = Buffer.allocUnsafe(this.#pageCount * (LSN_BYTES + CRC_BYTES));
    this.#extents = [];
  }

  write(view: Buffer): void {
    let at = 0;
    while (at < view.byteLength) {
      const chunk = this.#openChunk();
      const fill = this.#whole + this.#partial;
      const length = Math.min(CHUNK_BYTES_MAX - fill, view.byteLength - at);
      view.copy(chunk.buffer, fill, at, at + length);
      at += length;
      this.#partial += length;
      while (this.#partial >= BLOCK_BYTES) this.#completePage(chunk);
      if (this.#whole === CHUNK_BYTES_MAX) this.#submit();
    }
  }

  endFile(): StoredPages {
    assert(this.#page === this.#pageCount && this.#partial === 0, "a file of pages was written whole");
    const fingerprints = this.#prints.byteLength === 0 ? [] : this.#fingerprints.append(this.#prints);
    return { extents: this.#extents, fingerprints };
  }

  /** Hands over what is left. */
  finish(): void {
    if (this.#whole > 0) this.#submit();
  }

  #openChunk(): OpenChunk {
    this.#chunk ??= this.#packs.open();
    return this.#chunk;
  }

  #completePage(chunk: OpenChunk): void {
    const from = this.#whole;
    const page = chunk.buffer.subarray(from, from + BLOCK_BYTES);
    const crc = crc32(page);
    page.copy(this.#prints, this.#page * LSN_BYTES, 0, LSN_BYTES);
    this.#prints.writeUInt32LE(crc, this.#pageCount * LSN_BYTES + this.#page * CRC_BYTES);
    this.#partial -= BLOCK_BYTES;
    if (crc === ZERO_PAGE_CRC && page.equals(ZERO_PAGE)) {
      this.#addExtent(ZERO_CHUNK, 0);
      // The bytes that follow in the buffer belong to the next page: close the gap.
      chunk.buffer.copy(chunk.buffer, from, from + BLOCK_BYTES, from + BLOCK_BYTES + this.#partial);
    } else {
      this.#addExtent(chunk.number, from / BLOCK_BYTES);
      this.#whole += BLOCK_BYTES;
    }
    this.#page += 1;
  }

  #addExtent(chunk: number, slot: number): void {
    const extents = this.#extents;
    const last = extents.length - 4;
    const pages = extents[last + 1] ?? 0;
    const follows = chunk === ZERO_CHUNK || (extents[last + 3] ?? 0) + pages === slot;
    if (last >= 0 && extents[last + 2] === chunk && follows) extents[last + 1] = pages + 1;
    else extents.push(this.#page, 1, chunk, slot);
  }

  #submit(): void {
    assert(this.#chunk !== undefined && this.#partial === 0, "a chunk of whole pages is submitted");
    this.#packs.submit(this.#chunk, this.#whole);
    this.#chunk = undefined;
    this.#whole = 0;
  }
}
