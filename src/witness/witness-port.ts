/** The witness as failover sees it: its socket, and a superuser's session on the node whose gap is filled. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type {
  Call,
  Done,
  Epoch,
  GapAnswer,
  Grant,
  HeldWal,
  NodeName,
  Order,
  StaleEpoch,
  WitnessPort,
  WitnessView,
} from "../failover/ports.ts";
import type { Clock } from "../platform/clock.ts";
import { LSN_NONE, parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";
import type { HeldWal as Held } from "../wal/held-end.ts";
import type { Upstream } from "../wal/mandate.ts";
import type { WitnessClient } from "./client.ts";
import { fillGap } from "./gap-fill.ts";
import type { WitnessStatus } from "./witness.ts";

/** What the port needs. */
export type WitnessPortTools = {
  readonly client: WitnessClient;
  readonly clock: Clock;
  /** Where the witness reaches each node. */
  readonly nodes: ReadonlyMap<NodeName, Upstream>;
  /** Logs in to a node as its superuser. */
  readonly openNode: (node: NodeName, call: Call) => Promise<QueryConnection>;
};

/** Makes the port. */
export function witnessPort(tools: WitnessPortTools): WitnessPort {
  const { client, nodes } = tools;
  return {
    status: async (call) => viewOf(await client.status(call), nodes),
    withdraw: ({ epoch }, call) =>
      orStale(async () => {
        const { held } = await client.withdraw(epoch, call);
        return { kind: "withdrawn", held: heldOf(held) } as const;
      }),
    grant: (grant, call) => giveGrant(client, grant, call),
    fillGap: (order, call) => fill(tools, order, call),
    follow: ({ epoch, upstream, systemId, timeline, timelineStart }, call) =>
      orStale(async () => {
        const terms = { reign: epoch, upstream: addressOf(nodes, upstream), systemId, timeline };
        await client.follow({ ...terms, switchLsn: timelineStart }, call);
        return DONE;
      }),
  };
}

const DONE: Done = { kind: "done" };

async function giveGrant(
  client: WitnessClient,
  { epoch, reign, lifetime, contiguousWith }: Grant,
  call: Call,
): ReturnType<WitnessPort["grant"]> {
  const duration = lifetime === "lasting" ? undefined : { ms: lifetime.durationMs, ticket: lifetime.ticket };
  try {
    return await orStale(async () => {
      await client.grant({ epoch, reign, duration, contiguousWith }, call);
      return DONE;
    });
  } catch (error) {
    if (isLifeboatError(error, "wal.not-following")) return { kind: "not-following" };
    throw error;
  }
}

async function fill(
  { client, clock, openNode }: WitnessPortTools,
  order: Order<{ readonly candidate: NodeName; readonly timeline: Timeline; readonly flushed: Held["flushedLsn"] }>,
  call: Call,
): Promise<GapAnswer> {
  const { epoch, candidate, timeline, flushed } = order;
  const deadline = clock.monotonic() + call.timeoutMs;
  const rest = (): Call => {
    const timeoutMs = Math.floor(deadline - clock.monotonic());
    if (timeoutMs > 0) return { ...call, timeoutMs };
    throw new LifeboatError("witness.gap-unfinished", {
      message: `the gap of ${candidate} was not filled within ${call.timeoutMs} ms`,
      remedy: "Fill it again: what was written is kept, and it goes on behind what the node has replayed of it.",
      retryable: true,
    });
  };
  const opened = openNode(candidate, rest());
  // A node that cannot be reached is told once the witness has spoken.
  opened.catch(() => undefined);
  try {
    const { mandate } = await client.status(rest());
    if (mandate.epoch > epoch) return { kind: "stale-epoch", seen: mandate.epoch as Epoch };
    if (mandate.kind !== "withdrawn" || mandate.epoch !== epoch) return { kind: "not-withdrawn" };
    // Asked again, it says the same: what it holds does not change any more.
    const { held } = await client.withdraw(epoch, rest());
    const node = await opened;
    const tools = { witness: client, epoch, node, limits: rest };
    const answer = await fillGap(tools, { held, node: { timeline, flushed } });
    return answer.kind === "filled" ? { kind: "serving", recordEnd: answer.recordEnd } : answer;
  } finally {
    // A goodbye that nobody waits for.
    void opened.then((node) => node.close()).catch(() => undefined);
  }
}

/** A refusal for the sake of a later epoch is an answer. */
async function orStale<T>(work: () => Promise<T>): Promise<T | StaleEpoch> {
  try {
    return await work();
  } catch (error) {
    if (!isLifeboatError(error, "wal.epoch-stale")) throw error;
    return { kind: "stale-epoch", seen: error.details["epoch"] as Epoch };
  }
}

function viewOf(status: WitnessStatus, nodes: WitnessPortTools["nodes"]): WitnessView {
  const { mandate, receiver, rangeFrom, heardAgoMs, mayConfirm, ticket } = status;
  const flushed = parseLsn(receiver.flushedLsn);
  const timeline = (receiver.timeline ?? 0) as Timeline;
  return {
    epoch: mandate.epoch as Epoch,
    systemId: (receiver.systemId ?? "0") as SystemId,
    mode: modeOf(status, nodes),
    // Where the last record ends is looked for when it stands still, not while it receives.
    held: { timeline, from: rangeFrom ?? flushed, flushed, recordEnd: flushed },
    receivedAgoMs: heardAgoMs,
    mayConfirm,
    ticket,
  };
}

function modeOf({ mandate, receiver }: WitnessStatus, nodes: WitnessPortTools["nodes"]): WitnessView["mode"] {
  if (mandate.kind === "withdrawn") return { kind: "withdrawn", by: mandate.epoch as Epoch };
  const { upstream, reign } = mandate;
  const name = [...nodes].find(([, { host, port }]) => host === upstream?.host && port === upstream.port)?.[0];
  return {
    kind: "following",
    upstream: name ?? "",
    reign: reign as Epoch,
    streaming: receiver.mode === "streaming",
  };
}

function heldOf(held: Held | undefined): HeldWal {
  if (held === undefined) return { timeline: 0 as Timeline, from: LSN_NONE, flushed: LSN_NONE, recordEnd: LSN_NONE };
  const { timeline, rangeFrom, flushedLsn, recordEndLsn } = held;
  if (recordEndLsn === undefined && flushedLsn !== LSN_NONE) throw endUnknown();
  return { timeline, from: rangeFrom ?? flushedLsn, flushed: flushedLsn, recordEnd: recordEndLsn ?? LSN_NONE };
}

function endUnknown(): LifeboatError {
  return new LifeboatError("witness.end-unknown", {
    message: "the witness is withdrawn and cannot tell where its last whole record ends",
    remedy:
      "See whether the vault's store answers: the beginning of that record lies there. Then it can be asked again.",
    retryable: true,
  });
}

function addressOf(nodes: WitnessPortTools["nodes"], name: NodeName): Upstream {
  const address = nodes.get(name);
  if (address !== undefined) return address;
  throw new LifeboatError("witness.node-unknown", {
    message: `the witness was to follow ${name}, whose address is not known`,
    remedy: `Nodes are: ${[...nodes.keys()].join(", ")}.`,
  });
}
