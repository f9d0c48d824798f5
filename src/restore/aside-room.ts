/**
 * Room for an aside: pages and copies are taken before it is known how many there will be, beside a primary, a receiver and their WAL.
 *
 * Invariant: what is kept aside never takes the last of a disk. A primary that finds no room for WAL ends with a PANIC.
 */
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { describeByteSize } from "../units/byte-size.ts";

/**
 * What stays free of a disk beside all that is written to it: checkpoints and temporary files of a recovery, the segment with which it begins
 * its timeline and the one behind that; sixteen segments of the usual size for whoever writes there between two looks.
 */
export function spareBytes(walSegmentBytes: number): number {
  return Math.max(SPARE_BYTES_MIN, 2 * walSegmentBytes);
}

const SPARE_BYTES_MIN = 256 * 1024 * 1024;
/** Taken from one look at the disk to the next: the work of a tenth of a second, and little of the reserve. */
const LOOK_BYTES = 16 * 1024 * 1024;

/** What may still be written to one file system. */
export class AsideRoom {
  readonly #files: Pick<Files, "space">;
  readonly #folder: string;
  readonly #reserveBytes: number;
  #leftBytes = 0;
  #takenBytes = 0;

  /** `folder` is there, on that file system. */
  constructor(files: Pick<Files, "space">, folder: string, reserveBytes: number = SPARE_BYTES_MIN) {
    this.#files = files;
    this.#folder = folder;
    this.#reserveBytes = reserveBytes;
  }

  /** Asked before as many bytes are written. Throws `restore.no-space` where they would leave less than the reserve. */
  async take(bytes: number): Promise<void> {
    if (bytes > this.#leftBytes) {
      const { freeBytes } = await this.#files.space(this.#folder);
      const neededBytes = bytes + this.#reserveBytes;
      if (freeBytes < neededBytes) throw this.#noSpace({ freeBytes, neededBytes });
      this.#leftBytes = Math.min(freeBytes - this.#reserveBytes, Math.max(bytes, LOOK_BYTES));
    }
    this.#leftBytes -= bytes;
    this.#takenBytes += bytes;
  }

  #noSpace(space: { readonly freeBytes: number; readonly neededBytes: number }): LifeboatError {
    const [free, needed, taken] = [space.freeBytes, space.neededBytes, this.#takenBytes].map(describeByteSize);
    return new LifeboatError("restore.no-space", {
      message: `the file system of ${this.#folder} has ${free} free, at least ${needed} are needed to go on after ${taken} of the old data were kept there`,
      remedy: `Free space there; ${describeByteSize(this.#reserveBytes)} of it stay free for what else runs on it.`,
      details: { ...space, takenBytes: this.#takenBytes },
    });
  }
}
