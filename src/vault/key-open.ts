/**
 * Reads the wraps of a vault and opens those that a secret fits.
 *
 * Invariant: a wrap that this version cannot read is passed over, so that one damaged wrap, or one of a later kind, does
 * not lock out who holds another; it is kept by name for who wants to tell of it. So is one that the disk does not give, where
 * the secret opens its data key by another: else it could be the newest, which seals. Who changes keys must have read all.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Store } from "../store/store.ts";
import { newestBehindPin, openAgeWraps } from "./key-age.ts";
import { keysByAge } from "./key-order.ts";
import { type KeyWrap, openWrap, parseWrap, type VaultSecret } from "./keys.ts";
import { KEYS_PREFIX, type KeyId, parseKeyWrapName } from "./names.ts";
import { passphraseFault } from "./passphrase.ts";
import type { DataKey } from "./sealing.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A wrap and where it lies. */
export type StoredWrap = { readonly name: string; readonly wrapId: string; readonly wrap: KeyWrap };

/** The wraps of a vault, and the names of objects among them that are none this version can read. */
export type WrapListing = {
  readonly wraps: readonly StoredWrap[];
  readonly unreadable: readonly string[];
  /** Those that the store did not give, and why. */
  readonly ungiven: readonly { readonly name: string; readonly reason: LifeboatError }[];
};

/** What a secret opened. `dataKeys` from the oldest to the newest: the last one seals new objects. */
export type OpenedKeys = {
  readonly dataKeys: ReadonlyMap<KeyId, DataKey>;
  readonly newest: DataKey;
  readonly openedWraps: readonly StoredWrap[];
};

/** Reads every wrap. Throws what the store throws for one of them. */
export async function readWraps(store: Store, options: CallOptions): Promise<WrapListing> {
  const listing = await readGivenWraps(store, options);
  for (const { reason } of listing.ungiven) throw reason;
  return listing;
}

/** Reads every wrap that the store gives. */
export async function readGivenWraps(store: Store, options: CallOptions): Promise<WrapListing> {
  const wraps: StoredWrap[] = [];
  const unreadable: string[] = [];
  const ungiven: WrapListing["ungiven"][number][] = [];
  for await (const { key: name } of store.list(KEYS_PREFIX, options)) {
    const bytes = await getListed(store, name, options);
    if (bytes === undefined) continue;
    if (isLifeboatError(bytes)) {
      ungiven.push({ name, reason: bytes });
      continue;
    }
    const wrap = parseWrap(bytes);
    const named = parseKeyWrapName(name);
    if (wrap === undefined || named === undefined || named.keyId !== wrap.keyId) unreadable.push(name);
    else wraps.push({ name, wrapId: named.wrapId, wrap });
  }
  return { wraps, unreadable, ungiven };
}

/** Undefined when it was removed since it was listed: then it is no wrap any more. The error where the disk refuses this one. */
async function getListed(
  store: Store,
  name: string,
  options: CallOptions,
): Promise<Buffer | LifeboatError | undefined> {
  try {
    return await store.get(name, options);
  } catch (error) {
    if (isLifeboatError(error, "store.object-missing")) return undefined;
    if (isLifeboatError(error, "store.failed") || isLifeboatError(error, "vault.object-damaged")) return error;
    throw error;
  }
}

/**
 * Opens every wrap that the secret fits. Throws `vault.wrong-key` when there is none; with an age identity also
 * `vault.age-unusable` and `vault.identity-unpinned`. Throws the store's error of a wrap that may be the only one by which the secret
 * opens its data key.
 */
export async function openKeys(
  listing: WrapListing,
  tools: { readonly vaultId: string; readonly secret: VaultSecret; readonly storeName: string },
): Promise<OpenedKeys> {
  const { opened, seals } = await openEach(listing.wraps, tools).catch((error: unknown) => {
    const [ungiven] = listing.ungiven;
    throw ungiven !== undefined && isLifeboatError(error, "vault.identity-unpinned") ? mayOpen(ungiven, tools) : error;
  });
  opened.sort((a, b) => (a.stored.wrap.createdAt < b.stored.wrap.createdAt ? -1 : 1));
  const byId = new Map(opened.map(({ dataKey }) => [dataKey.id, dataKey]));
  const byAge = keysByAge(opened.map(({ stored }) => stored)).flatMap((keyId) => byId.get(keyId) ?? []);
  const newest = seals(byAge);
  const needed = listing.ungiven.find(({ name }) => mayBeOf(name, byId));
  if (needed !== undefined) throw mayOpen(needed, tools);
  if (newest === undefined) throw wrongKey(listing, tools);
  const ordered = [...byAge.filter(({ id }) => id !== newest.id), newest];
  return {
    dataKeys: new Map(ordered.map((dataKey) => [dataKey.id, dataKey])),
    newest,
    openedWraps: opened.map(({ stored }) => stored),
  };
}

