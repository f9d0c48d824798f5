/**
 * Tells of what a restore to a moment brings back although the server's clock dated it after that moment.
 *
 * Such transactions stand before the stop where the clock was ahead for a while. Finding them takes all of the WAL, which the search for
 * the stop does not read (find-time.ts); so they are looked for as the WAL passes, on its way to the recovery.
 */
import { formatLsn, type Lsn, lsnAdd, parseLsn } from "../postgres/lsn.ts";
import { commitsIn } from "../wal/records/commits.ts";
import { formatWalTime, type WalTime } from "../wal/records/events.ts";
import type { RestorePlan } from "./plan.ts";
import { describeTarget, isBeyond } from "./target.ts";

/** Looks at the segments of one plan, in any order, and at one as often as it passes. */
export class AheadOfTarget {
  readonly #plan: Pick<RestorePlan, "backup" | "target" | "stop">;
  #first: { readonly lsn: Lsn; readonly time: WalTime } | undefined;
  #latest: WalTime | undefined;

  constructor(plan: Pick<RestorePlan, "backup" | "target" | "stop">) {
    this.#plan = plan;
  }

  readonly pass = (segment: { readonly start: Lsn; readonly bytes: Buffer }): void => {
    const { backup, target, stop } = this.#plan;
    if (target.kind !== "time" || stop.kind !== "record") return;
    const from = parseLsn(backup.startLsn);
    for (const { offset, time } of commitsIn(segment.bytes)) {
      const lsn = lsnAdd(segment.start, offset);
      if (!isBeyond(time, target) || lsn < from || lsn >= stop.record.lsn) continue;
      if (this.#first === undefined || lsn < this.#first.lsn) this.#first = { lsn, time };
      if (this.#latest === undefined || time > this.#latest) this.#latest = time;
    }
  };

  /** What passed, in words; undefined: nothing of the kind. */
  get found(): string | undefined {
    if (this.#first === undefined || this.#latest === undefined) return undefined;
    const { lsn, time } = this.#first;
    const latest = this.#latest === time ? "" : `, others up to ${formatWalTime(this.#latest)}`;
    return `the server's clock was ahead for a while: it dated the transaction at ${formatLsn(lsn)} ${formatWalTime(time)}${latest}, before it was set back; they are restored, since later ones are not after ${describeTarget(this.#plan.target)}. To stop before the first of them, restore with --to-lsn ${formatLsn(lsn)} --exclusive`;
  }
}
