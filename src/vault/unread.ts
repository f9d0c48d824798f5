/**
 * A vault whose objects count as damaged where the disk does not give them.
 *
 * For who looks all of it over and tells: one bad sector is to hide nothing. Whoever acts by what he finds must not take it so: what
 * does not answer now may answer later.
 * Invariant: a store that gives nothing any more is no damage of its objects: its own error passes through.
 */
import { isLifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { OpenObject, Store, StoreOptions } from "../store/store.ts";
import { objectDamaged } from "./header.ts";
import { readVaultId } from "./marker.ts";
import type { Vault } from "./vault.ts";

/** The same vault, which tells of an object that cannot be read as it does of one that is damaged. */
export function tellingUnread(vault: Vault): Vault {
  return { ...vault, store: storeTellingUnread(vault.store) };
}

function storeTellingUnread(store: Store): Store {
  const reading = async <T>(key: string, read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      if (!isLifeboatError(error, "store.failed")) throw error;
      // Another user's vault is none that is damaged.
      if (isLifeboatError(error.cause, "platform.file-denied")) throw error;
      await readVaultId(store, {}).catch(() => {
        throw error;
      });
      throw objectDamaged(key, `it cannot be read: ${errorText(error)}`, error);
    }
  };
  const telling: Store = {
    name: store.name,
    put: (key, parts, options) => store.put(key, parts, options),
    get: (key, options) => reading(key, () => store.get(key, options)),
    getRange: (key, range, options) => reading(key, () => store.getRange(key, range, options)),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  };
  const open = store.openObject?.bind(store);
  if (open === undefined) return telling;
  const openObject = async (key: string, options?: StoreOptions): Promise<OpenObject> => {
    const opened = await reading(key, () => open(key, options));
    return {
      getRange: (range, call) => reading(key, () => opened.getRange(range, call)),
      close: () => opened.close(),
    };
  };
  return { ...telling, openObject };
}
