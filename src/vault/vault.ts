/**
 * The vault: the encrypted, deduplicated home of backups and WAL, in a store.
 *
 * Nouns: a *chunk* is up to 64 KiB of pages or bytes, compressed and sealed; a *pack* is an object of about 32 MiB of
 * chunks; a *blob* is an object read from front to back; a *manifest* lists every file of one backup and where its bytes
 * lie; a *marker* says what became of a backup (started, announced); a *data key* seals all of it.
 * Invariants: objects are written once, under unique names, and never changed; the state of the vault is its listing;
 * whatever a manifest names was stored, read back and checked before the backup is announced; an object that does not
 * open under its own name is damaged, never guessed at.
 * The format is specified in docs/formats/vault.md.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import type { PutOptions, Store } from "../store/store.ts";
import { blobKeyId, openBlob, sealBlob } from "./blob.ts";
import { type OpenedKeys, openKeys, readGivenWraps, type WrapListing } from "./key-open.ts";
import {
  createDataKey,
  createRecoveryKey,
  type StretchCost,
  type VaultSecret,
  type WrapSecret,
  wrapDataKey,
} from "./keys.ts";
import { askCopy, encodeMarker, readVaultId } from "./marker.ts";
import { type KeyId, keyWrapName, VAULT_MARKER, VAULT_MARKER_COPY } from "./names.ts";
import { refuseFaultyPassphrase } from "./passphrase.ts";
import { keepRestoreProgram } from "./restore-program.ts";
import type { DataKey } from "./sealing.ts";

/** What the vault needs of the machine. */
export type VaultTools = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** What new passphrases cost to try; less than the default only where nobody will try any: random bytes, tests. */
  readonly stretchCost?: StretchCost;
};

