/**
 * A vault in memory with a backup a day, for the tests of retention.
 */
import type { SystemId, Timeline } from "../../src/postgres/lsn.ts";
import { type PruneResult, runPrune } from "../../src/retention/act.ts";
import type { RetentionPolicy } from "../../src/retention/decide.ts";
import { type PrunePlan, planPrune } from "../../src/retention/survey.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import type { BackupRecord } from "../../src/vault/backups.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { type SetClock, setClock, storeSegment, storeSyntheticBackup } from "./synthetic-backups.ts";
import { createTestVault } from "./vaults.ts";

const HOUR = 3_600_000;
/** A day in milliseconds. */
export const DAY = 24 * HOUR;
/** The system of which there are backups. */
export const systemId = "7" as SystemId;
/** The timeline on which they were taken. */
export const timeline = 1 as Timeline;
const policy: RetentionPolicy = {
  windows: { hourly: 0, daily: 2, weekly: 0 },
  manualDays: undefined,
  graceMs: DAY,
  named: new Set(),
};

/** Five daily backups; each names a pack of the one before, as a delta does. The last three are kept or young. */
export async function dailyBackups(): Promise<{
  readonly vault: Vault;
  readonly store: Store;
  readonly clock: SetClock;
  readonly records: readonly BackupRecord[];
}> {
  const clock = setClock(Date.UTC(2026, 10, 1, 12));
  const store = openMemoryStore({ clock });
  const vault = await createTestVault(store, clock);
  const records = [];
  let sharedPacks: Awaited<ReturnType<typeof storeSyntheticBackup>>["packs"] = [];
  for (const segment of [2, 4, 6, 8, 10]) {
    await storeSegment(vault, { systemId, timeline, number: segment - 1 });
    const stored = await storeSyntheticBackup(vault, { systemId, segment, sharedPacks });
    records.push(stored.record);
    sharedPacks = stored.packs.slice(-1);
    clock.set(clock.now() + DAY);
  }
  clock.set(clock.now() - DAY + 2 * HOUR);
  return { vault, store, clock, records };
}

/** Plans a prune that keeps two days. */
export function planDaily(vault: Vault, changes: Partial<RetentionPolicy> = {}): Promise<PrunePlan> {
  return planPrune(vault, { policy: { ...policy, ...changes }, proofs: new Map(), unopenedProofs: [] }, {});
}

/** Plans one and carries it out. */
export async function pruneDaily(vault: Vault, changes: Partial<RetentionPolicy> = {}): Promise<PruneResult> {
  return runPrune(vault, await planDaily(vault, changes), { onProgress: () => undefined });
}

/** The objects that are there. */
export async function namesOf(store: Store, prefix = ""): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { key } of store.list(prefix)) names.push(key);
  return names;
}

/** A store that tells of each put, listing and deletion once it was done, before the next effect. */
export function toldStore(
  store: Store,
  tell: (effect: { readonly operation: "put" | "list" | "delete"; readonly key: string }) => Promise<void>,
): Store {
  return {
    name: store.name,
    put: async (key, parts, options) => {
      await store.put(key, parts, options);
      await tell({ operation: "put", key });
    },
    get: (key, options) => store.get(key, options),
    getRange: (key, range, options) => store.getRange(key, range, options),
    head: (key, options) => store.head(key, options),
    list: async function* (prefix, options) {
      yield* store.list(prefix, options);
      await tell({ operation: "list", key: prefix });
    },
    delete: async (key, options) => {
      await store.delete(key, options);
      await tell({ operation: "delete", key });
    },
  };
}