/** Whether this is a wrap of a data key that is not among those that opened. */
function mayBeOf(name: string, opened: ReadonlyMap<KeyId, DataKey>): boolean {
  const named = parseKeyWrapName(name);
  return named !== undefined && !opened.has(named.keyId);
}

function mayOpen({ reason }: WrapListing["ungiven"][number], tools: { readonly secret: VaultSecret }): LifeboatError {
  return new LifeboatError("store.failed", {
    message: `${reason.message}; no other key wrap of its data key opens with the ${givenAs(tools.secret)}`,
    remedy: `${reason.remedy} Or copy this file from another copy of the vault: it never changes.`,
    retryable: true,
    cause: reason,
  });
}

function givenAs({ kind }: VaultSecret): string {
  return kind === "open" ? "absence of a passphrase" : kind;
}

type Opened = {
  readonly opened: { readonly stored: StoredWrap; readonly dataKey: DataKey }[];
  /** Which seals of all that were opened, from the oldest to the newest. */
  readonly seals: (byAge: readonly DataKey[]) => DataKey | undefined;
};

/** Whether a vault was opened with the newest of all its data keys, as far as the dates of the wraps tell. */
export async function opensNewestKey(
  { store, dataKeys }: { readonly store: Store; readonly dataKeys: ReadonlyMap<KeyId, DataKey> },
  options: CallOptions,
): Promise<boolean> {
  const { wraps } = await readGivenWraps(store, options);
  const newest = keysByAge(wraps).at(-1);
  return newest === undefined || dataKeys.has(newest);
}

async function openEach(
  wraps: readonly StoredWrap[],
  tools: { readonly vaultId: string; readonly secret: VaultSecret },
): Promise<Opened> {
  const { secret, vaultId } = tools;
  const opened: { readonly stored: StoredWrap; readonly dataKey: DataKey }[] = [];
  if (secret.kind === "identity") {
    const { pinned, ...keys } = await openAgeWraps(
      wraps.map(({ wrap }) => wrap),
      { vaultId, identities: secret.identities },
    );
    for (const { wrap, dataKey } of keys.opened) {
      const stored = wraps.find((each) => each.wrap === wrap);
      if (stored !== undefined) opened.push({ stored, dataKey });
    }
    const seals = (byAge: readonly DataKey[]) =>
      pinned === undefined ? undefined : newestBehindPin(byAge, { vaultId, pinned, opened: keys.opened });
    return { opened, seals };
  }
  for (const stored of wraps) {
    const dataKey = await openWrap(stored.wrap, { vaultId, secret });
    if (dataKey !== undefined) opened.push({ stored, dataKey });
  }
  return { opened, seals: (byAge) => byAge.at(-1) };
}

function wrongKey(
  { wraps, unreadable }: WrapListing,
  tools: { readonly secret: VaultSecret; readonly storeName: string },
): LifeboatError {
  const { secret, storeName } = tools;
  const kinds = wraps.map(({ wrap }) => wrap.method.kind).join(", ");
  const damaged = unreadable.length === 0 ? "" : `; ${unreadable.join(", ")} cannot be read`;
  const fault = secret.kind === "passphrase" ? passphraseFault(secret.passphrase) : undefined;
  return new LifeboatError("vault.wrong-key", {
    message: `the ${givenAs(secret)} opens none of the ${wraps.length} key wraps (${kinds}) of the vault in ${storeName}${damaged}${fault === undefined ? "" : `; the passphrase ${fault}`}`,
    remedy: `${fault === undefined ? "" : "Save the passphrase's file as UTF-8 without a byte order mark. "}Check the passphrase, recovery key or identity file and the setting vault.encryption, or use the recovery key that \`lifeboat vault init\` printed.`,
  });
}
