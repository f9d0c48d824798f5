/** Hears what the journal is told, and writes a report when a plan has ended. */
import path from "node:path";
import { errorText } from "../errors/error-text.ts";
import { sentenceOf } from "../failover/costs.ts";
import type { Call, JournalEntry, JournalPort } from "../failover/ports.ts";
import type { Clock, Instant } from "../platform/clock.ts";
import { makeFolderDurable, replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { ToldClients } from "../pooler/client-errors.ts";
import { formatLsn, type Lsn } from "../postgres/lsn.ts";
import { type EventReport, type ReportedCosts, renderReport, reportOf, type TimedEntry, withGap } from "./report.ts";
import { reportedClients } from "./report-clients.ts";
import { parseEventReport } from "./report-file.ts";
import { type Beyond, lossWith } from "./report-loss.ts";

/** What writing reports needs. */
export type ReporterTools = {
  readonly files: Files;
  readonly clock: Clock;
  readonly folder: string;
  readonly stack: string;
  readonly journalHead: () => string;
  /** Where a node's timeline begins that is a primary; undefined where it is on its first, none, or does not answer. */
  readonly timelineStart: (node: string) => Promise<Lsn | undefined>;
  /** What poolers told their clients in a span of time; undefined where that cannot be known. */
  readonly clientErrors: (span: { readonly from: Instant; readonly to: Instant }) => Promise<ToldClients | undefined>;
  /** What it cost to have one node take over from another. */
  readonly costs: (moved: { readonly from: string; readonly to: string }) => Promise<ReportedCosts>;
  readonly notice: (message: string) => void;
};

/** A written report and where. */
export type WrittenReport = { readonly report: EventReport; readonly file: string };

/** Plans whose end is an event of its own. */
const REPORTED = new Set(["failover", "switchover", "finish", "reinstate"]);
/** Entries of an event: some fifty; more are of earlier ones. */
const ENTRIES_MAX = 2_000;
/** A look begins every tenth of a second, and takes half a second at the most. */
const TOLD_BEFORE_MS = 1_000;
/** From the pooler through its supervisor to the file. */
const LOGGED_AFTER_MS = 100;

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

  /** An old primary was seen again: what only it had goes into the report of the action that replaced it. */
  noteBeyond({ node, ...beyond }: Beyond & { readonly node: string }): void {
    this.#writing = this.#writing.then(() => this.#amend(node, beyond));
  }

  async #write(entries: readonly TimedEntry[]): Promise<void> {
    const { stack, journalHead, timelineStart } = this.#tools;
    const report = reportOf(entries, { stack, journalHead: journalHead() });
    if (report === undefined) return;
    const { from, to } = report;
    const promotedAt = from === to ? undefined : await timelineStart(to);
    const clients = await this.#clients(report).catch(() => null);
    const costs = from === to ? null : await this.#tools.costs({ from, to }).catch(() => null);
    await this.#keep({ ...withGap(report, promotedAt), clients, costs });
    for (const cost of costs?.found ?? []) this.#tools.notice(`${to} took over from ${from}: ${sentenceOf(cost)}`);
  }

  /** A server's end is told to its clients before the first look fails; the pooler's last words come a moment after its last answer. */
  async #clients({ beganAt }: EventReport): Promise<EventReport["clients"]> {
    const { clock, clientErrors } = this.#tools;
    await clock.sleep(LOGGED_AFTER_MS, {});
    const from = (Date.parse(beganAt) - TOLD_BEFORE_MS) as Instant;
    const told = await clientErrors({ from, to: clock.now() });
    return told === undefined ? null : reportedClients(told);
  }

  async #amend(node: string, beyond: Beyond): Promise<void> {
    const report = this.#last?.report ?? (await this.#newest());
    // Of an action before that one, or of one that nobody has a report of.
    if (report === undefined || report.from !== node || report.to === node) return;
    if (report.gap !== null && report.gap.promotedAt !== formatLsn(beyond.fork)) return;
    await this.#keep({ ...report, lost: lossWith(report.lost, beyond) });
  }

  /** The newest report of a folder, which a daemon before this one may have written. */
  async #newest(): Promise<EventReport | undefined> {
    const { files, folder } = this.#tools;
    try {
      const names = (await files.list(folder))
        .map(({ name }) => name)
        .filter((name) => name.endsWith(".json"))
        .toSorted();
      const newest = names.at(-1);
      if (newest === undefined) return undefined;
      // One of another version is left alone, and what is none.
      return parseEventReport((await files.readFile(path.join(folder, newest))).toString("utf8"));
    } catch {
      // A report is for people: one that cannot be read is not amended.
      return undefined;
    }
  }

  /** A report is for people: one that cannot be written stops nobody. */
  async #keep(report: EventReport): Promise<void> {
    const { files, folder, notice } = this.#tools;
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
      notice(`the report of epoch ${report.epoch ?? 0} was not written: ${errorText(error)}`);
    }
  }
}
