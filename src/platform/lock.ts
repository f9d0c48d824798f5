/**
 * A lock between processes of one machine.
 *
 * Nouns: a *lock file* is what processes agree on; holding its lock means that nobody else on this machine does.
 * Invariants: the kernel keeps the lock, so it ends with its process however that ends, and the file may stay; nothing
 * is read from the file and no age is ever judged. It says nothing about other machines.
 */
import { accessSync, constants, existsSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileError } from "./files.ts";

/** A held lock. */
export interface Lock {
  /** Gives the lock up; repeatable. */
  release(): void;
}

/** The lock port. */
export interface Locks {
  /** Takes the lock of `file`, making the file where needed; undefined when another holder has it. Never waits. */
  tryAcquire(file: string): Lock | undefined;
}

const SQLITE_BUSY = 5;

/**
 * Nothing is ever stored: without the first two a transaction has a journal in a file of its own, and giving the lock up removed and
 * synced that, 15 to 30 ms on a busy disk in which the whole process stood still.
 */
const LOCK = "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE";

/** The machine's locks, by SQLite: its exclusive transaction is a kernel lock, on every system that Node runs on. */
export const systemLocks: Locks = {
  tryAcquire: (file) => {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(file, { timeout: 0 });
      database.exec(LOCK);
    } catch (cause) {
      database?.close();
      if (isBusy(cause)) return undefined;
      throw fileError("lock", file, whyNotOpened(file) ?? cause);
    }
    let held: DatabaseSync | undefined = database;
    return {
      release: () => {
        held?.close();
        held = undefined;
      },
    };
  },
};

/** SQLite says that it cannot open a file, and not why. Opened and closed here, a file would lose the lock that this process has of it. */
function whyNotOpened(file: string): unknown {
  try {
    accessSync(existsSync(file) ? file : path.dirname(file), constants.W_OK);
    return undefined;
  } catch (error) {
    return error;
  }
}

function isBusy(cause: unknown): boolean {
  return cause instanceof Error && "errcode" in cause && cause.errcode === SQLITE_BUSY;
}
