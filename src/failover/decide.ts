/**
 * Whether the primary role must move, and to whom. Pure: facts, policy and time in, a decision with its reasons out.
 *
 * Nouns: a *decision* is one of seven states; a *reason* is a tagged fact for or against; an *offer* is what a person can
 * choose where nothing may be done by itself; a commit *waits for* `required` of the `confirmers`.
 * Invariants: what was not seen is never taken for good or for gone; nothing is promotable by itself unless every
 * acknowledged commit is provably within reach (consulted + required > confirmers), which async never is.
 */
import { synchronousStandbyNames } from "../durability/names.ts";
import type { Monotonic } from "../platform/clock.ts";
import { type Lsn, lsnDistance, lsnMax } from "../postgres/lsn.ts";
import type { NodeHistory, Observation } from "./observation.ts";
import type { ClusterRecord, Durability, NodeName, NodeView } from "./ports.ts";
import { type Reason, reason } from "./reasons.ts";
import { secondPrimaryReasons } from "./second-primary.ts";
import { isConfirming, isSynced, isUsedTwice, waitedFor } from "./waited-for.ts";

/** How patient, and what may be done without a person. */
export type FailoverPolicy = {
  /** False: never by itself. True: by itself in quorum and strict. */
  readonly automatic: boolean;
  /** A node that does not answer counts as gone after so long: what tells frozen from slow. */
  readonly silentMs: number;
  /** A port where nobody listens counts as gone after so long, and at least two rounds. */
  readonly refusedMs: number;
  /** A server that says 57P03 (a crash restart after a lost backend) is given so long. */
  readonly startingMs: number;
  /** A write with its sync that does not end counts as gone after so long. */
  readonly stuckMs: number;
  /** What a full disk means: clients wait for a person, or the role moves to a node with room. */
  readonly diskFull: "hold" | "failover";
  readonly candidateFreeBytesMin: number;
  /** An answer older than this is no answer. */
  readonly viewMaxAgeMs: number;
  /** Whether the witness's right to confirm ends by itself (rule B5). Where it does not, only a confirmed stop replaces it. */
  readonly grants: "leased" | "lasting";
  /** The loss that a person has accepted, typed as it was stated; undefined: none. */
  readonly acceptLoss: { readonly bytesMax: number } | undefined;
};

/** What acknowledged commits may be missing on the candidate. `bytesMax` undefined: nobody can tell. */
export type LossEstimate =
  | { readonly kind: "none" }
  | { readonly kind: "possible"; readonly bytesMax: number | undefined; readonly seenAgoMs: number | undefined };

/** What the sequence must do for the promotion to be safe. */
export type PromotionTerms = {
  /** Withdraw the witness and take what it holds. */
  readonly consultWitness: boolean;
  /** What it holds begins after the candidate's end, and the decision counts without it: it is withdrawn, and not waited for. */
  readonly overHole: boolean;
  /** The witness is out of reach and could confirm: wait until its grant has run out, unless the stop is confirmed (B5). */
  readonly outwaitGrant: boolean;
  /** No proof without it (async). */
  readonly confirmedStop: boolean;
  /** In async the candidate would acknowledge by itself: it is held back until the record names it. */
  readonly holdBack: boolean;
  /** Other standbys that must stop receiving too. */
  readonly others: readonly NodeName[];
};

/** What a person can choose. */
export type Offer =
  | { readonly kind: "accept-loss"; readonly candidate: NodeName; readonly loss: LossEstimate }
  | { readonly kind: "restore-from-vault" }
  | { readonly kind: "promote-by-hand"; readonly candidate: NodeName };

