/**
 * The earlier backup that a new one keeps pages of.
 *
 * Nouns: a chunk of the parent is *worth keeping* while enough of it, and of its pack, is still in use; what is not is
 * stored again, which the stream carries anyway, so that neither restores nor the vault drag dead pages along for ever.
 * Invariants: what is kept is named in the new manifest by chunk and place; the parent itself is never needed again. Damage that is
 * found while it serves is noted and not thrown: the server's stream goes on, and whoever stores the image begins anew without it.
 */
import { assert, type LifeboatError } from "../errors/error.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { type Lsn, parseLsn } from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { FingerprintReader } from "../vault/fingerprints.ts";
import { objectDamaged } from "../vault/header.ts";
import { type ChunkTable, type ManifestEnd, type ManifestHeader, readManifest, ZERO_CHUNK } from "../vault/manifest.ts";
import { backupName } from "../vault/names.ts";
import type { PackFacts } from "../vault/pack.ts";
import { placeOf } from "../vault/pack-reader.ts";
import type { PackWriter, StoredPack } from "../vault/pack-writer.ts";
import { tellsLoss } from "../vault/unopened.ts";
import type { Vault } from "../vault/vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A file of pages as the parent has it. */
export type ParentPages = {
  readonly pageCount: number;
  /** As in the manifest, in order of pages. */
  readonly extents: Int32Array;
  /** All LSNs, then all CRC-32s. */
  readonly fingerprints: Buffer;
  readonly fingerprintPieces: Int32Array;
};

/** A chunk with fewer live pages than this share of it is stored again: a restore decompresses it whole. */
const CHUNK_LIVE_MIN = 0.375;
/**
 * The same for packs, spread so that evenly updated packs are not all rewritten by one backup. Below what chunks have, or it
 * would store again what chunks alone do later and at once: a fifth more of each backup (docs/measurements.md).
 */
const PACK_LIVE_MIN = { lowest: 0.15, spread: 0.2 };

/** LSN and CRC-32 of one page. */
const FINGERPRINT_BYTES = 12;

type PagesEntry = Omit<ParentPages, "fingerprints">;

/** Open for one backup. */
export class ParentImage {
  readonly record: BackupRecord;
  readonly header: ManifestHeader;
  readonly end: ManifestEnd;
  readonly startLsn: Lsn;
  readonly #fingerprints: FingerprintReader;
  readonly #chunks: ChunkTable;
  readonly #pages: ReadonlyMap<string, PagesEntry>;
  readonly #content: ReadonlyMap<string, Int32Array>;
  readonly #worth: Uint8Array;
  /** By chunk: its number in the new manifest, or UNUSED. A map ends at 16 million entries, a terabyte of chunks. */
  readonly #numbers: Int32Array;
  #damage: LifeboatError | undefined;

  private constructor(vault: Vault, record: BackupRecord, read: ReadParent) {
    this.#fingerprints = new FingerprintReader(vault, read.chunks);
    this.record = record;
    this.header = read.header;
    this.end = read.end;
    this.startLsn = parseLsn(read.header.startLsn);
    this.#chunks = read.chunks;
    this.#numbers = new Int32Array(read.chunks.packOf.length).fill(UNUSED);
    this.#pages = read.pages;
    this.#content = read.content;
    this.#worth = worthKeeping(read.chunks, read.pages);
  }

  /** Reads the parent's manifest. Throws what reading it throws. */
  static async open(vault: Vault, record: BackupRecord, options: CallOptions): Promise<ParentImage> {
    const pages = new Map<string, PagesEntry>();
    const content = new Map<string, Int32Array>();
    const { header, end, chunks } = await readManifest(
      vault,
      record,
      {
        onFile: (file) => {
          if (file.kind === "pages") {
            pages.set(file.path, {
              pageCount: file.sizeBytes / BLOCK_BYTES,
              extents: Int32Array.from(file.extents),
              fingerprintPieces: Int32Array.from(file.fingerprints),
            });
          } else if (file.kind === "bytes") content.set(file.contentName, Int32Array.from(file.pieces));
        },
      },
      options,
    );
    return new ParentImage(vault, record, { header, end, chunks, pages, content });
  }

  /** The packs that its manifest names. */
  get packs(): readonly PackFacts[] {
    return this.#chunks.packs;
  }

  /** What was found missing or damaged of the parent while it served. */
  get damage(): LifeboatError | undefined {
    return this.#damage;
  }

