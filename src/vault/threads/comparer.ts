/**
 * Compares files with what a backup noted of them, here or in a thread.
 *
 * A page is the backup's when its LSN and the CRC-32 of all its bytes are those that the backup noted of it (safety rule A2);
 * any other file when it has the size and the keyed SHA-256 of the backup's.
 * Nouns: a *part* is some pages of a file, or a whole file of bytes; a *slot* holds fingerprints of parts, those of each as
 * in a manifest: all LSNs, then all CRC-32s. Where somebody wants them, it takes the pages that differ as well, those of all
 * parts one behind the other.
 */
import { createHmac, type KeyObject } from "node:crypto";
import type { LifeboatError } from "../../errors/error.ts";
import type { BlockingFile, FileFacts, Files } from "../../platform/files.ts";
import { BLOCK_BYTES } from "../../postgres/control-file.ts";
import { crc32 } from "../crc32.ts";

/** Bytes of a page's LSN and of its CRC-32 in a fingerprint. */
export const LSN_BYTES = 8;
export const CRC_BYTES = 4;

/** Read at a time: less than a core's own cache, so that it is still there when it is compared. */
const READ_BYTES = 256 * 1024;
const READ_PAGES = READ_BYTES / BLOCK_BYTES;

/** What is to be compared. */
export type FilePartWanted =
  | {
      readonly kind: "pages";
      readonly path: string;
      readonly firstPage: number;
      readonly pageCount: number;
      /** Where in the slot its fingerprints begin. */
      readonly at: number;
    }
  | { readonly kind: "bytes"; readonly path: string; readonly sizeBytes: number; readonly contentName: string };

/** What was found of a part. */
export type FilePartFound = {
  /** Undefined where there is no file that could stay: none, or one that has a second name. */
  readonly facts: FileFacts | undefined;
  /** Pages that were there to be compared. */
  readonly comparedPages: number;
  /** Of them, those that differ: flat runs of two, first page in the file and how many. */
  readonly differing: readonly number[];
  /** Whether a file of bytes is the backup's. */
  readonly same: boolean;
};

/** Some parts, and the slot that holds their fingerprints and takes their pages that differ. */
export type CompareBatch = { readonly slot: number; readonly parts: readonly FilePartWanted[] };

/** What was found of each part in turn; or what went wrong, in words that get through to the other thread. */
export type CompareAnswer =
  | { readonly kind: "found"; readonly found: readonly FilePartFound[] }
  | {
      readonly kind: "failed";
      readonly code: LifeboatError["code"];
      readonly message: string;
      readonly remedy: string;
    };

/** A slot; `differing` where pages that differ are wanted. */
export type CompareSlot<Memory> = { readonly fingerprints: Memory; readonly differing: Memory | undefined };

/** The same memory, to be looked at. */
export function slotOf({ fingerprints, differing }: CompareSlot<SharedArrayBuffer>): CompareSlot<Buffer> {
  return { fingerprints: Buffer.from(fingerprints), differing: differing && Buffer.from(differing) };
}

const NOTHING_FOUND: FilePartFound = { facts: undefined, comparedPages: 0, differing: [], same: false };

/** Compares batches one after another. */
export class Comparer {
  readonly #files: Pick<Files, "openBlocking">;
  readonly #slots: readonly CompareSlot<Buffer>[];
  readonly #key: KeyObject;
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  /** `key` is the one that content is named with. */
  constructor(files: Pick<Files, "openBlocking">, slots: readonly CompareSlot<Buffer>[], key: KeyObject) {
    this.#files = files;
    this.#slots = slots;
    this.#key = key;
  }

  /** Compares every part. Throws what reading throws. */
  compare({ slot, parts }: CompareBatch): readonly FilePartFound[] {
    const { fingerprints = Buffer.alloc(0), differing } = this.#slots[slot] ?? {};
    const taken = differing && new TakenPages(differing);
    return parts.map((part) => {
      const file = this.#files.openBlocking(part.path);
      if (file === undefined) return NOTHING_FOUND;
      try {
        // Whoever has the other name would find what is written here, by a restore or by the server that is started on it.
        if (file.facts.nameCount > 1) return NOTHING_FOUND;
        const found = { facts: file.facts, comparedPages: 0, differing: [], same: false };
        if (part.kind === "bytes") return { ...found, same: this.#isSame(file, part) };
        return { ...found, ...this.#comparePages(file, part, { fingerprints, taken }) };
      } finally {
        file.close();
      }
    });
  }

  #isSame(
    file: BlockingFile,
    { sizeBytes, contentName }: { readonly sizeBytes: number; readonly contentName: string },
  ) {
    if (file.facts.sizeBytes !== sizeBytes) return false;
    const hash = createHmac("sha256", this.#key);
    for (let at = 0; ; ) {
      const bytes = file.read(at, this.#buffer);
      hash.update(this.#buffer.subarray(0, bytes));
      at += bytes;
      if (bytes < READ_BYTES) return at === sizeBytes && hash.digest("hex") === contentName;
    }
  }

  #comparePages(
    file: BlockingFile,
    part: { readonly firstPage: number; readonly pageCount: number; readonly at: number },
    { fingerprints, taken }: { readonly fingerprints: Buffer; readonly taken: TakenPages | undefined },
  ): Pick<FilePartFound, "comparedPages" | "differing"> {
    const { firstPage, pageCount, at } = part;
    const lsns = fingerprints.subarray(at, at + pageCount * LSN_BYTES);
    const crcs = fingerprints.subarray(at + pageCount * LSN_BYTES, at + pageCount * (LSN_BYTES + CRC_BYTES));
    const differing: number[] = [];
    let page = 0;
    while (page < pageCount) {
      const wanted = Math.min(READ_PAGES, pageCount - page);
      const into = this.#buffer.subarray(0, wanted * BLOCK_BYTES);
      const pages = Math.floor(file.read((firstPage + page) * BLOCK_BYTES, into) / BLOCK_BYTES);
      for (let each = 0; each < pages; each += 1, page += 1) {
        const bytes = into.subarray(each * BLOCK_BYTES, (each + 1) * BLOCK_BYTES);
        const sameLsn = lsns.compare(bytes, 0, LSN_BYTES, page * LSN_BYTES, (page + 1) * LSN_BYTES) === 0;
        if (sameLsn && crcs.readUInt32LE(page * CRC_BYTES) === crc32(bytes)) continue;
        addRun(differing, firstPage + page, 1);
        taken?.add(bytes);
      }
      if (pages < wanted) break;
    }
    return { comparedPages: page, differing };
  }
}

/** The pages of a batch that differ, put one behind the other: read a second time, they would be sought among all others. */
class TakenPages {
  readonly #memory: Buffer;
  #filled = 0;

  constructor(memory: Buffer) {
    this.#memory = memory;
  }

  add(page: Buffer): void {
    this.#memory.set(page, this.#filled);
    this.#filled += page.byteLength;
  }
}

/** Adds pages to flat runs of two; those that follow the last run make it longer. */
export function addRun(runs: number[], page: number, count: number): void {
  const last = runs.length - 2;
  if (last >= 0 && (runs[last] ?? 0) + (runs[last + 1] ?? 0) === page) runs[last + 1] = (runs[last + 1] ?? 0) + count;
  else runs.push(page, count);
}
