/**
 * A process that does one thing with a vault on disk, to be killed by a test or run beside others: `node vault-process.ts
 * '<json>'`. Prints `begun` when it begins, and `done`.
 */
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { LocalServer, type ServerSetup } from "../../src/postgres/server.ts";
import { runPrune } from "../../src/retention/act.ts";
import { planPrune } from "../../src/retention/survey.ts";
import { openDiskStore } from "../../src/store/disk/disk-store.ts";
import { listBackups } from "../../src/vault/backups.ts";
import type { BackupId } from "../../src/vault/names.ts";
import { openVault, type Vault } from "../../src/vault/vault.ts";
import { restoreLatest, takeTestBackup } from "./backups.ts";
import { PORTS, TestServer } from "./servers.ts";

/** What the process is told. */
export type VaultOrder = { readonly vaultFolder: string } & (
  | { readonly kind: "backup"; readonly setup: ServerSetup; readonly serverFolder: string }
  /** Removes the backups at once, and sweeps what is left over, as if so much time had passed. */
  | { readonly kind: "prune"; readonly named: readonly BackupId[]; readonly aheadMs: number }
  /** Of the newest backup. */
  | { readonly kind: "restore"; readonly target: string }
);

async function backUp(vault: Vault, order: VaultOrder & { readonly kind: "backup" }): Promise<void> {
  const server = new TestServer(new LocalServer(PORTS, order.setup), order.serverFolder, true);
  await takeTestBackup(server, vault);
}

async function prune(vault: Vault, order: VaultOrder & { readonly kind: "prune" }): Promise<void> {
  const windows = { hourly: 0, daily: 0, weekly: 0 };
  const there = new Set((await listBackups(vault, {}, {})).backups.map(({ backupId }) => backupId));
  const named = new Set(order.named.filter((each) => there.has(each)));
  // The tombstones, then what they stand for.
  for (let pass = 0; pass < 2; pass += 1) {
    const request = {
      policy: { windows, manualDays: undefined, graceMs: 0, named },
      proofs: new Map<BackupId, never>(),
      unopenedProofs: [],
    };
    await runPrune(vault, await planPrune(vault, request, {}), { onProgress: () => undefined });
    named.clear();
  }
}

async function restore(vault: Vault, order: VaultOrder & { readonly kind: "restore" }): Promise<void> {
  const newest = (await listBackups(vault, {}, {})).backups.at(-1);
  if (newest === undefined) throw new Error("there is a backup to restore");
  await restoreLatest(vault, newest, { folder: order.target });
}

async function main(order: VaultOrder): Promise<void> {
  const store = await openDiskStore({
    folder: order.vaultFolder,
    files: systemFiles,
    random: systemRandom,
    access: "write",
  });
  const aheadMs = order.kind === "prune" ? order.aheadMs : 0;
  const clock = { ...systemClock, now: () => (systemClock.now() + aheadMs) as ReturnType<typeof systemClock.now> };
  const vault = await openVault({ store, clock, random: systemRandom }, { kind: "open" }, {});
  process.stdout.write("begun\n");
  if (order.kind === "backup") await backUp(vault, order);
  else if (order.kind === "prune") await prune(vault, order);
  else await restore(vault, order);
  process.stdout.write("done\n");
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? ""));
