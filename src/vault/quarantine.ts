/** What repairs have set aside. */
import { type BackupId, parseBackupName, QUARANTINE_PREFIX } from "./names.ts";
import type { Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** An announcement by its name in the vault, where it is not. */
export type AbsentAnnouncement = { readonly object: string; readonly backupId: BackupId };

/** Announcements that a repair set aside and has not made again: their backups look as if they had never been finished. */
export async function halfRepaired(
  vault: Vault,
  unfinished: readonly { readonly backupId: BackupId }[],
  options: CallOptions,
): Promise<readonly AbsentAnnouncement[]> {
  const found: AbsentAnnouncement[] = [];
  if (unfinished.length === 0) return found;
  for await (const { key } of vault.store.list(QUARANTINE_PREFIX, options)) {
    const object = key.split("/").slice(2).join("/");
    const named = parseBackupName(object);
    if (named?.part !== "announced" || !unfinished.some(({ backupId }) => backupId === named.backupId)) continue;
    found.push({ object, backupId: named.backupId });
  }
  return found;
}
