/**
 * Where a vault's bytes lie.
 *
 * Nouns: an *object* is a named, immutable run of bytes; its *key* is a path of lower-case words separated by `/`.
 * Invariants every store keeps: an object is put once and never changed (`put` refuses a key that exists, atomically,
 * also among several writers); an object that `put` acknowledged survives a power cut; a partly written object is never
 * seen; `list` names every object acknowledged before it began, or rejects: it never answers with fewer. No rename, no
 * append, no overwrite: an object store with conditional put can do all of this.
 */

/** Facts of a stored object. */
export type ObjectFacts = {
  readonly key: string;
  readonly sizeBytes: number;
  /** When it was stored, by the store's own clock, milliseconds since 1970. */
  readonly storedMs: number;
};

/**
 * Part of an object. With `into`, a buffer of at least `length` bytes, the answer may be a view of it: whoever reads an
 * object from end to end need not make a buffer for each part.
 */
export type ObjectRange = { readonly offset: number; readonly length: number; readonly into?: Buffer | undefined };

/** Cancels what can wait. */
export type StoreOptions = { readonly signal?: AbortSignal | undefined };

/** How an object is stored. */
export type PutOptions = StoreOptions & {
  /**
   * Where others wait for the same disk: it is written in small pieces, and the next one when this has resolved. A store that is
   * not on a disk of this machine asks for nothing.
   */
  readonly between?: (() => Promise<void>) | undefined;
};

/** An object that is read part by part. Close it exactly once, when no part is being read any more. */
export type OpenObject = {
  /** As the store's `getRange`. */
  getRange(range: ObjectRange, options?: StoreOptions): Promise<Buffer>;
  close(): Promise<void>;
};

/** The store port. All errors are LifeboatError: `store.*`, or `platform.disk-full`. */
export interface Store {
  /** What a person calls it, for messages: `disk:/var/backups/x`. */
  readonly name: string;
  /** Stores an object, all of it or nothing. Rejects with `store.object-exists` when the key is taken. */
  put(key: string, parts: readonly Uint8Array[], options?: PutOptions): Promise<void>;
  /** The whole object. Rejects with `store.object-missing` only when it is proven absent. */
  get(key: string, options?: StoreOptions): Promise<Buffer>;
  /** Exactly `length` bytes from `offset`; rejects with `store.object-truncated` when the object ends before. */
  getRange(key: string, range: ObjectRange, options?: StoreOptions): Promise<Buffer>;
  /** Opens an object of which many parts are wanted, where that saves anything. Throws as `getRange` does. */
  openObject?(key: string, options?: StoreOptions): Promise<OpenObject>;
  /** Facts of one object; undefined only when it is proven absent. */
  head(key: string, options?: StoreOptions): Promise<ObjectFacts | undefined>;
  /** Every object whose key begins with `prefix`, in key order. Rejects rather than answer with part of them. */
  list(prefix: string, options?: StoreOptions): AsyncIterable<ObjectFacts>;
  /** Removes an object; one that is not there is no error. */
  delete(key: string, options?: StoreOptions): Promise<void>;
}
