/**
 * What will be done, as a value: printed by the dry run, journaled, and carried out as it stands. Pure.
 *
 * Nouns: a *step* is one effect on one kind of party; a *stage* is steps that do not wait for each other; a *plan* is stages
 * one after another, under one epoch.
 * Order of a promotion, and why: the action is in the record before anything is done, so that whoever comes next knows of it.
 * Then everybody who could confirm to the old primary is stopped, and only then is it asked what is held: what is held can no
 * longer grow. The candidate is made ready for its own confirmers meanwhile, which changes nothing as long as it is a standby;
 * the gap is closed and replayed, and the record says `promoting` before it is told. The record names the new primary before anybody confirms to it (in async, where nobody needs
 * to, the candidate is promoted with confirmers that cannot be there yet): as long as it names the old one, nothing was
 * acknowledged on the new one, and the old one may be reinstated. Clients come last. Every prefix leaves
 * either the old primary or the new one to be established by a later plan, and nothing acknowledged is on the other only.
 */
import { DURABILITY_MODES } from "../durability/names.ts";
import type { Monotonic } from "../platform/clock.ts";
import { type Decision, type PromotionTerms, synchronousNamesOf, WITNESS_NAME } from "./decide.ts";
import type { SeenPooler } from "./look.ts";
import type { NodeHistory, Observation } from "./observation.ts";
import type { ClusterRecord, NodeName, NodeView } from "./ports.ts";
import { isPromotedBy } from "./second-primary.ts";
import { isConfirming } from "./waited-for.ts";

/** A step. */
export type Step =
  | { readonly kind: "check-logins" }
  /**
   * `gone`: nobody listens at the server that clients are to be kept from. `sparing`: it is only suspected, and who logs in
   * there goes on waiting for that.
   */
  | { readonly kind: "pause-poolers"; readonly drain: boolean; readonly gone?: boolean; readonly sparing?: boolean }
  | { readonly kind: "note-action"; readonly action: "failover" | "switchover" }
  | { readonly kind: "stop-primary" }
  | { readonly kind: "withdraw-witness" }
  | { readonly kind: "stop-receiving"; readonly nodes: readonly NodeName[] }
  /** `wait`: nothing goes on without a confirmed stop. */
  | { readonly kind: "fence"; readonly node: NodeName; readonly wait: boolean }
  | { readonly kind: "outwait-grant" }
  | { readonly kind: "see-receivers-gone"; readonly nodes: readonly NodeName[] }
  /** `overHole`: as of PromotionTerms. */
  | { readonly kind: "fill-gap"; readonly overHole: boolean }
  | { readonly kind: "await-replay" }
  | { readonly kind: "prepare-candidate" }
  | { readonly kind: "note-promotion" }
  | { readonly kind: "promote" }
  | { readonly kind: "see-promoted" }
  | { readonly kind: "start-primary" }
  /** As it is: it may have been promoted, or not yet. */
  | { readonly kind: "start-candidate"; readonly node: NodeName }
  | { readonly kind: "note-primary"; readonly keepJoined: boolean }
  | { readonly kind: "name-confirmers" }
  | { readonly kind: "witness-follows" }
  | { readonly kind: "receive-from"; readonly nodes: readonly NodeName[] }
  | { readonly kind: "repoint-poolers" }
  | { readonly kind: "drop-dead" }
  | { readonly kind: "resume-poolers" }
  | { readonly kind: "prove-writes" }
  | { readonly kind: "rejoin"; readonly node: NodeName }
  | { readonly kind: "note-joined"; readonly nodes: readonly NodeName[] }
  | { readonly kind: "note-unkept"; readonly waitsFor: number };

/** A plan. `to` is the primary when it has ended. */
export type Plan = {
  readonly kind: "failover" | "switchover" | "finish" | "reinstate" | "adopt" | "mend" | "rejoin";
  readonly from: NodeName;
  readonly to: NodeName;
  readonly stages: readonly (readonly Step[])[];
};

