/**
 * Who holds a key to a vault: listing, adding, removing, replacing holders, and a new data key.
 *
 * Nouns: a *holder* is one passphrase, recovery key or age recipient; its wraps, one for each data key it opens, share one
 * wrap id; to *rotate* is to make a new data key for new objects, while the old ones stay for the old objects.
 * Invariants: nothing that was sealed is sealed again; a wrap is stored, read back and (where its secret is at hand) opened
 * before anything relies on it or anything older is removed; no wrap is removed unless the secret in use still opens its
 * data key without it; a new passphrase takes the place of whole holders, never of part of one; cut after any step, the vault opens
 * with the secret in use or with the new one. Of two commands at once (key-meanwhile.ts) none takes away what the other relies on.
 */
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { RandomSource } from "../platform/random.ts";
import { type AgeWrap, isAgeWrap, isVouchedFor, pinLine, wrapForRecipient } from "./key-age.ts";
import { isBeingRemoved, keysChanged, lostMeanwhile, newDataKeys } from "./key-meanwhile.ts";
import { type OpenedKeys, openKeys, readGivenWraps, readWraps, type StoredWrap, type WrapListing } from "./key-open.ts";
import { keysByAge } from "./key-order.ts";
import {
  createDataKey,
  createRecoveryKey,
  DATA_KEYS_MAX,
  encodeKeyJson,
  type KeyWrap,
  labelOf,
  openWrap,
  parseWrap,
  type VaultSecret,
  type WrapSecret,
  wrapDataKey,
} from "./keys.ts";
import { type KeyId, keyNoteName, keyWrapName } from "./names.ts";
import { refuseFaultyPassphrase } from "./passphrase.ts";
import type { DataKey } from "./sealing.ts";
import { openVault, putBlob, type Vault, type VaultTools } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Somebody who can open the vault, as far as a listing shows it. */
export type KeyHolder = {
  readonly wrapId: string;
  readonly kind: KeyWrap["method"]["kind"];
  readonly label: string | undefined;
  /** Undefined for any other kind. */
  readonly recipient: string | undefined;
  /** When its first wrap was made. */
  readonly createdAt: string;
  readonly dataKeyCount: number;
  /** Whether it opens what is sealed now. */
  readonly opensNewest: boolean;
  /** Whether the secret in use opens it, or its newest data key vouches for it; what is not may be anybody's. */
  readonly proven: boolean;
};

/** A listing of holders. */
export type KeyList = {
  readonly dataKeyCount: number;
  readonly holders: readonly KeyHolder[];
  readonly unreadable: readonly string[];
};

/** A new holder. */
export type NewHolder =
  | { readonly kind: "passphrase"; readonly passphrase: string }
  | { readonly kind: "age"; readonly recipient: string }
  | { readonly kind: "recovery-key" };

/** A holder that was added. */
export type AddedHolder = {
  readonly wrapId: string;
  readonly dataKeyCount: number;
  /** Of so many that the vault has wraps of: fewer are opened when it was opened by a holder that a rotation left out. */
  readonly allDataKeyCount: number;
  /** Whether it opens the newest of all, as far as the dates of the wraps tell. */
  readonly opensNewest: boolean;
  /** The new recovery key, kept nowhere else; undefined for any other kind. */
  readonly recoveryKey: string | undefined;
  /** The line to append to the identity file of an age recipient; undefined for any other kind. */
  readonly pin: string | undefined;
};

/** A vault opened to change who holds its keys. */
type Ring = {
  readonly vault: Vault;
  readonly secret: VaultSecret;
  readonly listing: WrapListing;
  readonly opened: OpenedKeys;
};

