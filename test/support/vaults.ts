/**
 * Vaults for tests: in memory, with a passphrase that costs nothing to stretch because it is never asked for again.
 */
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { filesOfFolder } from "../../src/platform/owned-files.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { currentUid } from "../../src/platform/run-as.ts";
import { openDiskStore } from "../../src/store/disk/disk-store.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import { rewrapPassphrase } from "../../src/vault/key-ring.ts";
import { NO_STRETCH, type WrapSecret } from "../../src/vault/keys.ts";
import type { RepairTools } from "../../src/vault/repair.ts";
import { initVault, type Vault } from "../../src/vault/vault.ts";

/** The passphrase of every test vault. */
export const TEST_SECRET: WrapSecret = { kind: "passphrase", passphrase: "correct horse battery staple" };

/** Replaces the passphrase of a vault on disk by the same one, cheap to try: commands under test open it dozens of times. */
export async function cheapenPassphrase(folder: string, passphrase: string): Promise<void> {
  const files = await filesOfFolder(systemFiles, folder, currentUid());
  const store = await openDiskStore({ folder, files, random: systemRandom });
  const tools = { store, clock: systemClock, random: systemRandom, stretchCost: NO_STRETCH };
  await rewrapPassphrase(tools, { kind: "passphrase", passphrase }, { passphrase, label: "" }, {});
}

/** What a repair works with on a machine where nothing is spooled. */
export function repairTools(vault: Vault): RepairTools {
  return { vault, spooled: async () => undefined, files: systemFiles, host: "here", onProgress: () => undefined };
}

/** A store as one path is: what lies there can be exchanged under who has it open. */
export function exchangeableStore(first: Store) {
  let there = first;
  const store: Store = {
    name: first.name,
    put: (...of) => there.put(...of),
    get: (...of) => there.get(...of),
    getRange: (...of) => there.getRange(...of),
    head: (...of) => there.head(...of),
    list: (...of) => there.list(...of),
    delete: (...of) => there.delete(...of),
  };
  const exchange = (next: Store): void => {
    there = next;
  };
  return { store, exchange };
}

/** An empty vault in memory, or in the given store, made at a time of the given clock. */
export async function createTestVault(
  store: Store = openMemoryStore({ clock: systemClock }),
  clock: Clock = systemClock,
): Promise<Vault> {
  const { vault } = await initVault({ store, clock, random: systemRandom }, { kind: "open" }, {});
  return vault;
}
