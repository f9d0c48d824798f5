/**
 * WAL for a backup: makes sure that it reaches the vault while the backup runs.
 *
 * Where a receiver runs already, that one is relied on. Otherwise one of our own runs for as long as the backup, in the
 * same spool, with a slot that ends with it: a slot that nobody reads would fill the server's disk. A receiver that is
 * relied on may end before the backup does (it may be another backup's own): then ours takes over. No wait is without an end:
 * for a receiver that does not come to stream, that has ended for good, or that brings nothing new. A primary ends the segment
 * behind its backup by itself; a replica cannot, and where little is written nobody else does: that is told while it can be done.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import {
  formatLsn,
  type Lsn,
  lsnAdd,
  parseLsn,
  type SystemId,
  segmentName,
  segmentStart,
  type Timeline,
} from "../postgres/lsn.ts";
import type { SystemIdentity } from "../postgres/replication.ts";
import { blobKeyId } from "../vault/blob.ts";
import { HEADER_BYTES } from "../vault/header.ts";
import { segmentKey } from "../vault/names.ts";
import { checkSameVault } from "../vault/same-vault.ts";
import type { Vault } from "../vault/vault.ts";
import { readHoldingsOf } from "./holdings.ts";
import { coversRange, type WalGap } from "./ranges.ts";
import type { Receiver } from "./receiver.ts";
import { type ReceiverReport, type ReceiverStatus, readReceiverStatus } from "./report.ts";
import { walBetween } from "./settings-between.ts";
import { readUnreadable } from "./unreadable.ts";

/**
 * How often the vault is looked at while waiting: a segment takes about a quarter of a second to store. The first looks come
 * sooner, since the last segment is mostly zeros and the backup's end waits for nothing else.
 */
const LOOK_INTERVAL_MS = { first: 5, most: 100 };

/** How often all WAL is listed while its last segment is not there: it tells whether anything comes at all. */
const LIST_INTERVAL_MS = 500;

/** How often a receiver that runs and does not stream yet is looked at: it tells when it does. */
const STREAM_LOOK_INTERVAL_MS = 50;

/** How often the receiver that is relied on is looked at: the server keeps WAL for longer than that by itself. */
const WATCH_INTERVAL_MS = 500;

/** A receiver has all of a primary's last segment within milliseconds; one that it has the beginning of for so long is not ended. */
const UNFILLED_MS = 2_000;

/** The segment with a backup's last WAL, of which the receiver has that and the server no more: nobody has ended it. */
export type UnfilledSegment = { readonly segment: string; readonly receivedTo: Lsn };

type CallOptions = { readonly signal?: AbortSignal | undefined };

export type CoverageTools = {
  readonly vault: Vault;
  readonly files: Files;
  readonly locks: Locks;
  readonly clock: Clock;
  readonly spoolFolder: string;
  /** Makes a receiver of our own for this spool, with a slot that ends with it. */
  readonly createReceiver: () => Receiver;
  readonly walSegmentBytes: number;
  /** How long the vault may get nothing new before the wait is given up. */
  readonly timeoutMs: number;
  /** Told once when the wait is for a segment to be ended. */
  readonly onUnfilled?: ((unfilled: UnfilledSegment) => void) | undefined;
};

/** Coverage of one backup. `end` it, whatever became of the backup. */
export class ReceivedCoverage {
  readonly #tools: CoverageTools;
  readonly #ending = new AbortController();
  #own: Receiver | undefined;
  #watching: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;
  /** Of the last receiver that did not come to stream. */
  #complaint: string | undefined;

  constructor(tools: CoverageTools) {
    this.#tools = tools;
  }

