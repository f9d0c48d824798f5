/**
 * How a node that is down is made to follow a primary again: by the least force that loses nothing and mixes nothing. Pure.
 *
 * Nouns: the *fork* is where the histories of node and primary part; a node has *diverged* when its WAL goes on beyond the fork,
 * acknowledged or not: its pages may hold what the primary does not know. It lies *apart* when it is on a timeline that is none of the
 * primary's past, or ran as a primary on the primary's own: no failover left it there.
 * Invariants: a node that may have diverged never only follows; timelines are one only where their histories are (safety rule A5): two
 * nodes that were promoted apart take the same number; another system's data is never overwritten; nothing is written over without a
 * primary that answers; what ran as a primary apart, and may have acknowledged there, is written over on request only.
 */
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { LineagePart } from "../wal/history.ts";
import type { NodeData } from "./plan.ts";

/** What a node that is down has been. */
export type NodePast = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  /** Where its valid WAL ends; undefined: that cannot be told, or it was not looked for. */
  readonly walEnd: Lsn | undefined;
  /** Up to its timeline; undefined: the history of that is not there. */
  readonly lineage: readonly LineagePart[] | undefined;
  /** It ran as a primary last, whatever it would start as. */
  readonly wasPrimary: boolean;
  /** Its commits waited for confirmers of ours, which follow the recorded primary: it has acknowledged nothing. */
  readonly heldBack: boolean;
};

/** What was seen of the node and of whom it is to follow. */
export type RejoinFacts = {
  readonly data: NodeData;
  /** Undefined where there is no control file. */
  readonly node: NodePast | undefined;
  /** Undefined: it does not answer. */
  readonly upstream:
    | {
        readonly systemId: SystemId;
        readonly lineage: readonly LineagePart[];
        /** Where the oldest WAL begins that it can still send. */
        readonly oldestWal: Lsn;
      }
    | undefined;
  /** A person wants this node to follow that primary. */
  readonly asked: boolean;
};

/** WAL that a node may have and the primary does not: of this timeline from the fork on, and of every later one. */
export type OwnWal = {
  readonly timeline: Timeline;
  /** Undefined: nobody can tell, it may be all of it. */
  readonly fork: Lsn | undefined;
  /** The node lies apart: what it was is nowhere else, and nothing says how much of that is needed. */
  readonly apart: boolean;
};

/** What is to be done. */
export type RejoinDecision =
  /** Its data is a part of the primary's past: it streams the rest. */
  | { readonly kind: "follow"; readonly from: Lsn }
  /** What differs from a backup in the vault is written over. `own` undefined: it only needs WAL that the primary has no more. */
  | { readonly kind: "delta"; readonly own: OwnWal | undefined }
  /** There is nothing to keep. */
  | { readonly kind: "restore" }
  /** A standby as it was. Without the primary nobody can tell whether it would do; with it down, it may be all there is. */
  | { readonly kind: "start" }
  | { readonly kind: "refused"; readonly reason: "other-system" | "no-answer" | "second-primary" };

/** Decides. */
export function decideRejoin({ data, node, upstream, asked }: RejoinFacts): RejoinDecision {
  if (upstream === undefined) return data === "standby" ? { kind: "start" } : { kind: "refused", reason: "no-answer" };
  if (data === "absent" || node === undefined) return { kind: "restore" };
  if (node.systemId !== upstream.systemId) return { kind: "refused", reason: "other-system" };
  const { walEnd, timeline } = node;
  const parting = partingOf(node, upstream.lineage);
  if (parting.kind === "apart") {
    if (node.wasPrimary && !node.heldBack && !asked) return { kind: "refused", reason: "second-primary" };
    return { kind: "delta", own: { ...parting.from, apart: true } };
  }
  const { fork } = parting;
  if (fork !== undefined && (walEnd === undefined || walEnd > fork)) {
    return { kind: "delta", own: { timeline, fork, apart: false } };
  }
  // What it needs next the primary may have no more: it would ask for that for ever.
  if (walEnd === undefined || walEnd < upstream.oldestWal) return { kind: "delta", own: undefined };
  return { kind: "follow", from: walEnd };
}

type Parting =
  /** Where the primary's past left the node's timeline; undefined: it is the primary's own. */
  | { readonly kind: "past"; readonly fork: Lsn | undefined }
  | { readonly kind: "apart"; readonly from: Pick<OwnWal, "timeline" | "fork"> };

function partingOf({ timeline, lineage, wasPrimary }: NodePast, upstream: readonly LineagePart[]): Parting {
  const unknown = { kind: "apart", from: { timeline, fork: undefined } } as const;
  if (lineage === undefined) return unknown;
  for (const [index, own] of lineage.entries()) {
    const theirs = upstream[index];
    // Of one past up to here, from which both went on under another number, or one of them did not go on.
    if (theirs?.timeline !== own.timeline) {
      return index === 0 ? unknown : { kind: "apart", from: { timeline: own.timeline, fork: own.from } };
    }
    if (theirs.to === own.to) continue;
    if (own.to === undefined) return { kind: "past", fork: theirs.to };
    if (theirs.to !== undefined && theirs.to < own.to) {
      return { kind: "apart", from: { timeline: own.timeline, fork: theirs.to } };
    }
    const next = lineage[index + 1]?.timeline ?? timeline;
    return { kind: "apart", from: { timeline: next, fork: own.to } };
  }
  // On the primary's own timeline only a standby can have been: another primary there would be a second one.
  return wasPrimary ? unknown : { kind: "past", fork: undefined };
}
