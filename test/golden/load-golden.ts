/**
 * Golden vaults as they lie in their folders.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import type { VaultSecret } from "../../src/vault/keys.ts";
import { openVault, type Vault, type VaultTools } from "../../src/vault/vault.ts";
import type { Objects } from "./read-by-spec.ts";

/** Every object of the golden vault of that name. */
export function loadGolden(name: string): Objects {
  const folder = path.join(import.meta.dirname, name);
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(path.relative(folder, entry.parentPath), entry.name));
  return new Map(names.sort().map((each) => [each, readFileSync(path.join(folder, each))]));
}

/** A store in memory that holds the objects, and what opens a vault in it. */
export async function goldenTools(objects: Objects): Promise<VaultTools> {
  const store = openMemoryStore({ clock: systemClock });
  for (const [name, bytes] of objects) await store.put(name, [bytes]);
  return { store, clock: systemClock, random: systemRandom };
}

/** The vault in a store of its own. */
export async function openGolden(objects: Objects, secret: VaultSecret): Promise<Vault> {
  return openVault(await goldenTools(objects), secret, {});
}

/** Every object of a store. */
export async function objectsOf(store: Store): Promise<Objects> {
  const objects = new Map<string, Buffer>();
  for await (const { key } of store.list("")) objects.set(key, await store.get(key));
  return objects;
}