  /**
   * Resolves once WAL is being received: a receiver that only starts may find that the WAL of a backup begun before is gone.
   * Throws `wal.foreign-system` when the running receiver serves another server, and `backup.wal-not-covered` when no receiver
   * comes to stream.
   */
  async begin(server: SystemIdentity, options: CallOptions): Promise<void> {
    await this.#within(async (signal) => {
      while (!(await this.#ensureReceiving(server, { signal }))) {
        await this.#tools.clock.sleep(STREAM_LOOK_INTERVAL_MS, { signal });
      }
    }, options);
    this.#watching = this.#watch(server).catch((error: unknown) => {
      // `covered` tells it, unless the backup has ended.
      if (!this.#ending.signal.aborted) this.#failure = { cause: error };
    });
  }

  /** Resolves once all WAL of the range lies in the vault. Throws `backup.wal-not-covered`, and what ended our receiver. */
  async covered(
    range: { readonly systemId: SystemId; readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
    options: CallOptions,
  ): Promise<void> {
    const { clock, timeoutMs } = this.#tools;
    let missing = Number.POSITIVE_INFINITY;
    let progressedAt = clock.monotonic();
    let listAt = progressedAt + LIST_INTERVAL_MS;
    let intervalMs = LOOK_INTERVAL_MS.first;
    let told = false;
    for (;;) {
      const now = clock.monotonic();
      // Asking for one object costs little, listing a year of WAL does not.
      if (now >= listAt || (await this.#holdsEnd(range, options))) {
        const gaps = await this.#gaps(range, options);
        if (gaps.length === 0) {
          await this.#checkReads(range);
          return await this.#checkOpens(range, options);
        }
        listAt = now + LIST_INTERVAL_MS;
        const missingNow = gaps.reduce((sum, gap) => sum + gap.segmentCount, 0);
        if (missingNow < missing) {
          missing = missingNow;
          progressedAt = now;
        }
        const unfilled = now - progressedAt > UNFILLED_MS ? await this.#unfilled(range, gaps) : undefined;
        if (unfilled !== undefined && !told) this.#tools.onUnfilled?.(unfilled);
        told ||= unfilled !== undefined;
        if (now - progressedAt > timeoutMs) {
          throw unfilled === undefined ? await this.#notCovered(gaps) : notFilled(unfilled, timeoutMs);
        }
      }
      if (this.#failure !== undefined) throw this.#failure.cause;
      await clock.sleep(intervalMs, options);
      intervalMs = Math.min(intervalMs * 1.5, LOOK_INTERVAL_MS.most);
    }
  }

  /** What the WAL since an earlier backup tells; the spool is read too. */
  get between() {
    const { vault, files, spoolFolder, walSegmentBytes } = this.#tools;
    return walBetween({ vault, files, spoolFolder }, walSegmentBytes);
  }

  /** Stops a receiver of our own. Repeatable. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#watching;
    await this.#own?.stop();
  }

  /** The server answered a moment ago: one that has no room for our receiver is waited for as long as the vault is. */
  async #within(work: (signal: AbortSignal) => Promise<void>, { signal }: CallOptions): Promise<void> {
    const { clock, timeoutMs } = this.#tools;
    const ended = new AbortController();
    const late = new AbortController();
    const limit = clock.sleep(timeoutMs, { signal: ended.signal }).then(
      () => late.abort(),
      () => undefined,
    );
    try {
      await work(signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]));
    } catch (error) {
      if (signal?.aborted === true || !late.signal.aborted) throw error;
      throw notCovered(`no receiver came to stream within ${timeoutMs} ms`, this.#complaint);
    } finally {
      ended.abort();
      await limit;
    }
  }

  /** Relies on the receiver that runs, else starts our own. Whether one streams. */
  async #ensureReceiving(server: SystemIdentity, options: CallOptions): Promise<boolean> {
    const { spoolFolder } = this.#tools;
    const status = await readReceiverStatus(this.#tools, spoolFolder);
    if (status.kind === "running") {
      checkSameSystem(status, server, spoolFolder);
      const { mode, lastError } = status.report;
      this.#complaint = lastError?.message;
      return mode === "streaming";
    }
    const own = this.#tools.createReceiver();
    try {
      await own.start(options);
      this.#own = own;
      // It connects again by itself. What no repetition mends is told to whoever waits for WAL, who would wait in vain.
      own.ended.catch((cause: unknown) => {
        this.#failure ??= { cause };
      });
      return true;
    } catch (error) {
      this.#complaint = own.report().lastError?.message;
      await own.stop();
      // Another was quicker, and does for both.
      if (!isLifeboatError(error, "wal.spool-busy")) throw error;
      return false;
    }
  }

  async #watch(server: SystemIdentity): Promise<void> {
    const { signal } = this.#ending;
    while (this.#own === undefined) {
      await this.#tools.clock.sleep(WATCH_INTERVAL_MS, { signal });
      await this.#ensureReceiving(server, { signal });
    }
  }

  /** Whether the vault has the segment with the last byte: segments are stored in their order. */
  async #holdsEnd(
    { systemId, timeline, to }: { readonly systemId: SystemId; readonly timeline: Timeline; readonly to: Lsn },
    options: CallOptions,
  ): Promise<boolean> {
    const { vault, walSegmentBytes } = this.#tools;
    const segment = segmentName({ timeline, lsn: (to - 1n) as Lsn, walSegmentBytes });
    return (await vault.store.head(segmentKey({ systemId, segment }), options)) !== undefined;
  }

  async #gaps(
    range: { readonly systemId: SystemId; readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
    options: CallOptions,
  ): Promise<readonly WalGap[]> {
    const { vault, files, walSegmentBytes } = this.#tools;
    // Only the vault counts: the spool lies on this machine, and a backup must outlive it.
    const sources = { vault, files, systemId: range.systemId };
    const holdings = await readHoldingsOf(sources, walSegmentBytes, range.timeline, options);
    const coverage = coversRange(holdings, range);
    return coverage.kind === "covered" ? [] : coverage.gaps;
  }

  /** What the receiver has read by now. It reads a segment when it is stored: what it finds later is an alarm that this backup does not end. */
  async #checkReads(range: {
    readonly systemId: SystemId;
    readonly timeline: Timeline;
    readonly from: Lsn;
    readonly to: Lsn;
  }) {
    const { files, spoolFolder } = this.#tools;
    const found = (await readUnreadable(files, spoolFolder)).find(
      ({ systemId, timeline, from, to }) =>
        systemId === range.systemId && timeline === range.timeline && from < range.to && to > range.from,
    );
    if (found === undefined) return;
    throw notCovered(`the WAL that this backup needs does not read on at ${formatLsn(found.from)}: ${found.reason}`);
  }

  /** A name is not enough: what a receiver of another vault stored there, this one opens by no key. 48 bytes of each segment. */
  async #checkOpens(
    range: { readonly systemId: SystemId; readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
    options: CallOptions,
  ): Promise<void> {
    const { vault, walSegmentBytes } = this.#tools;
    const { systemId, timeline } = range;
    const known = new Set((await checkSameVault(vault, options)).values());
    for (let lsn = segmentStart(range.from, walSegmentBytes); lsn < range.to; lsn = lsnAdd(lsn, walSegmentBytes)) {
      const name = segmentKey({ systemId, segment: segmentName({ timeline, lsn, walSegmentBytes }) });
      const keyId = blobKeyId(name, await vault.store.getRange(name, { offset: 0, length: HEADER_BYTES }, options));
      if (!known.has(keyId))
        throw notCovered(`${name} was sealed with data key ${keyId}, which this vault does not know`);
    }
  }

  async #report(): Promise<ReceiverReport | undefined> {
    const status = await readReceiverStatus(this.#tools, this.#tools.spoolFolder);
    return this.#own?.report() ?? (status.kind === "never-ran" ? undefined : status.report);
  }

  /** Where nothing is missing but the segment with the last byte, and the receiver has what the server has of it. */
  async #unfilled(
    range: { readonly systemId: SystemId; readonly timeline: Timeline; readonly to: Lsn },
    gaps: readonly WalGap[],
  ): Promise<UnfilledSegment | undefined> {
    const { walSegmentBytes } = this.#tools;
    const last = segmentStart((range.to - 1n) as Lsn, walSegmentBytes);
    const segment = segmentName({ timeline: range.timeline, lsn: last, walSegmentBytes });
    if (gaps.some(({ firstSegment, segmentCount }) => firstSegment !== segment || segmentCount > 1)) return undefined;
    const report = await this.#report();
    if (report?.mode !== "streaming" || report.systemId !== range.systemId || report.timeline !== range.timeline) {
      return undefined;
    }
    const receivedTo = parseLsn(report.flushedLsn);
    const ended = receivedTo >= lsnAdd(last, walSegmentBytes);
    return receivedTo < range.to || ended ? undefined : { segment, receivedTo };
  }

  async #notCovered(gaps: readonly WalGap[]): Promise<LifeboatError> {
    const first = gaps[0];
    const missing = first === undefined ? "nothing" : `${formatLsn(first.from)} to ${formatLsn(first.to)}`;
    const report = await this.#report();
    // It may stream as it should, and have another vault open.
    const said = report?.alarms.find(({ kind }) => kind === "vault-failing") ?? report?.lastError;
    const what = `for ${this.#tools.timeoutMs} ms nothing new of the WAL from ${missing} reached the vault`;
    return notCovered(what, said?.message ?? this.#complaint);
  }
}