  /** Does what reads of the parent; undefined when that is damaged, which is noted. Throws all else. */
  async noting<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!tellsLoss(error)) throw error;
      this.#damage ??= error;
      return undefined;
    }
  }

  /** The parent's pages of a file; undefined when it had none under this path, or they cannot be read. */
  async file(path: string, options: CallOptions): Promise<ParentPages | undefined> {
    const entry = this.#pages.get(path);
    if (entry === undefined || this.#damage !== undefined) return undefined;
    return this.noting(async () => {
      const fingerprints = await this.#fingerprints.read(entry.fingerprintPieces, options);
      if (fingerprints.byteLength === entry.pageCount * FINGERPRINT_BYTES) return { ...entry, fingerprints };
      throw objectDamaged(backupName(this.record, "manifest"), `the fingerprints of ${path} lie outside of its chunks`);
    });
  }

  /** Where the parent has bytes of this content; undefined when it has none. */
  content(contentName: string): Int32Array | undefined {
    return this.#content.get(contentName);
  }

  /** Whether pages of a chunk may be kept. */
  isWorthKeeping(chunk: number): boolean {
    return this.#worth[chunk] === 1;
  }

  /** The number that a chunk of the parent has in the new manifest. */
  numberOf(chunk: number, packs: Pick<PackWriter, "reserveNumber">): number {
    const known = this.#numbers[chunk];
    assert(known !== undefined, `chunk ${chunk} is one of the parent's`);
    if (known !== UNUSED) return known;
    const number = packs.reserveNumber();
    this.#numbers[chunk] = number;
    return number;
  }

  /** Flat runs of three with the chunk's number replaced by the one in the new manifest. */
  renumberPieces(pieces: Int32Array, packs: PackWriter): number[] {
    return [...pieces].map((value, index) => (index % 3 === 0 ? this.numberOf(value, packs) : value));
  }

  /** The packs that were kept, and each with the chunks of it that were: one at a time, for there may be millions of chunks. */
  keptChunks(): { readonly packs: readonly PackFacts[]; readonly stored: () => Generator<StoredPack> } {
    const { packs, packOf } = this.#chunks;
    const { order, starts } = byPack(this.#numbers, packOf, packs.length);
    const kept = packs.flatMap((facts, pack) => (starts[pack] === starts[pack + 1] ? [] : [{ facts, pack }]));
    const numbers = this.#numbers;
    const chunks = this.#chunks;
    return {
      packs: kept.map(({ facts }) => facts),
      *stored() {
        for (const { facts, pack } of kept) {
          const own = [...order.subarray(starts[pack], starts[pack + 1])];
          const places = own.map((chunk) => placeOf(chunks, chunk));
          yield { facts, numbers: own.map((chunk) => numbers[chunk] ?? 0), places };
        }
      },
    };
  }
}

/** Of a chunk that is not kept. */
const UNUSED = -1;

/** The kept chunks in the order of their packs, those of a pack from `starts[pack]` up to `starts[pack + 1]`. */
function byPack(
  numbers: Int32Array,
  packOf: Uint32Array,
  packCount: number,
): { readonly order: Uint32Array; readonly starts: Uint32Array } {
  const starts = new Uint32Array(packCount + 1);
  for (const [chunk, pack] of packOf.entries()) {
    if (numbers[chunk] !== UNUSED) starts[pack + 1] = (starts[pack + 1] ?? 0) + 1;
  }
  for (let pack = 0; pack < packCount; pack += 1) starts[pack + 1] = (starts[pack + 1] ?? 0) + (starts[pack] ?? 0);
  const order = new Uint32Array(starts[packCount] ?? 0);
  const next = starts.slice();
  for (const [chunk, pack] of packOf.entries()) {
    if (numbers[chunk] === UNUSED) continue;
    const at = next[pack] ?? 0;
    order[at] = chunk;
    next[pack] = at + 1;
  }
  return { order, starts };
}

type ReadParent = {
  readonly header: ManifestHeader;
  readonly end: ManifestEnd;
  readonly chunks: ChunkTable;
  readonly pages: ReadonlyMap<string, PagesEntry>;
  readonly content: ReadonlyMap<string, Int32Array>;
};

/** One byte per chunk: 1 where its pages may be kept. Chunks of bytes count as live as a whole. */
function worthKeeping(chunks: ChunkTable, pages: ReadonlyMap<string, PagesEntry>): Uint8Array {
  const live = new Uint32Array(chunks.packOf.length);
  for (const { extents } of pages.values()) {
    for (let at = 0; at < extents.length; at += 4) {
      const chunk = extents[at + 2] ?? ZERO_CHUNK;
      if (chunk !== ZERO_CHUNK) live[chunk] = (live[chunk] ?? 0) + (extents[at + 1] ?? 0);
    }
  }
  const share = (chunk: number): number => {
    const plain = (chunks.plainBytes[chunk] ?? 0) / BLOCK_BYTES;
    return (live[chunk] ?? 0) === 0 ? 1 : (live[chunk] ?? 0) / Math.max(1, plain);
  };
  const packLive = new Float64Array(chunks.packs.length);
  for (const [chunk, pack] of chunks.packOf.entries()) {
    packLive[pack] = (packLive[pack] ?? 0) + share(chunk) * (chunks.storedBytes[chunk] ?? 0);
  }
  const worth = new Uint8Array(chunks.packOf.length);
  for (const [chunk, pack] of chunks.packOf.entries()) {
    const facts = chunks.packs[pack];
    const byName = Number.parseInt(facts?.id.slice(0, 2) ?? "0", 16) / 255;
    const packMin = PACK_LIVE_MIN.lowest + PACK_LIVE_MIN.spread * byName;
    const packShare = (packLive[pack] ?? 0) / Math.max(1, facts?.sizeBytes ?? 1);
    worth[chunk] = packShare >= packMin && share(chunk) >= CHUNK_LIVE_MIN ? 1 : 0;
  }
  return worth;
}