/** The decision. */
export type Decision =
  /** The primary writes and enough confirmers are connected. */
  | { readonly kind: "healthy"; readonly concerns: readonly Reason[] }
  /** Something is wrong, for too short a time to act: clients may wait. */
  | { readonly kind: "suspect"; readonly since: Monotonic; readonly reasons: readonly Reason[] }
  /** The primary is gone and the candidate can take over. `automatic`: without asking anybody. */
  | {
      readonly kind: "promotable";
      readonly candidate: NodeName;
      readonly automatic: boolean;
      readonly reasons: readonly Reason[];
      readonly against: readonly Reason[];
      readonly loss: LossEstimate;
      readonly terms: PromotionTerms;
    }
  /** The primary is gone and nothing may be done without a person. */
  | { readonly kind: "blocked"; readonly reasons: readonly Reason[]; readonly offers: readonly Offer[] }
  /** The primary writes, and its commits wait for confirmers that are not there: never a failover. */
  | { readonly kind: "lost-quorum"; readonly reasons: readonly Reason[] }
  /** The primary is alive, or not provably gone: a person must look, clients are not kept waiting. */
  | { readonly kind: "hold"; readonly reasons: readonly Reason[] }
  /** Not enough was seen to say anything. */
  | { readonly kind: "unknown"; readonly reasons: readonly Reason[] };

/** How many confirmers a commit waits for. */
export function requiredConfirmers(durability: Durability): number {
  return { async: 0, quorum: 1, strict: 2 }[durability];
}

/** The witness's application name, before its reign. */
export const WITNESS_NAME = "lifeboat_vault";

/** The witness's application name in a reign (rule B4). */
export function witnessNameOf(reign: number): string {
  return `${WITNESS_NAME}_e${reign}`;
}

/** `synchronous_standby_names` of a primary in a reign. Empty in async only. */
export function synchronousNamesOf(cluster: {
  readonly durability: Durability;
  readonly primary: NodeName;
  readonly nodes: Iterable<NodeName>;
  readonly reign: number;
}): string {
  const nodes = [...cluster.nodes].filter((name) => name !== cluster.primary);
  return synchronousStandbyNames(cluster.durability, { nodes, receiver: witnessNameOf(cluster.reign) });
}

/** Decides. */
export function decideFailover(seen: Observation, policy: FailoverPolicy): Decision {
  const decision = decideAboutPrimary(seen, policy);
  const second = secondPrimaryReasons(seen);
  if (second.length === 0) return decision;
  return {
    kind: "hold",
    reasons: [...second, ...(decision.kind === "healthy" ? decision.concerns : decision.reasons)],
  };
}

function decideAboutPrimary(seen: Observation, policy: FailoverPolicy): Decision {
  const primary = seen.nodes.get(seen.record.primary);
  if (primary === undefined || seen.now - primary.at > policy.viewMaxAgeMs) {
    return { kind: "unknown", reasons: [reason("not-watched", seen.record.primary)] };
  }
  const { trouble } = primary;
  if (trouble === undefined) return judgeServing(seen, primary);
  const why = [reason(trouble.kind, seen.record.primary, troubleFacts(primary))];
  if (trouble.kind === "error") return { kind: "hold", reasons: why };
  if (trouble.kind === "write-failed" && !(policy.diskFull === "failover" && isDiskFull(primary))) {
    return { kind: "hold", reasons: why };
  }
  if (!isOver(seen.now, primary, policy)) {
    return { kind: "suspect", since: primary.failingSince ?? trouble.since, reasons: why };
  }
  if (isAlone(seen, policy)) return { kind: "unknown", reasons: [...why, reason("nobody-answers")] };
  // Who is stuck or full answers us, and goes on receiving and sending: other views say nothing against us.
  const views = trouble.kind === "stuck" || trouble.kind === "write-failed" ? [] : disagreeing(seen, primary, policy);
  if (views.length > 0) return { kind: "hold", reasons: [...why, ...views] };
  return judgeCandidates(seen, policy, why);
}

