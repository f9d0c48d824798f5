/**
 * Tombstones: what says that a backup is to go. docs/formats/vault.md has their format.
 */
import { z } from "zod";
import { isLifeboatError } from "../errors/error.ts";
import { formatInstant } from "../platform/clock.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { type BackupId, backupName } from "../vault/names.ts";
import { getBlob, putBlob, type Vault } from "../vault/vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };
type Named = { readonly systemId: SystemId; readonly backupId: BackupId };

/** Whether the policy let the backup go, or somebody named it. */
export type TombstoneWhy = "retention" | "named";

const tombstoneSchema = z.object({ why: z.enum(["retention", "named"]) });

/** Puts a tombstone; one that is there already is left. */
export async function putTombstone(
  vault: Vault,
  backup: Named & { readonly why: TombstoneWhy },
  options: CallOptions,
): Promise<void> {
  const tombstonedAt = formatInstant(vault.clock.now());
  const plain = Buffer.from(
    JSON.stringify({ format: "lifeboat-tombstone", version: 1, tombstonedAt, why: backup.why }),
  );
  try {
    await putBlob(vault, { name: backupName(backup, "tombstone"), plain }, options);
  } catch (error) {
    if (!isLifeboatError(error, "store.object-exists")) throw error;
  }
}

/** Why a backup has its tombstone. One that does not open was put by the policy, as far as anybody can tell. */
export async function readTombstoneWhy(vault: Vault, backup: Named, options: CallOptions): Promise<TombstoneWhy> {
  try {
    const text = (await getBlob(vault, backupName(backup, "tombstone"), options)).toString("utf8");
    return tombstoneSchema.parse(JSON.parse(text)).why;
  } catch (error) {
    if (isLifeboatError(error) && !UNREADABLE.has(error.code)) throw error;
    return "retention";
  }
}

const UNREADABLE: ReadonlySet<string> = new Set([
  "store.object-missing",
  "vault.object-damaged",
  "vault.key-missing",
  "vault.format-unknown",
]);
