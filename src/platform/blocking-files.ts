/**
 * Files that are read while everything else in the thread waits: for threads that have nothing else to do. A read through the
 * pool of threads costs ten times as much as the read of a small file itself.
 *
 * Invariant: a failure is a LifeboatError as that of `Files` (files.ts).
 */
import { closeSync, constants, lstatSync, openSync, readSync } from "node:fs";
import { type FileFacts, factsOf, fileError } from "./files.ts";

/** A file that is open to be read. Close it exactly once. */
export class BlockingFile {
  readonly facts: FileFacts;
  readonly #file: string;
  readonly #descriptor: number;

  private constructor(file: string, descriptor: number, facts: FileFacts) {
    this.#file = file;
    this.#descriptor = descriptor;
    this.facts = facts;
  }

  /** Undefined when there is no file: nothing, a folder or a link. */
  static open(file: string): BlockingFile | undefined {
    return named("open", file, () => {
      const stats = lstatSync(file, { throwIfNoEntry: false });
      if (stats === undefined || !stats.isFile()) return undefined;
      return new BlockingFile(file, openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW), factsOf(stats));
    });
  }

  /** Fills `into` from `position` on; fewer bytes only at the end of the file. */
  read(position: number, into: Uint8Array): number {
    return named("read", this.#file, () => {
      let filled = 0;
      while (filled < into.byteLength) {
        const bytes = readSync(this.#descriptor, into, filled, into.byteLength - filled, position + filled);
        if (bytes === 0) break;
        filled += bytes;
      }
      return filled;
    });
  }

  close(): void {
    named("close", this.#file, () => closeSync(this.#descriptor));
  }
}

function named<T>(operation: string, file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw fileError(operation, file, cause);
  }
}
