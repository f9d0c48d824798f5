/** What the record says, and who follows whom. */
import { isLifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { synchronousNamesOf } from "./decide.ts";
import { grantLifetime } from "./limits.ts";
import type { Step } from "./plan.ts";
import type { ClusterRecord, NodeName } from "./ports.ts";
import {
  isLost,
  nodePort,
  type Progress,
  persist,
  type StepTools,
  slotsOf,
  stepFailed,
  tryAll,
  viewOf,
  watchNode,
  writeRecord,
} from "./step-tools.ts";

type ClusterStep = Extract<
  Step,
  {
    readonly kind:
      | "note-action"
      | "stop-primary"
      | "fence"
      | "start-primary"
      | "start-candidate"
      | "note-primary"
      | "name-confirmers"
      | "witness-follows"
      | "receive-from"
      | "rejoin"
      | "note-joined"
      | "note-unkept";
  }
>;

/** Does one of these steps. Rejects with `failover.*`, or what the port rejects with. */
export async function performClusterStep(
  tools: StepTools,
  step: ClusterStep,
  progress: Progress,
): Promise<Partial<Progress>> {
  const { record } = progress.stored;
  switch (step.kind) {
    case "note-action":
      return noteAction(tools, progress, step.action);
    case "stop-primary":
      return stopPrimary(tools);
    case "fence":
      return fence(tools, step);
    case "start-primary":
      return startPrimary(tools, record);
    case "start-candidate":
      return startCandidate(tools, step.node);
    case "note-primary":
      return notePrimary(tools, progress, step.keepJoined);
    case "name-confirmers":
      return nameConfirmers(tools, record);
    case "witness-follows":
      return witnessFollows(tools, progress);
    case "receive-from":
      return receiveFrom(tools, step.nodes);
    case "rejoin":
      return rejoin(tools, step.node);
    case "note-joined":
      return writeRecord(tools, progress, { ...record, joined: [...new Set([...record.joined, ...step.nodes])] });
    case "note-unkept":
      return noteUnkept(tools, progress, step.waitsFor);
  }
}

async function noteAction(tools: StepTools, progress: Progress, kind: "failover" | "switchover") {
  const { acting, plan } = tools;
  const { record } = progress.stored;
  const action = {
    kind,
    epoch: acting.epoch,
    from: plan.from,
    to: plan.to,
    phase: "preparing",
    target: undefined,
  } as const;
  return writeRecord(tools, progress, { ...record, action });
}

/**
 * Only a clean shutdown has sent the standbys all that was acknowledged, and says where that ends. After a crash the plan ends here:
 * the next one reckons with what the primary was seen to wait for, and where nothing is proven starts it again.
 */
async function stopPrimary(tools: StepTools): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const answer = await acting.order(limits.stopMs, (epoch, call) =>
    acting.ports.machines.stop({ epoch, node: plan.from }, call),
  );
  if (answer.kind === "unknown") throw stepFailed("stop-primary", `${plan.from}: ${answer.why}`);
  const { shutdownLsn } = answer;
  if (shutdownLsn === undefined) throw stepFailed("stop-primary", `${plan.from} is down, and not by a clean shutdown`);
  return { stopped: true, shutdownLsn };
}

/** Where the proof is the quorum, a stop is welcome and not waited for. */
async function fence(tools: StepTools, step: Extract<Step, { kind: "fence" }>): Promise<Partial<Progress>> {
  const { acting, limits } = tools;
  const ask = () =>
    acting.order(limits.fenceMs, (epoch, call) => acting.ports.machines.fence({ epoch, node: step.node }, call));
  if (step.wait) {
    const answer = await persist(tools, ask);
    if (answer.kind === "unknown") throw stepFailed("fence", `${step.node}: ${answer.why}`);
    return { stopped: true };
  }
  const told = ask().then(
    (answer) => acting.note({ kind: "note", name: "fence", facts: { ...answer } }),
    (error: unknown) => acting.note({ kind: "note", name: "fence", facts: { failed: errorText(error) } }),
  );
  tools.background.push(told);
  return {};
}

async function startPrimary(tools: StepTools, record: ClusterRecord): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  await acting.order(limits.orderMs, (epoch, call) => acting.ports.machines.start({ epoch, node: plan.to }, call));
  const { startMs: limitMs, listenMs } = limits;
  const watch = { node: plan.to, step: "start-primary", limitMs, listenMs, waitsFor: "a primary" } as const;
  await watchNode(tools, watch, ({ role, timeline }) =>
    role.kind === "primary" && timeline === record.timeline ? true : undefined,
  );
  return {};
}

