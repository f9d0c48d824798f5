/** From freezing the old quorum to a new primary. Rule numbers are those of the safety rules. */
import { HELD_NAMES } from "../durability/names.ts";
import { LSN_NONE, type Lsn, lsnMax } from "../postgres/lsn.ts";
import { synchronousNamesOf } from "./decide.ts";
import type { Step } from "./plan.ts";
import type { ClusterRecord, NodeName } from "./ports.ts";
import {
  nodePort,
  type Progress,
  persist,
  type StepTools,
  slotsOf,
  stepFailed,
  unsafeCandidate,
  viewOf,
  watchNode,
  writeRecord,
} from "./step-tools.ts";

type PromotionStep = Extract<
  Step,
  {
    readonly kind:
      | "withdraw-witness"
      | "stop-receiving"
      | "outwait-grant"
      | "see-receivers-gone"
      | "fill-gap"
      | "await-replay"
      | "prepare-candidate"
      | "note-promotion"
      | "promote"
      | "see-promoted";
  }
>;

/** Does one of these steps. Rejects with `failover.*`, or what the port rejects with. */
export async function performPromotionStep(
  tools: StepTools,
  step: PromotionStep,
  progress: Progress,
): Promise<Partial<Progress>> {
  switch (step.kind) {
    case "withdraw-witness":
      return withdrawWitness(tools);
    case "stop-receiving":
      return stopReceiving(tools, step.nodes);
    case "outwait-grant":
      return outwaitGrant(tools, progress);
    case "see-receivers-gone":
      return seeReceiversGone(tools, step.nodes);
    case "fill-gap":
      return fillGap(tools, step.overHole, progress);
    case "await-replay":
      return awaitReplay(tools, progress);
    case "prepare-candidate":
      return prepareCandidate(tools, progress);
    case "note-promotion":
      return notePromotion(tools, progress);
    case "promote":
      return promote(tools);
    case "see-promoted":
      return seePromoted(tools, progress);
  }
}

async function withdrawWitness(tools: StepTools): Promise<Partial<Progress>> {
  const { acting, limits } = tools;
  const { witness } = acting.ports;
  const { held } = await persist(tools, () =>
    acting.order(limits.orderMs, (epoch, call) => witness.withdraw({ epoch }, call)),
  );
  return { held };
}

async function stopReceiving(tools: StepTools, nodes: readonly NodeName[]): Promise<Partial<Progress>> {
  const { acting, limits } = tools;
  await Promise.all(
    nodes.map((name) =>
      persist(tools, () =>
        acting.order(limits.orderMs, (epoch, call) => nodePort(tools, name).stopReceiving({ epoch }, call)),
      ),
    ),
  );
  return {};
}

/**
 * Rule B5: a witness out of our reach may go on confirming until its grant has run out. Nobody has granted since this epoch
 * was claimed, and it counts each grant from before it was asked for.
 */
async function outwaitGrant(tools: StepTools, progress: Progress): Promise<Partial<Progress>> {
  if (progress.stopped === true) return {};
  const { acting, limits, startedAt } = tools;
  const { clock } = acting.ports;
  if (limits.grantMs === undefined) throw stepFailed("outwait-grant", "the witness's grant does not end by itself");
  // Its clock may be slow and ours fast.
  const end = startedAt + limits.grantMs * (1 + 2 * limits.driftShare) + limits.orderMs;
  while (clock.monotonic() < end) await acting.sleep(Math.min(end - clock.monotonic(), limits.orderMs));
  return {};
}

/** Rule B7: seen twice, because the view is empty while one connects. What the candidate has then grows no more by itself. */
async function seeReceiversGone(tools: StepTools, nodes: readonly NodeName[]): Promise<Partial<Progress>> {
  const { to } = tools.plan;
  const ends = await Promise.all(
    nodes.map(async (node) => {
      let seen = 0;
      const watch = {
        node,
        step: "see-receivers-gone",
        limitMs: tools.limits.receiversMs,
        waitsFor: "no receiver",
      } as const;
      return await watchNode(tools, watch, ({ role }) => {
        const gone = role.kind === "standby" && !role.upstream && role.receiver.kind === "none";
        seen = gone ? seen + 1 : 0;
        return gone && seen >= 2 ? { node, ...role } : undefined;
      });
    }),
  );
  const own = ends.find(({ node }) => node === to);
  const others = ends.filter(({ node }) => node !== to);
  const [furthestOther] = others.toSorted((a, b) => (a.flushed < b.flushed ? 1 : -1));
  return {
    ...(own === undefined
      ? {}
      : { still: { flushed: own.flushed, idleAt: own.replayIdle ? own.replayed : undefined } }),
    ...(furthestOther === undefined
      ? {}
      : { furthestOther: { node: furthestOther.node, flushed: furthestOther.flushed } }),
  };
}

