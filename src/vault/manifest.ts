/**
 * The manifest: every file of one backup and where its bytes lie. docs/formats/manifest.md is its specification.
 *
 * Nouns: an *extent* is a run of pages of one file that lie one after another in one chunk; a *piece* is a run of bytes of
 * one file in one chunk; a *fingerprint* is a page's LSN and CRC-32, kept in chunks of their own.
 * Invariants: a manifest is complete by itself (no other manifest is needed to restore); it says nothing about how changed
 * pages were found; chunk numbers are its own; it is one blob of JSON lines, and only its last line makes it whole.
 */
import { z } from "zod";
import { isLifeboatError } from "../errors/error.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { BLOB_FRAME_BYTES, BlobWriter, blobKeyId, openBlobFrames } from "./blob.ts";
import { codecOf } from "./codec.ts";
import { objectDamaged, objectMissing } from "./header.ts";
import { type BackupId, backupName, type KeyId, type PackId } from "./names.ts";
import type { PackFacts } from "./pack.ts";
import type { StoredPack } from "./pack-writer.ts";
import { refusedJson } from "./refused-json.ts";
import { BLOB_LEVEL, dataKeyOf, type Vault } from "./vault.ts";

/** The chunk number of an extent of pages that are all zero: they are stored nowhere. */
export const ZERO_CHUNK = -1;

/** Numbers of an extent, of a piece, and of a chunk in a pack's line. */
const EXTENT_NUMBERS = 4;
const PIECE_NUMBERS = 3;
const CHUNK_NUMBERS = 6;
/** Of one page: its LSN in 8 bytes and its CRC-32 in 4. */
const FINGERPRINT_BYTES = 12;

/** Where files from outside the data directory lie in a manifest; no path of PostgreSQL's begins so. */
export const OUTSIDE_PREFIX = "lifeboat-outside/";

const lsnText = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const whole = z.number().int().min(0);
/** Millions of numbers in the manifest of a large cluster: looked at in one loop each. */
const wholes = z.custom<number[]>((value) => areNumbersFrom(0, value), "not a list of whole numbers");
const wholesOrZeroChunk = z.custom<number[]>((value) => areNumbersFrom(ZERO_CHUNK, value), "not a list of extents");

const headerSchema = z.strictObject({
  kind: z.literal("manifest"),
  format: z.literal("lifeboat-manifest"),
  version: z.literal(1),
  backupId: z.string().transform((text) => text as BackupId),
  systemId: z.string().transform((text) => text as SystemId),
  serverVersion: whole,
  timeline: whole.transform((value) => value as Timeline),
  startLsn: lsnText,
  startedAt: z.iso.datetime(),
  label: z.string(),
  parent: z.string().nullable(),
  whyFull: z.string().nullable(),
  /** Settings that decide whether this backup may be a parent: full_page_writes, wal_log_hints, wal_level. */
  settings: z.record(z.string(), z.string()),
  /** The history file of the timeline, as text; null on timeline 1. */
  history: z.string().nullable(),
  tablespaces: z.array(z.strictObject({ oid: whole, location: z.string() })),
});

const attributes = { path: z.string().min(1), mode: whole, modifiedS: whole };

const pagesSchema = z.strictObject({
  kind: z.literal("pages"),
  ...attributes,
  sizeBytes: whole,
  /** Flat runs of four: first page, pages, chunk (or -1), first page in the chunk. */
  extents: wholesOrZeroChunk,
  /** Flat runs of three: chunk, byte in the chunk, bytes. All LSNs (8 bytes each), then all CRC-32s (4 bytes each). */
  fingerprints: wholes,
});

const bytesSchema = z.strictObject({
  kind: z.literal("bytes"),
  ...attributes,
  sizeBytes: whole,
  /** Flat runs of three: chunk, byte in the chunk, bytes. */
  pieces: wholes,
  /** Keyed SHA-256 of the content, 64 hexadecimal digits. */
  contentName: z.string().regex(/^[0-9a-f]{64}$/),
});

