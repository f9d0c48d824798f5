/**
 * What a failover cost in WAL and in writes: for its report. Pure.
 *
 * Nouns: the *gap* lies between the newest position that anybody was known to have and where the new primary's timeline
 * begins; what is *beyond* is WAL that only the old primary has, which is seen when it is seen again.
 * Invariant: a number that is not known is null, never 0. In async the commits beyond are the acknowledged writes that are
 * missing, with those of which the client was not told in time; where the decision had proof, none of them was acknowledged.
 */
import { formatLsn, type Lsn, lsnDistance, parseLsn } from "../postgres/lsn.ts";

/** A position of somebody at the decision, as it was journaled. */
export type ReportedPosition = {
  readonly of: string;
  readonly timeline: number;
  readonly flushed: string;
  readonly whole: string | null;
  readonly seenAgoMs: number;
};

/** Between what was known to exist and what is on the new primary. */
export type ReportedGap = {
  readonly promotedAt: string;
  readonly highestKnown: string;
  /** Who had it. */
  readonly of: string;
  readonly bytes: number;
};

/** Acknowledged writes that the new primary does not have. */
export type ReportedLoss = {
  readonly acknowledged: number | null;
  /** `proven`: by the decision. `counted`: on the old primary, when it was seen again. */
  readonly basis: "proven" | "counted" | "unknown";
  /** Commits of clients that only the old primary has; null while it was not seen again. */
  readonly commitsBeyond: number | null;
  readonly bytesBeyond: number | null;
};

/** What was found on an old primary. */
export type Beyond = { readonly fork: Lsn; readonly end: Lsn; readonly commits: number };

/** Reads what a decision had journaled. Anything else has no positions. */
export function reportedPositions(decision: unknown): readonly ReportedPosition[] {
  const { positions } = (typeof decision === "object" && decision !== null ? decision : {}) as { positions?: unknown };
  if (!Array.isArray(positions)) return [];
  return positions.flatMap((each: Partial<ReportedPosition>) => {
    const { of, timeline, flushed, whole = null, seenAgoMs } = each;
    const isOne = of !== undefined && timeline !== undefined && flushed !== undefined && seenAgoMs !== undefined;
    return isOne ? [{ of, timeline, flushed, whole, seenAgoMs }] : [];
  });
}

/** Null where it is not known where the new timeline begins, or nobody's position was. */
export function gapOf(positions: readonly ReportedPosition[], promotedAt: Lsn | undefined): ReportedGap | null {
  const [first, ...others] = positions;
  if (first === undefined || promotedAt === undefined) return null;
  const highest = others.reduce((best, next) => (parseLsn(next.flushed) > parseLsn(best.flushed) ? next : best), first);
  const end = parseLsn(highest.flushed);
  const bytes = end > promotedAt ? lsnDistance({ from: promotedAt, to: end }) : 0;
  return { promotedAt: formatLsn(promotedAt), highestKnown: highest.flushed, of: highest.of, bytes };
}

/** What is known of the loss when the action has ended. */
export function lossAtFirst(kind: string, decision: unknown): ReportedLoss {
  const { loss } = (typeof decision === "object" && decision !== null ? decision : {}) as { loss?: { kind?: unknown } };
  const isProven = kind === "switchover" || loss?.kind === "none";
  const unseen = { commitsBeyond: null, bytesBeyond: null };
  return isProven
    ? { acknowledged: 0, basis: "proven", ...unseen }
    : { acknowledged: null, basis: "unknown", ...unseen };
}

/** The same when the old primary has been seen again. */
export function lossWith(before: ReportedLoss, { fork, end, commits }: Beyond): ReportedLoss {
  const bytesBeyond = end > fork ? lsnDistance({ from: fork, to: end }) : 0;
  const seen = { commitsBeyond: commits, bytesBeyond };
  if (before.basis === "proven") return { ...before, ...seen };
  return { acknowledged: commits, basis: "counted", ...seen };
}

/** For people. */
export function renderLoss(gap: ReportedGap | null, loss: ReportedLoss): readonly string[] {
  const lines: string[] = [];
  if (gap !== null) {
    lines.push(
      `promoted at ${gap.promotedAt}; the newest position known was ${gap.highestKnown} (${gap.of}): a gap of ${gap.bytes} bytes`,
    );
  }
  const { acknowledged, basis, commitsBeyond, bytesBeyond } = loss;
  if (basis === "unknown") lines.push("acknowledged writes lost: not known before the old primary is seen again");
  else lines.push(`acknowledged writes lost: ${acknowledged} (${basis})`);
  if (commitsBeyond !== null)
    lines.push(`only the old primary has ${commitsBeyond} commits in ${bytesBeyond} bytes of WAL`);
  return lines;
}
