/**
 * What a controller meant to do, did and decided: an append-only file that shows when it was changed.
 *
 * Nouns: an *entry* is what is told, a *record* is an entry with its number, time and hash; the *head* is the hash of the last
 * record. A *torn tail* is the beginning of a record that a crash cut off.
 * Invariants:
 * - A record is on stable storage when `append` resolves. What is appended meanwhile, or in the same turn, goes out together,
 *   by one sync; so does what can wait a little, with what cannot.
 * - Each record's hash is made of the hash before it and of its own bytes, so that none can be changed, taken out or put in
 *   without all after it being made anew. Records cut off at the end are missed by comparing the head with one kept elsewhere.
 * - A torn tail is kept aside and named in the next record; a journal that was changed is kept aside whole, and the next one
 *   begins with a record that says so. Neither stops anybody from going on: a journal is there to tell, not to decide.
 * docs/formats/journal.md is the specification.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { assert, LifeboatError } from "../errors/error.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import { makeFolderDurable, renameDurable, writeDurable } from "../platform/durable.ts";
import type { FileHandle, Files } from "../platform/files.ts";
import type { Lock, Locks } from "../platform/lock.ts";
import { startTimer } from "../platform/timer.ts";
import { type JournalReading, readJournal } from "./read.ts";
import {
  encodeHeader,
  encodeRecord,
  FIRST_HASH,
  JOURNAL_FILE,
  type JournalEntry,
  type JournalRecord,
} from "./record.ts";

/** What a journal needs of the machine. */
export type JournalTools = { readonly files: Files; readonly locks: Locks; readonly clock: Clock };

/**
 * A journal of this size is set aside, and a new one goes on. It is read whole by who takes over from a daemon that was killed,
 * and clients wait for that: a thousand records take 25 ms, and are some twenty failovers.
 */
const SET_ASIDE_BYTES = 256 * 1024;

/** So many entries may wait for the disk; more come only when it is stuck. */
const WAITING_MAX = 1_000;

/** What can wait is written after so long where nothing else was: an action's next entry comes sooner. */
const SOON_MS = 20;

/** What of a journal goes into its name when it is set aside. */
type Full = Pick<JournalReading, "head" | "sizeBytes">;

type Waiting = {
  readonly entry: JournalEntry;
  readonly resolve: (record: JournalRecord) => void;
  readonly reject: (error: unknown) => void;
};

/** A journal that is written to. */
export class Journal {
  readonly #tools: JournalTools;
  readonly #folder: string;
  readonly #lock: Lock;
  #handle: FileHandle | undefined;
  #position = 0;
  #head = FIRST_HASH;
  #count = 0;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #cancelSoon: (() => void) | undefined;
  #closed = false;

  private constructor(tools: JournalTools, folder: string, lock: Lock) {
    this.#tools = tools;
    this.#folder = folder;
    this.#lock = lock;
  }

  /** Opens the journal of a folder, which is made where it is not there. Rejects with `journal.busy`, or as files do. */
  static async open(tools: JournalTools, folder: string): Promise<Journal> {
    await makeFolderDurable(tools.files, folder);
    const lock = tools.locks.tryAcquire(path.join(folder, "journal.lock"));
    if (lock === undefined) {
      throw new LifeboatError("journal.busy", {
        message: `another process writes the journal in ${folder}`,
        remedy: "Ask the daemon that runs, or stop it: `lifeboat ps` shows it.",
        retryable: true,
      });
    }
    const journal = new Journal(tools, folder, lock);
    try {
      await journal.#reopen();
      return journal;
    } catch (error) {
      await journal.#handle?.close();
      lock.release();
      throw error;
    }
  }

