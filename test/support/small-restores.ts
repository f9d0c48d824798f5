/**
 * Backups of a server of a few files, and restores of them into memory: for tests that repeat both some thousand times. No
 * server starts from them; what counts is every byte of every file.
 */
import path from "node:path";
import { takeBackup, type WalBetween } from "../../src/backup/backup.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Files } from "../../src/platform/files.ts";
import { BLOCK_BYTES, CONTROL_FILE_PATH } from "../../src/postgres/control-file.ts";
import { type DeltaProcesses, presentTablespaces } from "../../src/restore/delta-guard.ts";
import { prepareDelta, prepareRestore, runRestore } from "../../src/restore/restore.ts";
import type { BackupRecord } from "../../src/vault/backups.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { GOLDEN_SEGMENT, GOLDEN_SERVER, goldenCoverage } from "../golden/make-vault.ts";
import { connectSynthetic, type SyntheticServer } from "../golden/synthetic-server.ts";
import { restoreTools } from "./backups.ts";
import { FREE_LOCKS } from "./power-cuts.ts";

/** Where a restore goes; its one tablespace is `16400` below `TABLESPACES_UNDER`. */
export const RESTORED_FOLDER = "/srv/restored";
/** The parent of the tablespace's folder. */
export const TABLESPACES_UNDER = "/srv/tablespaces";

const KEPT = new Set([
  "PG_VERSION",
  "backup_label",
  "base",
  "base/5",
  "base/5/16386",
  "base/5/16388",
  "global",
  "global/pg_control",
  "pg_tblspc",
  "pg_wal",
]);

/** The server that is backed up. */
export const SMALL_SERVER: SyntheticServer = {
  ...GOLDEN_SERVER,
  files: GOLDEN_SERVER.files.filter((file) => KEPT.has(file.path) || file.path.startsWith("pg_tblspc/16400/")),
};

/** The same with one more file: of so many pages, of which those are not zero that `isFull` says. */
export function serverWithLargeFile(pages: number, isFull: (page: number) => boolean): SyntheticServer {
  const content = Buffer.alloc(pages * BLOCK_BYTES);
  for (let page = 0; page < pages; page += 1) {
    if (isFull(page)) content.fill(`page ${page} `, page * BLOCK_BYTES, (page + 1) * BLOCK_BYTES);
  }
  const large = { kind: "file", path: LARGE_FILE, mode: 0o600, modifiedS: 0, content } as const;
  return { ...SMALL_SERVER, files: [...SMALL_SERVER.files, large] };
}

/** Its path. */
export const LARGE_FILE = "base/5/16390";

/** No WAL lies between two backups of the small server. */
const NOTHING_BETWEEN: WalBetween = {
  holds: async () => "held",
  settings: async ({ to }) => ({ kind: "same", reached: to }),
  unsoundCopy: async () => undefined,
};

/** Takes a backup of the small server, or of another that is like it; a delta keeps the pages of the one before. */
export function takeSmallBackup(
  vault: Vault,
  server = SMALL_SERVER,
  { delta }: { readonly delta: boolean } = { delta: false },
): Promise<BackupRecord> {
  const tools = {
    vault,
    clock: systemClock,
    connection: connectSynthetic(server),
    wal: { ...goldenCoverage(vault), ...(delta ? { between: NOTHING_BETWEEN } : {}) },
    outsideFiles: [],
    onProgress: () => undefined,
  };
  return takeBackup(tools, { label: "test", checkpoint: "fast", compression: { level: 1 }, adoptSystem: false }, {});
}

/** No server of this machine has to do with folders in memory. */
export const NO_PROCESSES: DeltaProcesses = {
  isAlive: async () => false,
  all: async () => [],
  facts: async () => undefined,
  worksIn: async () => "no",
  hasOpenIn: async () => "no",
  hasOpenBelow: async () => "no",
  leadsTo: async () => "no",
};

/** A backup, and the vault that has it. */
export type SmallBackup = { readonly vault: Vault; readonly backup: BackupRecord };

/** Where a restore goes. */
export type SmallPlace = { readonly folder: string; readonly under: string };

const PLACE: SmallPlace = { folder: RESTORED_FOLDER, under: TABLESPACES_UNDER };

/** Plans its restore, into an empty folder or in place. */
export async function planSmall(
  { vault, backup }: SmallBackup,
  files: Files,
  how: "whole" | "delta",
  { folder, under }: SmallPlace = PLACE,
) {
  const { systemId, backupId } = backup;
  const tools = { ...restoreTools(vault, backup), files, locks: FREE_LOCKS };
  const plan = await prepareRestore(tools, { systemId, backupId, target: { kind: "immediate" }, acceptGap: true }, {});
  const chosen = { byOid: new Map<number, string>(), under };
  const tablespaces = how === "delta" ? await presentTablespaces(files, folder, chosen) : chosen;
  return { tools, plan, place: { folder, tablespaces, owner: undefined } };
}

/** Restores a backup, into an empty folder or in place. */
export async function restoreSmall(
  from: SmallBackup,
  files: Files,
  how: "whole" | "delta" = "whole",
  at: SmallPlace = PLACE,
): Promise<void> {
  const { tools, plan, place } = await planSmall(from, files, how, at);
  const asked = { ...tools, processes: NO_PROCESSES, onCompared: () => undefined };
  const delta = how === "delta" ? await prepareDelta(asked, plan, place, {}) : undefined;
  await runRestore(tools, plan, place, { delta });
}

/** What of a restored folder differs from the server that was backed up. */
export async function differencesFrom(
  server: SyntheticServer,
  files: Files,
  { folder }: Pick<SmallPlace, "folder"> = PLACE,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const each of server.files) {
    if (each.kind !== "file") continue;
    // By way of the link from pg_tblspc, as the server goes.
    const bytes = await files.readFile(path.join(folder, each.path)).catch(() => undefined);
    if (bytes === undefined || !bytes.equals(each.content)) found.push(each.path);
  }
  const segment = path.join(folder, "pg_wal", GOLDEN_SEGMENT.segment);
  const laid = await files.readFile(segment).catch(() => undefined);
  if (laid === undefined || !laid.equals(GOLDEN_SEGMENT.bytes)) found.push(GOLDEN_SEGMENT.segment);
  for (const name of ["postgresql.auto.conf", "recovery.signal"]) {
    if ((await files.stat(path.join(folder, name))) === undefined) found.push(name);
  }
  return found;
}

/** True when a server would take the restored folder for a data directory. */
export async function smallCouldStart(files: Files, { folder }: Pick<SmallPlace, "folder"> = PLACE): Promise<boolean> {
  return (await files.stat(path.join(folder, CONTROL_FILE_PATH))) !== undefined;
}
