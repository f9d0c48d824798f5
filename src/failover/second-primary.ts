/**
 * Primaries that no controller has made: a replica that somebody promoted by hand. Pure.
 *
 * Nouns: a node is *held back* when its commits wait for confirmers of ours that do not follow it, as those of a candidate do from
 * before its promotion until the record names it: it has acknowledged nothing. A *second primary* is one beside the recorded that is
 * not held back.
 * Invariants: what a second primary has acknowledged is nowhere else, and what the recorded one has is not on it: only a person can say
 * whose writes stay, and nothing is started, made to follow or written over until then. One that is down has what it had when it was seen
 * last. Once a person has had it rebuilt, or the record names a primary anew, that is said, and the recorded primary is looked after
 * again: what becomes of a node that is down is decided by its data from then on.
 */
import { waitsForOurs } from "../durability/names.ts";
import { commitsAlone } from "../postgres/waiting-commits.ts";
import type { Observation } from "./observation.ts";
import type { ClusterRecord, NodeName, NodeView } from "./ports.ts";
import { type Reason, reason } from "./reasons.ts";
import { isConfirming } from "./waited-for.ts";

/** Those that were seen, each as it answered last. */
export function secondPrimaries(
  seen: Pick<Observation, "record" | "nodes">,
): readonly { readonly name: NodeName; readonly view: NodeView }[] {
  const { record, nodes } = seen;
  const names = [...nodes.keys()];
  return [...nodes].flatMap(([name, { last, probe }]) => {
    if (name === record.primary || last === undefined) return [];
    const { view, reign } = last;
    if (probe.kind === "nobody-listens" && reign !== record.reign) return [];
    // On an older timeline it is an old primary, which was replaced.
    if (view.role.kind !== "primary" || view.systemId !== record.systemId || view.timeline < record.timeline) return [];
    return isHeldBack(view, names) || isPromotedBy(record, name, view) ? [] : [{ name, view }];
  });
}

/** The same as reasons. */
export function secondPrimaryReasons(seen: Pick<Observation, "record" | "nodes">): readonly Reason[] {
  return secondPrimaries(seen).map(({ name, view }) => reason("second-primary", name, { timeline: view.timeline }));
}

/** It became a primary of the record's action, and its timeline begins where nothing is missing. */
export function isPromotedBy(
  { action, timeline, systemId }: ClusterRecord,
  name: NodeName,
  { role, ...view }: NodeView,
): boolean {
  if (action === undefined || action.to !== name) return false;
  if (role.kind !== "primary" || view.timeline <= timeline || view.systemId !== systemId) return false;
  const { target } = action;
  return target !== undefined && role.timelineStart !== undefined && role.timelineStart >= target;
}

function isHeldBack({ role, synchronousNames }: NodeView, nodes: readonly NodeName[]): boolean {
  const names = waitsForOurs(synchronousNames, nodes);
  if (names === undefined || role.kind !== "primary" || commitsAlone(role.synchronousCommit)) return false;
  const confirming = role.confirmers.filter((each) => isConfirming(each) && names.names.includes(each.applicationName));
  return confirming.length < names.count;
}
