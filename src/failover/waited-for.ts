/**
 * How many confirmers what a primary acknowledged has waited for: what a failover may reckon with. Pure.
 *
 * Invariant: never more than the record says, and less where the primary was seen to do less, whatever that came from.
 */
import { CONFIRMATIONS, sameName, waitsForOurs } from "../durability/names.ts";
import type { Monotonic } from "../platform/clock.ts";
import { commitsWait } from "../postgres/waiting-commits.ts";
import type { ClusterRecord, ConfirmerView, NodeName, NodeView } from "./ports.ts";

/** A record, and what was seen last of each node. */
type Seen = {
  readonly record: ClusterRecord;
  readonly nodes: ReadonlyMap<NodeName, { readonly last: { readonly view: NodeView } | undefined }>;
};

/** Since when a primary has been seen to wait for fewer confirmers than its record says, and for how few at the least. */
export type Unkept = { readonly since: Monotonic; readonly waitsFor: number };

/**
 * How many of ours the primary was waiting for when it answered last, and ever since durability was set: not more than the record
 * says, and less where somebody has changed it by hand. What it acknowledged since then is proven nowhere.
 */
export function waitedFor(seen: Seen): number {
  return Math.min(recorded(seen.record), seenLast(seen));
}

/** What a look at `sentAt` adds to what was known. */
export function unkeptSince(before: Unkept | undefined, seen: Seen, sentAt: Monotonic): Unkept | undefined {
  const waitsFor = seenLast(seen);
  if (waitsFor >= recorded(seen.record)) return undefined;
  return { since: before?.since ?? sentAt, waitsFor: Math.min(before?.waitsFor ?? waitsFor, waitsFor) };
}

function recorded({ durability, waitsFor }: ClusterRecord): number {
  return Math.min(CONFIRMATIONS[durability], waitsFor ?? Number.POSITIVE_INFINITY);
}

function seenLast({ record, nodes }: Seen): number {
  const view = nodes.get(record.primary)?.last?.view;
  return (view === undefined ? undefined : waitsOf(view, { record, nodes })) ?? Number.POSITIVE_INFINITY;
}

/** How many of ours a primary waits for by its own word; undefined of whoever is not the recorded primary on its timeline. */
function waitsOf(
  view: NodeView,
  { record, nodes }: { readonly record: ClusterRecord; readonly nodes: ReadonlyMap<NodeName, unknown> },
): number | undefined {
  if (view.role.kind !== "primary" || view.timeline !== record.timeline) return undefined;
  const read = waitsForOurs(view.synchronousNames, [...nodes.keys()]);
  if (read?.method !== "any") return 0;
  const { confirmers, synchronousCommit } = view.role;
  if (!isSynced(synchronousCommit)) return 0;
  // Which of the two has it nobody knows, and the one may be nobody of ours (rule B12).
  return read.names.some((name) => isUsedTwice(confirmers, name)) ? 0 : read.count;
}

/** How files and roles may spell `on`; the server itself says it plainly. */
const SPELLED_ON: ReadonlySet<string> = new Set(["true", "yes", "1"]);

/** Whether commits wait until confirmers have synced, as the server and its files spell it. */
export function isSynced(synchronousCommit: string): boolean {
  const value = synchronousCommit.toLowerCase();
  return SPELLED_ON.has(value) || commitsWait(value);
}

/** Whether it takes WAL, and has synced some. */
export function isConfirming({ streaming, flushed }: ConfirmerView): boolean {
  return streaming && flushed > 0n;
}

/** Whether two connections confirm under a name (incident I17). */
export function isUsedTwice(confirmers: readonly ConfirmerView[], name: string): boolean {
  return confirmers.filter((each) => isConfirming(each) && sameName(each.applicationName, name)).length > 1;
}
