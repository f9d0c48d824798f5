/**
 * The mandate of a running receiver: whom it follows now, how that changes, and until when it may confirm.
 */
import { LifeboatError } from "../errors/error.ts";
import { abortedError, type Clock, type Monotonic, throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { type Mandate, type MandateRecord, type MandateTerms, readMandate, writeMandate } from "./mandate.ts";

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
   * The flushed position of the replica that would be promoted: nothing is confirmed while what is held begins after it,
   * since what lies between could not be handed to that replica (rule B9). Undefined: nothing is compared.
   */
  readonly contiguousWith: Lsn | undefined;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A mandate with what ends and what permits it. */
type Held = {
  readonly mandate: Mandate;
  readonly ending: AbortController;
  /** Until when a grant that does not last permits. */
  until: Monotonic;
  contiguousWith: Lsn | undefined;
};

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

  /** Reads the record of a spool that is ours already: another process may have changed it until then. */
  static async open(tools: MandateTools, spool: string): Promise<Mandates> {
    return new Mandates(tools, spool, await readMandate(tools.files, spool));
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
    this.#record = { kind: "withdrawn", epoch };
    return writeMandate(this.#tools, this.#spool, this.#record);
  }

  /**
   * Follows a server in an epoch, which becomes its reign; in force, and on stable storage, when this resolves. Repeatable;
   * a reign has one server. Without `lasting` nothing is confirmed before the first grant. Rejects with `wal.epoch-stale`.
   */
  async follow(terms: MandateTerms & { readonly lasting: boolean }): Promise<void> {
    const before = this.#record;
    const { lasting, ...asked } = terms;
    const again = before.kind === "following" && before.reign === asked.reign;
    if (asked.reign < before.epoch || (again && !sameServer(before, asked))) throw stale(asked.reign, before);
    if (again && this.#held !== undefined) return;
    // Whoever had it before has it no more, also should the record not get onto the disk.
    this.#freeze();
    this.#record = { kind: "withdrawn", epoch: asked.reign };
    const grant = lasting ? { contiguousWith: undefined } : undefined;
    const record: MandateRecord = { kind: "following", epoch: asked.reign, ...asked, lasting: grant };
    await writeMandate(this.#tools, this.#spool, record);
    this.#record = record;
    this.#begin(record);
  }

  /** What the next grant is to name: this moment, by our monotonic clock. */
  get ticket(): string {
    return `${this.#nonce}.${Math.floor(this.#tools.clock.monotonic())}`;
  }

  /**
   * Permits to confirm. A grant for a while lasts from the moment of its ticket, so that one which was long under way does
   * not last longer than whoever waits it out believes. Rejects with `wal.epoch-stale`, and with `wal.not-following` when
   * the mandate is another one or none.
   */
  async grant(grant: Grant): Promise<void> {
    const { epoch, reign, duration, contiguousWith } = grant;
    if (epoch < this.#record.epoch) throw stale(epoch, this.#record);
    const record = this.#record;
    const held = this.#held;
    if (record.kind !== "following" || record.reign !== reign || held === undefined) throw notFollowing(reign, record);
    if (duration === undefined) {
      // Positions grow with every grant; what a restart goes back to may be an older one.
      const lasting = record.lasting ?? { contiguousWith };
      await this.#note({ ...record, epoch, lasting });
    } else {
      await this.#note({ ...record, epoch });
      const now = this.#tools.clock.monotonic();
      const seenAt = Number(duration.ticket.slice(this.#nonce.length + 1));
      if (!duration.ticket.startsWith(`${this.#nonce}.`) || !(seenAt <= now)) return;
      held.until = Math.max(held.until, seenAt + duration.ms) as Monotonic;
    }
    held.contiguousWith = contiguousWith;
  }

  /** Writes what changed of a mandate that goes on. */
  async #note(record: MandateRecord & { readonly kind: "following" }): Promise<void> {
    const before = this.#record;
    const wasLasting = before.kind === "following" && before.lasting !== undefined;
    if (before.epoch === record.epoch && wasLasting === (record.lasting !== undefined)) return;
    await writeMandate(this.#tools, this.#spool, record);
    this.#record = record;
  }

  #freeze(): void {
    this.#held?.ending.abort();
    this.#held = undefined;
  }

  #begin(record: MandateRecord & { readonly kind: "following" }): void {
    const { clock } = this.#tools;
    const { reign, upstream, systemId, timeline, switchLsn, lasting } = record;
    const ending = new AbortController();
    const mayConfirm = (rangeFrom: Lsn | undefined): boolean => {
      if (ending.signal.aborted) return false;
      const { contiguousWith } = held;
      if (contiguousWith !== undefined && (rangeFrom === undefined || rangeFrom > contiguousWith)) return false;
      const now = this.#record;
      return (now.kind === "following" && now.lasting !== undefined) || clock.monotonic() < held.until;
    };
    const mandate = { reign, upstream, systemId, timeline, switchLsn, ended: ending.signal, mayConfirm };
    const held: Held = { mandate, ending, until: clock.monotonic(), contiguousWith: lasting?.contiguousWith };
    this.#held = held;
    this.#given.resolve();
    this.#given = Promise.withResolvers<void>();
  }
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