/** What each step brings about, as an operator reads it. */
export const STEP_EFFECTS: Readonly<Record<Step["kind"], string>> = {
  "check-logins": "every pooler can log in to the new primary",
  "pause-poolers": "clients wait instead of failing",
  "note-action": "the record says what is under way",
  "stop-primary": "the old primary is shut down",
  "withdraw-witness": "the vault's receiver confirms nothing more to the old primary",
  "stop-receiving": "the replica is told to stop receiving from the old primary",
  fence: "the old server is down and stays down",
  "outwait-grant": "what the vault's receiver may have been allowed to confirm has run out",
  "see-receivers-gone": "the replica receives no more",
  "fill-gap": "WAL that only the vault has is handed to the replica",
  "await-replay": "the replica has replayed to the last whole record of both",
  "prepare-candidate": "the replica knows who will confirm to it, and keeps WAL for them",
  "note-promotion": "the record says that the replica is being promoted",
  promote: "the replica is told to become the primary",
  "see-promoted": "it is the primary, on a timeline that begins late enough",
  "start-primary": "the primary is started again",
  "start-candidate": "the node that was being promoted is started again, as it is",
  "note-primary": "the record names the primary",
  "name-confirmers": "the primary waits for the confirmers of this epoch",
  "witness-follows": "the vault's receiver follows the primary and confirms to it",
  "receive-from": "replicas stream from the primary",
  "repoint-poolers": "poolers send clients to the primary",
  "drop-dead": "clients that hang on the old server are dropped",
  "resume-poolers": "clients go on",
  "prove-writes": "a write through each pooler is acknowledged",
  rejoin: "the node is made a replica of the primary",
  "note-joined": "the record counts the replica as a candidate",
  "note-unkept": "the record says that the primary acknowledges with fewer confirmers than it is to",
};

/** Moves the role away from a primary that is gone. */
export function planFailover(facts: {
  readonly from: NodeName;
  readonly to: NodeName;
  readonly terms: PromotionTerms;
  /** Nobody listens at the old primary: there is no login to it that a pause could cut short. */
  readonly gone?: boolean;
}): Plan {
  const { from, to, terms, gone = false } = facts;
  const nodes = [to, ...terms.others];
  const freeze: Step[] = [
    { kind: "pause-poolers", drain: false, gone },
    { kind: "stop-receiving", nodes },
    // What the candidate will need has nothing to do with what it still lacks.
    { kind: "prepare-candidate" },
    { kind: "fence", node: from, wait: terms.confirmedStop },
  ];
  if (terms.consultWitness) freeze.push({ kind: "withdraw-witness" });
  const stages: Step[][] = [[{ kind: "note-action", action: "failover" }], freeze];
  if (terms.outwaitGrant) stages.push([{ kind: "outwait-grant" }]);
  return { kind: "failover", from, to, stages: [...stages, ...promotionStages(nodes, terms)] };
}

/** Moves the role away from a primary that is well, without a failed query; what comes before: checkpoint-before.ts. */
export function planSwitchover(facts: {
  readonly from: NodeName;
  readonly to: NodeName;
  readonly others: readonly NodeName[];
  /** As of PromotionTerms. */
  readonly holdBack: boolean;
}): Plan {
  const { from, to, others, holdBack } = facts;
  const nodes = [to, ...others];
  const stages: Step[][] = [
    // As long as clients need not wait: a candidate that is ready and not promoted goes on as a replica.
    [{ kind: "check-logins" }, { kind: "prepare-candidate" }],
    [{ kind: "pause-poolers", drain: true }],
    [{ kind: "note-action", action: "switchover" }],
    [{ kind: "stop-primary" }],
    // The stopped primary has sent everything to whom is connected; only then may they stop receiving.
    [{ kind: "withdraw-witness" }, { kind: "stop-receiving", nodes }],
  ];
  const terms: PromotionTerms = {
    consultWitness: true,
    overHole: false,
    outwaitGrant: false,
    confirmedStop: true,
    holdBack,
    others,
  };
  return {
    kind: "switchover",
    from,
    to,
    stages: [...stages, ...promotionStages(nodes, terms), [{ kind: "rejoin", node: from }]],
  };
}

