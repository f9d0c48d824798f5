/**
 * Names of objects.
 *
 * Nouns: a *key* is one or more *parts* joined by `/`; a *prefix* is the beginning of a key, perhaps in the middle of a
 * part, or empty.
 * Invariants: a part is made of lower-case letters, digits, `.`, `-` and `_` and does not begin with `.`; the first
 * part is never `tmp`, where a disk store keeps what is not finished; a key is never also the folder of other keys. So a
 * key is a file name on every file system, whether or not it tells upper case from lower.
 */
import { LifeboatError } from "../errors/error.ts";

/** Bounds of a key. File systems stop at 255 bytes a name, and a disk store adds 22 to make a temporary one. */
export const KEY_PART_LENGTH_MAX = 200;
/** The longest key: 512 leaves half of the usual 1024 bytes of an object store, and of the 4096 of a path, to a prefix. */
export const KEY_LENGTH_MAX = 512;

/** The folder of a disk store that holds unfinished objects; no key lies under it. */
export const TEMPORARY_PART = "tmp";

const PART = /^[a-z0-9_-][a-z0-9._-]*$/;

/** True for a name that may stand between two slashes of a key. */
export function isKeyPart(name: string): boolean {
  return name.length <= KEY_PART_LENGTH_MAX && PART.test(name);
}

/** Raises `store.bad-key` unless `key` may name an object. */
export function checkKey(key: string): void {
  const parts = key.split("/");
  if (key.length <= KEY_LENGTH_MAX && parts[0] !== TEMPORARY_PART && parts.every(isKeyPart)) return;
  throw badKey(`"${key}" cannot name an object`);
}

/** Raises `store.bad-key` unless some key may begin with `prefix`. */
export function checkPrefix(prefix: string): void {
  const parts = prefix.split("/");
  const last = parts.pop() ?? "";
  const whole = parts.every(isKeyPart) && (last === "" || isKeyPart(last));
  if (whole && prefix.length <= KEY_LENGTH_MAX && parts[0] !== TEMPORARY_PART) return;
  throw badKey(`no object's name begins with "${prefix}"`);
}

/** The error of a key that cannot be used; `message` says why. */
export function badKey(message: string): LifeboatError {
  return new LifeboatError("store.bad-key", {
    message,
    remedy: "This is a bug in Lifeboat: report it with this text and the stack.",
  });
}

/** The error of a key that is taken. */
export function objectExists(store: string, key: string): LifeboatError {
  return new LifeboatError("store.object-exists", {
    message: `${store} already holds ${key}`,
    remedy: "Objects are never overwritten: read the one that is there.",
  });
}

/** The error of an object that is proven absent. */
export function objectMissing(store: string, key: string): LifeboatError {
  return new LifeboatError("store.object-missing", {
    message: `${store} does not hold ${key}`,
    remedy: "Check the vault, and bring the object back from another copy of it.",
  });
}

/** The error of an object that ends before its reader is done. */
export function objectTruncated(
  store: string,
  key: string,
  sizes: { readonly neededBytes: number; readonly foundBytes: number },
): LifeboatError {
  return new LifeboatError("store.object-truncated", {
    message: `${key} in ${store} ends at byte ${sizes.foundBytes}, its reader needs ${sizes.neededBytes}`,
    remedy: "Check the vault: this object is damaged; use another copy of it.",
    details: { neededBytes: sizes.neededBytes, foundBytes: sizes.foundBytes },
  });
}