const folderSchema = z.strictObject({ kind: z.literal("folder"), ...attributes });
const linkSchema = z.strictObject({ kind: z.literal("link"), ...attributes, target: z.string() });

const packSchema = z.strictObject({
  kind: z.literal("pack"),
  id: z.string().transform((text) => text as PackId),
  keyId: z.string().transform((text) => text as KeyId),
  sizeBytes: whole,
  crc32: whole,
  /** Flat runs of six: chunk number, ordinal, offset, stored bytes, plain bytes, codec. */
  chunks: wholes,
});

const endSchema = z.strictObject({
  kind: z.literal("end"),
  endLsn: lsnText,
  endTimeline: whole.transform((value) => value as Timeline),
  endedAt: z.iso.datetime(),
  fileCount: whole,
  dataBytes: whole,
  /** One more than the highest chunk number. Numbers in between may be unused. */
  chunkCount: whole,
  catalogVersion: whole,
  blockBytes: whole,
  relationSegmentBlocks: whole,
  walSegmentBytes: whole,
  dataChecksumVersion: whole,
});

const lineSchema = z.discriminatedUnion("kind", [
  headerSchema,
  pagesSchema,
  bytesSchema,
  folderSchema,
  linkSchema,
  packSchema,
  endSchema,
]);

/** The first line: what was backed up, from where on. */
export type ManifestHeader = z.output<typeof headerSchema>;
/** The last line: where it ended and what its control file said. */
export type ManifestEnd = z.output<typeof endSchema>;
/** A file of 8 KiB pages. */
export type PagesFile = z.output<typeof pagesSchema>;
/** Any other file. */
export type BytesFile = z.output<typeof bytesSchema>;
/** What a manifest says of one path. */
export type ManifestFile = PagesFile | BytesFile | z.output<typeof folderSchema> | z.output<typeof linkSchema>;

type ManifestLine = z.output<typeof lineSchema>;

/** Writes one manifest. Lines may come in any order between header and end. Not for concurrent calls. */
export class ManifestWriter {
  readonly #blob: BlobWriter;
  readonly #name: string;
  #pending: string[] = [];
  #pendingChars = 0;
  /** Frames follow the order of the lines, so one flush waits for the other. */
  #flushed: Promise<void> = Promise.resolve();

  constructor(vault: Vault, header: ManifestHeader) {
    this.#name = backupName(header, "manifest");
    this.#blob = new BlobWriter({ name: this.#name, level: BLOB_LEVEL }, vault);
    this.#add(header);
  }

  /** Adds a file's line. A promise comes back when the writer must catch up first. */
  file(file: ManifestFile): Promise<void> | undefined {
    this.#add(file);
    return this.room();
  }

  /** A promise when the writer must catch up first: what waits is put together as one string, which has a longest length. */
  room(): Promise<void> | undefined {
    return this.#pendingChars < BLOB_FRAME_BYTES / 2 ? undefined : this.#flush();
  }

  /** Adds the line of a stored pack. Who adds many asks for room in between. */
  pack(pack: StoredPack): void {
    const chunks: number[] = [];
    for (const [index, place] of pack.places.entries()) {
      const number = pack.numbers[index] ?? 0;
      chunks.push(number, place.ordinal, place.offset, place.storedBytes, place.plainBytes, place.codec);
    }
    this.#add({ kind: "pack", ...pack.facts, chunks });
  }

  /** Ends the manifest; the parts are the object to store under `name`. */
  async end(end: ManifestEnd): Promise<{ readonly name: string; readonly parts: readonly Buffer[] }> {
    this.#add(end);
    await this.#flush();
    return { name: this.#name, parts: await this.#blob.end() };
  }

  #add(line: ManifestLine): void {
    const text = `${JSON.stringify(line)}\n`;
    this.#pending.push(text);
    this.#pendingChars += text.length;
  }

