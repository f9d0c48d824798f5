/**
 * How a node that is down is made to follow a primary again: by the least force that loses nothing and mixes nothing. Pure.
 *
 * Nouns: the *fork* is where the primary's history left the node's timeline; a node has *diverged* when its WAL goes on
 * beyond the fork, acknowledged or not: its pages may hold what the primary does not know.
 * Invariants: a node that may have diverged never only follows; another system's data is never overwritten; nothing is written
 * over without a primary that answers.
 */
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { LineagePart } from "../wal/history.ts";
import type { NodeData } from "./plan.ts";

/** What was seen of the node and of whom it is to follow. */
export type RejoinFacts = {
  readonly data: NodeData;
  /** What its control file says; undefined where there is none. */
  readonly node:
    | {
        readonly systemId: SystemId;
        readonly timeline: Timeline;
        /** Where its valid WAL ends; undefined: that cannot be told, or it was not looked for. */
        readonly walEnd: Lsn | undefined;
      }
    | undefined;
  /** Undefined: it does not answer. */
  readonly upstream:
    | {
        readonly systemId: SystemId;
        readonly lineage: readonly LineagePart[];
        /** Where the oldest WAL begins that it can still send. */
        readonly oldestWal: Lsn;
      }
    | undefined;
};

/** What is to be done. */
export type RejoinDecision =
  /** Its data is a part of the primary's past: it streams the rest. */
  | { readonly kind: "follow"; readonly from: Lsn }
  /**
   * What differs from a backup in the vault is written over. `fork` undefined: its timeline is none of the primary's, or it only
   * needs WAL that the primary has no more.
   */
  | { readonly kind: "delta"; readonly fork: Lsn | undefined }
  /** There is nothing to keep. */
  | { readonly kind: "restore" }
  /** A standby as it was. Without the primary nobody can tell whether it would do; with it down, it may be all there is. */
  | { readonly kind: "start" }
  | { readonly kind: "refused"; readonly reason: "other-system" | "no-answer" };

/** Decides. */
export function decideRejoin({ data, node, upstream }: RejoinFacts): RejoinDecision {
  if (upstream === undefined) return data === "standby" ? { kind: "start" } : { kind: "refused", reason: "no-answer" };
  if (data === "absent" || node === undefined) return { kind: "restore" };
  if (node.systemId !== upstream.systemId) return { kind: "refused", reason: "other-system" };
  const part = upstream.lineage.find(({ timeline }) => timeline === node.timeline);
  if (part === undefined) return { kind: "delta", fork: undefined };
  const { walEnd } = node;
  if (part.to !== undefined && (walEnd === undefined || walEnd > part.to)) return { kind: "delta", fork: part.to };
  // On the primary's own timeline only a standby can have been: another primary there would be a second one.
  const follows = walEnd !== undefined && (part.to !== undefined || data === "standby");
  // What it needs next the primary may have no more: it would ask for that for ever.
  if (!follows || walEnd < upstream.oldestWal) return { kind: "delta", fork: undefined };
  return { kind: "follow", from: walEnd };
}
