/** How far a backup is. */
export type BackupProgress = {
  readonly phase: "checkpoint" | "copy" | "store" | "wal" | "announce";
  readonly doneBytes: number;
  readonly totalBytes: number;
};
