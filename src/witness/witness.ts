/**
 * The receiver as a witness of the quorum: what a failover asks of it, and tells it.
 *
 * Nouns: a *witness* is a receiver whose confirmation lets a commit return; a *controller* is whoever acts in an epoch; a
 * *withdrawal* takes the receiver's mandate for the sake of a new epoch and says what it holds; to *adopt* is to grant it the
 * mandate of that epoch, for another server.
 * Invariants: what was withdrawn confirms nothing any more, through every restart, before an answer says so; the answer's
 * positions cover all that was ever confirmed; WAL is handed out only while nothing is received (rule B1: the end that is
 * handed out must stand still); what is asked here never keeps a confirmation waiting; one decision at a time.
 */
import { createHash } from "node:crypto";
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, lsnDistance, segmentName, segmentStart, type Timeline } from "../postgres/lsn.ts";
import { getSegment } from "../vault/wal-store.ts";
import { type HeldWal, holdStill } from "../wal/held-end.ts";
import type { MandateRecord, MandateTerms } from "../wal/mandate.ts";
import type { Grant } from "../wal/mandates.ts";
import type { OpenReceiver } from "../wal/receiver.ts";
import type { ReceiverReport } from "../wal/report.ts";

/** How a witness stands. */
export type WitnessStatus = {
  readonly mandate: MandateRecord;
  /** Whether it would confirm now what it is sent. */
  readonly mayConfirm: boolean;
  /** What the next grant for a while must name. */
  readonly ticket: string;
  /** Where the gap-free range begins that is held; undefined when that is not known. */
  readonly rangeFrom: Lsn | undefined;
  /** Milliseconds since the server was last heard of; undefined while it does not stream. */
  readonly heardAgoMs: number | undefined;
  readonly receiver: ReceiverReport;
};

/** The answer to a withdrawal. */
export type Withdrawal = {
  readonly epoch: number;
  /** Undefined: nothing was ever received. */
  readonly held: HeldWal | undefined;
};

/** A stretch of held WAL within one segment. */
export type HeldStretch = { readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn };

/** The witness that a running receiver is. */
export class Witness {
  readonly #receiver: OpenReceiver;
  readonly #ending = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();
  /** The segment that was read from the vault last: it is asked for piece by piece. */
  #stored: { readonly name: string; readonly bytes: Buffer } | undefined;
  /** The newest one: asked again it is the same, since nothing is received in between. */
  #withdrawal: Withdrawal | undefined;

  constructor(receiver: OpenReceiver) {
    this.#receiver = receiver;
  }

  status(): WitnessStatus {
    const { mandates, spool, report, heardAgoMs } = this.#receiver;
    const rangeFrom = spool.state?.rangeFrom;
    return {
      mandate: mandates.record,
      mayConfirm: mandates.current?.mayConfirm(rangeFrom) === true,
      ticket: mandates.ticket,
      rangeFrom,
      heardAgoMs: heardAgoMs(),
      receiver: report(),
    };
  }

  /**
   * Takes the mandate away for the sake of `epoch`. When this resolves, WAL of an earlier epoch is confirmed no more, whatever
   * restarts, and all that was confirmed lies before `held.flushedLsn`. Repeatable. Rejects with `wal.epoch-stale`; after
   * any other rejection nothing is confirmed either, and it may be asked again.
   */
  withdraw(epoch: number): Promise<Withdrawal> {
    return this.#inTurn(async () => {
      const { mandates, exclusively } = this.#receiver;
      const { record } = mandates;
      if (record.kind === "withdrawn" && record.epoch === epoch && this.#withdrawal?.epoch === epoch)
        return this.#withdrawal;
      const recorded = mandates.withdraw(epoch);
      const options = { signal: this.#ending.signal };
      const [, held] = await Promise.all([recorded, exclusively(() => holdStill(this.#receiver, options))]);
      this.#withdrawal = { epoch, held };
      return this.#withdrawal;
    });
  }

  /** See `Mandates.follow`. */
  follow(terms: MandateTerms): Promise<WitnessStatus> {
    return this.#inTurn(async () => {
      this.#withdrawal = undefined;
      await this.#receiver.mandates.follow(terms);
      this.#stored = undefined;
      return this.status();
    });
  }

  /** See `Mandates.grant`. */
  grant(grant: Grant): Promise<WitnessStatus> {
    return this.#inTurn(async () => {
      const { mandates, spool } = this.#receiver;
      await mandates.grant(grant, spool.state?.rangeFrom);
      return this.status();
    });
  }

  /** Held bytes, for a node that lacks them. Only while withdrawn in `epoch`. Throws `wal.epoch-stale`, `wal.segment-missing`. */
  async read(epoch: number, stretch: HeldStretch): Promise<Buffer> {
    const { mandates, spool } = this.#receiver;
    const { record } = mandates;
    if (record.kind !== "withdrawn" || record.epoch !== epoch) throw notStill(epoch, record);
    const bytes = (await spool.read(stretch)) ?? (await this.#readStored(stretch));
    if (bytes?.byteLength === lsnDistance(stretch)) return bytes;
    throw new LifeboatError("wal.segment-missing", {
      message: `WAL from ${formatLsn(stretch.from)} to ${formatLsn(stretch.to)} on timeline ${stretch.timeline} is not held`,
      remedy: "Ask for what the withdrawal said is held.",
    });
  }

  /** SHA-256 of held bytes, in hexadecimal. As `read`. */
  async digest(epoch: number, stretch: HeldStretch): Promise<string> {
    return createHash("sha256")
      .update(await this.read(epoch, stretch))
      .digest("hex");
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#turn;
  }

  async #readStored({ timeline, from, to }: HeldStretch): Promise<Buffer | undefined> {
    const { spool, vault } = this.#receiver;
    const { state } = spool;
    if (state === undefined) return undefined;
    const { systemId, walSegmentBytes } = state;
    const name = segmentName({ timeline, lsn: from, walSegmentBytes });
    if (this.#stored?.name !== name) {
      const bytes = await getSegment(vault, { systemId, segment: name }, { signal: this.#ending.signal });
      if (bytes === undefined) return undefined;
      this.#stored = { name, bytes };
    }
    const start = segmentStart(from, walSegmentBytes);
    return this.#stored.bytes.subarray(lsnDistance({ from: start, to: from }), lsnDistance({ from: start, to }));
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}

function notStill(epoch: number, record: MandateRecord): LifeboatError {
  return new LifeboatError("wal.epoch-stale", {
    message: `WAL was asked for in epoch ${epoch}, the receiver's mandate is ${record.kind} in epoch ${record.epoch}`,
    remedy: "Withdraw the receiver's mandate in your epoch first: what it hands out must stand still.",
    details: { epoch: record.epoch },
  });
}