/** The primary answers and writes: is it the one we think, and does anybody confirm? */
function judgeServing(seen: Observation, primary: NodeHistory): Decision {
  const { record } = seen;
  if (primary.probe.kind !== "answered") return { kind: "unknown", reasons: [reason("not-watched", record.primary)] };
  const { view } = primary.probe;
  if (view.systemId !== record.systemId) return { kind: "hold", reasons: [reason("foreign-system", record.primary)] };
  if (view.role.kind === "standby") return { kind: "hold", reasons: [reason("primary-in-recovery", record.primary)] };
  if (view.timeline !== record.timeline) return { kind: "hold", reasons: [reason("foreign-timeline", record.primary)] };
  const concerns = concernsOf(seen, view);
  const required = requiredConfirmers(record.durability);
  const connected = confirmersOf(seen, view);
  if (required > connected.length) {
    const facts = { required, connected: connected.length };
    return { kind: "lost-quorum", reasons: [reason("confirmers-missing", record.primary, facts), ...concerns] };
  }
  return { kind: "healthy", concerns };
}

function confirmersOf({ record, nodes }: Observation, view: NodeView): readonly string[] {
  if (view.role.kind !== "primary") return [];
  const counted = new Set([...nodes.keys()].filter((name) => name !== record.primary));
  counted.add(witnessNameOf(record.reign));
  return view.role.confirmers
    .filter((each) => counted.has(each.applicationName) && isConfirming(each))
    .map(({ applicationName }) => applicationName);
}

function concernsOf(seen: Observation, view: NodeView): readonly Reason[] {
  const { record, nodes, witness } = seen;
  const connected = confirmersOf(seen, view);
  const concerns: Reason[] = [];
  const wanted = synchronousNamesOf({ ...record, nodes: nodes.keys() });
  if (view.synchronousNames !== wanted) {
    concerns.push(reason("other-durability", record.primary, { found: view.synchronousNames, wanted }));
  }
  concerns.push(...commitsNotSynced(record, view), ...waitedForFewer(record));
  for (const name of nodes.keys()) {
    if (name !== record.primary && !connected.includes(name)) concerns.push(reason("replica-not-connected", name));
  }
  concerns.push(...[...nodes].flatMap(([name, node]) => hiddenConcernsOf(name, node)));
  concerns.push(...namesUsedTwice(seen, view));
  if (!connected.includes(witnessNameOf(record.reign))) concerns.push(reason("witness-not-connected"));
  if (witness.view === undefined) concerns.push(reason("witness-silent"));
  if (record.maintenance) concerns.push(reason("maintenance"));
  return concerns;
}

/** What would show at the first failover only. One that starts is not connected either, which is said. */
function hiddenConcernsOf(name: NodeName, node: NodeHistory): readonly Reason[] {
  if (node.probe.kind === "answered") return hindrancesOf(name, node.probe.view);
  const error = errorOf(name, node);
  return error === undefined || error.code === "starting" ? [] : [error];
}

/** Of whatever it does now: what it acknowledged before may be nowhere else. */
function waitedForFewer({ primary, waitsFor, durability }: ClusterRecord): readonly Reason[] {
  if (waitsFor === undefined || waitsFor >= requiredConfirmers(durability)) return [];
  return [reason("waited-for-fewer", primary, { waitedFor: waitsFor, required: requiredConfirmers(durability) })];
}

/** In async that is all the same. */
function commitsNotSynced({ primary, durability }: ClusterRecord, { role }: NodeView): readonly Reason[] {
  if (role.kind !== "primary" || requiredConfirmers(durability) === 0 || isSynced(role.synchronousCommit)) return [];
  return [reason("commits-not-synced", primary, { synchronousCommit: role.synchronousCommit })];
}

/** Under the name of a confirmer somebody else confirms too: of what either has, nothing says that ours has it. */
function namesUsedTwice({ record, nodes }: Observation, { role }: NodeView): readonly Reason[] {
  if (role.kind !== "primary") return [];
  const { confirmers } = role;
  const names = [...nodes.keys()].filter((name) => name !== record.primary && isUsedTwice(confirmers, name));
  const concerns = names.map((name) => reason("name-used-twice", name));
  return isUsedTwice(confirmers, witnessNameOf(record.reign)) ? [...concerns, reason("name-used-twice")] : concerns;
}

