/**
 * What a decision says, as plain data: over the socket, for scripts and for people. Pure.
 *
 * docs/formats/daemon.md lists the fields. Positions in the WAL are texts as PostgreSQL prints them.
 */
import { z } from "zod";
import { errorText } from "../errors/error-text.ts";
import { COST_CODES } from "../failover/costs.ts";
import type { Decision, LossEstimate, Offer } from "../failover/decide.ts";
import type { SeenPooler } from "../failover/look.ts";
import type { NodeHistory, Observation } from "../failover/observation.ts";
import { finishOf } from "../failover/plan.ts";
import { REASONS, type Reason, reason } from "../failover/reasons.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { formatLsn } from "../postgres/lsn.ts";
import { unreadableAnswer } from "./protocol.ts";
import type { Survey, SurveyedCosts } from "./survey.ts";

const fact = z.union([z.string(), z.number(), z.boolean()]);

const reasonSchema = z.strictObject({
  code: z.string(),
  /** Null: of no node. */
  node: z.string().nullable(),
  says: z.string(),
  facts: z.record(z.string(), fact),
});

const lossSchema = z.strictObject({
  /** False: provably nothing that was acknowledged. */
  possible: z.boolean(),
  /** Of WAL, at the most; null where nobody can tell. */
  bytesMax: z.number().nullable(),
  /** Writes, at the most: 0 where nothing can be missing; null where that cannot be counted. */
  writesMax: z.number().nullable(),
  /** How old the newest position is that this is reckoned from. */
  seenAgoMs: z.number().nullable(),
});

const nodeSchema = z.strictObject({
  name: z.string(),
  /** `primary`, `standby`, or what is wrong with it. */
  state: z.string(),
  timeline: z.number().nullable(),
  flushed: z.string().nullable(),
  replayed: z.string().nullable(),
  candidate: z.boolean(),
});

const costSchema = z.strictObject({ code: z.enum(COST_CODES), of: z.string(), says: z.string(), remedy: z.string() });

const reportSchema = z.strictObject({
  stack: z.string(),
  at: z.string(),
  state: z.enum(["healthy", "suspect", "promotable", "blocked", "lost-quorum", "hold", "unknown"]),
  primary: z.string(),
  epoch: z.number(),
  timeline: z.number(),
  durability: z.enum(["async", "quorum", "strict"]),
  maintenance: z.boolean(),
  /** What is under way, or was cut short. */
  action: z.string().nullable(),
  candidate: z.string().nullable(),
  /** Done without asking. */
  automatic: z.boolean(),
  loss: lossSchema.nullable(),
  reasons: z.array(reasonSchema),
  against: z.array(reasonSchema),
  offers: z.array(z.strictObject({ kind: z.string(), candidate: z.string().nullable(), loss: lossSchema.nullable() })),
  /** What promoting a candidate would cost beside writes. */
  costs: z.array(
    z.strictObject({
      candidate: z.string(),
      /** How old the older word is that this is reckoned from; null where one was never had. */
      seenAgoMs: z.number().nullable(),
      found: z.array(costSchema),
    }),
  ),
  nodes: z.array(nodeSchema),
  receiver: z.strictObject({ state: z.string(), flushed: z.string().nullable(), confirms: z.boolean() }),
  poolers: z.array(
    z.strictObject({
      name: z.string(),
      mode: z.string(),
      target: z.string().nullable(),
      /** Why it could not be asked; null: it was. */
      problem: z.string().nullable(),
    }),
  ),
});

/** What is known and decided. */
export type CheckReport = z.output<typeof reportSchema>;

/** Reads one that came over a socket. Throws `daemon.no-answer`. */
export function parseCheckReport(value: unknown): CheckReport {
  const report = reportSchema.safeParse(value);
  if (report.success) return report.data;
  throw unreadableAnswer(`what it knows and decided: ${errorText(report.error)}`, report.error);
}

/** What one is made of. */
type ReportFacts = {
  readonly stack: string;
  readonly at: Instant;
  readonly seen: Observation;
  readonly decision: Decision;
  readonly poolers: readonly SeenPooler[];
  readonly survey: Pick<Survey, "costs">;
};

/** Makes one. */
export function checkReportOf(facts: ReportFacts): CheckReport {
  const report = decidedReportOf(facts);
  const finish = finishOf(facts.seen);
  if (finish === undefined) return report;
  // Whatever was decided: whoever controls the stack finishes it first. What keeps failing is left to a person all the same.
  const fails = report.reasons.filter(({ code }) => code === "plan-fails");
  const reasons = [reasonOf(reason("promoted-already", finish.to)), ...fails];
  const said = { ...report, loss: null, reasons, against: [] };
  if (fails.length === 0) return { ...said, state: "promotable", candidate: finish.to, automatic: true, offers: [] };
  return { ...said, offers: [{ kind: "promote-by-hand", candidate: finish.to, loss: null }] };
}

