/** File systems of a few megabytes, to be filled: where mounting one is permitted. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { currentUid } from "../../src/platform/run-as.ts";

const MIB = 1024 * 1024;
/**
 * What a file system in memory gives out at a time. With less at a time than that, room which others give back meanwhile (a spare
 * segment of 16 MiB) was filled byte by byte: for a minute this process did nothing else, no relay in it either.
 */
const PAGE_BYTES = 4096;

/** One that is mounted. */
export class SmallDisk implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Mounts one over a folder, which keeps what is in it, its owner and its mode. Undefined: that is not permitted here. */
  static over(folder: string, sizeMib: number): SmallDisk | undefined {
    if (currentUid() !== 0) return undefined;
    const { uid, gid, mode } = statSync(folder);
    const kept = `${folder}.kept`;
    execFileSync("cp", ["-a", "--", folder, kept]);
    const options = `size=${sizeMib}m,uid=${uid},gid=${gid},mode=${(mode & 0o777).toString(8)}`;
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder], { stdio: "ignore" });
    } catch {
      return undefined;
    }
    execFileSync("cp", ["-a", "--", `${kept}/.`, folder]);
    return new SmallDisk(folder);
  }

  /** Leaves no room on it, also where some was given back since it was filled. */
  fill(): void {
    const file = openSync(this.#ballast, "a");
    try {
      for (let bytes = MIB; bytes >= PAGE_BYTES; bytes /= 2) writeUntilFull(file, Buffer.alloc(bytes));
    } finally {
      closeSync(file);
    }
  }

  /** Makes the room again. */
  async empty(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  /** What is on it is gone afterwards, and what the folder had before is there again. */
  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync("umount", ["--lazy", this.#folder]);
    await rm(`${this.#folder}.kept`, { recursive: true, force: true });
  }

  get #ballast(): string {
    return path.join(this.#folder, "ballast");
  }
}

function writeUntilFull(file: number, bytes: Buffer): void {
  try {
    for (;;) if (writeSync(file, bytes) < bytes.length) return;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOSPC") throw error;
  }
}