function promotionStages(nodes: readonly NodeName[], terms: PromotionTerms): Step[][] {
  const gap: Step[][] = terms.consultWitness ? [[{ kind: "fill-gap", overHole: terms.overHole }]] : [];
  return [
    [{ kind: "see-receivers-gone", nodes }],
    ...gap,
    [{ kind: "await-replay" }],
    [{ kind: "note-promotion" }],
    [{ kind: "promote" }],
    // Clients wait still: where they will be sent may be told before the record says so.
    [{ kind: "see-promoted" }, { kind: "repoint-poolers" }],
    [{ kind: "note-primary", keepJoined: false }],
    ...(terms.holdBack ? [[{ kind: "name-confirmers" } as const]] : []),
    [...followStage(terms.others), { kind: "resume-poolers" }],
    LAST_STAGE,
  ];
}

/** Who hangs on the old server is cut off from it after all others go on. */
const LAST_STAGE: Step[] = [{ kind: "drop-dead" }, { kind: "prove-writes" }];

/** Whoever is in the record as the primary becomes it for everybody. */
function establishStages(replicas: readonly NodeName[]): Step[][] {
  return [[...followStage(replicas), { kind: "repoint-poolers" }], [{ kind: "resume-poolers" }], LAST_STAGE];
}

function followStage(replicas: readonly NodeName[]): Step[] {
  const receive: Step[] = replicas.length === 0 ? [] : [{ kind: "receive-from", nodes: replicas }];
  return [{ kind: "witness-follows" }, ...receive];
}

/** For a primary that nobody follows yet, once the record names it. */
export const ESTABLISH_ALONE: readonly (readonly Step[])[] = [[{ kind: "name-confirmers" }], ...establishStages([])];

/** The candidate of a cut-short action is a primary already: establish it. */
export function planFinish(record: ClusterRecord, action: NonNullable<ClusterRecord["action"]>): Plan {
  const stages = [
    [{ kind: "see-promoted" } as const],
    [{ kind: "note-primary", keepJoined: false } as const],
    ...ESTABLISH_ALONE,
  ];
  return { kind: "finish", from: record.primary, to: action.to, stages };
}

/**
 * The recorded primary is to serve again, under a new epoch: after an action that came to nothing, or a lost witness. `start`:
 * it is down, and the others that are to be started beside it.
 */
export function planReinstate(facts: {
  readonly primary: NodeName;
  readonly replicas: readonly NodeName[];
  readonly start?: readonly Step[];
}): Plan {
  const { primary, replicas, start } = facts;
  const stages: Step[][] = [
    ...(start === undefined ? [] : [[{ kind: "start-primary" } as const, ...start]]),
    [{ kind: "note-primary", keepJoined: true }],
    [{ kind: "name-confirmers" }],
    ...establishStages(replicas),
  ];
  return { kind: "reinstate", from: primary, to: primary, stages };
}

/** When a node was asked last to follow again, and how often in a row. */
export type Rejoined = { readonly askedAt: Monotonic; readonly tries: number };

/** Everything the next plan is made of. */
export type Situation = {
  readonly seen: Observation;
  readonly decision: Decision;
  readonly poolers: readonly SeenPooler[];
  readonly timing: {
    /** A node that is down or not connected for so long is made to follow again. */
    readonly rejoinAfterMs: number;
    /** A standby that waits for WAL of the vault, and in so long got no further, is not on its way. */
    readonly catchUpMs: number;
    /** One that was asked to is not asked again for so long, and longer after each time that it has not come to follow. */
    readonly rejoinAgainMs: number;
    readonly rejoined: ReadonlyMap<NodeName, Rejoined>;
  };
};

