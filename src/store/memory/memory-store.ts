/**
 * A store that lasts as long as the process.
 *
 * Nouns: those of ../store.ts. Invariants: the same as of a disk store, but that nothing survives; bytes are copied on
 * their way in and out, so that nobody holds what another may change.
 */
import { assert } from "../../errors/error.ts";
import { type Clock, throwIfAborted } from "../../platform/clock.ts";
import { badKey, checkKey, checkPrefix, objectExists, objectMissing, objectTruncated } from "../key.ts";
import type { ObjectFacts, ObjectRange, Store, StoreOptions } from "../store.ts";

/** Opens an empty store in memory. */
export function openMemoryStore(options: { readonly clock: Clock; readonly name?: string }): Store {
  return new MemoryStore(options.clock, options.name ?? "memory");
}

type StoredObject = { readonly bytes: Buffer; readonly storedMs: number };

class MemoryStore implements Store {
  readonly name: string;
  readonly #clock: Clock;
  readonly #objects = new Map<string, StoredObject>();
  /** As on a disk, what was once a folder stays one. */
  readonly #folders = new Set<string>();

  constructor(clock: Clock, name: string) {
    this.#clock = clock;
    this.name = name;
  }

  async put(key: string, parts: readonly Uint8Array[], options?: StoreOptions): Promise<void> {
    checkKey(key);
    throwIfAborted(options?.signal, `storing ${key}`);
    if (this.#objects.has(key)) throw objectExists(this.name, key);
    const folders = foldersOf(key);
    if (this.#folders.has(key) || folders.some((folder) => this.#objects.has(folder))) {
      throw badKey(`"${key}" names both an object and a folder in ${this.name}`);
    }
    for (const folder of folders) this.#folders.add(folder);
    this.#objects.set(key, { bytes: Buffer.concat(parts), storedMs: this.#clock.now() });
  }

  async get(key: string, options?: StoreOptions): Promise<Buffer> {
    return Buffer.from(this.#find(key, options).bytes);
  }

  async getRange(key: string, range: ObjectRange, options?: StoreOptions): Promise<Buffer> {
    assert(range.offset >= 0 && range.length >= 0, "a range begins at 0 or later and has a length");
    const { bytes } = this.#find(key, options);
    const end = range.offset + range.length;
    if (bytes.byteLength < end) {
      throw objectTruncated(this.name, key, { neededBytes: end, foundBytes: bytes.byteLength });
    }
    return Buffer.from(bytes.subarray(range.offset, end));
  }

  async head(key: string, options?: StoreOptions): Promise<ObjectFacts | undefined> {
    checkKey(key);
    throwIfAborted(options?.signal, `looking at ${key}`);
    const found = this.#objects.get(key);
    return found === undefined ? undefined : factsOf(key, found);
  }

  async *list(prefix: string, options?: StoreOptions): AsyncIterable<ObjectFacts> {
    checkPrefix(prefix);
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    throwIfAborted(options?.signal, `listing ${prefix}`);
    for (const key of keys) {
      const found = this.#objects.get(key);
      if (found !== undefined) yield factsOf(key, found);
      throwIfAborted(options?.signal, `listing ${prefix}`);
    }
  }

  async delete(key: string, options?: StoreOptions): Promise<void> {
    checkKey(key);
    throwIfAborted(options?.signal, `deleting ${key}`);
    this.#objects.delete(key);
  }

  #find(key: string, options: StoreOptions | undefined): StoredObject {
    checkKey(key);
    throwIfAborted(options?.signal, `reading ${key}`);
    const found = this.#objects.get(key);
    if (found === undefined) throw objectMissing(this.name, key);
    return found;
  }
}

function factsOf(key: string, found: StoredObject): ObjectFacts {
  return { key, sizeBytes: found.bytes.byteLength, storedMs: found.storedMs };
}

function foldersOf(key: string): readonly string[] {
  const parts = key.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}
