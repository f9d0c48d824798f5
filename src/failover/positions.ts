/** How far everybody's WAL went when a decision was made: for the journal and the report. Pure. */
import type { Monotonic } from "../platform/clock.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import type { Observation } from "./observation.ts";
import type { NodeName } from "./ports.ts";

/** What one party had. */
export type PositionSeen = {
  /** A node's name, or `receiver` for the vault's. */
  readonly of: NodeName;
  readonly timeline: Timeline;
  /** Synced there. */
  readonly flushed: Lsn;
  /** Of a standby what it has replayed, of the receiver the end of the last whole record. */
  readonly whole: Lsn | undefined;
  /** When it said so, before the decision: a party that is gone said it last. */
  readonly seenAgoMs: number;
};

/** The newest that is known of each, the ones that are gone included; who was never seen is left out. */
export function positionsOf(seen: Pick<Observation, "now" | "nodes" | "witness">): readonly PositionSeen[] {
  const ago = (at: Monotonic): number => Math.round(seen.now - at);
  const positions: PositionSeen[] = [];
  for (const [of, { last }] of seen.nodes) {
    if (last === undefined) continue;
    const { role, timeline } = last.view;
    const whole = role.kind === "standby" ? role.replayed : undefined;
    positions.push({ of, timeline, flushed: role.flushed, whole, seenAgoMs: ago(last.at) });
  }
  const { last } = seen.witness;
  if (last !== undefined) {
    const { timeline, flushed, recordEnd } = last.view.held;
    positions.push({ of: "receiver", timeline, flushed, whole: recordEnd, seenAgoMs: ago(last.at) });
  }
  return positions;
}