/**
 * In a minute. A server whose WAL has no room crashes, makes room as it recovers, and crashes again: each time it works for a
 * moment and has not been down for long. Twice may be chance.
 */
const RESTARTS_MAX = 3;

/** Whether the trouble has lasted long enough to count the primary as gone. */
function isOver(now: Monotonic, { trouble, failingSince, restarts }: NodeHistory, policy: FailoverPolicy): boolean {
  if (trouble === undefined) return false;
  const lasted = now - trouble.since;
  const failing = now - (failingSince ?? trouble.since);
  switch (trouble.kind) {
    case "nobody-listens":
      return lasted >= policy.refusedMs && trouble.rounds >= 2;
    case "silent":
      return failing >= policy.silentMs && trouble.rounds >= 2;
    case "starting":
      // From the first failing probe on: a server that crashes again and again is not given the time again and again.
      return failing >= policy.startingMs || restarts.length >= RESTARTS_MAX;
    case "stuck":
      return lasted >= policy.stuckMs && trouble.rounds >= 2;
    case "write-failed":
      return lasted >= policy.refusedMs && trouble.rounds >= 2;
    case "error":
      return false;
  }
}

function isDiskFull({ probe }: NodeHistory): boolean {
  if (probe.kind !== "answered" || probe.view.role.kind !== "primary") return false;
  const { write } = probe.view.role;
  return write.kind === "failed" && write.sqlstate === "53100";
}

function troubleFacts({ probe, restarts }: NodeHistory): Reason["facts"] {
  if (probe.kind === "error")
    return { sqlstate: probe.sqlstate, ...(restarts.length > 1 ? { restarts: restarts.length } : {}) };
  if (probe.kind !== "answered" || probe.view.role.kind !== "primary") return {};
  const { write } = probe.view.role;
  return write.kind === "failed" ? { sqlstate: write.sqlstate } : {};
}

/** Nobody answers us: we are cut off, and whatever the others do is not for us to end. */
function isAlone(seen: Observation, policy: FailoverPolicy): boolean {
  if (seen.witness.view !== undefined && seen.now - seen.witness.at <= policy.viewMaxAgeMs) return false;
  return allSilent(seen);
}

function allSilent({ nodes }: Observation): boolean {
  return [...nodes.values()].every(({ probe }) => probe.kind === "silent");
}

/**
 * Parties that hear from the primary though we do not: after we began to suspect it, and of late. The first alone is not
 * enough: the look that failed first went out before the primary froze, and may have done so a moment after it was heard
 * last. Measured: such a receipt held a failover up for 30 s. A live primary is heard at least every second, because a
 * receiver asks at half of wal_receiver_timeout.
 */
function disagreeing(seen: Observation, primary: NodeHistory, policy: FailoverPolicy): readonly Reason[] {
  const since = primary.failingSince ?? primary.at;
  const heard: Reason[] = [];
  const judge = (name: NodeName | undefined, at: Monotonic, agoMs: number): void => {
    const receiptAt = at - agoMs;
    if (receiptAt > since && seen.now - receiptAt <= policy.viewMaxAgeMs) {
      heard.push(reason("still-heard", name, { agoMs: Math.round(seen.now - receiptAt) }));
    }
  };
  for (const [name, node] of seen.nodes) {
    if (name === seen.record.primary || node.probe.kind !== "answered") continue;
    const { role } = node.probe.view;
    if (role.kind === "standby" && role.receiver.kind === "streaming")
      judge(name, node.at, role.receiver.receivedAgoMs);
  }
  const { view, at } = seen.witness;
  // Who was left behind with an earlier primary hears that one.
  const follows = view?.mode.kind === "following" && view.mode.reign === seen.record.reign && view.mode.streaming;
  if (follows && view.receivedAgoMs !== undefined) judge(undefined, at, view.receivedAgoMs);
  return heard;
}

