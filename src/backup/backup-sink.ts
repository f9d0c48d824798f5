/**
 * Receives a base backup from the server and feeds the collector; holds back the stream while the vault catches up.
 */
import { assert, LifeboatError } from "../errors/error.ts";
import type { Monotonic } from "../platform/clock.ts";
import { formatLsn, type Lsn, parseLsn, type Timeline } from "../postgres/lsn.ts";
import type { BackupTablespace, BaseBackupSink } from "../postgres/replication.ts";
import { type ManifestEnd, type ManifestHeader, ManifestWriter } from "../vault/manifest.ts";
import type { PackFacts } from "../vault/pack.ts";
import type { PackWriter, StoredPack } from "../vault/pack-writer.ts";
import { contentNameKey } from "../vault/sealing.ts";
import type { Vault } from "../vault/vault.ts";
import type { ParentChoice } from "./choose-parent.ts";
import type { WhyFull } from "./decide.ts";
import { FileCollector } from "./file-collector.ts";
import { assertPacksThere } from "./known-damage.ts";
import type { ParentImage } from "./parent-image.ts";
import type { BackupProgress } from "./progress.ts";
import { checkServerManifest } from "./server-manifest.ts";
import { TarReader } from "./tar-reader.ts";

/** What is known of a backup before the server answers. */
export type HeaderFacts = Omit<
  ManifestHeader,
  "kind" | "format" | "version" | "startLsn" | "tablespaces" | "parent" | "whyFull"
>;

type Tools = {
  readonly vault: Vault;
  readonly packs: PackWriter;
  readonly onProgress: (progress: BackupProgress) => void;
  /** The earlier backup that pages may be kept of: asked when the server has made its checkpoint, while which it is chosen. */
  readonly choice: () => Promise<ParentChoice>;
  readonly signal: AbortSignal | undefined;
};

/** Progress is told once for so many bytes: a piece of the stream takes less time than telling of it. */
const PROGRESS_BYTES = 1024 * 1024;

type Begun = {
  readonly startLsn: Lsn;
  readonly tablespaces: readonly BackupTablespace[];
  readonly totalBytes: number;
  readonly manifest: ManifestWriter;
  readonly files: FileCollector;
};

/** One sink serves one backup. */
export class BackupSink implements BaseBackupSink {
  readonly #tools: Tools;
  readonly #facts: HeaderFacts;
  #begun: Begun | undefined;
  #tar: TarReader | undefined;
  #receivedBytes = 0;
  #toldBytes = Number.NEGATIVE_INFINITY;
  #chunkCount = 0;
  readonly #named: { readonly facts: PackFacts; readonly seenAt: Monotonic | undefined }[] = [];
  #outsideCount = 0;
  #parent: ParentImage | undefined;
  #whyFull: WhyFull | undefined;

  constructor(tools: Tools, facts: HeaderFacts) {
    this.#tools = tools;
    this.#facts = facts;
  }

  /** Where WAL replay starts. */
  get start(): { readonly startLsn: Lsn } {
    return this.#started();
  }

  /** Bytes a restore will write. */
  get dataBytes(): number {
    return this.#started().files.dataBytes;
  }

  /** The backup that pages were kept of; known once the base backup has begun. */
  get parent(): ParentImage | undefined {
    return this.#parent;
  }

  /** Why every page was stored; undefined when there is a parent. */
  get whyFull(): WhyFull | undefined {
    return this.#whyFull;
  }

  get fileCount(): number {
    return this.#started().files.sizes.size + this.#outsideCount;
  }

  /** One more than the highest number of a stored chunk. */
  get chunkCount(): number {
    return this.#chunkCount;
  }

  /** The packs that the manifest names so far: all that were stored, and of the parent's those that were looked for before a moment. */
  packsNotSeenSince(moment: Monotonic): readonly PackFacts[] {
    return this.#named.flatMap(({ facts, seenAt }) => (seenAt === undefined || seenAt < moment ? [facts] : []));
  }

