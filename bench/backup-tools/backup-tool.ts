/**
 * A program that takes backups, as the benchmark drives it.
 *
 * Invariants: what `prepare` does is not measured; a tool has one folder of the run folder, and nothing outside it but
 * settings of the base that `clear` takes back.
 */
import type { Command } from "../../src/platform/processes.ts";
import type { Base, Place } from "../workload.ts";

/** A program that takes backups. */
export interface BackupTool {
  /** What it is, for tables. */
  readonly title: string;
  /** Makes an empty place for a backup. Clears what was there. */
  prepare(call: { readonly signal: AbortSignal }): Promise<void>;
  /** Takes a full backup. */
  readonly backup: Command;
  /** Bytes of the files of the backup itself, WAL apart. */
  storedBytes(): Promise<number>;
  /** Restores the backup into an empty folder; `boots` when the command also starts the server. */
  restore(targetFolder: string): { readonly command: Command; readonly boots: boolean };
  /** Removes all it made. */
  clear(call: { readonly signal: AbortSignal }): Promise<void>;
}

/** Makes a tool for a running base. */
export type MakeBackupTool = (place: Place, base: Base) => BackupTool;
