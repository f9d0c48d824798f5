/**
 * The hot path: WAL comes in, is appended, synced once for each group or burst, and confirmed.
 *
 * Nouns: a *group* is what had arrived when we looked; a *burst* is groups of which the server says that more is on its way.
 * What is *compared* is received again and must equal what is held before anything is confirmed.
 * Invariants: only positions that the spool calls flushed are confirmed, none of them before the comparison is through,
 * and on a timeline that was followed none before its switch point (rule B3); after a failure of the spool nothing more
 * is said on this connection (rule B9); nothing is said after the mandate has ended, and while it has no grant
 * the server is told again what it was told before (rules B4, B5 and B9).
 */
import { assert, LifeboatError } from "../errors/error.ts";
import { type Monotonic, throwIfAborted } from "../platform/clock.ts";
import { formatLsn, LSN_NONE, type Lsn, lsnAdd, lsnDistance } from "../postgres/lsn.ts";
import type { ReplicationConnection, WalMessage, WalStream } from "../postgres/replication.ts";
import { foreignLineage } from "./identity.ts";
import type { Plan, SessionContext } from "./session-context.ts";

/** A group of this size that is not all the server has is part of a burst: a commit alone is smaller. */
const BURST_GROUP_BYTES = 64 * 1024;
/**
 * A burst is synced after so many bytes. Synced group by group, a segment that comes as one (pg_switch_wal, a load, a receiver that
 * catches up) takes 128 syncs one after the other, and the commit behind it waits for all of them.
 */
const BURST_BYTES_MAX = 2 * 1024 * 1024;
/** Waits so long for the rest of a burst, which the server has on stable storage and is sending. */
const BURST_PATIENCE_MS = 1;

/** How soon a grant is noticed while no WAL comes: commits wait for it. */
const GRANT_LOOK_MS = 50;

/** The stream of one plan. */
export class Reception {
  readonly #context: SessionContext;
  readonly #plan: Plan;
  /** The position of the next byte from the server. */
  #at: Lsn;
  /** What the next bytes from the server must be. */
  #expected: Buffer;
  #received = false;
  /** Bytes of a burst that are written and not synced. */
  #burstBytes = 0;
  #heardAt: Monotonic;
  #askedAt: Monotonic | undefined;
  #toldAt: Monotonic;

  constructor(context: SessionContext, plan: Plan) {
    this.#context = context;
    // What another stream was told, and how long there was none, keeps nobody waiting for this one.
    context.told = LSN_NONE;
    context.confirmedAt = context.clock.monotonic();
    this.#plan = plan;
    this.#at = plan.streamFrom;
    this.#expected = plan.expected;
    this.#heardAt = context.clock.monotonic();
    this.#toldAt = this.#heardAt;
  }

  /** True once the server has sent WAL. */
  get received(): boolean {
    return this.#received;
  }

  /** Receives until the timeline ends. */
  async run(connection: ReplicationConnection, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { clock, options } = this.#context;
    const { streamFrom, timeline } = this.#plan;
    const stream = await connection.startWal({ lsn: streamFrom, timeline, slot: options.slot }, { signal });
    await this.#tell(stream, true);
    let announced = false;
    for (;;) {
      if (!announced && this.#isCompared) {
        announced = true;
        this.#context.streaming();
      }
      const group = await this.#next(stream, signal);
      let asked = false;
      if (group !== undefined) {
        this.#heardAt = clock.monotonic();
        this.#context.heardAt = this.#heardAt;
        this.#askedAt = undefined;
        asked = await this.#take(stream, group, signal);
        if (group.at(-1)?.kind === "timeline-end") return;
      }
      await this.#tell(stream, asked);
    }
  }

  /** The next group. A burst that is over, because nothing more came in time or the connection broke, is synced before that is told. */
  async #next(stream: WalStream, signal: AbortSignal): Promise<readonly WalMessage[] | undefined> {
    let group: readonly WalMessage[] | undefined;
    try {
      group = await stream.next({ timeoutMs: this.#patienceMs(), signal });
    } catch (error) {
      if (!signal.aborted) await this.#endBurst();
      throw error;
    }
    if (group === undefined || group.at(-1)?.kind === "timeline-end") await this.#endBurst();
    return group;
  }

  async #endBurst(): Promise<void> {
    if (this.#burstBytes === 0) return;
    this.#burstBytes = 0;
    await this.#context.spool.flush();
  }

  /** Writes and syncs the group's WAL; true when the server wants an answer that it has not got. */
  async #take(stream: WalStream, group: readonly WalMessage[], signal: AbortSignal): Promise<boolean> {
    const context = this.#context;
    // The wait of whoever waits for us begins with what comes now.
    if (context.told >= context.serverEnd) context.confirmedAt = context.clock.monotonic();
    const parts: Buffer[] = [];
    let asked = false;
    for (const message of group) {
      if (message.kind === "timeline-end") continue;
      context.serverEnd = message.serverEnd;
      if (message.kind === "data") parts.push(message.data);
      else asked ||= message.replyRequested;
    }
    if (parts.length > 0) {
      this.#received = true;
      context.gone = undefined;
      if (context.options.delayMs > 0) await context.clock.sleep(context.options.delayMs, { signal });
      const data = this.#goesOn(parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts));
      const inBurst = this.#isInBurst(data);
      const now = inBurst ? "no" : this.#takeNow(stream, data);
      if (now === "told") asked = false;
      if (now === "no") {
        await context.spool.append(data, (file) => {
          context.uploads.add(file);
          checkSpoolSpace(context);
        });
        this.#burstBytes += data.byteLength;
        if (!inBurst) await this.#endBurst();
      }
    }
    return asked;
  }

