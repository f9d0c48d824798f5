/** pg_basebackup: PostgreSQL's own, uncompressed tar files, WAL streamed beside them. The floor for time. */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { systemFiles } from "../../src/platform/files.ts";
import { folderBytes } from "../machine.ts";
import { type Base, BIN_FOLDER, clientArguments, type Place } from "../workload.ts";
import type { BackupTool } from "./backup-tool.ts";

/** pg_basebackup. */
export function pgBaseBackupTool(place: Place, base: Base): BackupTool {
  const folder = path.join(place.runFolder, "pg_basebackup");
  const { user } = place;
  const options = ["-Ft", "-X", "stream", "-c", "fast", "-D", folder];
  const clear = () => rm(folder, { recursive: true, force: true });
  return {
    title: "pg_basebackup tar",
    folder,
    prepare: async () => {
      await clear();
      await mkdir(folder, { mode: 0o700 });
      if (user !== undefined) await systemFiles.changeOwner(folder, user);
    },
    backup: {
      command: path.join(BIN_FOLDER, "pg_basebackup"),
      args: [...clientArguments(base.server), ...options],
      user,
    },
    storedBytes: async () => {
      const wal = await systemFiles.stat(path.join(folder, "pg_wal.tar"));
      return (await folderBytes(folder)) - (wal?.sizeBytes ?? 0);
    },
    restore: (targetFolder) => {
      // The other tools sync what they restore.
      const script = 'tar -xf "$0/base.tar" -C "$1" && tar -xf "$0/pg_wal.tar" -C "$1/pg_wal" && sync -f "$1"';
      return { command: { command: "sh", args: ["-c", script, folder, targetFolder], user }, boots: false };
    },
    clear,
  };
}
