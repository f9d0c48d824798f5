/**
 * Whether the vault that was opened is still the one that lies in its store.
 *
 * A receiver has its vault open for months. Where the folder is exchanged meanwhile (a new disk, two that take turns at one
 * mount point, a copy from before a rotation), what it stores there opens by no key that this vault has: nobody can read it
 * once that receiver has ended.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { isStoreOf } from "./marker.ts";
import { KEYS_PREFIX, type KeyId, parseKeyWrapName } from "./names.ts";
import type { Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * Throws `vault.exchanged`, which passes when the vault is put back, or what the store throws. Reads the marker (150 bytes;
 * its copy only where that is of another vault) and lists `keys/`, which holds a name for each holder and data key; returns these, each with its data key.
 */
export async function checkSameVault(vault: Vault, options: CallOptions): Promise<ReadonlyMap<string, KeyId>> {
  const { store, dataKey } = vault;
  const there = await idThere(vault, options);
  if (there === undefined) throw exchanged(vault, "no vault is there now");
  if (there !== true) throw exchanged(vault, `vault ${there.other} is there now`);
  const wraps = new Map<string, KeyId>();
  for await (const { key } of store.list(KEYS_PREFIX, options)) {
    const named = parseKeyWrapName(key);
    if (named !== undefined) wraps.set(key, named.keyId);
  }
  if (![...wraps.values()].includes(dataKey.id)) {
    throw exchanged(vault, `what is there now does not know data key ${dataKey.id}, as a copy from before a rotation`);
  }
  return wraps;
}

async function idThere(vault: Vault, options: CallOptions): Promise<Awaited<ReturnType<typeof isStoreOf>> | undefined> {
  try {
    return await isStoreOf(vault.store, vault.id, options);
  } catch (error) {
    if (isLifeboatError(error, "vault.not-a-vault")) return undefined;
    throw error;
  }
}

function exchanged({ store, id }: Vault, what: string): LifeboatError {
  return new LifeboatError("vault.exchanged", {
    message: `${store.name} is not the vault ${id} any more that was opened: ${what}`,
    remedy:
      "Is its disk not mounted, or another one in its place? Put this vault back: what waits then goes into it by itself. If it is lost for good, make one there (`lifeboat vault init`), restart the receiver (`lifeboat restart receiver`), and take a backup at once.",
    retryable: true,
  });
}