/** What to do next; undefined: nothing. */
export function planNext(situation: Situation): Plan | undefined {
  const { seen, decision } = situation;
  const { record } = seen;
  const serving = isServing(decision);
  // Before anything that sets names, or starts it again: from then on it looks as if it had waited all the time.
  if (decision.kind !== "suspect" && !(decision.kind === "promotable" && decision.automatic)) {
    const unkept = noteUnkept(seen);
    if (unkept !== undefined) return unkept;
  }
  if (record.action !== undefined) return planUnfinished(situation);
  if (decision.kind === "promotable" && decision.automatic) {
    return failoverOf(seen, decision);
  }
  const starting = planStart(situation);
  if (starting !== undefined) return starting;
  if (decision.kind === "suspect") return mendPoolers(situation, "paused");
  if (!serving) return mendPoolers(situation, "serving");
  if (needsNewReign(seen) || namesOldReign(seen))
    return planReinstate({ primary: record.primary, replicas: replicasOf(seen) });
  return mendPoolers(situation, "serving") ?? noteJoined(seen) ?? planRejoin(situation);
}

/** What is left of an action that was cut short after its candidate had been promoted; undefined: of none. */
export function finishOf(seen: Pick<Observation, "record" | "nodes">): Plan | undefined {
  const { record } = seen;
  const { action } = record;
  const candidate = action === undefined ? undefined : viewOf(seen, action.to);
  if (action === undefined || candidate === undefined) return undefined;
  return isPromotedBy(record, action.to, candidate) ? planFinish(record, action) : undefined;
}

/** An action was cut short: its candidate is established, its old primary reinstated, or a new failover begun. */
function planUnfinished(situation: Situation): Plan | undefined {
  const { seen, decision } = situation;
  const { record } = seen;
  const finish = finishOf(seen);
  if (finish !== undefined) return finish;
  if (isServing(decision)) return planReinstate({ primary: record.primary, replicas: replicasOf(seen) });
  if (decision.kind === "promotable" && decision.automatic) {
    return failoverOf(seen, decision);
  }
  const starting = planStart(situation);
  if (starting !== undefined) return starting;
  return mendPoolers(situation, decision.kind === "suspect" ? "paused" : "serving");
}

function failoverOf(seen: Observation, { candidate: to, terms }: Extract<Decision, { kind: "promotable" }>): Plan {
  return planFailover({ from: seen.record.primary, to, terms, gone: isGone(seen) });
}

function isGone({ nodes, record }: Observation): boolean {
  return nodes.get(record.primary)?.trouble?.kind === "nobody-listens";
}

function isServing(decision: Decision): boolean {
  return decision.kind === "healthy" || decision.kind === "lost-quorum";
}

/**
 * Nobody can take over, and who is down is started as it is, which loses nothing: the recorded primary, and replicas that the
 * record counts. What such a replica has confirmed may be in the vault or not, so a restore is no better than to ask it. One that
 * was being promoted may be a primary by now, which follows nobody: it is started as it is, and acknowledges nothing before the
 * record names it. Only a person stops that.
 */
function planStart({ seen, decision, timing }: Situation): Plan | undefined {
  const { record, nodes } = seen;
  if (record.maintenance) return undefined;
  if (decision.kind !== "blocked" && !(decision.kind === "promotable" && !decision.automatic)) return undefined;
  const isDown = (name: NodeName): boolean => nodes.get(name)?.probe.kind === "nobody-listens";
  const promoting = record.action?.phase === "promoting" ? record.action.to : undefined;
  const start = record.joined
    .filter((name) => isDown(name) && !wasAskedLately(seen, timing, name))
    .map((node): Step => (node === promoting ? { kind: "start-candidate", node } : rejoinOf(node)));
  const base = { from: record.primary, to: record.primary } as const;
  if (isDown(record.primary)) return planReinstate({ primary: record.primary, replicas: replicasOf(seen), start });
  return start.length === 0 ? undefined : { kind: "rejoin", ...base, stages: [start] };
}

function rejoinOf(node: NodeName): Step {
  return { kind: "rejoin", node };
}

/** It is given its time: a copy takes as long as there is to copy. */
function wasAskedLately(
  { now }: Observation,
  { rejoined, rejoinAgainMs }: Situation["timing"],
  node: NodeName,
  tryDoublings = 0,
): boolean {
  const before = rejoined.get(node);
  if (before === undefined) return false;
  return now - before.askedAt < rejoinAgainMs * 2 ** Math.min(Math.max(before.tries - 1, 0), tryDoublings);
}