  #isInBurst(data: Buffer): boolean {
    const more = this.#at < this.#context.serverEnd;
    return more && data.byteLength >= BURST_GROUP_BYTES && this.#burstBytes + data.byteLength < BURST_BYTES_MAX;
  }

  /**
   * Takes a small group and reports it. All that can be is done before the sync; after it only what must be: whether it may be
   * confirmed still. `no`: nothing was done; `taken`: it is to be reported as any other.
   */
  #takeNow(stream: WalStream, data: Buffer): "no" | "taken" | "told" {
    const { spool, mandate, clock } = this.#context;
    const flushed = lsnAdd(spool.written, data.byteLength);
    const confirmable = this.#isCompared && flushed >= this.#plan.confirmFrom;
    const message = stream.statusMessage({ written: flushed, flushed, applied: LSN_NONE });
    if (!spool.takeNow(data)) return "no";
    assert(spool.flushed === flushed, "what is reported is what was synced");
    if (!confirmable || mandate.ended.aborted || !this.#mayConfirm || !stream.sendNow(message)) return "taken";
    this.#context.told = flushed;
    this.#toldAt = clock.monotonic();
    this.#context.confirmedAt = this.#toldAt;
    return "told";
  }

  /** True when what the server sends was found to go on from what is held. */
  get #isCompared(): boolean {
    return this.#expected.byteLength === 0 && this.#plan.link?.settled !== false;
  }

  /** What is new and may be written. */
  #goesOn(data: Buffer): Buffer {
    const behind = this.#compared(data);
    return this.#plan.link === undefined ? behind : this.#plan.link.pass(behind);
  }

  /** Compares what is held already; returns what is new. */
  #compared(data: Buffer): Buffer {
    const from = this.#at;
    this.#at = lsnAdd(from, data.byteLength);
    if (this.#expected.byteLength > 0) {
      const length = Math.min(this.#expected.byteLength, data.byteLength);
      if (!data.subarray(0, length).equals(this.#expected.subarray(0, length))) {
        throw foreignLineage(
          `the server's WAL on timeline ${this.#plan.timeline} differs from what was received before, between ${formatLsn(from)} and ${formatLsn(lsnAdd(from, length))}`,
        );
      }
      this.#expected = this.#expected.subarray(length);
    }
    const held = lsnDistance({ from, to: this.#plan.writeFrom });
    return held <= 0 ? data : data.subarray(Math.min(held, data.byteLength));
  }

  /** Reports, when there is something to report, somebody asks, or the last report is old. */
  async #tell(stream: WalStream, asked: boolean): Promise<void> {
    const { clock, options, mandate } = this.#context;
    throwIfAborted(mandate.ended, "confirming WAL");
    const now = clock.monotonic();
    this.#checkHeard(now);
    const flushed = this.#mayConfirm ? this.#confirmable() : this.#context.told;
    const ask = this.#askedAt === undefined && now - this.#heardAt > options.serverTimeoutMs / 2;
    if (!asked && !ask && flushed === this.#context.told && now - this.#toldAt < options.statusIntervalMs) return;
    if (ask) this.#askedAt = now;
    if (flushed !== this.#context.told) this.#context.confirmedAt = now;
    this.#context.told = flushed;
    this.#toldAt = now;
    // Nothing is applied here: a commit that waits for that must not return because of us.
    await stream.sendStatus({ written: flushed, flushed, applied: LSN_NONE, replyRequested: ask });
  }

  get #mayConfirm(): boolean {
    const { mandate, spool } = this.#context;
    return mandate.mayConfirm(spool.state?.rangeFrom);
  }

  #confirmable(): Lsn {
    const { flushed } = this.#context.spool;
    return !this.#isCompared || flushed < this.#plan.confirmFrom ? LSN_NONE : flushed;
  }

  #patienceMs(): number {
    if (this.#burstBytes > 0) return BURST_PATIENCE_MS;
    const { clock, options } = this.#context;
    const now = clock.monotonic();
    const statusMs = this.#toldAt + options.statusIntervalMs - now;
    const silenceMs = this.#heardAt + options.serverTimeoutMs / 2 - now;
    const patienceMs = Math.max(1, Math.min(statusMs, this.#askedAt === undefined ? silenceMs : statusMs));
    return this.#mayConfirm ? patienceMs : Math.min(patienceMs, GRANT_LOOK_MS);
  }

  #checkHeard(now: Monotonic): void {
    const silentMs = Math.round(now - this.#heardAt);
    if (silentMs <= this.#context.options.serverTimeoutMs) return;
    throw new LifeboatError("wal.server-silent", {
      message: `the server sent nothing for ${silentMs} ms, ${this.#context.options.serverTimeoutMs} ms are allowed`,
      remedy: "Look at the server and at the network between; the receiver connects again by itself.",
      retryable: true,
    });
  }
}

/** Throws `wal.spool-full` when as much waits for the vault as the spool may hold. */
export function checkSpoolSpace({ uploads, options, spool }: SessionContext): void {
  if (uploads.bytes < options.spoolBytesMax) return;
  throw new LifeboatError("wal.spool-full", {
    message: `${uploads.count} segments of ${uploads.bytes} bytes wait in ${spool.folder} for the vault, ${options.spoolBytesMax} bytes are allowed`,
    remedy: "Look at why the vault takes nothing (its disk, its store); the receiver goes on when it does again.",
    retryable: true,
  });
}