/** The primary is gone: who can take over, and what would be missing? */
function judgeCandidates(seen: Observation, policy: FailoverPolicy, why: readonly Reason[]): Decision {
  const { record } = seen;
  const others = [...seen.nodes].filter(([name]) => name !== record.primary);
  const against: Reason[] = [];
  const able: { readonly name: NodeName; readonly flushed: Lsn }[] = [];
  for (const [name, node] of others) {
    const refusals = refusalsOf(seen, policy, name, node);
    against.push(...refusals);
    if (refusals.length === 0 && node.probe.kind === "answered" && node.probe.view.role.kind === "standby") {
      able.push({ name, flushed: node.probe.view.role.flushed });
    }
  }
  const best = able.reduce<(typeof able)[number] | undefined>(
    (first, next) => (first === undefined || next.flushed > first.flushed ? next : first),
    undefined,
  );
  const witness = freshWitness(seen, policy);
  // A witness on another timeline never followed in this reign: it has confirmed nothing that could be missing.
  const held = witness?.held.timeline === record.timeline ? witness.held : undefined;
  if (best === undefined) {
    // Late on a busy machine looks the same, and whoever restores then does it beside two nodes that work.
    if (allSilent(seen)) return { kind: "unknown", reasons: [...why, ...against, reason("no-node-answers")] };
    const offers: readonly Offer[] = witness === undefined ? [] : [{ kind: "restore-from-vault" }];
    return { kind: "blocked", reasons: [...why, ...against, reason("no-candidate")], offers };
  }
  const hole = held !== undefined && held.from > best.flushed;
  const required = waitedFor(seen);
  const consulted = able.length + (witness === undefined || hole ? 0 : 1);
  const proven = required > 0 && consulted + required > others.length + 1;
  if (witness === undefined) against.push(reason("witness-silent"));
  against.push(...waitedForFewer(record));
  const lastOfPrimary = seen.nodes.get(record.primary)?.last?.view;
  if (lastOfPrimary !== undefined) {
    against.push(...commitsNotSynced(record, lastOfPrimary), ...namesUsedTwice(seen, lastOfPrimary));
  }
  if (hole) against.push(reason("witness-hole", best.name));
  // Primary and witness may both be out of our sight only, and go on acknowledging together.
  const unseen = witness === undefined && consulted + required <= others.length + 1;
  const terms: PromotionTerms = {
    consultWitness: witness !== undefined,
    overHole: hole,
    outwaitGrant: unseen && required > 0 && policy.grants === "leased",
    holdBack: required === 0,
    confirmedStop: required === 0 || (unseen && policy.grants === "lasting"),
    others: able.map(({ name }) => name).filter((name) => name !== best.name),
  };
  const loss: LossEstimate = proven ? { kind: "none" } : lossOf(seen, best.flushed, hole ? undefined : held?.flushed);
  return judgeLoss({ seen, policy, reasons: why, against, candidate: best.name, loss, terms });
}

function judgeLoss(facts: {
  readonly seen: Observation;
  readonly policy: FailoverPolicy;
  readonly reasons: readonly Reason[];
  readonly against: readonly Reason[];
  readonly candidate: NodeName;
  readonly loss: LossEstimate;
  readonly terms: PromotionTerms;
}): Decision {
  const { policy, candidate, loss, terms, seen } = facts;
  const promotable = { kind: "promotable", candidate, reasons: facts.reasons, loss, terms } as const;
  if (seen.record.maintenance) {
    return { ...promotable, automatic: false, against: [...facts.against, reason("maintenance")] };
  }
  if (loss.kind === "none") {
    const against = policy.automatic ? facts.against : [...facts.against, reason("automatic-off")];
    return { ...promotable, automatic: policy.automatic, against };
  }
  if (isAccepted(loss, policy)) return { ...promotable, automatic: true, against: facts.against };
  const reasons = [...facts.reasons, ...facts.against, reason("loss-possible", candidate)];
  const rest: readonly Offer[] = terms.consultWitness ? [{ kind: "restore-from-vault" }] : [];
  return { kind: "blocked", reasons, offers: [{ kind: "accept-loss", candidate, loss }, ...rest] };
}

