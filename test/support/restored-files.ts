/**
 * Restores of recorded backups, which no server is started from: what counts is every byte of every file.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { type Files, systemFiles } from "../../src/platform/files.ts";
import { CONTROL_FILE_PATH } from "../../src/postgres/control-file.ts";
import { type PricedPlan, prepareRestore, runRestore } from "../../src/restore/restore.ts";
import type { BackupRecord } from "../../src/vault/backups.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { restoreTools } from "./backups.ts";
import { membersOf, type Recording } from "./recordings.ts";
import { unsyncedFiles } from "./unsynced-files.ts";

/** Where a recorded backup is restored to: the data directory, and a folder with those of the tablespaces. */
export type Target = { readonly folder: string; readonly tablespacesUnder: string };

/** A folder's two targets. */
export function targetIn(folder: string): Target {
  return { folder: path.join(folder, "restored"), tablespacesUnder: path.join(folder, "tablespaces") };
}

/** Restores one backup to the newest point. */
export async function restoreRecorded(
  vault: Vault,
  backup: BackupRecord,
  target: Target,
  changes: {
    readonly files?: Files;
    readonly signal?: AbortSignal;
    readonly onProgress?: () => void;
    readonly onPlan?: (plan: PricedPlan) => void;
  } = {},
): Promise<PricedPlan> {
  const { files = unsyncedFiles, onProgress = () => undefined, signal } = changes;
  const tools = { ...restoreTools(vault, backup), files, onProgress };
  const { systemId, backupId } = backup;
  const plan = await prepareRestore(tools, { systemId, backupId, target: { kind: "latest" }, acceptGap: true }, {});
  changes.onPlan?.(plan);
  const tablespaces = { byOid: new Map<number, string>(), under: target.tablespacesUnder };
  await runRestore(tools, plan, { folder: target.folder, tablespaces, owner: undefined }, { signal });
  return plan;
}

/** True when a server would take the folder for a data directory. */
export async function couldStart(target: Target): Promise<boolean> {
  return (await systemFiles.stat(path.join(target.folder, CONTROL_FILE_PATH))) !== undefined;
}

/** Files that a restore adds to or leaves out. */
const CHANGED: ReadonlySet<string> = new Set(["postgresql.auto.conf", "tablespace_map"]);

/** Every file of the recording is there, byte by byte, the WAL too. */
export async function assertRestored(recording: Recording, target: Target): Promise<void> {
  for (const member of membersOf(recording)) {
    if (member.kind === "folder" || CHANGED.has(member.path)) continue;
    // By way of the link from pg_tblspc, as the server goes.
    const found = await systemFiles.readFile(path.join(target.folder, member.path));
    assert.ok(found.equals(member.content), `${member.path} differs`);
  }
  for (const [name, bytes] of recording.wal) {
    const found = await systemFiles.readFile(path.join(target.folder, "pg_wal", name));
    assert.ok(found.equals(bytes), `${name} differs`);
  }
}