function decidedReportOf(facts: ReportFacts): CheckReport {
  const { seen, decision, poolers, survey } = facts;
  const { record } = seen;
  const promotable = decision.kind === "promotable" ? decision : undefined;
  const { action } = record;
  return {
    stack: facts.stack,
    at: formatInstant(facts.at),
    state: decision.kind,
    primary: record.primary,
    epoch: record.reign,
    timeline: record.timeline,
    durability: record.durability,
    maintenance: record.maintenance,
    action: action === undefined ? null : `${action.kind} from ${action.from} to ${action.to}, ${action.phase}`,
    candidate: promotable?.candidate ?? null,
    automatic: promotable?.automatic ?? false,
    loss: promotable === undefined ? null : lossOf(promotable.loss),
    reasons: [...reasonsOf(decision), ...(decision.kind === "healthy" ? poolerConcerns(facts) : [])].map(reasonOf),
    against: (promotable?.against ?? []).map(reasonOf),
    offers: decision.kind === "blocked" ? decision.offers.map(offerOf) : [],
    costs: candidatesOf(record).map((candidate) => costsOf(survey.costs({ primary: record.primary, candidate }))),
    nodes: [...seen.nodes].map(([name, history]) => nodeOf(seen, name, history)),
    receiver: receiverOf(seen),
    poolers: poolers.map(({ pooler, view, problem }) => ({
      name: pooler.name,
      mode: view?.mode ?? "does not answer",
      target: view?.target ?? null,
      problem: problem ?? null,
    })),
  };
}

/**
 * The same where nobody watches: what could be done by itself waits for a person. `daemon`: one is described. A replica that nobody
 * counts is told while the primary lives: when it is gone, nothing may promote that replica any more.
 */
export function unwatched(report: CheckReport, { daemon }: { readonly daemon: boolean }): CheckReport {
  const uncounted =
    report.state === "healthy"
      ? report.nodes.filter(({ name, candidate }) => name !== report.primary && !candidate)
      : [];
  const reasons = [
    ...(daemon ? [reason("no-daemon")] : []),
    ...uncounted.map(({ name }) => reason("not-counted", name)),
  ].map(reasonOf);
  return { ...report, automatic: false, reasons: [...report.reasons, ...reasons] };
}

/**
 * What is wrong with where clients are led, or could be. Nothing is decided by it: the primary is replaced all the same when it is
 * gone. While an action is under way poolers are on their way too.
 */
function poolerConcerns({ seen, poolers }: Pick<ReportFacts, "seen" | "poolers">): readonly Reason[] {
  const { primary, action } = seen.record;
  if (action !== undefined) return [];
  return poolers.flatMap(({ pooler, view, problem = "it does not answer" }): readonly Reason[] => {
    if (view === undefined) return [reason("pooler-undriven", undefined, { pooler: pooler.name, because: problem })];
    if (view.target === primary) return [];
    return [reason("pooler-astray", undefined, { pooler: pooler.name, leadsTo: view.target ?? "none of the nodes" })];
  });
}

function candidatesOf({ joined, primary }: Observation["record"]): readonly string[] {
  return joined.filter((name) => name !== primary);
}

/** Costs as plain data. */
export function costsOf({ candidate, seenAgoMs, found }: SurveyedCosts): CheckReport["costs"][number] {
  return { candidate, seenAgoMs: seenAgoMs === undefined ? null : Math.round(seenAgoMs), found: [...found] };
}

function reasonsOf(decision: Decision): readonly Reason[] {
  return decision.kind === "healthy" ? decision.concerns : decision.reasons;
}

/** A reason as plain data. */
export function reasonOf({ code, node, facts }: Reason): CheckReport["reasons"][number] {
  return { code, node: node ?? null, says: REASONS[code], facts: { ...facts } };
}

function lossOf(loss: LossEstimate): NonNullable<CheckReport["loss"]> {
  if (loss.kind === "none") return { possible: false, bytesMax: 0, writesMax: 0, seenAgoMs: null };
  const bytesMax = loss.bytesMax ?? null;
  return { possible: true, bytesMax, writesMax: bytesMax === 0 ? 0 : null, seenAgoMs: loss.seenAgoMs ?? null };
}

function offerOf(offer: Offer): CheckReport["offers"][number] {
  return {
    kind: offer.kind,
    candidate: "candidate" in offer ? offer.candidate : null,
    loss: offer.kind === "accept-loss" ? lossOf(offer.loss) : null,
  };
}

function nodeOf({ record }: Observation, name: string, history: NodeHistory): CheckReport["nodes"][number] {
  const { probe } = history;
  const view = probe.kind === "answered" ? probe.view : history.last?.view;
  return {
    name,
    state: history.trouble?.kind ?? (probe.kind === "answered" ? probe.view.role.kind : probe.kind),
    timeline: view?.timeline ?? null,
    flushed: view === undefined ? null : formatLsn(view.role.flushed),
    replayed: view?.role.kind === "standby" ? formatLsn(view.role.replayed) : null,
    candidate: record.joined.includes(name),
  };
}

function receiverOf({ witness }: Observation): CheckReport["receiver"] {
  const { view } = witness;
  if (view === undefined) {
    const flushed = witness.last === undefined ? null : formatLsn(witness.last.view.held.flushed);
    return { state: "does not answer", flushed, confirms: false };
  }
  const { mode } = view;
  const following =
    mode.kind === "following" ? `follows ${mode.upstream}${mode.streaming ? "" : ", not connected"}` : "withdrawn";
  return { state: following, flushed: formatLsn(view.held.flushed), confirms: view.mayConfirm };
}
