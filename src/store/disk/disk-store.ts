/**
 * A store in a folder of this machine.
 *
 * Nouns: an object is a file, its key the path below the *root*; `<root>/tmp` holds what is not finished, and its being
 * there is the *mark* of a store: without it a missing file proves nothing (the disk may not be mounted).
 * Invariants: a file gets its name by link(), which is atomic and refuses a taken name, after its bytes are on stable
 * storage; before an object is acknowledged or reported as present by a store open for writing, its folder is synced,
 * so that a name left by a process that died between link and sync is made durable before anybody builds on it; folders
 * are never removed, so that a folder missing below the root is an error of a listing and never an empty answer.
 */
import path from "node:path";
import { assert, isLifeboatError, LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import { type Clock, throwIfAborted } from "../../platform/clock.ts";
import { makeFolderDurable, writeDurable } from "../../platform/durable.ts";
import type { FileFacts, Files } from "../../platform/files.ts";
import type { RandomSource } from "../../platform/random.ts";
import {
  badKey,
  checkKey,
  checkPrefix,
  isKeyPart,
  objectExists,
  objectMissing,
  objectTruncated,
  TEMPORARY_PART,
} from "../key.ts";
import type { ObjectFacts, ObjectRange, OpenObject, PutOptions, Store, StoreOptions } from "../store.ts";
import { mergeSmallParts } from "./parts.ts";

/** How to open a disk store. */
export type DiskStoreOptions = {
  /** Absolute path of the root. Made, with its parents, when opened for writing. */
  readonly folder: string;
  readonly files: Files;
  readonly random: RandomSource;
  /** With a clock, opening for writing removes unfinished objects older than a day. */
  readonly clock?: Clock | undefined;
  /** `read` changes nothing at all, and works on a read-only file system. Default: `write`. */
  readonly access?: "read" | "write" | undefined;
};

/** No put takes a day: what is older was left by a process that died. */
const TEMPORARY_AGE_MAX_MS = 24 * 60 * 60 * 1000;

/** Files looked at together by a listing: enough to keep the four threads of Node's pool busy. */
const LIST_BATCH_COUNT = 16;

/**
 * Opens a store in a folder. Raises `store.not-a-store` when opened for reading and the folder holds none, `store.failed`
 * or `platform.disk-full` when it cannot be made.
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<Store> {
  assert(path.isAbsolute(options.folder), "the folder of a disk store is an absolute path");
  const store = new DiskStore(options);
  await store.open(options.clock);
  return store;
}

class DiskStore implements Store {
  readonly name: string;
  readonly #root: string;
  readonly #temporary: string;
  readonly #files: Files;
  readonly #random: RandomSource;
  readonly #access: "read" | "write";
  /** Folders this process has made or found, with their names durable. */
  readonly #folders = new Map<string, Promise<void>>();

  constructor(options: DiskStoreOptions) {
    this.#root = path.normalize(options.folder);
    this.#temporary = path.join(this.#root, TEMPORARY_PART);
    this.#files = options.files;
    this.#random = options.random;
    this.#access = options.access ?? "write";
    this.name = `disk:${this.#root}`;
  }

  async open(clock: Clock | undefined): Promise<void> {
    await this.#guarded("open", async () => {
      if (this.#access === "read") return this.#proveMark();
      await makeFolderDurable(this.#files, this.#root);
      await this.#ensureFolder(this.#temporary);
      if (clock !== undefined) await this.#removeLeftovers(clock);
    });
  }

  async put(key: string, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const file = this.#fileOf(key);
    this.#refuseReadOnly(`store ${key}`);
    throwIfAborted(options?.signal, `storing ${key}`);
    await this.#guarded(`store ${key}`, async () => {
      const folder = path.dirname(file);
      await this.#ensureFolder(folder).catch((cause: unknown) => this.#explainFolder(key, cause));
      try {
        await writeDurable(this.#files, {
          file,
          parts: mergeSmallParts(parts),
          over: "new",
          temporaryFolder: this.#temporary,
          unique: this.#random(8).toString("hex"),
          signal: options?.signal,
          between: options?.between,
        });
      } catch (cause) {
        if (!isLifeboatError(cause, "platform.file-exists")) throw cause;
        await this.#explainTaken(key, file, cause);
      }
    });
  }

  async get(key: string, options?: StoreOptions): Promise<Buffer> {
    const file = this.#fileOf(key);
    throwIfAborted(options?.signal, `reading ${key}`);
    return this.#guarded(`read ${key}`, () => this.#present(key, () => this.#files.readFile(file)));
  }

  async getRange(key: string, range: ObjectRange, options?: StoreOptions): Promise<Buffer> {
    const object = await this.openObject(key, options);
    try {
      return await object.getRange(range, options);
    } finally {
      await object.close();
    }
  }

  async openObject(key: string, options?: StoreOptions): Promise<OpenObject> {
    const file = this.#fileOf(key);
    throwIfAborted(options?.signal, `reading ${key}`);
    const reading = <T>(work: () => Promise<T>): Promise<T> =>
      this.#guarded(`read ${key}`, () => this.#present(key, work));
    const handle = await reading(() => this.#files.open(file, "read"));
    return {
      getRange: async ({ offset, length, into }, of) => {
        assert(offset >= 0 && length >= 0, "a range begins at 0 or later and has a length");
        throwIfAborted(of?.signal, `reading ${key}`);
        return reading(async () => {
          const bytes = await handle.read({ position: offset, length, into });
          if (bytes.byteLength === length) return bytes;
          const foundBytes = (await handle.stat()).sizeBytes;
          throw objectTruncated(this.name, key, { neededBytes: offset + length, foundBytes });
        });
      },
      close: () => this.#guarded(`read ${key}`, () => handle.close()),
    };
  }

  async head(key: string, options?: StoreOptions): Promise<ObjectFacts | undefined> {
    const file = this.#fileOf(key);
    throwIfAborted(options?.signal, `looking at ${key}`);
    return this.#guarded(`look at ${key}`, async () => {
      const facts = await this.#files.stat(file);
      if (facts === undefined || facts.kind === "folder") {
        await this.#proveMark();
        return undefined;
      }
      await this.#settle(path.dirname(file));
      return this.#factsOf(key, facts);
    });
  }

  async *list(prefix: string, options?: StoreOptions): AsyncIterable<ObjectFacts> {
    checkPrefix(prefix);
    throwIfAborted(options?.signal, `listing ${prefix}`);
    const folderKey = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const there = await this.#guarded(`list ${prefix}`, async () => {
      const facts = await this.#files.stat(path.join(this.#root, folderKey));
      await this.#proveMark();
      return facts?.kind === "folder";
    });
    if (there) yield* this.#listFolder(folderKey, prefix, options?.signal);
  }

  async delete(key: string, options?: StoreOptions): Promise<void> {
    const file = this.#fileOf(key);
    this.#refuseReadOnly(`delete ${key}`);
    throwIfAborted(options?.signal, `deleting ${key}`);
    await this.#guarded(`delete ${key}`, async () => {
      const facts = await this.#files.stat(file);
      if (facts === undefined || facts.kind === "folder") await this.#proveMark();
      else await this.#files.remove(file);
      // Also when nothing was there: an earlier delete may have died before its sync.
      const folder = path.dirname(file);
      if ((await this.#files.stat(folder))?.kind === "folder") await this.#files.syncFolder(folder);
    });
  }

  async *#listFolder(folderKey: string, prefix: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectFacts> {
    const folder = path.join(this.#root, folderKey);
    const children = await this.#guarded(`list ${folderKey}`, async () => {
      const entries = await this.#files.list(folder);
      await this.#settle(folder);
      return entries
        .filter(({ name }) => isKeyPart(name) && !(folderKey === "" && name === TEMPORARY_PART))
        .map(({ name, kind }) => ({ key: `${folderKey}${name}${kind === "folder" ? "/" : ""}`, kind }))
        .filter(({ key, kind }) => key.startsWith(prefix) || (kind === "folder" && prefix.startsWith(key)))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
    });
    let batch: string[] = [];
    for (const { key, kind } of children) {
      if (kind !== "folder") batch.push(key);
      if (kind === "folder" || batch.length === LIST_BATCH_COUNT) {
        yield* await this.#lookAt(batch, signal);
        batch = [];
      }
      if (kind === "folder") yield* this.#listFolder(key, prefix, signal);
    }
    yield* await this.#lookAt(batch, signal);
  }

  #lookAt(keys: readonly string[], signal: AbortSignal | undefined): Promise<readonly ObjectFacts[]> {
    return this.#guarded("list", async () => {
      throwIfAborted(signal, "listing objects");
      const seen = await Promise.all(
        keys.map(async (key) => ({ key, facts: await this.#files.stat(path.join(this.#root, key)) })),
      );
      // What went away since its folder was read was deleted, if this is still the same store.
      if (seen.some(({ facts }) => facts === undefined)) await this.#proveMark();
      return seen.flatMap(({ key, facts }) => (facts === undefined ? [] : [this.#factsOf(key, facts)]));
    });
  }

  #fileOf(key: string): string {
    checkKey(key);
    return path.join(this.#root, key);
  }

  #factsOf(key: string, facts: FileFacts): ObjectFacts {
    if (facts.kind === "file") return { key, sizeBytes: facts.sizeBytes, storedMs: Math.trunc(facts.modifiedMs) };
    throw new LifeboatError("store.failed", {
      message: `${key} in ${this.name} is a ${facts.kind}, not a file`,
      remedy: "Put the file itself in its place: a store holds plain files only.",
    });
  }

  /** Reads what should be there; a missing file becomes `store.object-missing` only in a store that bears its mark. */
  async #present<T>(key: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      if (!isLifeboatError(cause) || !cause.code.startsWith("platform.")) throw cause;
      const facts = await this.#files.stat(path.join(this.#root, key));
      if (facts !== undefined && facts.kind !== "folder") throw cause;
      await this.#proveMark();
      throw objectMissing(this.name, key);
    }
  }

  async #explainTaken(key: string, file: string, cause: unknown): Promise<never> {
    const facts = await this.#files.stat(file);
    if (facts === undefined) throw cause;
    if (facts?.kind === "folder") throw badKey(`"${key}" names both an object and a folder in ${this.name}`);
    await this.#files.syncFolder(path.dirname(file));
    throw objectExists(this.name, key);
  }

  async #explainFolder(key: string, cause: unknown): Promise<never> {
    for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1)) {
      const facts = await this.#files.stat(path.join(this.#root, key.slice(0, at)));
      if (facts?.kind === "file") throw badKey(`"${key}" lies below the object ${key.slice(0, at)} in ${this.name}`);
    }
    throw cause;
  }

  /** Makes a folder and syncs its name, once in this process for each folder, also one that another process made. */
  #ensureFolder(folder: string): Promise<void> {
    if (folder === this.#root) return Promise.resolve();
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const made = this.#makeFolder(folder).catch((cause: unknown) => {
      this.#folders.delete(folder);
      throw cause;
    });
    this.#folders.set(folder, made);
    return made;
  }

  async #makeFolder(folder: string): Promise<void> {
    const parent = path.dirname(folder);
    await this.#ensureFolder(parent);
    await this.#files.makeFolder(folder);
    await this.#files.syncFolder(parent);
  }

  async #settle(folder: string): Promise<void> {
    if (this.#access === "write") await this.#files.syncFolder(folder);
  }

  async #proveMark(): Promise<void> {
    if ((await this.#files.stat(this.#temporary))?.kind === "folder") return;
    throw new LifeboatError("store.not-a-store", {
      message: `${this.#root} does not hold a store: it has no folder ${TEMPORARY_PART}`,
      remedy: `Check the path, and that its disk is mounted; if this is a copy of a store, make an empty folder ${TEMPORARY_PART} in it.`,
    });
  }

  async #removeLeftovers(clock: Clock): Promise<void> {
    const now = clock.now();
    for (const { name, kind } of await this.#files.list(this.#temporary)) {
      if (kind !== "file" || !name.endsWith(".tmp")) continue;
      const file = path.join(this.#temporary, name);
      const facts = await this.#files.stat(file);
      if (facts !== undefined && now - facts.modifiedMs > TEMPORARY_AGE_MAX_MS) await this.#files.remove(file);
    }
  }

  #refuseReadOnly(operation: string): void {
    if (this.#access === "write") return;
    throw new LifeboatError("store.read-only", {
      message: `cannot ${operation} in ${this.name}: it is open for reading only`,
      remedy: "Run this on the machine that owns the vault, or open the vault for writing.",
    });
  }

  async #guarded<T>(operation: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (isLifeboatError(cause) && PASSED_ON.has(cause.code)) throw cause;
      // A folder may have been removed behind our back: find out anew next time.
      this.#folders.clear();
      const reason = errorText(cause);
      throw new LifeboatError("store.failed", {
        message: `cannot ${operation} in ${this.name}: ${reason}`,
        remedy: isLifeboatError(cause) ? cause.remedy : "Look at the disk and the kernel log, then try again.",
        retryable: true,
        cause,
      });
    }
  }
}

const PASSED_ON: ReadonlySet<string> = new Set([
  "store.bad-key",
  "store.object-exists",
  "store.object-missing",
  "store.object-truncated",
  "store.failed",
  "store.not-a-store",
  "platform.disk-full",
  "platform.aborted",
  "platform.assertion-failed",
]);