async function fillGap(tools: StepTools, overHole: boolean, progress: Progress): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const candidate = plan.to;
  const { timeline } = progress.stored.record;
  // A witness that never came to this timeline has confirmed nothing on it.
  if (progress.held?.timeline !== timeline) return {};
  const flushed = progress.still?.flushed ?? (await endOf(tools, candidate));
  const answer = await persist(tools, () =>
    acting.order(limits.orderMs, (epoch, call) =>
      acting.ports.witness.fillGap({ epoch, candidate, timeline, flushed }, call),
    ),
  );
  switch (answer.kind) {
    case "nothing-to-add":
      return {};
    case "serving":
      // It is to read again.
      return { still: { flushed, idleAt: undefined } };
    case "diverged":
      throw unsafeCandidate(candidate, "it and the vault have different bytes at the same position");
    case "hole":
      // What is proven without the witness needs nothing of what it holds, nor does a loss that was accepted.
      if (overHole) return { beyondHole: true };
      throw unsafeCandidate(candidate, "WAL between its end and the vault's beginning is nowhere");
    case "not-withdrawn":
      throw stepFailed("fill-gap", "the vault's receiver is not withdrawn under this epoch");
  }
}

async function endOf(tools: StepTools, candidate: NodeName): Promise<Lsn> {
  const role = (await viewOf(tools, candidate))?.role;
  if (role?.kind !== "standby") throw stepFailed("fill-gap", `${candidate} is no standby, or does not answer`);
  return role.flushed;
}

/**
 * The candidate was chosen when all of them still received: another one may have confirmed more since then, that nobody else has.
 * Whoever has most of all is chosen by the next plan.
 */
function refuseShort({ furthestOther }: Progress, candidate: NodeName, flushed: Lsn): void {
  if (furthestOther === undefined || furthestOther.flushed <= flushed) return;
  const { node } = furthestOther;
  throw stepFailed(
    "await-replay",
    `${node} has received more than ${candidate}, which was chosen before that was seen`,
  );
}

/**
 * Rule B8: not "replayed past both flush positions", which never comes true when one lies inside a record, but past the last
 * whole record that the witness holds, and all that the candidate can read itself: seen idle twice at the same place.
 */
async function awaitReplay(tools: StepTools, progress: Progress): Promise<Partial<Progress>> {
  const { limits, plan, acting } = tools;
  const { clock } = acting.ports;
  const { held, stored } = progress;
  const witnessEnd =
    held?.timeline === stored.record.timeline && progress.beyondHole !== true ? held.recordEnd : LSN_NONE;
  const needed = lsnMax(witnessEnd, progress.shutdownLsn ?? LSN_NONE);
  const { idleAt: before } = progress.still ?? {};
  let idleAt = before !== undefined && before >= needed ? before : undefined;
  let last: Lsn | undefined;
  let movedAt = clock.monotonic();
  let hurried = false;
  for (;;) {
    const role = (await viewOf(tools, plan.to))?.role;
    if (role?.kind === "primary") throw stepFailed("await-replay", `${plan.to} is a primary already`);
    if (role !== undefined) {
      if (role.replayed !== last) {
        last = role.replayed;
        movedAt = clock.monotonic();
      }
      const idle = role.replayIdle && role.replayed >= needed;
      if (idle && idleAt === role.replayed) {
        refuseShort(progress, plan.to, role.flushed);
        return { target: role.replayed };
      }
      idleAt = idle ? role.replayed : undefined;
      if (!idle && !hurried) {
        hurried = true;
        const node = nodePort(tools, plan.to);
        await persist(tools, () => acting.order(limits.orderMs, (epoch, call) => node.hurryReplay({ epoch }, call)));
      }
    }
    if (clock.monotonic() - movedAt >= limits.replayStallMs) {
      throw stepFailed("await-replay", `${plan.to} makes no progress before the position that is needed`);
    }
    await acting.sleep(limits.pollMs);
  }
}