  /** The hash of the last record, and how many there are. */
  get head(): { readonly hash: string; readonly count: number } {
    return { hash: this.#head, count: this.#count };
  }

  /**
   * Adds an entry; `soon` for one that can wait for the next. Rejects as files do; the entry may then be there or not, and a
   * later one is written all the same.
   */
  append(entry: JournalEntry, when: "now" | "soon" = "now"): Promise<JournalRecord> {
    assert(!this.#closed, "nothing is appended to a closed journal");
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= WAITING_MAX) {
        reject(
          new LifeboatError("journal.stuck", {
            message: `${WAITING_MAX} entries wait for the disk of ${this.#folder}`,
            remedy: "Look at the disk: it does not finish what it was given.",
          }),
        );
        return;
      }
      this.#waiting.push({ entry, resolve, reject });
      if (when === "now") this.#beginWriting();
      else this.#cancelSoon ??= startTimer(SOON_MS, () => this.#beginWriting());
    });
  }

  /** Returns when all that was appended is out, and gives the journal up. Repeatable. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#beginWriting();
    await this.#writing;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
    this.#lock.release();
  }

  #beginWriting(): void {
    this.#cancelSoon?.();
    this.#cancelSoon = undefined;
    this.#writing ??= this.#writeWaiting();
  }

  async #writeWaiting(): Promise<void> {
    // Whoever appends in the same turn goes along.
    await Promise.resolve();
    while (this.#waiting.length > 0 && this.#cancelSoon === undefined) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const records = await this.#write(batch.map(({ entry }) => entry));
        batch.forEach(({ resolve }, index) => {
          const record = records[index];
          assert(record !== undefined, "every entry has its record");
          resolve(record);
        });
      } catch (error) {
        // A failed sync is final: what is on the disk is read again before the next record.
        await this.#letGo();
        for (const { reject } of batch) reject(error);
      }
      if (this.#position >= SET_ASIDE_BYTES) await this.#turnOver();
    }
    // At once, before anybody who was answered appends again.
    this.#writing = undefined;
  }

  async #letGo(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }

  /** What fails here fails nobody: the file is opened again before the next record. */
  async #turnOver(): Promise<void> {
    const full = { head: this.#head, sizeBytes: this.#position, count: this.#count };
    await this.#letGo();
    this.#position = 0;
    try {
      await this.#continueFrom(full);
    } catch {
      await this.#letGo();
    }
  }

  async #continueFrom(full: Full & { readonly count: number }): Promise<void> {
    const from = await this.#setAside(full, "full");
    await this.#begin(full.head, { name: "journal-continued", facts: { from, records: full.count } });
  }

  async #write(entries: readonly JournalEntry[]): Promise<readonly JournalRecord[]> {
    if (this.#handle === undefined) await this.#reopen();
    const handle = this.#handle;
    assert(handle !== undefined, "a journal that was opened has a file");
    const records: JournalRecord[] = [];
    const lines: Buffer[] = [];
    let head = this.#head;
    for (const entry of entries) {
      const number = this.#count + records.length + 1;
      const { record, line } = encodeRecord({ ...entry, number, at: this.#tools.clock.now() }, head);
      records.push(record);
      lines.push(line);
      head = record.hash;
    }
    const bytes = Buffer.concat(lines);
    await handle.write(bytes, this.#position);
    await handle.sync();
    this.#position += bytes.byteLength;
    this.#head = head;
    this.#count += records.length;
    return records;
  }

  /** Takes the file over as it is on the disk: mends a torn tail, sets aside what is too large or was changed. */
  async #reopen(): Promise<void> {
    const { files } = this.#tools;
    const file = path.join(this.#folder, JOURNAL_FILE);
    const reading = await readJournal(files, file);
    if (reading === undefined) return this.#beginAnew();
    if (reading.tail.kind === "changed") {
      const name = await this.#setAside(reading, "changed");
      await this.#begin(FIRST_HASH, { name: "journal-changed", facts: { keptAs: name, ...reading.tail } });
      return;
    }
    if (reading.sizeBytes >= SET_ASIDE_BYTES) {
      await this.#continueFrom({ ...reading, count: reading.records.length });
      return;
    }
    await this.#goOn(file, reading);
  }

  /** The first one of a folder; or the next one, where whoever set the last one aside was cut off before that. */
  async #beginAnew(): Promise<void> {
    const { files } = this.#tools;
    const from = (await files.list(this.#folder))
      .map(({ name }) => name)
      .filter((name) => name.startsWith("journal-full-"))
      .toSorted()
      .at(-1);
    const reading = from === undefined ? undefined : await readJournal(files, path.join(this.#folder, from));
    if (reading?.tail.kind !== "whole") return this.#begin(FIRST_HASH, undefined);
    return this.#begin(reading.head, { name: "journal-continued", facts: { from, records: reading.records.length } });
  }

  async #goOn(file: string, reading: JournalReading): Promise<void> {
    const { files } = this.#tools;
    this.#head = reading.head;
    this.#count = reading.records.length;
    this.#position = reading.wholeBytes;
    const handle = await files.open(file, "update");
    this.#handle = handle;
    if (reading.tail.kind !== "torn") return;
    // Kept first, cut then: no byte that was ever written here is only in memory.
    const keptAs = `journal-torn-${reading.records.length + 1}-${reading.tail.digest.slice(0, 8)}.log`;
    const torn = await handle.read({ position: reading.wholeBytes, length: reading.sizeBytes - reading.wholeBytes });
    await writeDurable(files, {
      file: path.join(this.#folder, keptAs),
      parts: [torn],
      over: "replace",
      unique: "lifeboat",
    });
    // Synced with the record that follows: until then the tail is torn still, and is mended again.
    await handle.truncate(reading.wholeBytes);
    await this.#write([note("journal-torn", { bytes: torn.byteLength, keptAs })]);
  }

  async #begin(
    previous: string,
    first: { readonly name: string; readonly facts: Readonly<Record<string, unknown>> } | undefined,
  ): Promise<void> {
    const { files, clock } = this.#tools;
    const header = encodeHeader({ previous, at: formatInstant(clock.now()) });
    const file = path.join(this.#folder, JOURNAL_FILE);
    await writeDurable(files, { file, parts: [header], over: "new", unique: "lifeboat" });
    this.#head = previous;
    this.#count = 0;
    this.#position = header.byteLength;
    this.#handle = await files.open(file, "update");
    if (first !== undefined) await this.#write([note(first.name, first.facts)]);
  }

  async #setAside(reading: Full, why: "changed" | "full"): Promise<string> {
    const digest = createHash("sha256").update(`${reading.head}${reading.sizeBytes}`).digest("hex").slice(0, 8);
    const name = `journal-${why}-${formatInstant(this.#tools.clock.now()).replaceAll(/[:.]/g, "")}-${digest}.log`;
    const from = path.join(this.#folder, JOURNAL_FILE);
    await renameDurable(this.#tools.files, { from, to: path.join(this.#folder, name) });
    return name;
  }
}

function note(name: string, facts: Readonly<Record<string, unknown>>): JournalEntry {
  return { epoch: undefined, kind: "note", name, facts };
}
