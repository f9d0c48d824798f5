/**
 * The mandate of a running receiver: whom it follows now, how that changes, and until when it may confirm.
 */
import { LifeboatError } from "../errors/error.ts";
import { abortedError, type Clock, type Monotonic, throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { keepReserve, withReserve } from "../platform/reserve.ts";
import type { Lsn } from "../postgres/lsn.ts";
import {
  type FollowingRecord,
  type Mandate,
  type MandateRecord,
  type MandateTerms,
  readMandate,
  writeMandate,
} from "./mandate.ts";

/** What keeping mandates needs of the machine. */
export type MandateTools = { readonly files: Files; readonly random: RandomSource; readonly clock: Clock };

/** Permits to confirm. */
export type Grant = {
  /** Whoever grants; a greater one than was seen is remembered first. */
  readonly epoch: number;
  /** Of the mandate that is meant. */
  readonly reign: number;
  /** How long it lasts; undefined: until the mandate is withdrawn. */
  readonly duration: { readonly ms: number; readonly ticket: string } | undefined;
  /**
   * The end of what the replica has that would be promoted: nothing is confirmed while what is held begins after it, since
   * what lies between could not be handed to that replica (rule B9). Undefined: not known, the last one stays.
   */
  readonly contiguousWith: Lsn | undefined;
};

/** Why nothing may be confirmed under a mandate. Positions are as in Grant; undefined: not known. */
export type Hindrance =
  | { readonly kind: "no-grant"; readonly reign: number }
  | { readonly kind: "not-contiguous"; readonly rangeFrom: Lsn | undefined; readonly contiguousWith: Lsn | undefined };

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A mandate with what ends and what permits it. */
type Held = {
  readonly mandate: Mandate;
  readonly ending: AbortController;
  /** Until when a grant that does not last permits. */
  until: Monotonic;
  /** The newest one; the record may have an earlier one that says the same. */
  contiguousWith: Lsn | undefined;
};

/** A record takes some hundred bytes, and a file system gives whole blocks. */
const RESERVE_BYTES = 64 * 1024;

/** The mandates of one spool, which this process owns. Changes are made one after another by the caller. */
export class Mandates {
  readonly #tools: MandateTools;
  readonly #spool: string;
  /** Tells tickets of this process from those of another, whose clock began elsewhere. */
  readonly #nonce: string;
  #record: MandateRecord;
  #held: Held | undefined;
  #given = Promise.withResolvers<void>();

  private constructor(tools: MandateTools, spool: string, record: MandateRecord) {
    this.#tools = tools;
    this.#spool = spool;
    this.#nonce = tools.random(8).toString("hex");
    this.#record = record;
    if (record.kind === "following") this.#begin(record);
  }

  /**
   * Reads the record of a spool that is ours already: another process may have changed it until then. Keeps room for the next one:
   * a spool that is full is no reason to let nobody take over.
   */
  static async open(tools: MandateTools, spool: string): Promise<Mandates> {
    const record = await readMandate(tools.files, spool);
    await keepReserve(tools.files, spool, RESERVE_BYTES);
    return new Mandates(tools, spool, record);
  }

  /** The newest decision, on stable storage or on its way there. */
  get record(): MandateRecord {
    return this.#record;
  }

  /** The mandate in force. */
  get current(): Mandate | undefined {
    return this.#held?.mandate;
  }

  /** The mandate in force; waits for one. */
  async next({ signal }: CallOptions): Promise<Mandate> {
    while (this.#held === undefined) {
      throwIfAborted(signal, "waiting for a mandate");
      const stop = Promise.withResolvers<never>();
      const abort = (): void => stop.reject(abortedError("waiting for a mandate", signal?.reason));
      signal?.addEventListener("abort", abort, { once: true });
      try {
        await Promise.race([this.#given.promise, stop.promise]);
      } finally {
        signal?.removeEventListener("abort", abort);
      }
    }
    return this.#held.mandate;
  }

  /**
   * Ends the mandate for the sake of `epoch`. When this returns nothing more is confirmed; when its promise resolves that
   * survives a power cut. Repeatable. Throws `wal.epoch-stale` at once when a greater epoch was seen, or this one is the
   * reign: then it is a repetition that was on its way too long. After a rejection nothing is confirmed either: what the
   * disk holds is not known then.
   */
  withdraw(epoch: number): Promise<void> {
    const before = this.#record;
    if (epoch < before.epoch || (before.kind === "following" && epoch === before.reign)) throw stale(epoch, before);
    this.#freeze();
    const record = { kind: "withdrawn", epoch, contiguousWith: before.contiguousWith } as const;
    this.#record = record;
    const { files } = this.#tools;
    return withReserve(files, this.#spool, () => writeMandate(this.#tools, this.#spool, record));
  }

  /**
   * Follows a server in an epoch, which becomes its reign; in force, and on stable storage, when this resolves. Repeatable;
   * a reign has one server. Nothing is confirmed before the first grant. Rejects with `wal.epoch-stale`.
   */
  async follow(terms: MandateTerms): Promise<void> {
    const before = this.#record;
    const again = before.kind === "following" && before.reign === terms.reign;
    if (terms.reign < before.epoch || (again && !sameServer(before, terms))) throw stale(terms.reign, before);
    if (again && this.#held !== undefined) return;
    // Whoever had it before has it no more, also should the record not get onto the disk.
    this.#freeze();
    const { contiguousWith } = before;
    this.#record = { kind: "withdrawn", epoch: terms.reign, contiguousWith };
    const record = { kind: "following", epoch: terms.reign, contiguousWith, ...terms, lasting: false } as const;
    await writeMandate(this.#tools, this.#spool, record);
    this.#record = record;
    this.#begin(record);
    // It may have been used. Where it cannot be kept the mandate holds all the same.
    await keepReserve(this.#tools.files, this.#spool, RESERVE_BYTES).catch(() => undefined);
  }

  /** What the next grant is to name: this moment, by our monotonic clock. */
  get ticket(): string {
    return `${this.#nonce}.${Math.floor(this.#tools.clock.monotonic())}`;
  }

  /**
   * Permits to confirm; `rangeFrom` is where the gap-free range begins that is held. A grant for a while lasts from the
   * moment of its ticket, so that one which was long under way does not last longer than whoever waits it out believes.
   * Rejects with `wal.epoch-stale`, and with `wal.not-following` when the mandate is another one or none.
   */
  async grant(grant: Grant, rangeFrom: Lsn | undefined): Promise<void> {
    const { epoch, reign, duration } = grant;
    const before = this.#record;
    const held = this.#held;
    if (epoch < before.epoch) throw stale(epoch, before);
    if (before.kind !== "following" || before.reign !== reign || held === undefined) throw notFollowing(reign, before);
    const contiguousWith = grant.contiguousWith ?? held.contiguousWith;
    const lasting = before.lasting || duration === undefined;
    // Positions grow with every grant: what a restart goes back to may be an earlier one, if it says the same.
    const same = contiguous(rangeFrom, contiguousWith) === contiguous(rangeFrom, before.contiguousWith);
    if (epoch > before.epoch || lasting !== before.lasting || !same) {
      const record = { ...before, epoch, lasting, contiguousWith };
      await writeMandate(this.#tools, this.#spool, record);
      this.#record = record;
    }
    held.contiguousWith = contiguousWith;
    if (duration === undefined) return;
    const seenAt = Number(duration.ticket.slice(this.#nonce.length + 1));
    if (!duration.ticket.startsWith(`${this.#nonce}.`) || !(seenAt <= this.#tools.clock.monotonic())) return;
    held.until = Math.max(held.until, seenAt + duration.ms) as Monotonic;
  }

  /** Why nothing may be confirmed under the mandate in force; undefined when it may, and while there is none. */
  hindrance(rangeFrom: Lsn | undefined): Hindrance | undefined {
    return this.#held === undefined ? undefined : this.#hindrance(this.#held, rangeFrom);
  }

  #hindrance({ mandate: { reign }, contiguousWith, until }: Held, rangeFrom: Lsn | undefined): Hindrance | undefined {
    const now = this.#record;
    const granted = (now.kind === "following" && now.lasting) || this.#tools.clock.monotonic() < until;
    if (!granted) return { kind: "no-grant", reign };
    // Nobody governs it: there is no replica that it would be compared with.
    if (reign === 0 || contiguous(rangeFrom, contiguousWith)) return undefined;
    return { kind: "not-contiguous", rangeFrom, contiguousWith };
  }

  #freeze(): void {
    this.#held?.ending.abort();
    this.#held = undefined;
  }

  #begin(record: FollowingRecord): void {
    const { reign, upstream, systemId, timeline, switchLsn, contiguousWith } = record;
    const ending = new AbortController();
    const mayConfirm = (rangeFrom: Lsn | undefined): boolean =>
      !ending.signal.aborted && this.#hindrance(held, rangeFrom) === undefined;
    const mandate = { reign, upstream, systemId, timeline, switchLsn, ended: ending.signal, mayConfirm };
    const held: Held = { mandate, ending, until: this.#tools.clock.monotonic(), contiguousWith };
    this.#held = held;
    this.#given.resolve();
    this.#given = Promise.withResolvers<void>();
  }
}

function contiguous(rangeFrom: Lsn | undefined, contiguousWith: Lsn | undefined): boolean {
  return rangeFrom !== undefined && contiguousWith !== undefined && rangeFrom <= contiguousWith;
}

function sameServer(a: MandateTerms, b: MandateTerms): boolean {
  const sameAddress = a.upstream?.host === b.upstream?.host && a.upstream?.port === b.upstream?.port;
  return sameAddress && a.systemId === b.systemId && a.timeline === b.timeline && a.switchLsn === b.switchLsn;
}

function stale(epoch: number, record: MandateRecord): LifeboatError {
  return new LifeboatError("wal.epoch-stale", {
    message: `epoch ${epoch} was asked for, the receiver has seen epoch ${record.epoch} and ${described(record)}`,
    remedy: "Whoever acts in the later epoch decides: look at the status again and take a new epoch before acting.",
    details: { epoch: record.epoch },
  });
}

function notFollowing(reign: number, record: MandateRecord): LifeboatError {
  return new LifeboatError("wal.not-following", {
    message: `a grant for reign ${reign} came, the receiver ${described(record)}`,
    remedy: "Look at the status again: it follows somebody else, or nobody.",
    details: { epoch: record.epoch },
  });
}

function described(record: MandateRecord): string {
  return record.kind === "withdrawn" ? "is withdrawn" : `follows reign ${record.reign}`;
}
