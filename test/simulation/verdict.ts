/** What must be true when everything is healed and has come to rest. */
import { requiredConfirmers } from "../../src/failover/decide.ts";
import type { SimulatedController } from "./controllers.ts";
import type { Server } from "./server.ts";
import type { Stack } from "./stack.ts";

/** Writable: the recorded primary serves, poolers lead there, and writes are acknowledged. */
export function isSettled(stack: Stack): boolean {
  const { world, store, history, poolers } = stack;
  const { record } = store;
  if (record.action !== undefined || stack.server(record.primary).mode !== "primary") return false;
  if (!poolers.every(({ mode, target }) => mode === "serving" && target === record.primary)) return false;
  const { newest } = history;
  return newest !== undefined && newest.node === record.primary && newest.at > world.now - 800;
}

/**
 * Whether replicas that the record counts have all it takes for one to become the primary without a loss, so that nobody may be
 * left with a restore: their data, as many of them as the proof needs, and where it needs the witness, no hole before its WAL. Or
 * whether one was promoted.
 */
export function canTakeOver({ settings, store, servers, witness }: Stack): boolean {
  const { record } = store;
  const { action } = record;
  // It is a primary already, and has all that it had to have.
  const isPromoted = ({ name, hasData, standby, timeline }: Server): boolean =>
    action?.phase === "promoting" && name === action.to && hasData && !standby && timeline > record.timeline;
  if (servers.some(isPromoted)) return true;
  const able = servers.filter(
    ({ name, hasData, standby, timeline }) =>
      record.joined.includes(name) && hasData && standby && timeline === record.timeline,
  );
  const required = requiredConfirmers(settings.durability);
  if (required === 0 || able.length === 0) return false;
  const hole = witness.from > Math.max(...able.map(({ flushed }) => flushed));
  // Of two servers two can confirm: the other one and the witness.
  return able.length + (hole ? 0 : 1) + required > servers.length;
}

/** Judges the end. `lossAcceptedUpTo`: the last timeline of which a person has accepted that some may be missing. */
export function judgeEnd(
  stack: Stack,
  end: {
    readonly settled: boolean;
    readonly lossAcceptedUpTo: number;
    readonly controllers: readonly SimulatedController[];
  },
): void {
  const { history, settings, store, witness } = stack;
  const { record } = store;
  const primary = stack.server(record.primary);
  const mayMiss = (timeline: number): boolean =>
    timeline <= end.lossAcceptedUpTo || (settings.durability === "async" && timeline < record.timeline);
  if (end.settled || primary.hasData || canTakeOver(stack)) {
    if (!end.settled) {
      const paused = stack.poolers.some(({ mode }) => mode === "paused");
      history.break(paused ? "clients left waiting" : "not writable", describe(stack, end.controllers));
    }
    if (primary.mode === "primary") history.checkNothingLost(primary, mayMiss);
    return;
  }
  // The primary's disk is gone and nobody could take over: what was acknowledged is in the vault or on the replica.
  stack.counts.note("only a restore from the vault helps");
  if (settings.durability === "async") return;
  const copies = [witness, ...stack.servers.filter(({ hasData }) => hasData)];
  const records = [...witness.older, ...copies.flatMap((copy) => copy.records)];
  history.checkNothingLost({ name: "the vault or a replica", records }, mayMiss);
}

function describe(stack: Stack, controllers: readonly SimulatedController[]): string {
  const { record } = stack.store;
  const servers = stack.servers.map((each) => {
    const marks = [each.fenced ? "fenced" : "", each.hasData ? "" : "no data", each.cloning ? "cloning" : ""].join(" ");
    return `${each.name} ${each.mode} t${each.timeline} f${each.flushed} ${marks} from ${each.upstream} waits for ${each.names}`;
  });
  const { mandate, timeline, from, flushed, mayConfirm } = stack.witness;
  const states = controllers.map(({ process, controller }) => {
    const { mode, epoch, decision, plan } = controller?.state ?? {};
    const reasons = decision !== undefined && "reasons" in decision ? decision.reasons : [];
    const why = reasons.map(({ code, node }) => `${code} ${node ?? ""}`).join(", ");
    return `${process.name} ${mode} e${epoch} ${decision?.kind} (${why}) ${plan?.kind ?? ""}`;
  });
  return [
    `record ${record.primary} e${record.reign} t${record.timeline} joined ${record.joined.join()} ${record.action?.kind ?? ""} ${record.action?.phase ?? ""}`,
    ...servers,
    `witness ${JSON.stringify(mandate)} t${timeline} ${from} to ${flushed}${mayConfirm ? " confirms" : ""}`,
    ...stack.poolers.map(({ name, mode, target }) => `${name} ${mode} ${target}`),
    ...states,
  ].join("; ");
}
