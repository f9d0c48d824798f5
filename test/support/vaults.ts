/**
 * Vaults for tests: in memory, with a passphrase that costs nothing to stretch because it is never asked for again.
 */
import { systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import type { StretchCost, WrapSecret } from "../../src/vault/keys.ts";
import { initVault, type Vault } from "../../src/vault/vault.ts";

/** The passphrase of every test vault. */
export const TEST_SECRET: WrapSecret = { kind: "passphrase", passphrase: "correct horse battery staple" };

/** The least that argon2id can do: what tests store is no secret. */
export const TEST_STRETCH: StretchCost = { memoryKiB: 8, passes: 1 };

/** An empty vault in memory, or in the given store. */
export async function createTestVault(store: Store = openMemoryStore({ clock: systemClock })): Promise<Vault> {
  const { vault } = await initVault({ store, clock: systemClock, random: systemRandom }, { kind: "open" }, {});
  return vault;
}
