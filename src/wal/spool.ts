/**
 * The spool: where WAL lies from its arrival until the vault has it.
 *
 * Nouns: the *current* file is the partial that is being appended to; *written* is the position after the last byte
 * handed to the file system, *flushed* after the last one on stable storage.
 * Invariants: one receiver owns a spool (a kernel lock); bytes are appended in order, never in the middle; `flushed` never
 * runs ahead of a sync that succeeded in this process, also about bytes that an earlier process left; after a sync that
 * failed nothing beyond the last good one counts as held; a file is renamed to its complete name only when all its bytes
 * are on stable storage, and removed only when the vault has acknowledged it. Held WAL is never cut or overwritten.
 */
import path from "node:path";
import { crc32 } from "node:zlib";
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import { makeFolderDurable, renameDurable } from "../platform/durable.ts";
import type { FileHandle, Files } from "../platform/files.ts";
import type { Lock, Locks } from "../platform/lock.ts";
import type { RandomSource } from "../platform/random.ts";
import { retry } from "../platform/retry.ts";
import {
  formatLsn,
  LSN_NONE,
  type Lsn,
  lsnAdd,
  lsnDistance,
  segmentName,
  segmentStart,
  type Timeline,
} from "../postgres/lsn.ts";
import { RecordEnds } from "./records/ends.ts";
import { checkSegmentHeader, SEGMENT_HEADER_BYTES } from "./records/page.ts";
import { SpareFile } from "./spare-file.ts";
import {
  endedName,
  type FoldersAtRest,
  listSpool,
  partialName,
  readSpoolFile,
  type SpoolFile,
  timelineFolder,
} from "./spool-files.ts";
import {
  blankMark,
  encodeMark,
  laidOutBytes,
  MARK_BYTES,
  markPosition,
  markToRelyOn,
  nextSlot,
  type Slot,
  UNMARKED_BYTES_MAX,
} from "./spool-marks.ts";
import { type SpoolState, spoolDamaged, takeSpoolState, writeSpoolState } from "./spool-state.ts";
import { writeAgain } from "./spool-takeover.ts";