/** Each try may read the vault and fill a disk to its reserve before it fails: what keeps failing is tried every five minutes. */
const REJOIN_DOUBLINGS = 4;

/** The same without the tries of those that follow by now: what fails from here on fails for another reason. */
export function rejoinedSince(seen: Observation, rejoined: ReadonlyMap<NodeName, Rejoined>): Map<NodeName, Rejoined> {
  const entries = [...rejoined].map(([node, { askedAt, tries }]): [NodeName, Rejoined] => [
    node,
    { askedAt, tries: streamsFrom(seen, seen.record.primary, node) ? 0 : tries },
  ]);
  return new Map(entries);
}

/** The witness is there and does not follow the recorded primary in its reign: nobody counts its confirmations. */
function needsNewReign({ record, witness }: Observation): boolean {
  const mode = witness.view?.mode;
  if (mode === undefined) return false;
  return mode.kind === "withdrawn" || mode.reign !== record.reign || mode.upstream !== record.primary;
}

/**
 * The primary waits for confirmers of another reign, or is still held back: an action ended before it had named them. Where
 * nobody is held back, in quorum and strict, it waits for more or fewer of this reign's because a person had it so.
 */
function namesOldReign(seen: Observation): boolean {
  const { record, nodes } = seen;
  const names = viewOf(seen, record.primary)?.synchronousNames ?? "";
  if (!names.includes(WITNESS_NAME)) return false;
  const modes = record.durability === "async" ? ["async" as const] : DURABILITY_MODES;
  return modes.every((durability) => names !== synchronousNamesOf({ ...record, durability, nodes: nodes.keys() }));
}

function replicasOf({ record, nodes }: Observation): readonly NodeName[] {
  return [...nodes]
    .filter(([name, { probe }]) => {
      if (name === record.primary || probe.kind !== "answered") return false;
      const { role, timeline, cloning } = probe.view;
      return role.kind === "standby" && timeline === record.timeline && !cloning;
    })
    .map(([name]) => name);
}

/** Poolers are brought to where clients should be: nothing when all of them that answer are there. */
function mendPoolers({ seen, poolers, decision }: Situation, wanted: "serving" | "paused"): Plan | undefined {
  const { primary } = seen.record;
  const answering = poolers.flatMap(({ view }) => (view === undefined || view.mode === "ending" ? [] : [view]));
  const base = { kind: "mend", from: primary, to: primary } as const;
  if (wanted === "paused") {
    if (answering.every(({ mode }) => mode === "paused")) return undefined;
    return { ...base, stages: [[{ kind: "pause-poolers", drain: false, gone: isGone(seen), sparing: true }]] };
  }
  const astray = answering.some(({ target }) => target !== primary);
  if (astray && isServing(decision)) {
    return { ...base, stages: [[{ kind: "repoint-poolers" }], [{ kind: "resume-poolers" }]] };
  }
  if (answering.every(({ mode }) => mode === "serving")) return undefined;
  return { ...base, stages: [[{ kind: "resume-poolers" }]] };
}

/** A session that watches may read a change a moment late, and is never older than that. */
const UNKEPT_MS = 3_000;

/**
 * The record must not say more than the primary does (rule B13): a controller that comes after us has not seen it. What was chosen
 * stays in it: set to async, names that somebody puts right again would be emptied.
 */
function noteUnkept(seen: Observation): Plan | undefined {
  const { record, nodes, unkept, now } = seen;
  if (unkept === undefined) return undefined;
  const isWell = nodes.get(record.primary)?.trouble === undefined && record.action === undefined;
  const isLeft = isWell && !needsNewReign(seen) && !namesOldReign(seen);
  if (isLeft && now - unkept.since < UNKEPT_MS) return undefined;
  const { waitsFor } = unkept;
  const base = { kind: "mend", from: record.primary, to: record.primary } as const;
  return { ...base, stages: [[{ kind: "note-unkept", waitsFor }]] };
}