/** Lists the holders. Throws as `openVault` does. */
export async function listKeys(tools: VaultTools, secret: VaultSecret, options: CallOptions): Promise<KeyList> {
  const ring = await openRing(tools, secret, options, readGivenWraps);
  const { vault, listing, opened } = ring;
  const proven = new Set(opened.openedWraps.map(({ name }) => name));
  const holders = holdersOf(listing.wraps).map(([wrapId, wraps]): KeyHolder => {
    const [first] = wraps;
    return {
      wrapId,
      kind: first.wrap.method.kind,
      label: labelOf(first.wrap),
      recipient: isAgeWrap(first.wrap) ? first.wrap.method.recipient : undefined,
      createdAt: first.wrap.createdAt,
      dataKeyCount: new Set(wraps.map(({ wrap }) => wrap.keyId)).size,
      opensNewest: wraps.some(({ wrap }) => wrap.keyId === vault.dataKey.id),
      proven: wraps.every((each) => proven.has(each.name)) || isProvenRecipient(vault, wraps),
    };
  });
  const dataKeyCount = new Set(listing.wraps.map(({ wrap }) => wrap.keyId)).size;
  return { dataKeyCount, holders, unreadable: [...listing.unreadable, ...listing.ungiven.map(({ name }) => name)] };
}

/**
 * Adds a holder of every data key that the secret opens. Throws as `openVault` does, `vault.age-unusable`,
 * `vault.not-encrypted`, `config.secret-unusable`.
 */
export async function addHolder(
  tools: VaultTools,
  secret: VaultSecret,
  add: { readonly holder: NewHolder; readonly label: string },
  options: CallOptions,
): Promise<AddedHolder> {
  if (add.holder.kind === "passphrase") refuseFaultyPassphrase(add.holder.passphrase);
  const ring = await openRing(tools, secret, options);
  refuseOpen(ring);
  const dataKeys = [...ring.vault.dataKeys.values()];
  const stored = await storeHolder(ring, { ...add, dataKeys, now: nextInstant(ring) }, options);
  // As the wraps are now: somebody may have made a data key meanwhile.
  const { wraps } = await readWraps(tools.store, options);
  const lacking = unopenedKeys(ring.vault, wraps);
  const newest = keysByAge(wraps).at(-1);
  return {
    ...stored,
    dataKeyCount: dataKeys.length,
    allDataKeyCount: dataKeys.length + lacking.length,
    opensNewest: newest === undefined || !lacking.includes(newest),
  };
}

/**
 * Removes a holder's wraps and leaves a note of it in the vault, returned with the number of wraps removed. Throws
 * `vault.wrap-unknown`, `vault.key-needed` unless the secret still opens each of its data keys by another wrap, and
 * `vault.keys-changed` with nothing removed.
 */
export async function removeHolder(
  tools: VaultTools,
  secret: VaultSecret,
  wrapId: string,
  options: CallOptions,
): Promise<{ readonly kind: string; readonly wrapCount: number }> {
  const ring = await openRing(tools, secret, options);
  refuseOpen(ring);
  const [, wraps] = holdersOf(ring.listing.wraps).find((holder) => holder[0] === wrapId) ?? [];
  if (wraps === undefined) {
    throw new LifeboatError("vault.wrap-unknown", {
      message: `the vault in ${tools.store.name} has no key wrap ${wrapId} that this version can read`,
      remedy: "See `lifeboat vault key list`.",
    });
  }
  await removeWraps(ring, wraps, options);
  return { kind: wraps[0].wrap.method.kind, wrapCount: wraps.length };
}

/**
 * Adds a passphrase, then removes every other passphrase that was there, each with all its wraps. Throws as `addHolder` does,
 * `vault.keys-unopened`, with nothing changed, when there are other passphrases and data keys that the secret does not open, and
 * `vault.keys-changed` when the new passphrase is not the only one that opens the vault, or opens less than all of it, since
 * somebody else changed the keys meanwhile.
 */