/** What a spool needs of the machine. */
export type SpoolTools = {
  readonly files: Files;
  readonly locks: Locks;
  readonly clock: Clock;
  readonly random: RandomSource;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A predecessor that was just killed, or someone asking for its status, gives the lock up within this time. */
const LOCK_RETRY = { attemptsMax: 10, delayMinMs: 50, delayMaxMs: 200 };

/** Zeros from the first byte on that does not count: a page's header, and more than a record's. */
const CUT_BYTES = 4096;

/** A group of at most this size is commits that clients wait for; more is a receiver that catches up. */
const BLOCKING_BYTES_MAX = 256 * 1024;
/** A disk that took longer for its last sync is not waited for with the whole process: status and alarms must go on. */
const BLOCKING_SYNC_MS_MAX = 10;

/**
 * After so many small groups in a segment the file of the next one is laid out, blocks and all: below that nobody gains, and while
 * the receiver catches up to write each segment twice would cost more than it saves.
 */
const LAY_OUT_AFTER_GROUPS = 64;

/** The lock of a spool's receiver. */
export function spoolLock(folder: string): string {
  return path.join(folder, "receiver.lock");
}

/** Takes a spool over, making its folder where needed. Throws `wal.spool-busy`, `wal.spool-damaged`. */
export async function openSpool(tools: SpoolTools, folder: string, { signal }: CallOptions): Promise<Spool> {
  await makeFolderDurable(tools.files, folder);
  const lock = await retry(
    tools,
    LOCK_RETRY,
    async () => {
      const held = tools.locks.tryAcquire(spoolLock(folder));
      if (held === undefined) throw spoolBusy(folder);
      return held;
    },
    { signal, permanent: () => false },
  );
  try {
    return new Spool(tools, { folder, lock, state: await takeSpoolState(tools, folder) });
  } catch (error) {
    lock.release();
    throw error;
  }
}

type Current = {
  readonly handle: FileHandle;
  readonly path: string;
  readonly start: Lsn;
  written: number;
  synced: number;
  headerChecked: boolean;
  /** Where the mark lies that is relied on; undefined in a file of an earlier version, which says by its length how far it is filled. */
  slot: Slot | undefined;
  /** What that mark says, where records alone may say what follows: where it ends with one. */
  markedRecordEnd: number | undefined;
  /** Where the records of these bytes end. */
  readonly ends: RecordEnds;
  /** Where its next mark is made. */
  readonly mark: Buffer;
  /** CRC-32 of the bytes from `synced` to `written`. */
  crc: number;
  /** Groups that were small, so far. */
  smallGroups: number;
};

function newCurrent(file: Pick<Current, "handle" | "path" | "start">): Current {
  return {
    ...file,
    written: 0,
    synced: 0,
    headerChecked: false,
    slot: undefined,
    markedRecordEnd: undefined,
    ends: new RecordEnds(),
    mark: blankMark(file.start),
    crc: 0,
    smallGroups: 0,
  };
}

/** A spool that this process owns. Not for concurrent calls, but for `remove`. */
export class Spool {
  readonly folder: string;
  readonly #tools: SpoolTools;
  readonly #lock: Lock;
  readonly #spare: SpareFile;
  #state: SpoolState | undefined;
  #timeline: Timeline | undefined;
  #current: Current | undefined;
  #written = LSN_NONE;
  #flushed = LSN_NONE;
  /** How long the last sync took. */
  #syncMs = 0;
  /** Files whose last sync failed, with the bytes that the sync before it had made safe. */
  readonly #unsafe = new Map<string, number>();
  /**
   * After some failovers there are as many ended timelines, and every decision about a mandate lists the spool: looked into
   * each time, they would make a failover longer than the one before (docs/measurements.md, "Failover").
   */
  readonly #atRest: FoldersAtRest = new Map();
  /** Files of which every byte is known to be on stable storage, or to be written by this process. */
  readonly #settled = new Set<string>();

  constructor(
    tools: SpoolTools,
    opened: { readonly folder: string; readonly lock: Lock; readonly state: SpoolState | undefined },
  ) {
    this.folder = opened.folder;
    this.#tools = tools;
    this.#spare = new SpareFile(tools, path.join(opened.folder, "spare"));
    this.#lock = opened.lock;
    this.#state = opened.state;
  }

  /** Whose WAL this is; undefined while nothing was received. */
  get state(): SpoolState | undefined {
    return this.#state;
  }

  /** After the last byte handed to the file system. */
  get written(): Lsn {
    return this.#written;
  }

  /** After the last byte on stable storage: the only position that may be confirmed. */
  get flushed(): Lsn {
    return this.#flushed;
  }

  /** `flushed` where that is of this timeline, else none. */
  flushedOn(timeline: Timeline): Lsn {
    return this.#timeline === timeline ? this.#flushed : LSN_NONE;
  }

  /** Bytes of the current file. */
  get currentBytes(): number {
    return this.#current?.written ?? 0;
  }

  /** Records what changed about whose WAL this is. */
  async adopt(state: SpoolState): Promise<void> {
    await writeSpoolState(this.#tools, this.folder, state);
    this.#state = state;
  }

  /** All files of WAL; of one that failed to sync only the part that is safe. */
  async list(): Promise<readonly SpoolFile[]> {
    if (this.#state === undefined) return [];
    return (await listSpool(this.#tools.files, this.folder, this.#state, this.#atRest)).map((file) => {
      const sizeBytes = Math.min(file.sizeBytes, this.#unsafe.get(file.path) ?? file.sizeBytes);
      return { ...file, sizeBytes, end: lsnAdd(file.start, sizeBytes) };
    });
  }

  /** The held bytes from `from` to `to`, which lie in one segment; undefined when not all of them are here. */
  async read(stretch: {
    readonly timeline: Timeline;
    readonly from: Lsn;
    readonly to: Lsn;
  }): Promise<Buffer | undefined> {
    const file = (await this.list()).find(
      (each) => each.timeline === stretch.timeline && each.start <= stretch.from && stretch.to <= each.end,
    );
    if (file === undefined) return undefined;
    const handle = await this.#openHeld(file);
    if (handle === undefined) return undefined;
    try {
      const position = lsnDistance({ from: file.start, to: stretch.from });
      return await handle.read({ position, length: lsnDistance(stretch) });
    } finally {
      await handle.close();
    }
  }

  /** Undefined for a file that is there no more, which is then looked for again. */
  async #openHeld({ path: file }: SpoolFile): Promise<FileHandle | undefined> {
    try {
      return await this.#tools.files.open(file, "read");
    } catch (error) {
      if (!isLifeboatError(error, "platform.file-missing")) throw error;
      this.#atRest.delete(path.dirname(file));
      return undefined;
    }
  }

  /** The bytes of a file of this spool that count as held. */
  async readFile(file: SpoolFile): Promise<Buffer> {
    return await readSpoolFile(this.#tools.files, file);
  }

  /**
   * Makes ready to append at `lsn`: behind what is held of its segment, or at a segment's first byte. What an earlier
   * process left in the file is on stable storage when this returns. `flushed` is then `lsn` where bytes before it are
   * held, else none.
   */
  async continueAt(at: { readonly timeline: Timeline; readonly lsn: Lsn }): Promise<void> {
    await this.#closeCurrent();
    const start = segmentStart(at.lsn, this.#walSegmentBytes);
    this.#timeline = at.timeline;
    this.#written = at.lsn;
    this.#flushed = LSN_NONE;
    if (at.lsn === start) return;
    const offset = lsnDistance({ from: start, to: at.lsn });
    this.#current = await this.#reopen({ ...at, lsn: start }, offset);
    await this.#settle(this.#current);
    this.#flushed = at.lsn;
  }

  /** Says that all before the position to be appended at is held elsewhere (complete files, the vault): it counts as flushed. */
  trustBefore(): void {
    this.#flushed = this.#written;
  }

  /** Appends at `written`, starting and completing segments on the way. After a failure call `abandon`. */
  async append(data: Buffer, completed: (file: SpoolFile) => void): Promise<void> {
    let taken = 0;
    while (taken < data.byteLength) {
      const current = this.#current ?? (await this.#begin());
      const piece = data.subarray(taken, taken + this.#walSegmentBytes - current.written);
      if (this.#isQuick(piece.byteLength)) current.handle.writeNow(piece, current.written);
      else await current.handle.write(piece, current.written);
      taken += piece.byteLength;
      this.#appended(current, piece);
      if (!current.headerChecked) await this.#checkHeader(current);
      if (current.written === this.#walSegmentBytes) completed(await this.#complete(current));
    }
  }

  /** Brings all that was appended to stable storage; returns `flushed`. A failed sync is final: call `abandon`. */
  async flush(): Promise<Lsn> {
    const current = this.#current;
    if (current !== undefined && current.synced < current.written) {
      const small = current.written - current.synced <= BLOCKING_BYTES_MAX;
      await this.#sync(current);
      this.#groupEnded(current, small);
    }
    return this.#flushed;
  }

  /**
   * As `append` and `flush`, done when it returns, for a group that is small and stays within its segment: commits wait for most
   * groups, and each promise between the socket and the disk costs some of that. False: nothing was done.
   */
  takeNow(group: Buffer): boolean {
    const current = this.#current;
    if (current === undefined || !current.headerChecked || current.synced < current.written) return false;
    const endBytes = current.written + group.byteLength;
    if (group.byteLength === 0 || endBytes >= this.#walSegmentBytes || !this.#isQuick(group.byteLength)) return false;
    current.handle.writeNow(group, current.written);
    this.#appended(current, group);
    this.#syncNow(current);
    this.#groupEnded(current, true);
    return true;
  }

  #appended(current: Current, piece: Buffer): void {
    if (current.slot !== undefined) {
      current.crc = crc32(piece, current.crc);
      current.ends.pass(piece, current.written);
    }
    current.written += piece.byteLength;
    this.#written = lsnAdd(current.start, current.written);
  }

  #groupEnded(current: Current, small: boolean): void {
    this.#flushed = lsnAdd(current.start, current.synced);
    if (small) current.smallGroups += 1;
    if (current.smallGroups === LAY_OUT_AFTER_GROUPS) void this.layOutNext();
  }

  /** Lays out the file of the segment that comes next; resolves when it is there or could not be made. */
  layOutNext(): Promise<void> {
    return this.#spare.make(this.#walSegmentBytes);
  }

  async #sync(current: Current): Promise<void> {
    if (this.#isQuick(current.written - current.synced)) return this.#syncNow(current);
    const begun = this.#tools.clock.monotonic();
    const mark = this.#nextMark(current);
    if (mark !== undefined) await current.handle.write(mark.bytes, mark.position);
    await current.handle.sync();
    this.#synced(current, { slot: mark?.slot, begun });
  }

  /** As `#sync`, done when it returns. */
  #syncNow(current: Current): void {
    const begun = this.#tools.clock.monotonic();
    const mark = this.#nextMark(current);
    if (mark !== undefined) current.handle.writeNow(mark.bytes, mark.position);
    current.handle.syncNow();
    this.#synced(current, { slot: mark?.slot, begun });
  }

  /** What a sync of a file that was laid out must cover besides its bytes; undefined where the records say enough. */
  #nextMark(current: Current): { readonly slot: Slot; readonly bytes: Buffer; readonly position: number } | undefined {
    if (current.slot === undefined) return undefined;
    const { ends, written, markedRecordEnd } = current;
    if (ends.atEnd && markedRecordEnd !== undefined && written - markedRecordEnd <= UNMARKED_BYTES_MAX)
      return undefined;
    const { start, synced: syncedBytes, written: filledBytes, crc } = current;
    const slot = nextSlot(current.slot);
    const bytes = encodeMark({ start, syncedBytes, filledBytes, crc }, current.mark);
    return { slot, bytes, position: markPosition(this.#walSegmentBytes, slot) };
  }

  #synced(current: Current, { slot, begun }: { readonly slot: Slot | undefined; readonly begun: Monotonic }): void {
    this.#syncMs = this.#tools.clock.monotonic() - begun;
    current.synced = current.written;
    current.crc = 0;
    if (slot === undefined) return;
    current.slot = slot;
    current.markedRecordEnd = current.ends.atEnd ? current.written : undefined;
  }

  /** Lets go of the current file after a failure: what was not synced no longer counts, and is cut off. */
  async abandon(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    this.#written = this.#flushed;
    if (current === undefined) return;
    this.#unsafe.set(current.path, current.synced);
    await Promise.allSettled([this.#cutOff(current)]);
    await Promise.allSettled([current.handle.close(), this.#spare.drop()]);
  }

  async #cutOff({ handle, start, slot, synced }: Current): Promise<void> {
    if (slot === undefined) return await handle.truncate(synced);
    // In the place of one that failed: all of these bytes were on stable storage before.
    const mark = encodeMark({ start, syncedBytes: synced, filledBytes: synced, crc: 0 });
    await handle.write(mark, markPosition(this.#walSegmentBytes, nextSlot(slot)));
    // A record without its first bytes is none. Where nothing was written there are zeros, perhaps without a block for them.
    const behind = await handle.read({ position: synced, length: Math.min(CUT_BYTES, this.#walSegmentBytes - synced) });
    if (behind.some((byte) => byte !== 0)) await handle.write(behind.fill(0), synced);
  }

  /** Keeps the partials of all other timelines apart: they are no longer received. */
  async endOthers(timeline: Timeline): Promise<void> {
    await this.#closeCurrent();
    for (const file of await this.list()) {
      if (file.kind !== "partial" || file.timeline === timeline) continue;
      if (this.#settled.has(file.path)) await this.#cutToFilled(file);
      const to = path.join(path.dirname(file.path), endedName(file.segment, timeline));
      await renameDurable(this.#tools.files, { from: file.path, to });
    }
  }

  /**
   * Gives back the blocks that a file was laid out with, all of whose bytes are on stable storage. Nothing waits for that to be
   * there too: before it is, the marks say how much counts, and afterwards the length.
   */
  async #cutToFilled({ path: file, sizeBytes }: SpoolFile): Promise<void> {
    const handle = await this.#tools.files.open(file, "update");
    try {
      await handle.truncate(sizeBytes);
    } finally {
      await handle.close();
    }
  }

  /** Removes a complete file that the vault has acknowledged. */
  async remove(file: SpoolFile): Promise<void> {
    assert(file.kind === "complete", "only a complete segment leaves the spool");
    await this.#tools.files.remove(file.path);
  }

  /** Finishes segments that a process left with all their bytes and without their name. */
  async completeFull(): Promise<void> {
    await this.#closeCurrent();
    for (const file of await this.list()) {
      if (file.kind !== "partial" || file.sizeBytes < this.#walSegmentBytes) continue;
      this.#timeline = file.timeline;
      this.#current = await this.#reopen({ timeline: file.timeline, lsn: file.start }, file.sizeBytes);
      await this.#settle(this.#current);
      await this.#complete(this.#current);
    }
  }

  /** Gives the spool up; repeatable. */
  async close(): Promise<void> {
    try {
      await this.#closeCurrent();
    } finally {
      await Promise.allSettled([this.#spare.drop()]);
      this.#lock.release();
    }
  }

  get #walSegmentBytes(): number {
    assert(this.#state !== undefined, "a spool knows whose WAL it takes before it takes any");
    return this.#state.walSegmentBytes;
  }

  #partialAt(at: { readonly timeline: Timeline; readonly lsn: Lsn }): string {
    assert(this.#state !== undefined, "a spool knows whose WAL it takes before it takes any");
    const { systemId, walSegmentBytes } = this.#state;
    const folder = timelineFolder(this.folder, { systemId, timeline: at.timeline });
    return path.join(folder, partialName(segmentName({ ...at, walSegmentBytes })));
  }

  /** Whether the disk is expected to take so much before a turn through the pool of threads would have begun. */
  #isQuick(sizeBytes: number): boolean {
    return sizeBytes <= BLOCKING_BYTES_MAX && this.#syncMs <= BLOCKING_SYNC_MS_MAX;
  }

  /** Opens the file of the segment that begins at `written`, an empty one of that name included. */
  async #begin(): Promise<Current> {
    assert(this.#timeline !== undefined, "a position comes before bytes");
    const file = this.#partialAt({ timeline: this.#timeline, lsn: this.#written });
    const { files } = this.#tools;
    this.#atRest.delete(path.dirname(file));
    await makeFolderDurable(files, path.dirname(file));
    const of = { start: this.#written, walSegmentBytes: this.#walSegmentBytes };
    const found = (await files.stat(file)) !== undefined;
    if (!found) {
      await this.#spare.take(file, of);
      this.#settled.add(file);
    }
    this.#current = await this.#reopen({ timeline: this.#timeline, lsn: this.#written }, 0);
    // Whoever made it may have been killed before its name was on stable storage.
    if (found) await files.syncFolder(path.dirname(file));
    return this.#current;
  }

  async #reopen(segment: { readonly timeline: Timeline; readonly lsn: Lsn }, offset: number): Promise<Current> {
    const file = this.#partialAt(segment);
    const handle = await this.#tools.files.open(file, "update");
    try {
      const safeBytes = this.#unsafe.get(file);
      const current = newCurrent({ handle, path: file, start: segment.lsn });
      const sizeBytes = await this.#resume(current, offset);
      if ((safeBytes ?? sizeBytes) !== offset || sizeBytes < offset) {
        throw spoolDamaged(file, `it holds ${safeBytes ?? sizeBytes} bytes, ${offset} were expected`);
      }
      if (safeBytes !== undefined) await this.#cutOff(current);
      this.#unsafe.delete(file);
      return current;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Sets a file that was just opened to go on at `offset`; returns how much it holds. */
  async #resume(current: Current, offset: number): Promise<number> {
    current.written = offset;
    current.synced = offset;
    const { handle, start } = current;
    const { sizeBytes } = await handle.stat();
    const walSegmentBytes = this.#walSegmentBytes;
    if (sizeBytes !== laidOutBytes(walSegmentBytes)) return sizeBytes;
    assert(this.#timeline !== undefined, "a file belongs to a timeline");
    const found = await markToRelyOn(handle, { start, timeline: this.#timeline, walSegmentBytes }, offset);
    if (found.slot === undefined) {
      throw spoolDamaged(current.path, `${found.says}, ${offset} bytes were expected`);
    }
    current.slot = found.slot;
    return found.filledBytes;
  }

  /** Brings what an earlier process left to stable storage, and makes sure that it can be read. */
  async #settle(current: Current): Promise<void> {
    const left = !this.#settled.has(current.path);
    const damagedAt = left ? await this.#writeAgain(current) : undefined;
    await current.handle.sync();
    await this.#tools.files.syncFolder(path.dirname(current.path));
    if (current.written >= SEGMENT_HEADER_BYTES) await this.#checkHeader(current);
    if (damagedAt !== undefined) {
      throw spoolDamaged(current.path, `the record at ${formatLsn(damagedAt)} cannot be read, and more follows it`);
    }
    this.#settled.add(current.path);
  }

  async #writeAgain({ handle, start, slot, written }: Current): Promise<Lsn | undefined> {
    const walSegmentBytes = this.#walSegmentBytes;
    assert(this.#timeline !== undefined, "a file belongs to a timeline");
    const damagedAt = await writeAgain(handle, { start, timeline: this.#timeline, walSegmentBytes }, written);
    if (slot !== undefined) {
      const position = markPosition(walSegmentBytes, slot);
      await handle.write(await handle.read({ position, length: MARK_BYTES }), position);
    }
    return damagedAt;
  }

  async #checkHeader(current: Current): Promise<void> {
    if (current.headerChecked || current.written < SEGMENT_HEADER_BYTES) return;
    assert(this.#state !== undefined && this.#timeline !== undefined, "a header belongs to a system and timeline");
    const { systemId, walSegmentBytes } = this.#state;
    const header = await current.handle.read({ position: 0, length: SEGMENT_HEADER_BYTES });
    const expected = { start: current.start, systemId, timeline: this.#timeline, walSegmentBytes };
    const check = checkSegmentHeader(header, expected);
    if (check.kind === "bad") {
      throw new LifeboatError("wal.segment-damaged", {
        message: `the segment at ${formatLsn(current.start)} has the wrong ${check.reason}: ${check.found}, expected ${check.expected}`,
        remedy: "Check that this server is the one this vault protects, and look for damage in its pg_wal.",
        details: { reason: check.reason },
      });
    }
    current.headerChecked = true;
  }

  async #complete(current: Current): Promise<SpoolFile> {
    assert(current.headerChecked && this.#timeline !== undefined, "a complete segment was checked");
    if (current.synced < current.written) await this.#sync(current);
    if (current.slot !== undefined) {
      // All bytes are on stable storage: without its marks the file says so by its length.
      current.slot = undefined;
      await current.handle.truncate(this.#walSegmentBytes);
      await current.handle.sync();
    }
    const { path: partial, start } = current;
    const segment = segmentName({ timeline: this.#timeline, lsn: start, walSegmentBytes: this.#walSegmentBytes });
    const to = path.join(path.dirname(partial), segment);
    this.#current = undefined;
    await current.handle.close();
    await renameDurable(this.#tools.files, { from: partial, to });
    this.#settled.delete(partial);
    const end = lsnAdd(start, current.written);
    this.#flushed = end;
    return { kind: "complete", path: to, segment, timeline: this.#timeline, start, end, sizeBytes: current.written };
  }

  async #closeCurrent(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    if (current.synced < current.written) this.#unsafe.set(current.path, current.synced);
    await current.handle.close();
  }
}

function spoolBusy(folder: string): LifeboatError {
  return new LifeboatError("wal.spool-busy", {
    message: `another receiver uses the spool ${folder}`,
    remedy: "Stop the other receiver (its process id is in receiver.json), or give this one a spool of its own.",
  });
}
