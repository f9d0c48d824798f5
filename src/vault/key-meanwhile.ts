/**
 * What two key commands at once see of each other.
 *
 * The vault has no lock, so each tells first and looks then: who removes a holder stores the note of it before he lists the
 * wraps, who makes a data key stores a wrap of it before he looks for notes, and who removes looks for a note of his own secret
 * too. So of two at least one sees the other, and stops before the step that the other relies on not being done.
 */
import { LifeboatError } from "../errors/error.ts";
import type { Store } from "../store/store.ts";
import type { StoredWrap, WrapListing } from "./key-open.ts";
import { type KeyId, keyNoteName } from "./names.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Whether somebody removes this holder, or began to. */
export async function isBeingRemoved(store: Store, wrapId: string, options: CallOptions): Promise<boolean> {
  return (await store.head(keyNoteName(wrapId), options)) !== undefined;
}

/** Data keys that had no wrap when the first listing was made. */
export function newDataKeys(before: WrapListing, now: WrapListing): readonly KeyId[] {
  const known = new Set(before.wraps.map(({ wrap }) => wrap.keyId));
  return [...new Set(now.wraps.map(({ wrap }) => wrap.keyId))].filter((keyId) => !known.has(keyId));
}

/** What of these wraps, by which the secret in use opens these data keys, somebody else takes away; undefined when each is still opened. */
export async function lostMeanwhile(
  store: Store,
  of: {
    readonly openedWraps: readonly StoredWrap[];
    readonly listing: WrapListing;
    readonly dataKeys: Iterable<KeyId>;
  },
  options: CallOptions,
): Promise<string | undefined> {
  const names = new Set(of.listing.wraps.map(({ name }) => name));
  const staying = new Set<KeyId>();
  const going = new Set<string>();
  for (const { name, wrapId, wrap } of of.openedWraps) {
    if (names.has(name) && !(await isBeingRemoved(store, wrapId, options))) staying.add(wrap.keyId);
    else going.add(wrapId);
  }
  if ([...of.dataKeys].every((keyId) => staying.has(keyId))) return undefined;
  return `the secret in use, wrap ${[...going].join(", ")}, is being removed, or somebody began to`;
}

/** `vault.keys-changed`. */
export function keysChanged(store: Pick<Store, "name">, what: string): LifeboatError {
  return new LifeboatError("vault.keys-changed", {
    message: `the keys of the vault in ${store.name} were changed by somebody else meanwhile: ${what}`,
    remedy:
      "See `lifeboat vault key list`, then run the command again with a secret that opens every data key. One whose removal was begun and not ended (there is a note of it under notes/keys) removes and rotates nothing: remove it with another, or add one and use that.",
  });
}
