/** What `prune`, `backup hold` and `backup release` do. */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import { makeFolderDurable } from "../platform/durable.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { retainedProofs } from "../proof/decide.ts";
import { runPrune } from "../retention/act.ts";
import { confirmHold, type HoldScope, putHold, releaseHolds } from "../retention/holds.ts";
import { planPrune } from "../retention/survey.ts";
import { listBackups } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import { listProofs } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import { openConfiguredVault } from "./compose.ts";
import { MACHINE } from "./engine-machine.ts";
import type { HoldEngine } from "./hold.ts";
import type { PruneConfiguredVault } from "./prune.ts";

/** Plans, and carries out unless it is a dry run; one at a time on this machine. */
export const pruneConfiguredVault: PruneConfiguredVault = async (call) => {
  const { config, session, dryRun, remove } = call;
  const { retention, folders } = config;
  const { signal } = session;
  const vault = await openConfiguredVault(call, dryRun ? "read" : "write");
  const proofs = await listProofs(vault, {}, { signal });
  const request = {
    policy: {
      windows: { hourly: retention.hourly, daily: retention.daily, weekly: retention.weekly },
      manualDays: retention.manualDays,
      graceMs: retention.grace,
      named: new Set(remove === undefined ? [] : [remove as BackupId]),
    },
    proofs: retainedProofs(proofs),
    unopenedProofs: proofs.damaged,
  };
  if (dryRun) return { plan: await planPrune(vault, request, { signal }), result: undefined };
  // The user of a sandbox's server passes through it.
  await makeFolderDurable(MACHINE.files, folders.state, 0o755);
  const file = path.join(folders.state, "prune.lock");
  const lock = MACHINE.locks.tryAcquire(file);
  if (lock === undefined) {
    throw new LifeboatError("retention.prune-running", {
      message: `another prune holds ${file}`,
      remedy: "Wait until it has ended; it does the same work.",
    });
  }
  try {
    const plan = await planPrune(vault, request, { signal });
    const onProgress = (progress: { readonly doneObjects: number; readonly totalObjects: number }) =>
      session.progress.report({ phase: `deleting ${progress.doneObjects} of ${progress.totalObjects} objects` });
    return { plan, result: await runPrune(vault, plan, { onProgress, signal }) };
  } finally {
    lock.release();
  }
};

/** Holds and releases in the configured vault. */
export const holdEngine: HoldEngine = {
  hold: async (call) => {
    const vault = await openConfiguredVault(call, "write");
    const { signal } = call.session;
    const found = await foundBackup(vault, call);
    const hold = await putHold(vault, { scope: found?.backupId ?? "all", reason: call.reason }, { signal });
    if (found !== undefined) await confirmHold(vault, { ...found, hold }, { signal });
    return hold;
  },
  release: async (call) => {
    const vault = await openConfiguredVault(call, "write");
    return releaseHolds(vault, call.scope as HoldScope, { signal: call.session.signal });
  },
};

/** The backup that is meant, undefined for all; one that is being deleted cannot be held any more. */
async function foundBackup(
  vault: Vault,
  call: { readonly scope: string; readonly session: { readonly signal: AbortSignal } },
): Promise<{ readonly systemId: SystemId; readonly backupId: BackupId } | undefined> {
  if (call.scope === "all") return undefined;
  const { backups, tombstoned } = await listBackups(vault, {}, { signal: call.session.signal });
  const known = [...backups, ...tombstoned.filter(({ announced }) => announced)];
  const found = known.find(({ backupId }) => backupId === call.scope);
  if (found !== undefined) return { systemId: found.systemId, backupId: found.backupId };
  throw new LifeboatError("vault.backup-unknown", {
    message: `the vault in ${vault.store.name} has no backup ${call.scope} to hold, it has ${known.length} others`,
    remedy: "List them with `lifeboat backups --all`.",
  });
}