export async function rewrapPassphrase(
  tools: VaultTools,
  secret: VaultSecret,
  replace: { readonly passphrase: string; readonly label: string },
  options: CallOptions,
): Promise<{ readonly added: AddedHolder; readonly removed: readonly string[] }> {
  const { passphrase, label } = replace;
  const before = await openRing(tools, secret, options);
  refuseOpen(before);
  const unopened = unopenedKeys(before.vault, before.listing.wraps);
  if (unopened.length > 0 && passphrasesOf(before).length > 0) throw keysUnopened(before, unopened);
  const added = await addHolder(tools, secret, { holder: { kind: "passphrase", passphrase }, label }, options);
  // From here on the new passphrase is the secret in use: who opens what it does not is not removed.
  const ring = await openRing(tools, { kind: "passphrase", passphrase }, options);
  refuseNewDataKeys(before, ring.listing);
  // Only who was there before the new one: of two at once neither removes the other's, whatever is cut.
  const there = new Set(before.listing.wraps.map(({ wrapId }) => wrapId));
  const removed = passphrasesOf(ring).filter(
    ([wrapId, wraps]) => there.has(wrapId) && wraps.every(({ wrap }) => ring.vault.dataKeys.has(wrap.keyId)),
  );
  for (const [, wraps] of removed) await removeWraps(ring, wraps, options);
  await assertOnlyPassphrase(before, { ...ring, wrapId: added.wrapId }, options);
  return { added, removed: removed.map(([wrapId]) => wrapId) };
}

/** Throws `vault.keys-changed` unless the new passphrase is the only one, and there is no data key that it was not given. */
async function assertOnlyPassphrase(
  before: Ring,
  { vault, secret, wrapId }: Ring & { readonly wrapId: string },
  options: CallOptions,
): Promise<void> {
  const { store } = vault;
  const last = await readWraps(store, options);
  refuseNewDataKeys(before, last);
  if (!last.wraps.some((each) => each.wrapId === wrapId)) {
    throw keysChanged(store, `the new passphrase, wrap ${wrapId}, was removed`);
  }
  const others = passphrasesOf({ listing: last }).filter((holder) => holder[0] !== wrapId);
  if (others.length === 0) return;
  // The same passphrase from another host is no other one.
  const { openedWraps } = await openKeys(last, { vaultId: vault.id, secret, storeName: store.name });
  const left = others.filter(([each]) => !openedWraps.some((opened) => opened.wrapId === each));
  if (left.length === 0) return;
  const names = left.map(([each]) => each).join(", ");
  throw keysChanged(store, `the new passphrase opens the vault, and another does, wrap ${names}`);
}

function refuseNewDataKeys(before: Ring, now: WrapListing): void {
  const { store } = before.vault;
  const made = newDataKeys(before.listing, now);
  if (made.length > 0)
    throw keysChanged(store, `data key ${made.join(", ")} was made, and the new passphrase does not open it`);
}

function passphrasesOf({ listing }: Pick<Ring, "listing">): readonly Holder[] {
  return holdersOf(listing.wraps.filter(({ wrap }) => wrap.method.kind === "passphrase"));
}

/** Data keys that somebody can open and the secret in use cannot. */
function unopenedKeys(vault: Vault, wraps: readonly StoredWrap[]): readonly KeyId[] {
  const all = new Set(wraps.map(({ wrap }) => wrap.keyId));
  return [...all].filter((keyId) => !vault.dataKeys.has(keyId));
}

/** A rotation. */
export type Rotation = {
  readonly keyId: KeyId;
  /** Wrap ids of holders that open the new data key too. */
  readonly wrappedFor: readonly string[];
  /** Wrap ids of holders that do not: their secret was not at hand, or nothing vouches for them. */
  readonly leftOut: readonly string[];
  /** The line that makes identity files trust the new data key; undefined when no age recipient opens it. */
  readonly pin: string | undefined;
  /** Undefined when the vault was opened with a recovery key, which opens the new data key as well. */
  readonly recoveryKey: string | undefined;
  /** How many the new recovery key opens, or the one in use. */
  readonly dataKeyCount: number;
  /** Of so many that the vault has wraps of. */
  readonly allDataKeyCount: number;
};

