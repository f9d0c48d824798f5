/** The journal of whoever has the daemon's place: it is opened with it, and what is bound to it is made before. */
import { assert } from "../errors/error.ts";
import type { Call, JournalEntry, JournalPort } from "../failover/ports.ts";
import { Journal, type JournalTools } from "../journal/journal.ts";
import { journalPort } from "./authority.ts";

/** A journal that may not be open yet. */
export class PlacedJournal implements JournalPort {
  #opened: { readonly journal: Journal; readonly port: JournalPort } | undefined;

  /** Opens it; once. Rejects as `Journal.open`. */
  async open(tools: JournalTools, folder: string): Promise<void> {
    assert(this.#opened === undefined, "a journal is opened once");
    const journal = await Journal.open(tools, folder);
    this.#opened = { journal, port: journalPort(journal) };
  }

  /** The hash of the last record; empty before it is open. */
  get head(): string {
    return this.#opened?.journal.head.hash ?? "";
  }

  async append(entry: JournalEntry, call: Call): Promise<void> {
    assert(this.#opened !== undefined, "nothing is told to the journal by who has not the place");
    await this.#opened.port.append(entry, call);
  }

  /** Legal at any time. */
  async close(): Promise<void> {
    await this.#opened?.journal.close();
  }
}
