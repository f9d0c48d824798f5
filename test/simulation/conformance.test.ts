/** The simulated PostgreSQL and PgBouncer pass what the real ones pass. */
import { setImmediate as turn } from "node:timers/promises";
import { type NodesUnderTest, nodeConformance } from "../../src/failover/conformance/node.ts";
import { type PoolerUnderTest, poolerConformance } from "../../src/failover/conformance/pooler.ts";
import { Chance } from "./chance.ts";
import { nodePort } from "./node-ports.ts";
import { clockOf, poolerPort } from "./ports.ts";
import { PLAIN, Stack } from "./stack.ts";
import { Process } from "./world.ts";

/** Of simulated time, in one step, where nothing is to be done. */
const STEP_MS = 50;
/** Each test with so many simulations: chance is part of what must pass. */
const SEEDS = 20;

nodeConformance(async (work) => {
  for (let seed = 1; seed <= SEEDS; seed += 1) await simulated(seed, async (place) => await work(nodesOf(place)));
});

poolerConformance(async (work) => {
  for (let seed = 1; seed <= SEEDS; seed += 1) await simulated(seed, async (place) => await work(poolerOf(place)));
});

/** A stack on a good day, and who looks at it. */
type Place = { readonly stack: Stack; readonly process: Process };

function nodesOf({ stack, process }: Place): NodesUnderTest {
  const { world } = stack;
  const [primary, replica] = stack.servers.map((server) => nodePort(stack, process, server));
  const [server] = stack.servers;
  if (primary === undefined || replica === undefined || server === undefined)
    throw new Error("a stack has two servers");
  return {
    primary,
    replica,
    elsewhere: nodePort(stack, new Process("elsewhere", world.machine("elsewhere")), server),
    clock: clockOf(stack, { process, wallOffsetMs: 0 }),
    write: (node, id) =>
      new Promise((resolve) => {
        stack.server(node).write(id, (answer) => {
          world.woken = true;
          resolve(answer === "acknowledged");
        });
      }),
    has: async (node, id) => {
      const { records, replayed, mode } = stack.server(node);
      return records.some(({ write, end }) => write === id && (mode === "primary" || end <= replayed));
    },
    crash: async (node) => stack.server(node).crash(false),
    start: async (node) => stack.server(node).start(),
    halt: async (node) => world.halt(stack.server(node).process, Number.MAX_SAFE_INTEGER),
    goOn: async (node) => world.thaw(stack.server(node).process),
  };
}

function poolerOf({ stack, process }: Place): PoolerUnderTest {
  const { world } = stack;
  const [pooler] = stack.poolers;
  const [first, second] = stack.servers;
  if (pooler === undefined || first === undefined || second === undefined) throw new Error("a stack has all of them");
  const ask = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const told = (answer: string, by: string): void => {
        world.woken = true;
        if (answer === "acknowledged") resolve(by);
        else reject(new Error("the pooler refuses it"));
      };
      world.send(stack.client, pooler.process, () => pooler.submit((_, done) => done("acknowledged"), told));
    });
  return {
    pooler: poolerPort(stack, process, pooler),
    nodes: [first.name, second.name],
    clock: clockOf(stack, { process, wallOffsetMs: 0 }),
    ask,
    // In transaction mode nothing tells them apart.
    askAgain: ask,
    begin: () =>
      new Promise((resolve) => {
        let answered: (by: string) => void = () => undefined;
        const answer = new Promise<string>((settle) => {
          answered = settle;
        });
        pooler.submit(
          (_, done) => {
            world.woken = true;
            resolve({ end: () => done("acknowledged"), answer });
          },
          (_, by) => {
            world.woken = true;
            answered(by);
          },
        );
      }),
    // A halted server takes the connection and does not answer: what runs on it meanwhile is nothing.
    holdLogins: (held) => {
      for (const server of stack.servers) {
        if (held) world.halt(server.process, Number.MAX_SAFE_INTEGER);
        else world.thaw(server.process);
      }
    },
    loginHeld: async () => {
      while (!pooler.logsIn) await turn();
    },
    another: async () => poolerPort(stack, new Process("another", world.machine("another")), pooler),
  };
}

async function simulated(seed: number, work: (place: Place) => Promise<void>): Promise<void> {
  const stack = new Stack(new Chance(seed), { ...PLAIN, durability: "async" }, undefined);
  const { world } = stack;
  stack.bringUp();
  const process = new Process("controller", world.machine("controller"));
  let ended = false;
  const run = work({ stack, process }).finally(() => {
    ended = true;
  });
  // A failure is told by the promise; until then it must not count as unhandled.
  run.catch(() => undefined);
  while (!ended) {
    await turn();
    if (!ended) world.step(world.now + STEP_MS);
  }
  await run.catch((error: unknown) => {
    throw new Error(`seed ${seed}`, { cause: error });
  });
}
