/**
 * One look at everybody, all at once: a round of answers. Changes nothing, and judges nothing.
 *
 * Invariant: nothing is decided by what a pooler says, and one that is busy with clients that lost their server holds up no
 * decision: while the primary does not work, what it said last is taken.
 */
import { errorText } from "../errors/error-text.ts";
import type { Monotonic } from "../platform/clock.ts";
import { type NodeRound, troubleOf, type WitnessRound } from "./observation.ts";
import type { Call, FailoverPorts, NodeName, PoolerPort, PoolerView } from "./ports.ts";

/** A pooler, what it said, and when it was asked; undefined when it did not answer, or could not be asked. */
export type SeenPooler = {
  readonly pooler: PoolerPort;
  readonly view: PoolerView | undefined;
  readonly sentAt: Monotonic;
  /** Why it has no view, for people. */
  readonly problem?: string | undefined;
};

/** A round. */
export type Round = {
  readonly nodes: ReadonlyMap<NodeName, NodeRound>;
  readonly witness: WitnessRound;
  readonly poolers: readonly SeenPooler[];
};

type LookPorts = Pick<FailoverPorts, "clock" | "nodes" | "witness" | "poolers">;

/** Looks again and again, and remembers of the poolers what they said last. */
export class Lookout {
  readonly #ports: LookPorts;
  readonly #last = new Map<PoolerPort, SeenPooler>();
  readonly #asked = new Map<PoolerPort, { readonly call: Call; readonly answer: Promise<SeenPooler> }>();

  constructor(ports: LookPorts) {
    this.#ports = ports;
  }

  /** Asks everybody. What does not answer in time is part of the round. Rejects with `platform.aborted` only. */
  async round(primary: NodeName, call: Call): Promise<Round> {
    const { nodes, poolers } = this.#ports;
    const asked = poolers.map((pooler) => ({ pooler, answer: this.#ask(pooler, call) }));
    const [rounds, witness] = await Promise.all([
      Promise.all(nodes.map(async (node) => [node.name, await lookAtNode(this.#ports, node, call)] as const)),
      lookAtWitness(this.#ports, call),
    ]);
    const seen = new Map(rounds);
    const probe = seen.get(primary)?.probe;
    const hurried = probe !== undefined && troubleOf(probe) !== undefined;
    const views = asked.map(
      async ({ pooler, answer }) => (hurried ? this.#last.get(pooler) : undefined) ?? (await answer),
    );
    return { nodes: seen, witness, poolers: await Promise.all(views) };
  }

  /** Once at a time: who was asked by a round that did not wait answers a later one, but for one that was to end. */
  #ask(pooler: PoolerPort, call: Call): Promise<SeenPooler> {
    const under = this.#asked.get(pooler);
    if (under !== undefined && under.call.signal?.aborted !== true) return under.answer;
    const sentAt = this.#ports.clock.monotonic();
    const answer = pooler
      .view(call)
      .then(
        (view): SeenPooler => ({ pooler, view, sentAt }),
        (error: unknown): SeenPooler => {
          orAborted(call)(error);
          return { pooler, view: undefined, sentAt, problem: errorText(error) };
        },
      )
      .then((seen) => {
        this.#last.set(pooler, seen);
        return seen;
      })
      .finally(() => {
        if (this.#asked.get(pooler)?.answer === answer) this.#asked.delete(pooler);
      });
    // A round that does not wait for it does not hear of its abort either.
    answer.catch(() => undefined);
    this.#asked.set(pooler, { call, answer });
    return answer;
  }
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