/** Replicas that stream, as both sides say, become candidates. */
function noteJoined(seen: Observation): Plan | undefined {
  const { record } = seen;
  const primary = viewOf(seen, record.primary);
  if (primary?.role.kind !== "primary") return undefined;
  const { confirmers } = primary.role;
  const joined = replicasOf(seen).filter((name) => {
    const role = viewOf(seen, name)?.role;
    if (role?.kind !== "standby" || role.receiver.kind !== "streaming" || record.joined.includes(name)) return false;
    return confirmers.filter((each) => each.applicationName === name && isConfirming(each)).length === 1;
  });
  if (joined.length === 0) return undefined;
  return { kind: "mend", from: record.primary, to: record.primary, stages: [[{ kind: "note-joined", nodes: joined }]] };
}

/** The same for whoever acts where no loop runs: where the loop would do it, too. Undefined: nobody is to be counted, or not yet. */
export function planJoined({ seen, decision }: Pick<Situation, "seen" | "decision">): Plan | undefined {
  if (seen.record.action !== undefined || !isServing(decision)) return undefined;
  return needsNewReign(seen) || namesOldReign(seen) ? undefined : noteJoined(seen);
}

/** Whoever is neither the primary nor following it is made to follow. */
function planRejoin({ seen, timing }: Situation): Plan | undefined {
  const { record, nodes } = seen;
  for (const [node, history] of nodes) {
    if (node === record.primary || wasAskedLately(seen, timing, node, REJOIN_DOUBLINGS)) continue;
    const step = followingStep(seen, timing, { node, history });
    // While failover is paused a node may be down, or be what it is, because a person has it so: that one makes it follow.
    if (step === undefined || (step.kind === "rejoin" && record.maintenance)) continue;
    return { kind: "rejoin", from: record.primary, to: record.primary, stages: [[step]] };
  }
  return undefined;
}

/** What it takes; undefined: nothing, or nothing yet. */
function followingStep(
  seen: Observation,
  { rejoinAfterMs, catchUpMs }: Situation["timing"],
  { node, history }: { readonly node: NodeName; readonly history: NodeHistory },
): Step | undefined {
  const { record, now } = seen;
  const { probe, failingSince, detachedSince } = history;
  if (probe.kind === "nobody-listens") return now - (failingSince ?? now) >= rejoinAfterMs ? rejoinOf(node) : undefined;
  if (probe.kind !== "answered" || probe.view.cloning) return undefined;
  const { role, timeline } = probe.view;
  if (role.kind === "primary") return rejoinOf(node);
  if (isCatchingUp(seen, node, catchUpMs)) return undefined;
  if (timeline !== record.timeline) return rejoinOf(node);
  if (!role.upstream) return { kind: "receive-from", nodes: [node] };
  return detachedSince !== undefined && now - detachedSince >= rejoinAfterMs ? rejoinOf(node) : undefined;
}

/** A startup process that waits for no WAL may be at one record for long: a relation of many GiB that goes, a pause by hand. */
const BUSY_PATIENCES = 10;

/**
 * A standby that replays what the vault has, of older timelines first, and streams when there is no more: a restore of a day's WAL
 * takes its time, and would begin anew with each rejoin. One that has gone another way comes to wait, and gets no further.
 */
function isCatchingUp(seen: Observation, node: NodeName, patienceMs: number): boolean {
  const { nodes, now, record } = seen;
  const role = viewOf(seen, node)?.role;
  const advancedAt = nodes.get(node)?.advancedAt;
  if (role?.kind !== "standby" || !role.upstream || advancedAt === undefined) return false;
  if (role.receiver.kind === "streaming" && !streamsFrom(seen, record.primary, node)) return false;
  return now - advancedAt < (role.replayIdle ? patienceMs : BUSY_PATIENCES * patienceMs);
}

function streamsFrom(seen: Observation, upstream: NodeName, node: NodeName): boolean {
  const role = viewOf(seen, upstream)?.role;
  return role?.kind === "primary" && role.confirmers.some(({ applicationName }) => applicationName === node);
}

function viewOf(seen: Pick<Observation, "nodes">, name: NodeName): NodeView | undefined {
  const probe = seen.nodes.get(name)?.probe;
  return probe?.kind === "answered" ? probe.view : undefined;
}