  #flush(): Promise<void> {
    const bytes = Buffer.from(this.#pending.join(""), "utf8");
    this.#pending = [];
    this.#pendingChars = 0;
    this.#flushed = this.#flushed.then(async () => {
      for (let at = 0; at < bytes.byteLength; at += BLOB_FRAME_BYTES) {
        await this.#blob.write(bytes.subarray(at, at + BLOB_FRAME_BYTES));
      }
    });
    return this.#flushed;
  }
}

/**
 * Where the chunks of a manifest lie, in flat arrays: a terabyte has eight million of them. A number that no line names has
 * no bytes; nothing refers to it.
 */
export type ChunkTable = {
  readonly packs: readonly PackFacts[];
  /** Index into `packs`, by chunk number. */
  readonly packOf: Uint32Array;
  readonly ordinals: Uint32Array;
  readonly offsets: Uint32Array;
  readonly storedBytes: Uint32Array;
  readonly plainBytes: Uint32Array;
  readonly codecs: Uint8Array;
};

/** What receives a manifest's lines as they are read. */
export type ManifestReader = {
  readonly onHeader?: (header: ManifestHeader) => void;
  readonly onFile?: (file: ManifestFile) => void;
};

/**
 * Reads a backup's manifest. Files are handed on one by one; the chunk table and the end come back once the manifest
 * has been read to its last line. Throws `vault.object-missing`, `vault.object-damaged`, `vault.key-missing`.
 */
export async function readManifest(
  vault: Vault,
  backup: { readonly systemId: SystemId; readonly backupId: BackupId },
  reader: ManifestReader,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<{ readonly header: ManifestHeader; readonly end: ManifestEnd; readonly chunks: ChunkTable }> {
  const name = backupName(backup, "manifest");
  let header: ManifestHeader | undefined;
  let end: ManifestEnd | undefined;
  const table = new ChunkTableBuilder();
  for await (const line of await sealedLines(vault, name, options)) {
    const parsed = parseLine(name, line);
    if (end !== undefined) throw objectDamaged(name, "lines follow its end");
    if (header === undefined && parsed.kind !== "manifest") throw objectDamaged(name, "its first line is not a header");
    if (parsed.kind === "manifest") {
      header = parsed;
      reader.onHeader?.(parsed);
    } else if (parsed.kind === "pack") {
      table.add(name, parsed);
    } else if (parsed.kind === "end") {
      end = parsed;
    } else {
      reader.onFile?.(parsed);
    }
  }
  if (header === undefined || end === undefined) throw objectDamaged(name, "it has no last line");
  if (header.backupId !== backup.backupId || header.systemId !== backup.systemId) {
    throw objectDamaged(name, `it is the manifest of backup ${header.backupId} of system ${header.systemId}`);
  }
  return { header, end, chunks: table.finish(name, end.chunkCount) };
}

/** Reads the first line alone: the rest may be damaged. Throws as `readManifest`. */
export async function readManifestHeader(
  vault: Vault,
  backup: { readonly systemId: SystemId; readonly backupId: BackupId },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<ManifestHeader> {
  const name = backupName(backup, "manifest");
  for await (const line of await sealedLines(vault, name, options)) {
    const parsed = parseLine(name, line);
    if (parsed.kind === "manifest") return parsed;
    break;
  }
  throw objectDamaged(name, "its first line is not a header");
}

async function sealedLines(
  vault: Vault,
  name: string,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<AsyncGenerator<string>> {
  const sealed = await vault.store.get(name, options).catch((error: unknown) => {
    throw isLifeboatError(error, "store.object-missing") ? objectMissing(name, error) : error;
  });
  return linesOf(openBlobFrames(name, sealed, dataKeyOf(vault, { name, keyId: blobKeyId(name, sealed) })));
}

class ChunkTableBuilder {
  readonly #packs: PackFacts[] = [];
  /** Numbers of a chunk fit in 32 bits: a pack has 32 MiB. */
  readonly #lines: Uint32Array[] = [];

  add(name: string, line: z.output<typeof packSchema>): void {
    if (line.chunks.length % CHUNK_NUMBERS !== 0) throw objectDamaged(name, `its line for pack ${line.id} is cut`);
    this.#packs.push({ id: line.id, keyId: line.keyId, sizeBytes: line.sizeBytes, crc32: line.crc32 });
    this.#lines.push(Uint32Array.from(line.chunks));
  }

  finish(name: string, chunkCount: number): ChunkTable {
    const table = {
      packs: this.#packs,
      packOf: new Uint32Array(chunkCount),
      ordinals: new Uint32Array(chunkCount),
      offsets: new Uint32Array(chunkCount),
      storedBytes: new Uint32Array(chunkCount),
      plainBytes: new Uint32Array(chunkCount),
      codecs: new Uint8Array(chunkCount),
    };
    for (const [pack, chunks] of this.#lines.entries()) {
      for (let at = 0; at < chunks.length; at += CHUNK_NUMBERS) {
        const number = chunks[at] ?? 0;
        const codec = codecOf(chunks[at + 5] ?? -1);
        const isNew = number < chunkCount && table.plainBytes[number] === 0;
        if (!isNew || codec === undefined)
          throw objectDamaged(name, `it cannot have a chunk ${number} of ${chunkCount}`);
        table.packOf[number] = pack;
        table.ordinals[number] = chunks[at + 1] ?? 0;
        table.offsets[number] = chunks[at + 2] ?? 0;
        table.storedBytes[number] = chunks[at + 3] ?? 0;
        table.plainBytes[number] = chunks[at + 4] ?? 0;
        table.codecs[number] = codec;
      }
    }
    return table;
  }
}

async function* linesOf(frames: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const frame of frames) {
    const bytes = rest.byteLength === 0 ? frame : Buffer.concat([rest, frame]);
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE, from); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      yield bytes.toString("utf8", from, at);
      from = at + 1;
    }
    rest = bytes.subarray(from);
  }
  if (rest.byteLength > 0) yield rest.toString("utf8");
}

