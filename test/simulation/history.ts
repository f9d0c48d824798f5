/**
 * What clients were told, and what that must mean: the invariants that can be judged while things happen.
 *
 * What a timeline began with is kept here as it was at the promotion: a disk that is destroyed later, or a copy that is made
 * anew, says nothing about whether the old primary told the truth.
 */
import type { Server } from "./server.ts";
import type { WalRecord } from "./wal.ts";

/** An invariant that was broken. */
export type Violation = {
  readonly kind:
    | "acknowledged write lost"
    | "two nodes acknowledged"
    | "not writable"
    | "clients left waiting"
    | "failed over in maintenance"
    | "stray timeline followed"
    | "bug";
  readonly what: string;
  readonly atMs: number;
};

/** Whom the record calls the primary, and on which timeline. */
type Named = { readonly primary: string; readonly timeline: number };

/** Writes and their ends. */
export class History {
  readonly violations: Violation[] = [];
  readonly acknowledged = new Map<number, { readonly node: string; readonly timeline: number; readonly at: number }>();
  tell: ((what: () => string) => void) | undefined;
  /** Counts what happened. */
  note: (name: string) => void = () => undefined;
  #newest: { readonly node: string; readonly at: number } | undefined;
  attempted = 0;
  failed = 0;
  /** The greatest timeline on which anything was acknowledged. */
  #timeline = 0;
  readonly #nodeOfEpoch = new Map<number, string>();
  readonly #repeated = new Set<number>();
  /** The writes that each timeline began with. */
  readonly #inherited = new Map<number, ReadonlySet<number>>();
  readonly #now: () => number;
  readonly #named: () => Named;

  /** `named`: whom the record calls the primary. */
  constructor(now: () => number, named: () => Named) {
    this.#now = now;
    this.#named = named;
  }

  /** A client sends a write again, of which it does not know what became. */
  repeat(write: number): void {
    this.#repeated.add(write);
  }

  isRepeated(write: number): boolean {
    return this.#repeated.has(write);
  }

  /** The number of a new write. */
  begin(): number {
    this.attempted += 1;
    return this.attempted;
  }

  /** A timeline begins with these records. */
  promoted(timeline: number, records: readonly WalRecord[]): void {
    this.#inherited.set(timeline, new Set(records.map(({ write }) => write)));
  }

  /** A server tells that a write is committed and confirmed. */
  acknowledge(server: Pick<Server, "name" | "timeline" | "reign">, write: number): void {
    const at = this.#now();
    const named = this.#named();
    // What was confirmed before the old primary was halted it may still tell when it goes on: the new one has it.
    const left = server.name !== named.primary && server.timeline < named.timeline;
    if (left && this.#inherited.get(named.timeline)?.has(write) !== true) {
      this.break(
        "two nodes acknowledged",
        `${server.name} acknowledged write ${write}, and ${named.primary} is the primary`,
      );
    } else if (left) {
      this.note("an old primary told later what the new one began with");
    } else if (server.timeline < this.#timeline) {
      const what = `${server.name} acknowledged on timeline ${server.timeline} after somebody had on ${this.#timeline}`;
      this.break("two nodes acknowledged", what);
    }
    this.#timeline = Math.max(this.#timeline, server.timeline);
    const epoch = server.reign;
    if (epoch !== undefined) {
      const other = this.#nodeOfEpoch.get(epoch);
      if (other === undefined) this.#nodeOfEpoch.set(epoch, server.name);
      else if (other !== server.name)
        this.break("two nodes acknowledged", `${other} and ${server.name} in epoch ${epoch}`);
    }
    this.tell?.(() => `ack ${write} by ${server.name} t${server.timeline}`);
    this.#newest = { node: server.name, at };
    this.acknowledged.set(write, { node: server.name, timeline: server.timeline, at });
  }

  break(kind: Violation["kind"], what: string): void {
    if (this.violations.length < 5) this.violations.push({ kind, what, atMs: Math.round(this.#now()) });
  }

  /** The acknowledgement of last. */
  get newest(): { readonly node: string; readonly at: number } | undefined {
    return this.#newest;
  }

  /** Every acknowledged write is in this copy, but for those that may be missing. */
  checkNothingLost(
    copy: { readonly name: string; readonly records: readonly WalRecord[] },
    mayMiss: (timeline: number) => boolean,
  ): void {
    const there = new Set(copy.records.map(({ write }) => write));
    for (const [write, { node, timeline, at }] of this.acknowledged) {
      if (there.has(write) || mayMiss(timeline)) continue;
      this.break(
        "acknowledged write lost",
        `write ${write}, acknowledged by ${node} on timeline ${timeline} at ${Math.round(at)} ms, is not on ${copy.name}`,
      );
      return;
    }
  }
}
