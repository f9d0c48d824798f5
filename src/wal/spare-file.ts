/**
 * The files that segments are received into: laid out while there is time, or made with their length alone.
 *
 * Invariants: there is one that is laid out at most; it holds nothing that counts, so one that was left by another process is thrown away, and
 * one that cannot be made is done without; it is made in small steps with pauses, since commits wait for the same disk.
 */
import type { Clock } from "../platform/clock.ts";
import { renameDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { encodeMark, laidOutBytes, markPosition } from "./spool-marks.ts";

/** So much is written and synced at a time. A disk takes it in about a millisecond, which one group may have to wait. */
const STEP_BYTES = 512 * 1024;
/** 33 steps for a segment of 16 MiB: under half a second, and nine tenths of it are left to others. */
const PAUSE_MS = 10;

/** What a spare file needs of the machine. */
export type SpareTools = { readonly files: Files; readonly clock: Clock };

/** The spare file of one spool. */
export class SpareFile {
  readonly #tools: SpareTools;
  readonly #path: string;
  /** One without blocks, until it has its name. */
  readonly #hollow: string;
  #mode: "none" | "making" | "ready" = "none";
  #sizeBytes = 0;
  #stop = new AbortController();
  #made: Promise<void> = Promise.resolve();

  /** What lies at `file` is not used before it was made by this object. */
  constructor(tools: SpareTools, file: string) {
    this.#tools = tools;
    this.#path = file;
    this.#hollow = `${file}-hollow`;
  }

  /** Makes one if there is none; resolves when it is there or could not be made. */
  make(walSegmentBytes: number): Promise<void> {
    if (this.#mode === "none") {
      this.#mode = "making";
      this.#sizeBytes = laidOutBytes(walSegmentBytes);
      this.#made = this.#make();
    }
    return this.#made;
  }

  /**
   * Makes `to` the empty file of a segment, on stable storage with its name: the one that was laid out, or where there is none a
   * file of that length without blocks.
   */
  async take(to: string, of: { readonly start: Lsn; readonly walSegmentBytes: number }): Promise<void> {
    const { files } = this.#tools;
    const sizeBytes = laidOutBytes(of.walSegmentBytes);
    const ready = this.#mode === "ready" && this.#sizeBytes === sizeBytes;
    if (ready) this.#mode = "none";
    else await files.remove(this.#hollow);
    const from = ready ? this.#path : this.#hollow;
    const empty = encodeMark({ start: of.start, syncedBytes: 0, filledBytes: 0, crc: 0 });
    const handle = await files.open(from, ready ? "update" : "create");
    try {
      if (!ready) await handle.truncate(sizeBytes);
      await handle.write(empty, markPosition(of.walSegmentBytes, 0));
      await handle.write(empty, markPosition(of.walSegmentBytes, 1));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await renameDurable(files, { from, to });
  }

  /** Takes it away, one that is being made too. */
  async drop(): Promise<void> {
    this.#stop.abort();
    await this.#made;
    this.#stop = new AbortController();
    this.#mode = "none";
    for (const each of [this.#path, this.#hollow]) await this.#tools.files.remove(each);
  }

  async #make(): Promise<void> {
    const { files } = this.#tools;
    try {
      await files.remove(this.#path);
      await this.#fill(this.#sizeBytes);
      this.#mode = "ready";
    } catch {
      // Segments are held as well in files whose blocks come with their bytes. A disk that is full or fails is told of by whoever needs it.
      this.#mode = "none";
      await Promise.allSettled([files.remove(this.#path)]);
    }
  }

  async #fill(sizeBytes: number): Promise<void> {
    const { files, clock } = this.#tools;
    const zeros = Buffer.alloc(Math.min(STEP_BYTES, sizeBytes));
    const { signal } = this.#stop;
    const handle = await files.open(this.#path, "create");
    try {
      for (let at = 0; at < sizeBytes; at += zeros.byteLength) {
        await clock.sleep(PAUSE_MS, { signal });
        // Zeros and no hole: a block that was never written is entered into the file's map by the first sync that covers it.
        await handle.write(zeros.subarray(0, sizeBytes - at), at);
        await handle.sync();
      }
    } finally {
      await handle.close();
    }
  }
}
