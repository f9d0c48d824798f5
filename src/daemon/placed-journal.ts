/** The journal of whoever has the daemon's place: it is opened with it, and what is bound to it is made before. Entries
 * keep the order in which they are told. */
import { assert } from "../errors/error.ts";
import type { Call, JournalEntry, JournalPort } from "../failover/ports.ts";
import { Journal, type JournalTools } from "../journal/journal.ts";
import { bounded, journalPort } from "./authority.ts";

/** A journal that may not be open yet. */
export class PlacedJournal implements JournalPort {
  #opening: Promise<Journal> | undefined;
  #opened: Journal | undefined;

  /** Opens it; once. Rejects as `Journal.open`, and so does then all that is told to it. */
  async open(tools: JournalTools, folder: string): Promise<void> {
    assert(this.#opening === undefined, "a journal is opened once");
    this.#opening = Journal.open(tools, folder);
    this.#opened = await this.#opening;
  }

  /** The hash of the last record; empty before it is open. */
  get head(): string {
    return this.#opened?.head.hash ?? "";
  }

  /** Waits for its opening, in the call's time. */
  async append(entry: JournalEntry, call: Call): Promise<void> {
    const opening = this.#opening;
    assert(opening !== undefined, "nothing is told to the journal by who has not the place");
    const journal = this.#opened ?? (await bounded(call, "the journal", () => opening));
    await journalPort(journal).append(entry, call);
  }

  /** Legal at any time. */
  async close(): Promise<void> {
    const journal = await this.#opening?.catch(() => undefined);
    await journal?.close();
  }
}