/** Its first commit must find confirmers, and these the WAL that they need (rule B9). */
async function prepareCandidate(tools: StepTools, progress: Progress): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const node = nodePort(tools, plan.to);
  const { durability } = progress.stored.record;
  // Any others may be an earlier try's, which it has not read yet either.
  const isHeld = (await viewOf(tools, plan.to))?.synchronousNames === HELD_NAMES;
  const names = synchronousNamesOf({
    // In async it would acknowledge before the record names it: it waits for confirmers that follow it only then.
    durability: durability === "async" ? "quorum" : durability,
    primary: plan.to,
    nodes: acting.ports.nodes.map(({ name }) => name),
    reign: acting.epoch,
  });
  const slots = slotsOf(tools);
  await persist(tools, () => acting.order(limits.orderMs, (epoch, call) => node.makeSlots({ epoch, slots }, call)));
  await persist(tools, () =>
    acting.order(limits.orderMs, (epoch, call) => node.setSynchronousNames({ epoch, names }, call)),
  );
  return isHeld ? {} : { namedLate: true };
}

async function notePromotion(tools: StepTools, progress: Progress): Promise<Partial<Progress>> {
  const { record } = progress.stored;
  const { action } = record;
  if (action === undefined) throw stepFailed("note-promotion", "the record knows of no action");
  const promoting = { ...action, phase: "promoting", target: progress.target } as const;
  return writeRecord(tools, progress, { ...record, action: promoting });
}

async function promote(tools: StepTools): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const node = nodePort(tools, plan.to);
  await persist(tools, () => acting.order(limits.orderMs, (epoch, call) => node.promote({ epoch }, call)));
  return {};
}

/** Seen, not believed (I27); and the new timeline must begin where nothing is missing (rule B7). */
async function seePromoted(tools: StepTools, progress: Progress): Promise<Partial<Progress>> {
  const { limits, plan } = tools;
  const { record } = progress.stored;
  const watch = { node: plan.to, step: "see-promoted", limitMs: limits.promoteMs, waitsFor: "a primary" } as const;
  const promoted = await watchNode(tools, watch, ({ role, timeline }) => {
    if (role.kind !== "primary" || timeline <= record.timeline || role.timelineStart === undefined) return undefined;
    return { timeline, start: role.timelineStart };
  });
  // Whoever adopts it knows that it may lack what the recorded primary has.
  if (plan.kind === "adopt") return { promoted, shortcomings: await walGone(tools, record, promoted.start) };
  const target = progress.target ?? record.action?.target;
  if (target === undefined || promoted.start < target) {
    throw unsafeCandidate(plan.to, "its timeline begins before what it had to have");
  }
  // Who finishes what another one has begun does not know what the candidate had before.
  if (progress.namedLate === true || plan.kind === "finish") await seeCommitsWait(tools);
  return { promoted };
}

/** Who is promoted by hand keeps WAL for nobody. Without what came first on its timeline neither receiver nor replica confirms (rule B9). */
async function walGone(
  { acting, limits, plan }: StepTools,
  { durability }: ClusterRecord,
  start: Lsn,
): Promise<readonly string[]> {
  const node = acting.ports.nodes.find(({ name }) => name === plan.to);
  // Who cannot tell is no reason to leave two primaries as they are.
  const isThere = (await node?.hasWalSince(start, acting.call(limits.orderMs)).catch(() => true)) ?? true;
  if (isThere) return [];
  const waits =
    durability === "async"
      ? ""
      : ", and its commits wait until then, unless you lower durability: lifeboat durability async";
  return [
    `${plan.to} has not all WAL since its promotion: nobody can follow it before a backup of it was taken${waits}. Take one now, by the stack's own file: lifeboat backup`,
  ];
}

/**
 * It was not seen to have a standby's names before it was told its confirmers, as one that was made by an earlier version: its commits may wait for nobody
 * until its checkpointer has read them, which a restartpoint may hold up for long. Before that is seen no pooler leads clients on.
 */
async function seeCommitsWait(tools: StepTools): Promise<void> {
  const { acting, limits, plan } = tools;
  const node = nodePort(tools, plan.to);
  if (await persist(tools, () => node.commitsWait(acting.call(limits.promoteMs)))) return;
  throw stepFailed("see-promoted", `${plan.to} acknowledges without its confirmers: its checkpointer is busy`);
}
