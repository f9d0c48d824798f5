/**
 * The data keys of a vault that is open for months: a rotation makes a newer one meanwhile, and whoever was removed before it may
 * have kept a copy of the older. What is stored next is sealed with the newest that can be opened.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { ErrorCode } from "../errors/registry.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import type { KeyId } from "./names.ts";
import type { Vault } from "./vault.ts";

/**
 * After a rotation the secret's file is brought up to date by hand, minutes later, and no listing shows it. A try stretches a
 * passphrase for a third of a second for each wrap, which nobody minds this seldom.
 */
const TRY_AGAIN_MS = 600_000;

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What renewing needs. */
export type RenewTools = {
  readonly clock: Pick<Clock, "monotonic">;
  /** Opens the same vault once more, by the secret as it is configured now. */
  readonly reopen: (options: CallOptions) => Promise<Vault>;
  /** There is a data key that stays closed: why the vault did not open; undefined when its secret opens others only. */
  readonly onLeftOut: (why: string | undefined) => void;
  /** After that was told: every data key opens. */
  readonly onCaughtUp: () => void;
};

/** Keeps an opened vault at its newest data key. `vault` is that vault, whoever holds it sees its keys change. */
export class KeptKeys {
  readonly vault: Vault;
  readonly #tools: RenewTools;
  #keys: Pick<Vault, "dataKey" | "dataKeys">;
  /** The wraps that were there when the vault was opened last, and when: others, or time, are a reason to stretch a passphrase again. */
  #tried: { readonly names: string; readonly at: Monotonic } | undefined;
  /** What was told last: the wraps, and why the vault did not open. */
  #told: string | undefined;

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
   * Given the names of all wraps, each with its data key; opens the vault anew where one is for a data key that is not known, and
   * every ten minutes as long as it is not. A secret that does not fit is told once and no reason to wait: what is sealed with the
   * older opens for all who hold it. Rejects with anything else, as a store that fails.
   */
  readonly renew = async (wraps: ReadonlyMap<string, KeyId>, options: CallOptions): Promise<void> => {
    const lacks = (): boolean => [...wraps.values()].some((keyId) => !this.#keys.dataKeys.has(keyId));
    const names = [...wraps.keys()].join();
    const { clock } = this.#tools;
    if (!lacks()) return;
    const tried = this.#tried;
    if (tried?.names === names && clock.monotonic() - tried.at < TRY_AGAIN_MS) return;
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
    this.#tried = { names, at: clock.monotonic() };
    this.#tell(lacks() ? { names, why } : undefined);
  };

  #tell(lacking: { readonly names: string; readonly why: string | undefined } | undefined): void {
    const before = this.#told;
    this.#told = lacking === undefined ? undefined : `${lacking.names} ${lacking.why ?? ""}`;
    if (this.#told === before) return;
    if (lacking === undefined) this.#tools.onCaughtUp();
    else this.#tools.onLeftOut(lacking.why);
  }
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