/**
 * Makes a new data key for new objects, wrapped for every holder that can be wrapped for, the secret in use last: until
 * then nobody seals with it who uses that secret. Throws as `addHolder` does, `vault.keys-full`, `vault.keys-changed`.
 */
export async function rotateDataKey(tools: VaultTools, secret: VaultSecret, options: CallOptions): Promise<Rotation> {
  const ring = await openRing(tools, secret, options);
  refuseOpen(ring);
  const { vault, listing, opened } = ring;
  if (vault.dataKeys.size >= DATA_KEYS_MAX) throw keysFull(vault);
  const dataKey = createDataKey(vault.random);
  const now = nextInstant(ring);
  const known = [...vault.dataKeys.values(), dataKey];
  const own = new Set(opened.openedWraps.map(({ wrapId }) => wrapId));
  const recovery =
    secret.kind === "recovery-key"
      ? undefined
      : await storeHolder(ring, { holder: { kind: "recovery-key" }, label: "", dataKeys: known, now }, options);
  try {
    await refuseChanged(ring, dataKey, options);
  } catch (error) {
    // Shown to nobody, and nobody has sealed with the new data key.
    for (const each of recovery === undefined ? [] : known) {
      await vault.store.delete(keyWrapName({ keyId: each.id, wrapId: recovery?.wrapId ?? "" }), options);
    }
    throw error;
  }
  const holders = holdersOf(listing.wraps);
  const others: string[] = [];
  for (const [wrapId, wraps] of holders) {
    const aged = wraps.find(({ wrap }) => newestVouches(vault, wrap));
    if (own.has(wrapId) || aged === undefined) continue;
    await storeWrap(ring, { to: recipientOf(aged), wrapId, dataKey, known, now }, options);
    if (await isBeingRemoved(vault.store, wrapId, options)) {
      await vault.store.delete(keyWrapName({ keyId: dataKey.id, wrapId }), options);
    } else others.push(wrapId);
  }
  for (const [wrapId, wraps] of holders.filter(([each]) => own.has(each))) {
    const [first] = wraps;
    const to: SealFor =
      secret.kind === "identity" ? recipientOf(first) : { kind: "secret", secret, label: labelOf(first.wrap) };
    await storeWrap(ring, { to, wrapId, dataKey, known, now }, options);
  }
  const reopened = await openVault(tools, secret, options).catch((error: unknown) => ({ failure: error }));
  // As the wraps are now: who was added meanwhile is left out.
  const last = await readWraps(vault.store, options);
  const lost = await lostMeanwhile(vault.store, { ...opened, listing: last, dataKeys: vault.dataKeys.keys() }, options);
  if ("failure" in reopened && lost === undefined) throw reopened.failure;
  // With a recovery key made, whoever removes the secret in use has seen the new data key by now, and opens it.
  if (lost !== undefined && recovery === undefined) {
    throw keysChanged(vault.store, `${lost}; it opens the new data key ${dataKey.id}`);
  }
  const wrappedFor = [...others, ...own];
  const isAged = others.length > 0 || secret.kind === "identity";
  return {
    keyId: dataKey.id,
    pin: isAged ? pinLine(dataKey, vault.id) : undefined,
    wrappedFor,
    leftOut: holdersOf(last.wraps)
      .map(([wrapId]) => wrapId)
      .filter((wrapId) => !wrappedFor.includes(wrapId) && wrapId !== recovery?.wrapId),
    recoveryKey: recovery?.recoveryKey,
    dataKeyCount: recovery !== undefined || "failure" in reopened ? known.length : reopened.dataKeys.size,
    allDataKeyCount: new Set(last.wraps.map(({ wrap }) => wrap.keyId)).size,
  };
}

