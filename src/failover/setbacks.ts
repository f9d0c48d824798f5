/**
 * Plans that fail for the same reason again and again. Pure.
 *
 * Nouns: a *setback* is a plan that failed at the same step with the same error, so often and since then; a *state* is what was
 * seen of the world, as far as it could make the plan end otherwise, as one text; a setback *stands* from EQUAL_FAILURES on.
 * Invariants: a plan of a standing setback is put off, ever longer and never for good; a state that was not seen since the
 * plan failed first ends the wait at once. What a plan does by itself (epochs, poolers that are paused and resumed) is no
 * change of state; what flaps between two states is tried once in each.
 */
import type { Monotonic } from "../platform/clock.ts";
import { formatLsn } from "../postgres/lsn.ts";
import type { Decision } from "./decide.ts";
import type { SeenPooler } from "./look.ts";
import type { Observation } from "./observation.ts";
import type { Plan, Step } from "./plan.ts";
import type { NodeProbe, WitnessView } from "./ports.ts";
import { type Reason, reason } from "./reasons.ts";

/** How a plan failed. */
export type Failure = {
  readonly plan: Plan;
  readonly step: Step["kind"];
  readonly code: string;
  readonly why: string;
  /** What was seen when it was made. */
  readonly state: string;
  readonly at: Monotonic;
};

/** A plan that failed so often at one step with one error. */
export type Setback = Pick<Failure, "step" | "code" | "why" | "at"> & {
  readonly plan: Plan["kind"];
  readonly count: number;
  /** Every state since the first of these failures, the newest last. */
  readonly states: readonly string[];
};

/** By what they were to bring about. */
export type Setbacks = ReadonlyMap<string, Setback>;

/** Once is chance, twice is bad luck. */
export const EQUAL_FAILURES = 3;
/** The wait doubles from failure to failure, up to so many times the usual one. */
const WAIT_FACTOR_MAX = 64;
/** A world of more states than that is not one that lasts. */
const STATES_MAX = 32;

/** Counts a failure. */
export function noteFailure(before: Setbacks, { plan, state, ...failure }: Failure): Setbacks {
  const key = aimOf(plan);
  const known = before.get(key);
  const same = known !== undefined && known.step === failure.step && known.code === failure.code ? known : undefined;
  const states = [...(same?.states ?? []).filter((each) => each !== state), state].slice(-STATES_MAX);
  return new Map(before).set(key, { ...failure, plan: plan.kind, count: (same?.count ?? 0) + 1, states });
}

/** The setback that stands in the way of a plan in this state; undefined where there is none, or the state is new. */
export function setbackOf(setbacks: Setbacks, plan: Plan | undefined, state: string): Setback | undefined {
  const known = plan === undefined ? undefined : setbacks.get(aimOf(plan));
  return known !== undefined && standsIn(known, state) ? known : undefined;
}

/** What stands in this state, whatever the plan; the newest of several. */
export function standingSetback(setbacks: Setbacks, state: string): Setback | undefined {
  return [...setbacks.values()].filter((each) => standsIn(each, state)).toSorted((a, b) => b.at - a.at)[0];
}

function standsIn({ count, states }: Setback, state: string): boolean {
  return count >= EQUAL_FAILURES && states.includes(state);
}

/** Whether what stands in the way is to be tried again. */
export function isDue({ at, count }: Setback, now: Monotonic, retryMs: number): boolean {
  return now - at >= retryMs * Math.min(2 ** (count - EQUAL_FAILURES + 1), WAIT_FACTOR_MAX);
}

/**
 * What is decided with a setback in the way: what could be done by itself cannot, and a person must look. A primary that serves
 * is well all the same; it is a concern.
 */
export function withSetback(decision: Decision, setback: Setback | undefined): Decision {
  if (setback === undefined) return decision;
  const { plan, step, code, why, count } = setback;
  const failing: Reason = reason("plan-fails", undefined, { plan, step, code, times: count, why });
  switch (decision.kind) {
    case "healthy":
      return { ...decision, concerns: [...decision.concerns, failing] };
    case "promotable": {
      const { reasons, against, candidate } = decision;
      const offers = [{ kind: "promote-by-hand", candidate }] as const;
      return { kind: "blocked", reasons: [...reasons, ...against, failing], offers };
    }
    default:
      return { ...decision, reasons: [...decision.reasons, failing] };
  }
}

/** What was seen, as far as it could matter to a plan. */
export function stateOf(seen: Observation, decision: Decision, poolers: readonly SeenPooler[]): string {
  const nodes = [...seen.nodes].map(([name, { probe }]) => `${name} ${probeState(probe)}`);
  const { view } = seen.witness;
  const answering = poolers.map(({ view: pooler }) => (pooler === undefined ? "away" : "there"));
  const reasons = decision.kind === "healthy" ? [] : decision.reasons.map(({ code, node = "" }) => `${code} ${node}`);
  const candidate = decision.kind === "promotable" ? decision.candidate : "";
  return [
    `${decision.kind} ${candidate}`,
    ...reasons,
    ...nodes,
    `witness ${witnessState(view)}`,
    `poolers ${answering.join()}`,
  ].join("; ");
}

function probeState(probe: NodeProbe): string {
  if (probe.kind === "error") return probe.sqlstate;
  if (probe.kind !== "answered") return probe.kind;
  const { role, timeline, systemId, cloning } = probe.view;
  const common = `${role.kind} ${timeline} ${systemId} ${cloning ? "cloning" : ""}`;
  if (role.kind === "primary") return `${common} ${role.write.kind}`;
  // Of one that streams the positions change with every write of a client.
  const positions = role.receiver.kind === "streaming" ? [] : [role.flushed, role.replayed].map(formatLsn);
  return `${common} ${role.receiver.kind} ${role.upstream} ${positions.join(" ")}`;
}

function witnessState(view: WitnessView | undefined): string {
  if (view === undefined) return "silent";
  const { mode, held } = view;
  if (mode.kind === "following") return `${mode.kind} ${mode.upstream} ${mode.streaming} ${held.timeline}`;
  return `${mode.kind} ${held.timeline} ${formatLsn(held.from)} ${formatLsn(held.recordEnd)}`;
}

/** Plans of one aim are the same attempt, whatever their steps are made of. */
function aimOf({ kind, from, to, stages }: Plan): string {
  const nodes = stages
    .flat()
    .flatMap((step) => (step.kind === "rejoin" || step.kind === "start-candidate" ? [step.node] : []));
  return [kind, from, to, ...(kind === "rejoin" ? nodes : [])].join(" ");
}
