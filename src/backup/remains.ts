/**
 * What a backup put into the vault, to take away when it fails.
 *
 * Invariant: every object that was put, or begun to be put, is known before the store is asked: a put that failed may
 * have been done all the same.
 */
import type { Store } from "../store/store.ts";
import type { Vault } from "../vault/vault.ts";

/** A store that is gone answers each request late: after so many failures the rest is left to lie, named by nothing. */
const FAILURES_MAX = 3;

/** One record serves one backup. */
export class Remains {
  /** The vault, by which the backup puts its objects. */
  readonly vault: Vault;
  readonly #names: string[] = [];
  #kept = false;

  constructor(vault: Vault) {
    this.vault = { ...vault, store: noting(vault.store, this.#names) };
  }

  /** Has `remove` leave everything as it is. */
  keep(): void {
    this.#kept = true;
  }

  /** Removes what was put, last things first. What cannot be removed harms nobody: `vault check` lists it. */
  async remove(): Promise<void> {
    let failures = 0;
    for (const name of this.#kept ? [] : this.#names.toReversed()) {
      // The first that was put tells of the rest, and stays while there is any.
      if (failures > 0 && name === this.#names[0]) return;
      try {
        await this.vault.store.delete(name);
      } catch {
        // The failure that ended the backup is the one to report.
        failures += 1;
        if (failures === FAILURES_MAX) return;
      }
    }
  }
}

function noting(store: Store, names: string[]): Store {
  return {
    name: store.name,
    put: (key, parts, options) => {
      names.push(key);
      return store.put(key, parts, options);
    },
    get: (key, options) => store.get(key, options),
    getRange: (key, range, options) => store.getRange(key, range, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  };
}