/** Throws `vault.keys-changed` when somebody else makes a data key too, or takes the secret in use away. */
async function refuseChanged({ vault, listing, opened }: Ring, made: DataKey, options: CallOptions): Promise<void> {
  const now = await readWraps(vault.store, options);
  const own = new Set(opened.openedWraps.map(({ wrapId }) => wrapId));
  const ended = now.wraps.filter(({ wrapId, wrap }) => own.has(wrapId) && !vault.dataKeys.has(wrap.keyId));
  const begun = newDataKeys(listing, now).filter((keyId) => keyId !== made.id);
  const others = [...new Set([...begun, ...ended.map(({ wrap }) => wrap.keyId)])];
  if (others.length > 0) throw keysChanged(vault.store, `data key ${others.join(", ")} was made`);
  const lost = await lostMeanwhile(vault.store, { ...opened, listing: now, dataKeys: vault.dataKeys.keys() }, options);
  if (lost !== undefined) throw keysChanged(vault.store, lost);
}

async function openRing(
  tools: VaultTools,
  secret: VaultSecret,
  options: CallOptions,
  read: typeof readWraps = readWraps,
): Promise<Ring> {
  const { id } = await openVault(tools, secret, options);
  const listing = await read(tools.store, options);
  const opened = await openKeys(listing, { vaultId: id, secret, storeName: tools.store.name });
  // Both as of one listing: somebody may have made a data key since the vault was opened.
  const vault = { ...tools, id, dataKey: opened.newest, dataKeys: opened.dataKeys };
  return { vault, secret, listing, opened };
}

type SealFor =
  | { readonly kind: "secret"; readonly secret: WrapSecret; readonly label: string | undefined }
  | { readonly kind: "age"; readonly recipient: string; readonly label: string };

async function storeHolder(
  ring: Ring,
  add: {
    readonly holder: NewHolder;
    readonly label: string;
    readonly dataKeys: readonly DataKey[];
    readonly now: Instant;
  },
  options: CallOptions,
): Promise<Pick<AddedHolder, "wrapId" | "recoveryKey" | "pin">> {
  const { vault } = ring;
  const { holder, label, dataKeys } = add;
  const wrapId = vault.random(8).toString("hex");
  const { to, recoveryKey } = sealFor(holder, { label, random: vault.random });
  for (const [index, dataKey] of dataKeys.entries()) {
    // Each a millisecond later than the one before: a holder's dates tell which data key is newer.
    const now = (add.now + index - dataKeys.length + 1) as Instant;
    await storeWrap(ring, { to, wrapId, dataKey, known: dataKeys, now }, options);
  }
  const pin = holder.kind === "age" ? pinLine(dataKeys.at(-1) ?? vault.dataKey, vault.id) : undefined;
  return { wrapId, recoveryKey, pin };
}

function sealFor(
  holder: NewHolder,
  tools: { readonly label: string; readonly random: RandomSource },
): { readonly to: SealFor; readonly recoveryKey: string | undefined } {
  const { label } = tools;
  if (holder.kind === "age") return { to: { ...holder, label }, recoveryKey: undefined };
  if (holder.kind === "passphrase") return { to: { kind: "secret", label, secret: holder }, recoveryKey: undefined };
  const recoveryKey = createRecoveryKey(tools.random);
  return { to: { kind: "secret", label, secret: { kind: "recovery-key", recoveryKey } }, recoveryKey };
}

