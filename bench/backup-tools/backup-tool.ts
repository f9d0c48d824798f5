/**
 * A program that takes backups, as the benchmark drives it.
 *
 * Nouns: a *chain* is a full backup and those after it, which keep what an earlier one has; a *turn* is the time in which a
 * tool is measured while others that know the same server stand still.
 * Invariants: what `prepare` and `beginTurn` do is not measured; a tool has one folder of the run folder, and nothing outside
 * it but settings and slots of the base that `clear` takes back.
 */
import type { Command } from "../../src/platform/processes.ts";
import type { Base, Place } from "../workload.ts";

type Call = { readonly signal: AbortSignal };

/** A command that restores; `boots` when it also starts the server. */
export type RestoreCommand = { readonly command: Command; readonly boots: boolean };

/** What some tools say of a restore. */
export type RestoreTold = {
  /** Of one that boots: how long the server took to start. */
  readonly startMs?: number;
  readonly writtenBytes?: number;
};

/** A program that takes backups. */
export interface BackupTool {
  /** What it is, for tables. */
  readonly title: string;
  /** Where all it makes lies. */
  readonly folder: string;
  /** Makes an empty place for a backup. Clears what was there. */
  prepare(call: Call): Promise<void>;
  /** Takes a full backup. */
  readonly backup: Command;
  /** Bytes of the files of the backups themselves, WAL apart. */
  storedBytes(): Promise<number>;
  /** Restores the newest backup into an empty folder. */
  restore(targetFolder: string): RestoreCommand;
  /** Removes all it made. */
  clear(call: Call): Promise<void>;
}

/** A program that takes chains of backups. */
export interface ChainTool extends BackupTool {
  /** Takes a backup of what changed since the newest. */
  readonly next: Command;
  /** From now on WAL goes where the tool wants it; what was written before has got there, where it wants that. */
  beginTurn(call: Call): Promise<void>;
  endTurn(call: Call): Promise<void>;
  /** A process that runs beside the commands of a turn and whose CPU time counts, with all it started. */
  companionPid(): number | undefined;
  /** Whether the newest backup holds everything by itself; `log` is what its command printed. */
  wasFull(log: string, call: Call): Promise<boolean>;
  /** Brings the folder of a stopped server to the newest backup's state. */
  restoreInPlace(targetFolder: string): RestoreCommand;
  /** What the command of a restore printed about itself. */
  toldBy(log: string): RestoreTold;
  /** Ends every process that it still has; legal at any time. */
  close(): Promise<void>;
}

/** Makes a tool for a running base. */
export type MakeBackupTool = (place: Place, base: Base) => BackupTool;

/** Makes a tool that takes chains, for a running base. */
export type MakeChainTool = (place: Place, base: Base) => ChainTool;
