/** A failover that keeps failing for one reason: it is said, tried ever later, and goes on at once when the reason is gone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { JournalEntry } from "../../src/failover/ports.ts";
import { Chance } from "./chance.ts";
import { SimulatedController } from "./controllers.ts";
import { PLAIN, Stack } from "./stack.ts";
import { isSettled } from "./verdict.ts";

const NEVER_MS = 1e9;

test("a failover whose replica never replays is blocked, tried ever later, and done at once when it replays again", async () => {
  const stack = new Stack(new Chance(1), PLAIN, undefined);
  const { world } = stack;
  const tries: number[] = [];
  const decisions: string[] = [];
  const watch = ({ kind, name }: JournalEntry): void => {
    if (kind === "intent" && name === "failover") tries.push(world.now);
    if (kind === "decision") decisions.push(name);
  };
  const one = new SimulatedController(stack, "controller", (_, entry) => {
    watch(entry);
    return false;
  });
  const until = async (ms: number): Promise<void> => {
    while (world.now < ms) {
      world.step(ms);
      await turn();
    }
  };
  stack.bringUp();
  one.start();
  const write = (): void => {
    const number = stack.history.begin();
    const [pooler] = stack.poolers;
    if (pooler !== undefined) world.send(stack.client, pooler.process, () => pooler.write(number, () => undefined));
    world.at(world.now + 100, write);
  };
  write();
  await until(1_000);
  const [primary, replica] = stack.servers;
  assert(primary !== undefined && replica !== undefined);
  replica.replayDelayMs = NEVER_MS;
  await until(2_000);
  primary.losePower();
  primary.process.machine.up = false;
  await until(50_000);
  const decision = one.controller?.state.decision;
  assert.equal(decision?.kind, "blocked");
  assert.ok(decision.reasons.some(({ code, facts }) => code === "plan-fails" && facts["step"] === "await-replay"));
  assert.equal(decisions.filter((name) => name === "blocked").length, 1, "it is told once");
  const waits = tries.map((at, index) => at - (tries[index - 1] ?? at)).slice(1);
  assert.ok(tries.length < 12, `tried ${tries.length} times`);
  assert.ok(Math.max(...waits) > 10_000, `the longest wait was ${Math.max(...waits)} ms`);
  replica.replayDelayMs = 5;
  replica.replayLater();
  const before = tries.length;
  await until(52_500);
  assert.equal(tries.length, before + 1, "it is tried as soon as something has changed");
  assert.equal(isSettled(stack), true);
  assert.equal(stack.store.record.primary, replica.name);
  assert.deepEqual(stack.history.violations, []);
});