/** An opened vault: its store, and the data keys that the given secret opened. */
export type Vault = VaultTools & {
  readonly id: string;
  /** Seals new objects. */
  readonly dataKey: DataKey;
  /** From the oldest to the newest. */
  readonly dataKeys: ReadonlyMap<KeyId, DataKey>;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Zstandard level of manifests, records and WAL: they are small or must keep up with the server. */
export const BLOB_LEVEL = 3;

/**
 * Makes a vault in an empty store: the restore program where `files` says where to read it, the keys, and the marker last, so a
 * vault that exists has its keys, and nothing fails between its being one and its recovery key's being shown.
 * Returns the recovery key, which is kept nowhere else. Throws `vault.already-a-vault`, `vault.marker-lost`, `config.secret-unusable`.
 */
export async function initVault(
  { files, ...tools }: VaultTools & { readonly files?: Pick<Files, "readFile"> },
  secret: WrapSecret,
  options: CallOptions,
): Promise<{ readonly vault: Vault; readonly recoveryKey: string | undefined }> {
  await refuseVault(tools.store, options);
  if (secret.kind === "passphrase") refuseFaultyPassphrase(secret.passphrase);
  if (files !== undefined) await keepRestoreProgram({ store: tools.store, files }, options);
  const vaultId = tools.random(16).toString("hex");
  const dataKey = createDataKey(tools.random);
  const now = tools.clock.now();
  const recoveryKey = secret.kind === "open" ? undefined : createRecoveryKey(tools.random);
  const secrets: WrapSecret[] = [secret];
  if (recoveryKey !== undefined) secrets.push({ kind: "recovery-key", recoveryKey });
  for (const each of secrets) {
    const wrap = await wrapDataKey(
      { vaultId, dataKey, secret: each, now, stretchCost: tools.stretchCost },
      tools.random,
    );
    const wrapId = tools.random(8).toString("hex");
    await tools.store.put(keyWrapName({ keyId: dataKey.id, wrapId }), [wrap], options);
  }
  const marker = encodeMarker({ vaultId, createdAt: now });
  try {
    await tools.store.put(VAULT_MARKER, [marker], options);
  } catch (error) {
    if (isLifeboatError(error, "store.object-exists")) throw alreadyVault(tools.store);
    throw error;
  }
  await tools.store.put(VAULT_MARKER_COPY, [marker], options).catch(leaveToBackup);
  const vault = { ...tools, id: vaultId, dataKey, dataKeys: new Map([[dataKey.id, dataKey]]) };
  return { vault, recoveryKey };
}

/** It is a vault without the copy, and whoever made it must be shown the recovery key. The next backup puts the copy. */
function leaveToBackup(error: unknown): void {
  if (!isLifeboatError(error) || error.kind === "bug") throw error;
}

async function refuseVault(store: Store, options: CallOptions): Promise<void> {
  if ((await store.head(VAULT_MARKER, options)) !== undefined) throw alreadyVault(store);
  const id = await readVaultId(store, options).catch((error: unknown) => {
    if (isLifeboatError(error, "vault.not-a-vault")) return undefined;
    throw error;
  });
  if (id !== undefined) throw alreadyVault(store);
}

/**
 * Opens a vault with every key wrap that the secret opens; the newest data key seals new objects. Wraps that this version
 * cannot read are passed over, so that one damaged wrap, or one of a later kind, does not lock out who holds another.
 * Throws as `readVaultId` and `openKeys` do.
 */
export async function openVault(tools: VaultTools, secret: VaultSecret, options: CallOptions): Promise<Vault> {
  return (await beginOpening(tools, secret, options)).vault;
}

/**
 * Opens a vault and resolves as soon as its passphrase is being stretched, which takes a core a third of a second and this
 * thread nothing: the caller has other things to do meanwhile. Throws, and `vault` rejects, as `openVault` does.
 */
export async function beginOpening(
  tools: VaultTools,
  secret: VaultSecret,
  options: CallOptions,
): Promise<{ readonly vault: Promise<Vault> }> {
  const id = await readVaultId(tools.store, options);
  const listing = await readGivenWraps(tools.store, options);
  const opened = openUnderEither({ store: tools.store, listing, id, secret }, options);
  const vault = opened.then(({ vaultId, keys: { newest, dataKeys } }) => {
    return { ...tools, id: vaultId, dataKey: newest, dataKeys };
  });
  // Awaited later: until then its rejection is nobody's.
  vault.catch(() => undefined);
  return { vault };
}

type Opening = {
  readonly store: Store;
  readonly listing: WrapListing;
  readonly id: string;
  readonly secret: VaultSecret;
};

/** Opens the keys under the id of the marker; where none opens, under that of its copy: a digit of the marker may be damaged. */
async function openUnderEither(
  { store, listing, id, secret }: Opening,
  options: CallOptions,
): Promise<{ readonly vaultId: string; readonly keys: OpenedKeys }> {
  const under = async (vaultId: string) => {
    return { vaultId, keys: await openKeys(listing, { vaultId, secret, storeName: store.name }) };
  };
  try {
    return await under(id);
  } catch (error) {
    if (!isLifeboatError(error, "vault.wrong-key") && !isLifeboatError(error, "vault.identity-unpinned")) throw error;
    const { other, confirmed } = await askCopy(store, id, options);
    // Where the other opens nothing either, the secret is wrong.
    if (other !== undefined) {
      return under(other).catch(() => {
        throw error;
      });
    }
    throw confirmed || error.code !== "vault.wrong-key" ? error : markerSuspected(error);
  }
}

function markerSuspected({ code, message, remedy, cause }: LifeboatError): LifeboatError {
  const also = `Where it is the right one, ${VAULT_MARKER} may be damaged, to which the keys are bound: compare it with that of another copy of the vault.`;
  return new LifeboatError(code, { message, remedy: `${remedy} ${also}`, cause });
}

/** The data key that an object needs. Throws `vault.key-missing`. */
export function dataKeyOf(vault: Vault, object: { readonly name: string; readonly keyId: KeyId }): DataKey {
  const dataKey = vault.dataKeys.get(object.keyId);
  if (dataKey !== undefined) return dataKey;
  throw new LifeboatError("vault.key-missing", {
    message: `object ${object.name} needs data key ${object.keyId}, the given secret opens ${vault.dataKeys.size} other`,
    remedy: "Use a passphrase or recovery key that was wrapped for this data key.",
    details: { object: object.name, keyId: object.keyId },
  });
}

/** Seals and stores a blob. Rejects with `store.object-exists` when the name is taken. */
export async function putBlob(
  vault: Vault,
  blob: { readonly name: string; readonly plain: Uint8Array },
  options: PutOptions,
): Promise<void> {
  await vault.store.put(blob.name, await sealBlob({ ...blob, level: BLOB_LEVEL }, vault), options);
}

/** As `openBlob`: memory that the blob may be opened into. */
export type IntoOptions = { readonly into?: Buffer | undefined };

/** Fetches and opens a blob. Throws `store.object-missing`, `vault.object-damaged`, `vault.key-missing`. */
export async function getBlob(vault: Vault, name: string, options: CallOptions & IntoOptions): Promise<Buffer> {
  const { into, ...call } = options;
  const sealed = await vault.store.get(name, call);
  return openBlob(name, sealed, dataKeyOf(vault, { name, keyId: blobKeyId(name, sealed) }), into);
}

function alreadyVault(store: Store): LifeboatError {
  return new LifeboatError("vault.already-a-vault", {
    message: `${store.name} already holds a vault`,
    remedy: "Use this vault as it is, or choose an empty path for a new one.",
  });
}
