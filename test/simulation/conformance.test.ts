/** The simulated PostgreSQL passes what the real one passes. */
import { setImmediate as turn } from "node:timers/promises";
import { type NodesUnderTest, nodeConformance } from "../../src/failover/conformance/node.ts";
import { Chance } from "./chance.ts";
import { nodePort } from "./node-ports.ts";
import { clockOf } from "./ports.ts";
import { Stack } from "./stack.ts";
import { Process } from "./world.ts";

/** Of simulated time, in one step, where nothing is to be done. */
const STEP_MS = 50;
/** Each test with so many simulations: chance is part of what must pass. */
const SEEDS = 20;

nodeConformance(async (work) => {
  for (let seed = 1; seed <= SEEDS; seed += 1) await simulated(seed, work);
});

async function simulated(seed: number, work: (under: NodesUnderTest) => Promise<void>): Promise<void> {
  const settings = {
    without: new Set<never>(),
    durability: "async",
    leased: false,
    poolers: 1,
    acceptsLoss: false,
  } as const;
  const stack = new Stack(new Chance(seed), settings, undefined);
  const { world } = stack;
  stack.bringUp();
  const process = new Process("controller", world.machine("controller"));
  const [primary, replica] = stack.servers.map((server) => nodePort(stack, process, server));
  if (primary === undefined || replica === undefined) throw new Error("a stack has two servers");
  const under: NodesUnderTest = {
    primary,
    replica,
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
  let ended = false;
  const run = work(under).finally(() => {
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