  async begin(facts: {
    readonly startLsn: Lsn;
    readonly timeline: Timeline;
    readonly tablespaces: readonly BackupTablespace[];
    readonly totalBytes: number;
  }): Promise<void> {
    assert(this.#begun === undefined, "a base backup begins once");
    if (facts.timeline !== this.#facts.timeline) {
      throw new LifeboatError("backup.timeline-changed", {
        message: `the server was on timeline ${this.#facts.timeline} and began the backup on ${facts.timeline}`,
        remedy: "Take the backup again.",
      });
    }
    const { parent, whyFull } = await this.#tools.choice();
    this.#parent = parent;
    this.#whyFull = whyFull;
    if (parent !== undefined && facts.startLsn < parseLsn(parent.record.endLsn)) {
      // A6: a standby starts from an older checkpoint; LSNs then say nothing about what changed since the parent.
      this.#parent = undefined;
      this.#whyFull = "starts-before-parent-ended";
    }
    const { vault, packs } = this.#tools;
    const manifest = new ManifestWriter(vault, {
      kind: "manifest",
      format: "lifeboat-manifest",
      version: 1,
      ...this.#facts,
      parent: this.#parent?.record.backupId ?? null,
      whyFull: this.#whyFull ?? null,
      startLsn: formatLsn(facts.startLsn),
      tablespaces: facts.tablespaces.map(({ oid, location }) => ({ oid, location })),
    });
    const { signal } = this.#tools;
    const nameKey = contentNameKey(vault.dataKey);
    const files = new FileCollector({ manifest, packs, contentNameKey: nameKey, parent: this.#parent, signal });
    this.#begun = { ...facts, manifest, files };
  }

  /** Nothing of what comes is taken any more: the parent is damaged, and the stream is only read to its end. */
  get #givenUp(): boolean {
    return this.#parent?.damage !== undefined;
  }

  archive(facts: { readonly name: string; readonly tablespaceOid: number | undefined }): void {
    if (this.#givenUp) return;
    this.#tar?.end();
    const { files } = this.#started();
    const prefix = facts.tablespaceOid === undefined ? "" : `pg_tblspc/${facts.tablespaceOid}/`;
    this.#tar = new TarReader(facts.name, (entry) => files.open({ ...entry, path: `${prefix}${entry.path}` }));
  }

  data(view: Buffer): void | Promise<void> {
    assert(this.#tar !== undefined, "data comes inside an archive");
    if (this.#givenUp) return this.#tell(view);
    const taken = this.#tar.write(view);
    return taken === undefined ? this.#after(view) : taken.then(() => this.#after(view));
  }

  #tell(view: Buffer): void {
    this.#receivedBytes += view.byteLength;
    const { totalBytes } = this.#started();
    if (this.#receivedBytes - this.#toldBytes < PROGRESS_BYTES && this.#receivedBytes !== totalBytes) return;
    this.#toldBytes = this.#receivedBytes;
    this.#tools.onProgress({
      phase: "copy",
      doneBytes: this.#receivedBytes,
      totalBytes: Math.max(totalBytes, this.#receivedBytes),
    });
  }

  #after(view: Buffer): void | Promise<void> {
    this.#tell(view);
    const { files } = this.#started();
    const manifestRoom = files.room();
    const packRoom = this.#tools.packs.room();
    if (manifestRoom === undefined) return packRoom;
    return packRoom === undefined ? manifestRoom : Promise.all([manifestRoom, packRoom]).then(() => undefined);
  }

  manifest(json: Buffer): void {
    if (this.#givenUp) return;
    this.#tar?.end();
    this.#tar = undefined;
    checkServerManifest(json, this.#started().files.sizes);
  }

  /** A pack's line goes into the manifest; of one of the parent with when it was looked for. */
  onPack(pack: StoredPack, seenAt?: Monotonic): void {
    this.#started().manifest.pack(pack);
    this.#named.push({ facts: pack.facts, seenAt });
    // A chunk that was opened and got zero pages only is never stored: its number stays unused.
    for (const number of pack.numbers) this.#chunkCount = Math.max(this.#chunkCount, number + 1);
  }

  /** The content of a file that the backup needs to read. */
  kept(path: string): Buffer {
    return this.#started().files.kept(path);
  }

  /** Adds a file that lies outside the data directory. */
  addOutside(path: string, content: Buffer): void {
    this.#started().files.add({ path, content, mode: 0o600, modifiedS: 0 });
    this.#outsideCount += 1;
  }

  /** Stores the last chunks, waits until every pack was read back, and looks whether the parent's are still there, which it notes. */
  async storeRest(packs: PackWriter): Promise<void> {
    const { files } = this.#started();
    files.finish();
    await files.room();
    await packs.finish();
    const parent = this.#parent;
    if (parent === undefined) return;
    const { vault, signal } = this.#tools;
    const kept = parent.keptChunks();
    const seenAt = vault.clock.monotonic();
    await parent.noting(() => assertPacksThere(vault, kept.packs, { signal }));
    for (const pack of kept.stored()) {
      this.onPack(pack, seenAt);
      await this.#started().manifest.room();
    }
  }

  endManifest(end: ManifestEnd): Promise<{ readonly name: string; readonly parts: readonly Buffer[] }> {
    return this.#started().manifest.end(end);
  }

  #started(): Begun {
    assert(this.#begun !== undefined, "the base backup has begun");
    return this.#begun;
  }
}
