/**
 * A person says which of two primaries stays, as it is: what the plan of that is, or why there is none. Pure.
 *
 * Order: the node that is to stay is seen to be a primary before the other one is stopped, and that one is down for sure before the record
 * names the first: two never acknowledge under one record. Cut before the record is written, everything holds as before, and the person
 * asks again. What the other one has beyond the fork is kept when it is made to follow.
 */
import type { Observation } from "./observation.ts";
import { ESTABLISH_ALONE, type Plan, type Step } from "./plan.ts";
import type { NodeName, NodeProbe } from "./ports.ts";

/** The plan. */
export type Adoption =
  | { readonly kind: "ready"; readonly plan: Plan }
  /** `why`: for people. */
  | { readonly kind: "refused"; readonly why: string };

/** Decides. */
export function decideAdoption(seen: Pick<Observation, "record" | "nodes">, node: NodeName): Adoption {
  const { record, nodes } = seen;
  const probe = nodes.get(node)?.probe;
  if (probe === undefined) return refused("there is no such node");
  const isRecorded = node === record.primary;
  if (isRecorded && probe.kind === "answered") return refused("it is the recorded primary, and answers");
  if (probe.kind !== "answered" && probe.kind !== "nobody-listens")
    return refused("it does not answer, and is not down");
  const why = isRecorded ? undefined : whyNot(seen, probe);
  if (why !== undefined) return refused(why);
  const isDown = probe.kind === "nobody-listens";
  const others = [...nodes.keys()].filter((name) => name !== node && (isRecorded || name === record.primary));
  const fences = others.map((other): Step => ({ kind: "fence", node: other, wait: true }));
  const stages: Step[][] = isRecorded
    ? [fences, [{ kind: "start-primary" }]]
    : [...(isDown ? [[{ kind: "start-candidate", node } as const]] : []), [{ kind: "see-promoted" }], fences];
  return {
    kind: "ready",
    plan: {
      kind: "adopt",
      from: record.primary,
      to: node,
      stages: [...stages, [{ kind: "note-primary", keepJoined: false }], ...ESTABLISH_ALONE],
    },
  };
}

/** What is down is looked at once it is started, and then nothing has been done yet. */
function whyNot({ record }: Pick<Observation, "record">, probe: NodeProbe): string | undefined {
  if (probe.kind !== "answered") return undefined;
  const { role, systemId, timeline } = probe.view;
  if (systemId !== record.systemId) return `it is of system ${systemId}, the record is of ${record.systemId}`;
  if (role.kind !== "primary") return "it is a standby: a primary that is gone is replaced by it with --promote";
  // Receiver and record know a primary by its timeline: this one could not be told from the recorded.
  if (timeline <= record.timeline) return `it is on timeline ${timeline}, which is no later one than the record's`;
  return undefined;
}

function refused(why: string): Adoption {
  return { kind: "refused", why };
}