function isAccepted(loss: LossEstimate, { acceptLoss }: FailoverPolicy): boolean {
  if (loss.kind === "none") return true;
  // A loss that nobody can bound is covered by an acceptance without a bound only.
  return acceptLoss !== undefined && (loss.bytesMax ?? Number.POSITIVE_INFINITY) <= acceptLoss.bytesMax;
}

/** Why a node is no candidate; empty when it is one. */
function refusalsOf(seen: Observation, policy: FailoverPolicy, name: NodeName, node: NodeHistory): readonly Reason[] {
  const { record } = seen;
  if (node.probe.kind !== "answered" || seen.now - node.at > policy.viewMaxAgeMs) {
    return [silenceOf(name, node)];
  }
  const { view } = node.probe;
  const refusals: Reason[] = [];
  if (!record.joined.includes(name)) refusals.push(reason("never-joined", name));
  if (view.cloning) refusals.push(reason("cloning", name));
  if (view.role.kind !== "standby") refusals.push(reason("not-a-standby", name));
  if (view.systemId !== record.systemId) refusals.push(reason("foreign-system", name));
  if (view.timeline !== record.timeline) refusals.push(reason("foreign-timeline", name));
  if (view.freeBytes < policy.candidateFreeBytesMin) {
    refusals.push(reason("little-room", name, { freeBytes: view.freeBytes }));
  }
  return [...refusals, ...forbiddingOf(name, view)];
}

/** Why a node does not say what it is. */
export function silenceOf(name: NodeName, node: NodeHistory): Reason {
  return errorOf(name, node) ?? reason("candidate-silent", name);
}

/** Who answers with an error is no silent one: what is wrong can be put right. */
function errorOf(name: NodeName, { probe, trouble }: NodeHistory): Reason | undefined {
  if (probe.kind !== "error") return undefined;
  return reason(trouble?.kind === "starting" ? "starting" : "candidate-error", name, { sqlstate: probe.sqlstate });
}

/** Those that no order overcomes. */
const FORBIDDING: ReadonlySet<string> = new Set(["parameters-too-small", "no-alter-system"]);

function hindrancesOf(name: NodeName, { hindrances }: NodeView): readonly Reason[] {
  return hindrances.map(({ kind, ...facts }) => reason(kind, name, facts));
}

/** Why a node cannot be promoted as it is set up; empty where nothing of that kind stands in the way. */
export function forbiddingOf(name: NodeName, view: NodeView): readonly Reason[] {
  return hindrancesOf(name, view).filter(({ code }) => FORBIDDING.has(code));
}

function freshWitness(seen: Observation, policy: FailoverPolicy) {
  const { view, at } = seen.witness;
  if (view === undefined || seen.now - at > policy.viewMaxAgeMs) return undefined;
  if (view.systemId !== seen.record.systemId) return undefined;
  const behind = view.mode.kind === "withdrawn" || view.mode.reign < seen.record.reign;
  return view.held.timeline === seen.record.timeline || behind ? view : undefined;
}

/** Bounds what is missing by the last positions seen of the primary and of the witness. */
function lossOf(seen: Observation, candidate: Lsn, witness: Lsn | undefined): LossEstimate {
  const have = witness === undefined ? candidate : lsnMax(candidate, witness);
  const ends = [seen.primaryEnd, lastWitness(seen)].filter((end) => end !== undefined);
  if (ends.length === 0) return { kind: "possible", bytesMax: undefined, seenAgoMs: undefined };
  const newest = ends.reduce((a, b) => (b.at > a.at ? b : a));
  const furthest = ends.reduce((a, b) => (b.lsn > a.lsn ? b : a));
  const bytesMax = Math.max(0, lsnDistance({ from: have, to: furthest.lsn }));
  return { kind: "possible", bytesMax, seenAgoMs: seen.now - newest.at };
}

function lastWitness(seen: Observation): { readonly at: Monotonic; readonly lsn: Lsn } | undefined {
  const { last } = seen.witness;
  return last === undefined ? undefined : { at: last.at, lsn: last.view.held.flushed };
}
