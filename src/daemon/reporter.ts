/** Hears what the journal is told, and writes a report when a plan has ended. */
import path from "node:path";
import type { Call, JournalEntry, JournalPort } from "../failover/ports.ts";
import type { Clock } from "../platform/clock.ts";
import { makeFolderDurable, replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import { type EventReport, renderReport, reportOf, type TimedEntry } from "./report.ts";

/** What writing reports needs. */
export type ReporterTools = {
  readonly files: Files;
  readonly clock: Clock;
  readonly folder: string;
  readonly stack: string;
  readonly journalHead: () => string;
  readonly notice: (message: string) => void;
};

/** A written report and where. */
export type WrittenReport = { readonly report: EventReport; readonly file: string };

/** Plans whose end is an event of its own. */
const REPORTED = new Set(["failover", "switchover", "finish", "reinstate"]);
/** Entries of an event: some fifty; more are of earlier ones. */
const ENTRIES_MAX = 2_000;

/** A journal that is heard. */
export class Reporter implements JournalPort {
  readonly #inner: JournalPort;
  readonly #tools: ReporterTools;
  #entries: TimedEntry[] = [];
  #last: WrittenReport | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(inner: JournalPort, tools: ReporterTools) {
    this.#inner = inner;
    this.#tools = tools;
  }

  /** The last report, when it is written. */
  async last(): Promise<WrittenReport | undefined> {
    await this.#writing;
    return this.#last;
  }

  async append(entry: JournalEntry, call: Call): Promise<void> {
    const { clock } = this.#tools;
    this.#entries.push({ entry, at: clock.now(), monotonic: clock.monotonic() });
    if (this.#entries.length > ENTRIES_MAX) this.#entries = this.#entries.slice(-ENTRIES_MAX / 2);
    await this.#inner.append(entry, call);
    if (entry.kind === "outcome" && REPORTED.has(entry.name)) {
      const entries = this.#entries;
      this.#entries = [];
      this.#writing = this.#writing.then(() => this.#write(entries));
    }
  }

  /** A report is for people: one that cannot be written stops nobody. */
  async #write(entries: readonly TimedEntry[]): Promise<void> {
    const { files, folder, stack, journalHead, notice } = this.#tools;
    const report = reportOf(entries, { stack, journalHead: journalHead() });
    if (report === undefined) return;
    const file = path.join(folder, `${String(report.epoch ?? 0).padStart(6, "0")}-${report.kind}`);
    this.#last = { report, file: `${file}.json` };
    try {
      await makeFolderDurable(files, folder);
      const texts = { json: `${JSON.stringify(report, undefined, 2)}\n`, txt: renderReport(report) };
      for (const [ending, text] of Object.entries(texts)) {
        await replaceVolatile(files, {
          file: `${file}.${ending}`,
          bytes: Buffer.from(text),
          unique: "lifeboat",
          permissions: 0o600,
        });
      }
      notice(`${report.kind} from ${report.from} to ${report.to}: ${file}.txt`);
    } catch (error) {
      notice(
        `the report of epoch ${report.epoch ?? 0} was not written: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
