/**
 * Proves one backup after another.
 *
 * Invariant: what keeps one from being proven (its programs, a library, a prune that took it) leaves the others to be proven,
 * and takes nothing from the proofs that were made.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import type { BackupRecord } from "../vault/backups.ts";

/** A backup of which nothing could be said, and why. */
export type Unproven = { readonly backupId: string; readonly error: LifeboatError };

/** Proves each in turn. Rejects when it is stopped, with a bug, and with whatever kept the only one from being proven. */
export async function proveEach<P>(
  backups: readonly BackupRecord[],
  prove: (backup: BackupRecord, index: number) => Promise<P>,
): Promise<{ readonly made: readonly P[]; readonly unproven: readonly Unproven[] }> {
  const made: P[] = [];
  const unproven: Unproven[] = [];
  for (const [index, backup] of backups.entries()) {
    try {
      made.push(await prove(backup, index));
    } catch (error) {
      if (!isLifeboatError(error) || error.kind === "bug" || error.code === "platform.aborted") throw error;
      if (backups.length === 1) throw error;
      unproven.push({ backupId: backup.backupId, error });
    }
  }
  return { made, unproven };
}
