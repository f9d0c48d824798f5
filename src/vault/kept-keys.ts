/**
 * The data keys of a vault that is open for months: a rotation makes a newer one meanwhile, and whoever was removed before it may
 * have kept a copy of the older. What is stored next is sealed with the newest that can be opened.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { ErrorCode } from "../errors/registry.ts";
import type { KeyId } from "./names.ts";
import type { Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What renewing needs. */
export type RenewTools = {
  /** Opens the same vault once more, by the secret as it is configured now. */
  readonly reopen: (options: CallOptions) => Promise<Vault>;
  /** There is a data key that stays closed: why the vault did not open; undefined when its secret opens others only. */
  readonly onLeftOut: (why: string | undefined) => void;
};

/** Keeps an opened vault at its newest data key. `vault` is that vault, whoever holds it sees its keys change. */
export class KeptKeys {
  readonly vault: Vault;
  readonly #tools: RenewTools;
  #keys: Pick<Vault, "dataKey" | "dataKeys">;
  /** The wraps that were there when the vault was opened last: only others are a reason to stretch a passphrase again. */
  #tried: string | undefined;

  constructor(opened: Vault, tools: RenewTools) {
    this.#tools = tools;
    this.#keys = opened;
    const keys = (): Pick<Vault, "dataKey" | "dataKeys"> => this.#keys;
    this.vault = {
      ...opened,
      get dataKey() {
        return keys().dataKey;
      },
      get dataKeys() {
        return keys().dataKeys;
      },
    };
  }

  /**
   * Given the names of all wraps, each with its data key; opens the vault anew where one is for a data key that is not known.
   * A secret that does not fit is told once and no reason to wait: what is sealed with the older opens for all who hold it. Rejects
   * with anything else, as a store that fails.
   */
  readonly renew = async (wraps: ReadonlyMap<string, KeyId>, options: CallOptions): Promise<void> => {
    const unknown = [...wraps.values()].filter((keyId) => !this.#keys.dataKeys.has(keyId));
    const names = [...wraps.keys()].join();
    if (unknown.length === 0 || names === this.#tried) return;
    let why: string | undefined;
    try {
      const { id, dataKey, dataKeys } = await this.#tools.reopen(options);
      // Another vault by now: whoever stores looks for that.
      if (id !== this.vault.id) return;
      this.#keys = { dataKey, dataKeys };
    } catch (error) {
      if (!isSecretUnfit(error)) throw error;
      why = errorText(error);
    }
    this.#tried = names;
    if (unknown.some((keyId) => !this.#keys.dataKeys.has(keyId))) this.#tools.onLeftOut(why);
  };
}

/** It is not at hand any more, or opens nothing. */
function isSecretUnfit(error: unknown): error is LifeboatError {
  return isLifeboatError(error) && (error.code.startsWith("config.") || UNFIT.has(error.code));
}

const UNFIT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "vault.wrong-key",
  "vault.identity-unpinned",
  "vault.age-unusable",
]);
