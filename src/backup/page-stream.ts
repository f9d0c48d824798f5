/**
 * Cuts files of pages into chunks and takes each page's fingerprint on the way.
 *
 * Invariants: a page lies in one chunk, whole; a chunk holds pages of several files one after another, so that a thousand
 * small files cost few chunks; a page of zeros is stored nowhere; every page has a fingerprint, stored or not; a page is
 * kept from the parent only when its fingerprint is the parent's and its LSN lies before the parent's start.
 */
import { assert } from "../errors/error.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { isEmptyPage, isNormalLsn, isPageBefore, type LsnBound, lsnBound } from "../postgres/page.ts";
import { crc32 } from "../vault/crc32.ts";
import { ZERO_CHUNK } from "../vault/manifest.ts";
import { CHUNK_BYTES } from "../vault/pack.ts";
import type { OpenChunk, PackWriter } from "../vault/pack-writer.ts";
import type { ByteStream } from "./byte-stream.ts";
import type { ParentImage, ParentPages } from "./parent-image.ts";

const ZERO_PAGE = Buffer.alloc(BLOCK_BYTES);
const ZERO_PAGE_CRC = crc32(ZERO_PAGE);
const LSN_BYTES = 8;
const CRC_BYTES = 4;

/** What the manifest keeps of one file of pages. */
export type StoredPages = { readonly extents: number[]; readonly fingerprints: number[] };

/** A page's LSN by halves, and its CRC-32. */
type Print = { readonly high: number; readonly low: number; readonly crc: number };

type KeepRule = { readonly image: ParentImage; readonly before: LsnBound; readonly walSegmentBytes: number };

/** One stream serves one backup; files come one after another. */
export class PageStream {
  readonly #packs: PackWriter;
  readonly #fingerprints: ByteStream;
  readonly #keep: KeepRule | undefined;
  /** A page that arrives in pieces. */
  readonly #partialPage = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #partial = 0;
  #chunk: OpenChunk | undefined;
  /** Bytes of the open chunk that are filled. */
  #whole = 0;
  #page = 0;
  #pageCount = 0;
  #prints: Buffer = Buffer.alloc(0);
  #extents: number[] = [];
  #parent: ParentPages | undefined;
  /** Where in the parent's extents the current page is looked for. */
  #cursor = 0;

  constructor(packs: PackWriter, fingerprints: ByteStream, parent?: ParentImage) {
    this.#packs = packs;
    this.#fingerprints = fingerprints;
    if (parent === undefined) return;
    this.#keep = { image: parent, before: lsnBound(parent.startLsn), walSegmentBytes: parent.end.walSegmentBytes };
  }

  /** Begins a file of `sizeBytes`, a multiple of the page size; `parent` is what the earlier backup has of it. */
  beginFile(sizeBytes: number, parent?: ParentPages): void {
    assert(sizeBytes % BLOCK_BYTES === 0, "a file of pages has whole pages");
    assert(this.#partial === 0, "the file before ended with a whole page");
    this.#page = 0;
    this.#pageCount = sizeBytes / BLOCK_BYTES;
    this.#prints = Buffer.allocUnsafe(this.#pageCount * (LSN_BYTES + CRC_BYTES));
    this.#extents = [];
    this.#parent = parent;
    this.#cursor = 0;
  }

  write(view: Buffer): void {
    let at = 0;
    if (this.#partial > 0) {
      at = view.copy(this.#partialPage, this.#partial, 0, BLOCK_BYTES - this.#partial);
      this.#partial += at;
      if (this.#partial < BLOCK_BYTES) return;
      this.#partial = 0;
      this.#takePage(this.#partialPage, 0);
    }
    for (; view.byteLength - at >= BLOCK_BYTES; at += BLOCK_BYTES) this.#takePage(view, at);
    this.#partial = view.copy(this.#partialPage, 0, at);
  }

  endFile(): StoredPages {
    assert(this.#page === this.#pageCount && this.#partial === 0, "a file of pages was written whole");
    return { extents: this.#extents, fingerprints: this.#storeFingerprints() };
  }

  /** Hands over what is left. */
  finish(): void {
    if (this.#whole > 0) this.#submit();
  }

  #takePage(source: Buffer, from: number): void {
    const page = source.subarray(from, from + BLOCK_BYTES);
    const print = { high: page.readUInt32LE(0), low: page.readUInt32LE(4), crc: crc32(page) };
    this.#prints.writeUInt32LE(print.high, this.#page * LSN_BYTES);
    this.#prints.writeUInt32LE(print.low, this.#page * LSN_BYTES + 4);
    this.#prints.writeUInt32LE(print.crc, this.#pageCount * LSN_BYTES + this.#page * CRC_BYTES);
    if (print.crc === ZERO_PAGE_CRC && page.equals(ZERO_PAGE)) this.#addExtent(ZERO_CHUNK, 0);
    else if (!this.#keepPage(page, print)) this.#storePage(page);
    this.#page += 1;
  }

  #storePage(page: Buffer): void {
    this.#chunk ??= this.#packs.open();
    page.copy(this.#chunk.buffer, this.#whole);
    this.#addExtent(this.#chunk.number, this.#whole / BLOCK_BYTES);
    this.#whole += BLOCK_BYTES;
    if (this.#whole === CHUNK_BYTES) this.#submit();
  }

  /** Names the parent's copy of the page, if it may be kept; rules A2, A4 and A7 are here. */
  #keepPage(page: Buffer, print: Print): boolean {
    const parent = this.#parent;
    const keep = this.#keep;
    if (parent === undefined || keep === undefined || this.#page >= parent.pageCount) return false;
    const prints = parent.fingerprints;
    if (prints.readUInt32LE(parent.pageCount * LSN_BYTES + this.#page * CRC_BYTES) !== print.crc) return false;
    if (prints.readUInt32LE(this.#page * LSN_BYTES) !== print.high) return false;
    if (prints.readUInt32LE(this.#page * LSN_BYTES + 4) !== print.low) return false;
    if (isEmptyPage(page, 0) || !isNormalLsn(page, 0, keep.walSegmentBytes)) return false;
    if (!isPageBefore(page, 0, keep.before)) return false;
    const { extents } = parent;
    while (this.#cursor < extents.length && this.#lastOf(extents) < this.#page) this.#cursor += 4;
    const first = extents[this.#cursor] ?? Number.MAX_SAFE_INTEGER;
    const chunk = extents[this.#cursor + 2] ?? ZERO_CHUNK;
    if (first > this.#page || chunk === ZERO_CHUNK || !keep.image.isWorthKeeping(chunk)) return false;
    const slot = (extents[this.#cursor + 3] ?? 0) + this.#page - first;
    this.#addExtent(keep.image.numberOf(chunk, this.#packs), slot);
    return true;
  }

  #lastOf(extents: Int32Array): number {
    return (extents[this.#cursor] ?? 0) + (extents[this.#cursor + 1] ?? 0) - 1;
  }

  #storeFingerprints(): number[] {
    if (this.#prints.byteLength === 0) return [];
    const parent = this.#parent;
    if (this.#keep !== undefined && parent?.fingerprints.equals(this.#prints) === true) {
      return this.#keep.image.renumberPieces(parent.fingerprintPieces, this.#packs);
    }
    return this.#fingerprints.append(this.#prints);
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
    assert(this.#chunk !== undefined, "there is a chunk to submit");
    this.#packs.submit(this.#chunk, this.#whole);
    this.#chunk = undefined;
    this.#whole = 0;
  }
}
