/** What the steps of a plan share: what they have learnt so far, how they wait, and how they fail. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { Monotonic } from "../platform/clock.ts";
import { retry } from "../platform/retry.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import type { Acting } from "./acting.ts";
import type { SequenceLimits } from "./limits.ts";
import type { Plan, Step } from "./plan.ts";
import type { ClusterRecord, HeldWal, NodeName, NodePort, NodeView, StoredRecord } from "./ports.ts";

/** What a step works with. */
export type StepTools = {
  readonly acting: Acting;
  readonly limits: SequenceLimits;
  readonly plan: Plan;
  readonly startedAt: Monotonic;
  /** Work that later steps do not wait for; the plan's end does. Never rejects. */
  readonly background: Promise<void>[];
  /** Whether all poolers were paused beside the plan, under its epoch. Never rejects. */
  readonly paused: Promise<boolean>;
};

/** What the steps so far have learnt. */
export type Progress = {
  readonly stored: StoredRecord;
  /** What the witness held when it was withdrawn: grows no more. */
  readonly held?: HeldWal;
  /** What the candidate had when its receiver was seen gone, and how far it had replayed where it waited for more then. */
  readonly still?: { readonly flushed: Lsn; readonly idleAt: Lsn | undefined } | undefined;
  /** What it held begins after the candidate's end, and is not needed. */
  readonly beyondHole?: boolean;
  /** Of the standbys beside the candidate, the one that has received most: grows no more. */
  readonly furthestOther?: { readonly node: NodeName; readonly flushed: Lsn };
  /** The candidate had no confirmers' names before: its checkpointer may not know yet that there are some. */
  readonly namedLate?: boolean;
  /** The old primary is down for sure. */
  readonly stopped?: boolean;
  readonly shutdownLsn?: Lsn;
  /** What the candidate has replayed: all there is. */
  readonly target?: Lsn;
  readonly promoted?: { readonly timeline: Timeline; readonly start: Lsn };
  /** What did not work out and stopped nothing. */
  readonly shortcomings: readonly string[];
};

/** An order may be lost on its way: it is repeated, the same under the same epoch, within half a second. */
const ORDER_RETRY = { attemptsMax: 3, delayMinMs: 20, delayMaxMs: 100 };

/** Sends an order again when nothing is known of it. What the port answered, and a lost lease, are final. */
export async function persist<T>({ acting }: StepTools, order: () => Promise<T>): Promise<T> {
  const { clock, random } = acting.ports;
  return retry({ clock, random }, ORDER_RETRY, order, { permanent: isFinal });
}

/** True when somebody else may act: nothing more is to be done. */
export function isLost(error: unknown): boolean {
  return isLifeboatError(error, "failover.lease-lost") || isLifeboatError(error, "failover.stale-epoch");
}

function isFinal(error: unknown): boolean {
  return isLost(error) || isLifeboatError(error, "platform.aborted");
}

/** The node's port. */
export function nodePort({ acting }: StepTools, name: NodeName): NodePort {
  const port = acting.ports.nodes.find((node) => node.name === name);
  if (port === undefined) throw stepFailed("note-action", `there is no node ${name}`);
  return port;
}

/** The slots that the new primary keeps: not one for itself, which nobody would ever read from. */
export function slotsOf({ limits, plan }: StepTools): readonly string[] {
  return limits.slots.filter((slot) => slot !== plan.to);
}

/** The node's view, where it answers. */
export async function viewOf(tools: StepTools, name: NodeName): Promise<NodeView | undefined> {
  const probe = await nodePort(tools, name).probe(tools.acting.call(tools.limits.orderMs));
  return probe.kind === "answered" ? probe.view : undefined;
}

/** What is waited for, and how long. */
type Watch = {
  readonly node: NodeName;
  readonly step: Step["kind"];
  readonly limitMs: number;
  /** The same for a node at whose port nobody listens; as long as for any other where it is not said. */
  readonly listenMs?: number;
  readonly waitsFor: string;
};

/** Looks at a node until `judge` has an answer. Rejects with `failover.step-failed` when it has none in time. */
export async function watchNode<T>(
  tools: StepTools,
  watch: Watch,
  judge: (view: NodeView) => T | undefined,
): Promise<T> {
  const { clock } = tools.acting.ports;
  const began = clock.monotonic();
  for (;;) {
    const probe = await nodePort(tools, watch.node).probe(tools.acting.call(tools.limits.orderMs));
    const answer = probe.kind === "answered" ? judge(probe.view) : undefined;
    if (answer !== undefined) return answer;
    const { limitMs, listenMs = limitMs } = watch;
    const mayTakeMs = probe.kind === "nobody-listens" ? listenMs : limitMs;
    if (clock.monotonic() - began >= mayTakeMs) {
      throw stepFailed(watch.step, `${watch.node}: not within ${mayTakeMs} ms: ${watch.waitsFor}`);
    }
    await tools.acting.sleep(tools.limits.pollMs);
  }
}

/** Does the same at several parties, all tried; what failed is told and stops nothing, except a lease that is lost. */
export async function tryAll<T extends { readonly name: string }>(
  parties: readonly T[],
  work: (party: T) => Promise<unknown>,
): Promise<readonly string[]> {
  const settled = await Promise.allSettled(parties.map((party) => work(party)));
  const failures: string[] = [];
  for (const [index, each] of settled.entries()) {
    if (each.status === "fulfilled") continue;
    if (isFinal(each.reason)) throw each.reason;
    failures.push(`${parties[index]?.name}: ${errorText(each.reason)}`);
  }
  return failures;
}

/** Replaces the record by what is made of it. Rejects with `failover.step-failed` when somebody else has written. */
export async function writeRecord(
  tools: StepTools,
  progress: Progress,
  record: ClusterRecord,
): Promise<Pick<Progress, "stored">> {
  const { acting, limits } = tools;
  const { record: port } = acting.ports;
  const over = progress.stored.version;
  const version = await persist(tools, async () => {
    const answer = await acting.order(limits.orderMs, (epoch, call) => port.write({ epoch, over, record }, call));
    if (answer.kind === "done") return answer.version;
    // An answer that was lost: what stands there under our own epoch, over what we had read, is our own write.
    const now = await port.read(acting.call(limits.orderMs));
    if (now?.epoch === acting.epoch && now.version === over + 1) return now.version;
    return undefined;
  });
  if (version === undefined) throw stepFailed("note-action", "the record was written by somebody else");
  return { stored: { version, epoch: acting.epoch, record } };
}

/** The error of a step that did not work out: the plan ends, the next one goes on from what is then seen. */
export function stepFailed(step: Step["kind"], why: string, cause?: unknown): LifeboatError {
  return new LifeboatError("failover.step-failed", {
    message: `${step}: ${why}`,
    remedy: "The controller looks again and finishes or undoes the action; see `lifeboat failover --check-only`.",
    retryable: true,
    cause,
    details: { step },
  });
}

/** The error of a candidate that must not be promoted, or must not stay promoted. */
export function unsafeCandidate(node: NodeName, why: string): LifeboatError {
  return new LifeboatError("failover.unsafe-candidate", {
    message: `${node} cannot take over: ${why}`,
    remedy:
      "Acknowledged writes would be missing on it. Look at both histories, or restore from the vault: lifeboat points.",
    details: { node },
  });
}