/** Stores a wrap, reads it back, and opens it where its secret is at hand. */
async function storeWrap(
  ring: Ring,
  wrap: {
    readonly to: SealFor;
    readonly wrapId: string;
    readonly dataKey: DataKey;
    readonly known: readonly DataKey[];
    readonly now: Instant;
  },
  options: CallOptions,
): Promise<void> {
  const { vault } = ring;
  const { to, dataKey, now } = wrap;
  const sealing = { vaultId: vault.id, dataKey, now };
  const bytes =
    to.kind === "age"
      ? await wrapForRecipient({ ...sealing, recipient: to.recipient, label: to.label, known: wrap.known })
      : await wrapDataKey(
          { ...sealing, secret: to.secret, label: to.label, stretchCost: vault.stretchCost },
          vault.random,
        );
  const name = keyWrapName({ keyId: dataKey.id, wrapId: wrap.wrapId });
  await vault.store.put(name, [bytes], options);
  const stored = await vault.store.get(name, options);
  const read = parseWrap(stored);
  const opened =
    read === undefined || to.kind === "age"
      ? undefined
      : await openWrap(read, { vaultId: vault.id, secret: to.secret });
  if (stored.equals(bytes) && (to.kind === "age" || opened?.secret.equals(dataKey.secret) === true)) return;
  throw new LifeboatError("vault.object-damaged", {
    message: `the key wrap ${name} was stored in ${vault.store.name} and does not read back as it was`,
    remedy: "Nothing older was removed. Check the disk of the vault, then run the same command again.",
  });
}

/**
 * The note first: cut in between, the wraps are still there and the same call removes them. Then a look at what somebody else
 * did meanwhile, who would have seen the note after it.
 */
async function removeWraps(ring: Ring, wraps: Holder[1], options: CallOptions): Promise<void> {
  const { vault, opened, secret } = ring;
  const { store } = vault;
  const names = new Set(wraps.map(({ name }) => name));
  const staying = opened.openedWraps.filter(({ name }) => !names.has(name));
  for (const { wrap, wrapId } of wraps) {
    if (staying.some((each) => each.wrap.keyId === wrap.keyId)) continue;
    throw keyNeeded({ wrapId, keyId: wrap.keyId, kind: secret.kind });
  }
  const [{ wrapId }] = wraps;
  const isNew = await putNote(ring, wraps, options);
  const now = await readWraps(store, options);
  const dataKeys = wraps.map(({ wrap }) => wrap.keyId);
  const made = newDataKeys(ring.listing, now);
  const more = now.wraps.some((each) => each.wrapId === wrapId && !names.has(each.name));
  const change =
    made.length > 0 || more
      ? `a data key was made${more ? `, and wrap ${wrapId} opens it` : ""}`
      : await lostMeanwhile(store, { openedWraps: staying, listing: now, dataKeys }, options);
  if (change !== undefined) {
    if (isNew) await store.delete(keyNoteName(wrapId), options);
    throw keysChanged(store, `${change}; wrap ${wrapId} was not removed`);
  }
  for (const { name } of wraps) await store.delete(name, options);
}

/** True when the note was not there. */
async function putNote({ vault }: Ring, wraps: Holder[1], options: CallOptions): Promise<boolean> {
  const [first] = wraps;
  const name = keyNoteName(first.wrapId);
  if (await isBeingRemoved(vault.store, first.wrapId, options)) return false;
  const plain = encodeKeyJson({
    format: "lifeboat-key-removed",
    version: 1,
    wrapId: first.wrapId,
    kind: first.wrap.method.kind,
    label: labelOf(first.wrap) ?? "",
    keyIds: wraps.map(({ wrap }) => wrap.keyId),
    createdAt: first.wrap.createdAt,
    removedAt: formatInstant(vault.clock.now()),
  });
  try {
    await putBlob(vault, { name, plain }, options);
    return true;
  } catch (error) {
    if (isLifeboatError(error, "store.object-exists")) return false;
    throw error;
  }
}

/** Later than every wrap that is known to be genuine, by a millisecond for each data key a new holder gets. */
function nextInstant({ vault, listing, opened }: Ring): Instant {
  const genuine = new Set(opened.openedWraps);
  const dates = listing.wraps
    .filter((each) => genuine.has(each) || newestVouches(vault, each.wrap))
    .map(({ wrap }) => Date.parse(wrap.createdAt) + vault.dataKeys.size + 1);
  return Math.max(vault.clock.now(), ...dates) as Instant;
}