function notCovered(what: string, complaint?: string): LifeboatError {
  return new LifeboatError("backup.wal-not-covered", {
    message: complaint === undefined ? what : `${what}: ${complaint}`,
    remedy: "See `lifeboat wal status`, mend what it complains of, and take the backup again.",
    retryable: true,
  });
}

function notFilled({ segment, receivedTo }: UnfilledSegment, timeoutMs: number): LifeboatError {
  return new LifeboatError("backup.wal-not-covered", {
    message: `the segment ${segment}, in which the backup ends, was not full within ${timeoutMs} ms: the server has written to ${formatLsn(receivedTo)} and no further`,
    remedy:
      "A replica cannot end a segment. Take the backup again and run SELECT pg_switch_wal() on the primary when it asks for that, set archive_timeout there, or take it from the primary.",
    retryable: true,
  });
}

function checkSameSystem(
  status: Extract<ReceiverStatus, { kind: "running" }>,
  server: SystemIdentity,
  spoolFolder: string,
): void {
  const { systemId } = status.report;
  if (systemId === null || systemId === server.systemId) return;
  throw new LifeboatError("wal.foreign-system", {
    message: `the receiver in ${spoolFolder} serves system ${systemId}, the server is ${server.systemId}`,
    remedy: "Give each server a spool and a vault of its own.",
  });
}
