/**
 * Takes the members of a base backup's archives and gives each its place in the vault and its line in the manifest.
 *
 * Files of pages (main forks of permanent relations) go page by page; everything else goes as bytes, stored once per
 * content. A few files are kept at hand: the control file, the backup label.
 */
import { createHmac, type KeyObject } from "node:crypto";
import { assert, LifeboatError } from "../errors/error.ts";
import { BLOCK_BYTES, CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import { parseRelationPath } from "../postgres/relation-file.ts";
import type { ManifestFile, ManifestWriter } from "../vault/manifest.ts";
import type { PackWriter } from "../vault/pack-writer.ts";
import { ByteStream } from "./byte-stream.ts";
import { PageStream } from "./page-stream.ts";
import type { ParentImage, ParentPages } from "./parent-image.ts";
import type { EntrySink, TarEntry } from "./tar-reader.ts";

/** Contents that the backup itself needs, by path. */
const KEPT_PATHS: ReadonlySet<string> = new Set([CONTROL_FILE_PATH, "backup_label", "tablespace_map"]);

/** A file of bytes up to this size is held until its content is known, so that equal content is stored once. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;

/** Byte files above the bound are named by what they hold, as all are, but always stored. */
type Attributes = { readonly path: string; readonly mode: number; readonly modifiedS: number };

/** One collector serves one backup. */
export class FileCollector {
  readonly #manifest: ManifestWriter;
  readonly #nameKey: KeyObject;
  readonly #packs: PackWriter;
  readonly #parent: ParentImage | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #pages: PageStream;
  readonly #bytes: ByteStream;
  readonly #fingerprints: ByteStream;
  readonly #known = new Map<string, readonly number[]>();
  readonly #kept = new Map<string, Buffer>();
  readonly #sizes = new Map<string, number>();
  /** Paths that are no UTF-8: in the manifest two of them may be one. */
  readonly #unreadable = new Set<string>();
  #dataBytes = 0;
  #pending: Promise<void> | undefined;

  constructor(tools: {
    readonly manifest: ManifestWriter;
    readonly packs: PackWriter;
    readonly contentNameKey: KeyObject;
    /** The earlier backup that pages and contents are kept of. */
    readonly parent: ParentImage | undefined;
    readonly signal: AbortSignal | undefined;
  }) {
    this.#manifest = tools.manifest;
    this.#nameKey = tools.contentNameKey;
    this.#fingerprints = new ByteStream(tools.packs);
    this.#bytes = new ByteStream(tools.packs);
    this.#packs = tools.packs;
    this.#parent = tools.parent;
    this.#signal = tools.signal;
    this.#pages = new PageStream(tools.packs, this.#fingerprints, tools.parent);
  }

  /** Sizes of the files taken, by path. */
  get sizes(): ReadonlyMap<string, number> {
    return this.#sizes;
  }

  /** Bytes of all files taken. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  /** A file that the backup needs to read. Throws `backup.stream-malformed` when the server did not send it. */
  kept(path: string): Buffer {
    const content = this.#kept.get(path);
    if (content !== undefined) return content;
    throw new LifeboatError("backup.stream-malformed", {
      message: `the server sent no ${path} in the base backup`,
      remedy: "Take the backup again; if this comes back, report it with the server's version.",
    });
  }

  /** What to do with a member; the sink's `end` writes its line. Throws `backup.file-skipped` where a restore could not make it. */
  open(entry: TarEntry): EntrySink | undefined | Promise<EntrySink | undefined> {
    this.#checkName(entry.path);
    const attributes = { path: entry.path, mode: entry.mode, modifiedS: entry.modifiedS };
    if (entry.kind === "folder") {
      this.#line({ kind: "folder", ...attributes });
      return undefined;
    }
    if (entry.kind === "link") {
      this.#line({ kind: "link", ...attributes, target: entry.target });
      return undefined;
    }
    this.#sizes.set(entry.path, entry.sizeBytes);
    this.#dataBytes += entry.sizeBytes;
    if (isPagesFile(entry)) {
      if (this.#parent === undefined) return this.#openPages(attributes, entry.sizeBytes);
      const earlier = this.#parent.file(entry.path, { signal: this.#signal });
      return earlier.then((pages) => this.#openPages(attributes, entry.sizeBytes, pages));
    }
    return entry.sizeBytes <= HELD_BYTES_MAX
      ? this.#openHeld(attributes, entry.sizeBytes)
      : this.#openLarge(attributes, entry.sizeBytes);
  }

  #checkName(path: string): void {
    if (!path.includes("\uFFFD")) return;
    if (this.#unreadable.has(path)) {
      throw new LifeboatError("backup.file-skipped", {
        message: `two files of the data directory have names that are no UTF-8 and read alike, as ${path}: a restore could not make both`,
        remedy: "Rename or remove them (PostgreSQL makes no such names), then take the backup again.",
      });
    }
    this.#unreadable.add(path);
  }

  /** Adds a file that does not come from the server's archives. */
  add(file: {
    readonly path: string;
    readonly content: Buffer;
    readonly mode: number;
    readonly modifiedS: number;
  }): void {
    this.#storeHeld({ path: file.path, mode: file.mode, modifiedS: file.modifiedS }, file.content);
  }

  /** A promise to wait for when the manifest must catch up; undefined when there is none. */
  room(): Promise<void> | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }

  /** Hands the last chunks to the pack writer. */
  finish(): void {
    this.#pages.finish();
    this.#bytes.finish();
    this.#fingerprints.finish();
  }

  #openPages(attributes: Attributes, sizeBytes: number, parent?: ParentPages): EntrySink {
    this.#pages.beginFile(sizeBytes, parent);
    return {
      write: (view) => this.#pages.write(view),
      end: () => this.#line({ kind: "pages", ...attributes, sizeBytes, ...this.#pages.endFile() }),
    };
  }

  #openHeld(attributes: Attributes, sizeBytes: number): EntrySink {
    const content = Buffer.allocUnsafe(sizeBytes);
    let filled = 0;
    return {
      write: (view) => {
        filled += view.copy(content, filled);
      },
      end: () => {
        assert(filled === sizeBytes, "a held file was written whole");
        if (KEPT_PATHS.has(attributes.path)) this.#kept.set(attributes.path, content);
        this.#storeHeld(attributes, content);
      },
    };
  }

  #storeHeld(attributes: Attributes, content: Buffer): void {
    const contentName = createHmac("sha256", this.#nameKey).update(content).digest("hex");
    const pieces = this.#known.get(contentName) ?? this.#fromParent(contentName) ?? this.#bytes.append(content);
    this.#known.set(contentName, pieces);
    this.#line({ kind: "bytes", ...attributes, sizeBytes: content.byteLength, pieces: [...pieces], contentName });
  }

  #fromParent(contentName: string): readonly number[] | undefined {
    const pieces = this.#parent?.content(contentName);
    const kept = pieces?.every((value, index) => index % 3 !== 0 || this.#parent?.isWorthKeeping(value) === true);
    return kept === true && pieces !== undefined ? this.#parent?.renumberPieces(pieces, this.#packs) : undefined;
  }

  #openLarge(attributes: Attributes, sizeBytes: number): EntrySink {
    const hash = createHmac("sha256", this.#nameKey);
    const pieces: number[] = [];
    return {
      write: (view) => {
        hash.update(view);
        this.#bytes.append(view, pieces);
      },
      end: () => this.#line({ kind: "bytes", ...attributes, sizeBytes, pieces, contentName: hash.digest("hex") }),
    };
  }

  #line(file: ManifestFile): void {
    const wait = this.#manifest.file(file);
    if (wait === undefined) return;
    this.#pending = this.#pending === undefined ? wait : Promise.all([this.#pending, wait]).then(() => undefined);
  }
}

/** Main forks go by pages; map forks, init forks, temporary relations and a file with a torn last page go as bytes. */
function isPagesFile(entry: TarEntry): boolean {
  if (entry.sizeBytes === 0 || entry.sizeBytes % BLOCK_BYTES !== 0) return false;
  const relation = parseRelationPath(entry.path);
  return relation !== undefined && relation.fork === "main" && !relation.temporary;
}
