/** Whether the primary role can be handed over as planned. Pure. */
import { lsnDistance } from "../postgres/lsn.ts";
import { decideFailover, type FailoverPolicy, forbiddingOf, silenceOf } from "./decide.ts";
import type { Observation } from "./observation.ts";
import { type Plan, planSwitchover } from "./plan.ts";
import type { NodeName } from "./ports.ts";
import { type Reason, reason } from "./reasons.ts";

/** WAL that may still be to replay: what a second or so of replay takes, while clients wait. */
const REPLAY_BYTES_MAX = 64 * 1024 * 1024;

/** The plan, or why not. */
export type SwitchoverDecision =
  | { readonly kind: "ready"; readonly plan: Plan }
  | { readonly kind: "refused"; readonly reasons: readonly Reason[] };

/** Decides. Everything must be well: a switchover is never urgent. */
export function decideSwitchover(
  seen: Observation,
  wish: { readonly to: NodeName; readonly policy: FailoverPolicy },
): SwitchoverDecision {
  const { record } = seen;
  const reasons: Reason[] = [];
  const decision = decideFailover(seen, wish.policy);
  if (decision.kind !== "healthy") reasons.push(reason("not-healthy", record.primary, { decision: decision.kind }));
  if (record.maintenance) reasons.push(reason("maintenance"));
  if (wish.to === record.primary) reasons.push(reason("is-the-primary", wish.to));
  const node = seen.nodes.get(wish.to);
  const view = node?.probe.kind === "answered" ? node.probe.view : undefined;
  if (node !== undefined && view === undefined) reasons.push(silenceOf(wish.to, node));
  else if (view?.role.kind !== "standby") reasons.push(reason("not-a-standby", wish.to));
  else {
    if (!record.joined.includes(wish.to)) reasons.push(reason("never-joined", wish.to));
    if (view.cloning) reasons.push(reason("cloning", wish.to));
    reasons.push(...forbiddingOf(wish.to, view));
    if (view.role.receiver.kind !== "streaming") reasons.push(reason("replica-not-connected", wish.to));
    const behind = lsnDistance({ from: view.role.replayed, to: view.role.flushed });
    if (behind > REPLAY_BYTES_MAX) reasons.push(reason("replay-behind", wish.to, { bytes: behind }));
  }
  const mode = seen.witness.view?.mode;
  const follows = mode?.kind === "following" && mode.reign === record.reign;
  if (!follows) reasons.push(reason(mode === undefined ? "witness-silent" : "witness-not-connected"));
  if (reasons.length > 0) return { kind: "refused", reasons };
  const holdBack = record.durability === "async";
  const others = record.joined.filter((name) => name !== wish.to);
  return { kind: "ready", plan: planSwitchover({ from: record.primary, to: wish.to, others, holdBack }) };
}