/** What it is then is looked at by the next plan. One that cannot be started holds up nobody else. */
async function startCandidate(tools: StepTools, node: NodeName): Promise<Partial<Progress>> {
  const { acting, limits } = tools;
  const shortcomings = await tryAll([{ name: node }], () =>
    acting.order(limits.orderMs, (epoch, call) => acting.ports.machines.start({ epoch, node }, call)),
  );
  return { shortcomings };
}

async function notePrimary(tools: StepTools, progress: Progress, keepJoined: boolean) {
  const { acting, plan } = tools;
  const { record } = progress.stored;
  const timeline = progress.promoted?.timeline ?? record.timeline;
  return writeRecord(tools, progress, {
    ...record,
    primary: plan.to,
    reign: acting.epoch,
    timeline,
    joined: keepJoined ? record.joined : [],
    waitsFor: keepJoined ? record.waitsFor : undefined,
    action: undefined,
  });
}

async function noteUnkept(tools: StepTools, progress: Progress, waitsFor: number) {
  const { hooks, clock } = tools.acting.ports;
  const { record } = progress.stored;
  const written = await writeRecord(tools, progress, { ...record, waitsFor });
  const facts = { primary: record.primary, durability: record.durability, waitedFor: waitsFor };
  hooks.tell({ kind: "durability-unkept", at: clock.now(), facts });
  return written;
}

async function nameConfirmers(tools: StepTools, record: ClusterRecord): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const nodes = acting.ports.nodes.map(({ name }) => name);
  const names = synchronousNamesOf({ durability: record.durability, primary: plan.to, nodes, reign: acting.epoch });
  const node = nodePort(tools, plan.to);
  const slots = slotsOf(tools);
  await persist(tools, () => acting.order(limits.orderMs, (epoch, call) => node.makeSlots({ epoch, slots }, call)));
  await persist(tools, () =>
    acting.order(limits.orderMs, (epoch, call) => node.setSynchronousNames({ epoch, names }, call)),
  );
  return {};
}

/** The record names the primary already: only now may anybody confirm to it. A witness that is away follows later. */
async function witnessFollows(tools: StepTools, progress: Progress): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const { witness } = acting.ports;
  const { systemId, timeline, reign } = progress.stored.record;
  try {
    const timelineStart = progress.promoted?.start ?? (await timelineStartOf(tools));
    await persist(tools, () =>
      acting.order(limits.orderMs, (epoch, call) =>
        witness.follow({ epoch, upstream: plan.to, systemId, timeline, timelineStart }, call),
      ),
    );
    const { ticket } = await witness.status(acting.call(limits.orderMs));
    // Where a replica can be a candidate already, the next round tells how far it has come; until then nothing is compared.
    const contiguousWith = progress.stored.record.joined.length === 0 ? timelineStart : undefined;
    const grant = { reign, lifetime: grantLifetime(limits, ticket), contiguousWith };
    await acting.order(limits.orderMs, (epoch, call) => witness.grant({ epoch, ...grant }, call));
    return {};
  } catch (error) {
    if (isLost(error) || isLifeboatError(error, "platform.aborted")) throw error;
    return { shortcomings: [`the vault's receiver: ${errorText(error)}`] };
  }
}

/** Where the timeline of the primary began; undefined on the first. */
async function timelineStartOf(tools: StepTools): Promise<Lsn | undefined> {
  const { to } = tools.plan;
  const role = (await viewOf(tools, to))?.role;
  if (role?.kind !== "primary") throw stepFailed("witness-follows", `${to} is no primary`);
  return role.timelineStart;
}

async function receiveFrom(tools: StepTools, nodes: readonly NodeName[]): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const ports = nodes.map((name) => nodePort(tools, name));
  const shortcomings = await tryAll(ports, (node) =>
    persist(tools, () =>
      acting.order(limits.orderMs, (epoch, call) => node.receiveFrom({ epoch, upstream: plan.to }, call)),
    ),
  );
  return { shortcomings };
}

async function rejoin(tools: StepTools, node: NodeName): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const shortcomings = await tryAll([{ name: node }], async () => {
    const answer = await acting.order(limits.orderMs, (epoch, call) =>
      acting.ports.machines.rejoin({ epoch, node, upstream: plan.to }, call),
    );
    if (answer.kind === "refused") throw stepFailed("rejoin", answer.reason);
  });
  return { shortcomings };
}
