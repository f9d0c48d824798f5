/** One look at everybody, all at once: a round of answers. Changes nothing, and judges nothing. */
import type { Monotonic } from "../platform/clock.ts";
import type { NodeRound, WitnessRound } from "./observation.ts";
import type { Call, FailoverPorts, NodeName, PoolerPort, PoolerView } from "./ports.ts";

/** A pooler and what it said; undefined when it did not answer. */
export type SeenPooler = { readonly pooler: PoolerPort; readonly view: PoolerView | undefined };

/** A round. */
export type Round = {
  readonly nodes: ReadonlyMap<NodeName, NodeRound>;
  readonly witness: WitnessRound;
  readonly poolers: readonly SeenPooler[];
};

/** Asks everybody. What does not answer in time is part of the round. Rejects with `platform.aborted` only. */
export async function lookAround(
  ports: Pick<FailoverPorts, "clock" | "nodes" | "witness" | "poolers">,
  call: Call,
): Promise<Round> {
  const [nodes, witness, poolers] = await Promise.all([
    Promise.all(ports.nodes.map(async (node) => [node.name, await lookAtNode(ports, node, call)] as const)),
    lookAtWitness(ports, call),
    Promise.all(
      ports.poolers.map(async (pooler) => ({ pooler, view: await pooler.view(call).catch(orAborted(call)) })),
    ),
  ]);
  return { nodes: new Map(nodes), witness, poolers };
}

/** Asks one node. */
export async function lookAtNode(
  { clock }: Pick<FailoverPorts, "clock">,
  node: FailoverPorts["nodes"][number],
  call: Call,
): Promise<NodeRound> {
  const sentAt: Monotonic = clock.monotonic();
  const probe = await node.probe(call);
  return { sentAt, at: clock.monotonic(), probe };
}

async function lookAtWitness(
  { clock, witness }: Pick<FailoverPorts, "clock" | "witness">,
  call: Call,
): Promise<WitnessRound> {
  const sentAt = clock.monotonic();
  const view = await witness.status(call).catch(orAborted(call));
  return { sentAt, at: clock.monotonic(), view };
}

/** No answer is an answer here; a stop on request is none. */
function orAborted(call: Call): (error: unknown) => undefined {
  return (error) => {
    if (call.signal?.aborted === true) throw error;
    return undefined;
  };
}