/** An older data key may be in the hands of who was removed, and he could vouch with it for whom he likes. */
function newestVouches(vault: Vault, wrap: KeyWrap): wrap is AgeWrap {
  return (
    isAgeWrap(wrap) &&
    isVouchedFor(wrap, { vaultId: vault.id, dataKey: vault.dataKeys.get(wrap.keyId), by: [vault.dataKey] })
  );
}

/** Whether the newest data key vouches for the recipient, and one that is known for each of its wraps. */
function isProvenRecipient(vault: Vault, wraps: Holder[1]): boolean {
  const recipients = wraps.flatMap(({ wrap }) => (newestVouches(vault, wrap) ? [wrap.method.recipient] : []));
  const by = [...vault.dataKeys.values()];
  return wraps.every(
    ({ wrap }) =>
      isAgeWrap(wrap) &&
      recipients.includes(wrap.method.recipient) &&
      isVouchedFor(wrap, { vaultId: vault.id, dataKey: vault.dataKeys.get(wrap.keyId), by }),
  );
}

type Holder = readonly [wrapId: string, wraps: readonly [StoredWrap, ...StoredWrap[]]];

function holdersOf(wraps: readonly StoredWrap[]): readonly Holder[] {
  const holders = new Map<string, [StoredWrap, ...StoredWrap[]]>();
  const byDate = [...wraps].sort((a, b) => (a.wrap.createdAt < b.wrap.createdAt ? -1 : 1));
  for (const each of byDate) {
    const known = holders.get(each.wrapId);
    if (known === undefined) holders.set(each.wrapId, [each]);
    else known.push(each);
  }
  return [...holders];
}

function recipientOf({ wrap }: StoredWrap): SealFor {
  assert(isAgeWrap(wrap), "only an age wrap names a recipient");
  return { kind: "age", recipient: wrap.method.recipient, label: wrap.label };
}

function refuseOpen({ secret, vault }: Ring): void {
  if (secret.kind !== "open") return;
  throw new LifeboatError("vault.not-encrypted", {
    message: `the vault in ${vault.store.name} is not encrypted, so there are no keys to manage`,
    remedy: "Make a new vault with vault.encryption on, and take a backup into it.",
  });
}

function keyNeeded(of: { readonly wrapId: string; readonly keyId: KeyId; readonly kind: string }): LifeboatError {
  return new LifeboatError("vault.key-needed", {
    message: `without wrap ${of.wrapId} the ${of.kind} in use would not open data key ${of.keyId}`,
    remedy:
      "Add another holder first and open the vault with it: whoever removes a wrap must open all it opens without it.",
  });
}

function keysUnopened({ vault, secret, listing }: Ring, unopened: readonly KeyId[]): LifeboatError {
  const of = `${vault.dataKeys.size} of ${vault.dataKeys.size + unopened.length} data keys`;
  const newest = keysByAge(listing.wraps).at(-1);
  const lacks = newest !== undefined && unopened.includes(newest) ? ", not the newest" : "";
  return new LifeboatError("vault.keys-unopened", {
    message: `the ${secret.kind} in use opens ${of} of the vault in ${vault.store.name}${lacks}; a passphrase in its place would open no more`,
    remedy:
      "Open the vault with a passphrase, recovery key or identity that opens all of them (`lifeboat vault key list` shows how many each opens). To have one that opens no more, add it with `lifeboat vault key add` and remove others one by one.",
  });
}

function keysFull(vault: Vault): LifeboatError {
  return new LifeboatError("vault.keys-full", {
    message: `the vault in ${vault.store.name} has ${vault.dataKeys.size} data keys, the most is ${DATA_KEYS_MAX}`,
    remedy: "Make a new vault; keep this one for as long as its backups are wanted.",
  });
}
