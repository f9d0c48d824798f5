import assert from "node:assert/strict";
import { test } from "node:test";
import { type FailoverRequest, remaining } from "./failover-plan.ts";

const request: FailoverRequest = {
  faults: ["frozen", "killed"],
  runs: 2,
  ratePerSecond: 200,
  durability: "quorum",
  mib: 0,
};

test("what moves no role runs first", () => {
  const mixed = remaining({ ...request, faults: ["killed", "disk", "replica"] }, []);
  const names = mixed.map(({ fault, number }) => `${fault.name} ${number}`);
  assert.deepEqual(names, ["disk 1", "replica 1", "disk 2", "replica 2", "killed 1", "killed 2"]);
});

test("faults run in turns, and after an interruption only what is missing", () => {
  const names = (done: Parameters<typeof remaining>[1]) =>
    remaining(request, done).map(({ fault, number }) => `${fault.name} ${number}`);
  assert.deepEqual(names([]), ["killed 1", "frozen 1", "killed 2", "frozen 2"]);
  assert.deepEqual(names([{ fault: "killed", number: 1 }]), ["frozen 1", "killed 2", "frozen 2"]);
  const more = { fault: "redis", number: 1 } as const;
  assert.equal(names([more]).length, 4);
});