const NEWLINE = 10;

function areNumbersFrom(least: number, value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  for (const each of value) if (!Number.isSafeInteger(each) || each < least) return false;
  return true;
}

function parseLine(name: string, line: string): ManifestLine {
  let parsed: ManifestLine;
  try {
    parsed = lineSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw refusedJson(name, line, { why: "a line of it cannot be read", cause });
  }
  if ((parsed.kind === "pages" || parsed.kind === "bytes") && !coversFile(parsed)) {
    throw objectDamaged(name, `what it says of ${parsed.path} is not the whole file`);
  }
  return parsed;
}

/** Extents follow one another from the first page to the last, pieces and fingerprints add up. */
function coversFile(file: PagesFile | BytesFile): boolean {
  if (file.kind === "bytes") return lengthOf(file.pieces) === file.sizeBytes;
  const { extents } = file;
  let page = 0;
  for (let at = 0; at < extents.length; at += EXTENT_NUMBERS) {
    const pages = extents[at + 1] ?? 0;
    if (extents[at] !== page || pages < 1 || (extents[at + 3] ?? -1) < 0) return false;
    page += pages;
  }
  return page * BLOCK_BYTES === file.sizeBytes && lengthOf(file.fingerprints) === page * FINGERPRINT_BYTES;
}

/** Bytes of a run of pieces; undefined when it is cut. */
function lengthOf(pieces: readonly number[]): number | undefined {
  if (pieces.length % PIECE_NUMBERS !== 0) return undefined;
  let bytes = 0;
  for (let at = PIECE_NUMBERS - 1; at < pieces.length; at += PIECE_NUMBERS) bytes += pieces[at] ?? 0;
  return bytes;
}
