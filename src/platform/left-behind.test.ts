import assert from "node:assert/strict";
import { test } from "node:test";
import { leftBehind } from "./left-behind.ts";
import type { ProcessFacts } from "./processes.ts";

/** Of a machine on which these processes run; all but those of `elsewhere` work in /data. */
async function leftOf(
  told: readonly Partial<ProcessFacts>[],
  { elsewhere = [] }: { readonly elsewhere?: readonly number[] } = {},
) {
  const common = { parentPid: 1, name: "postgres", zombie: false, halted: false, startTicks: "77" };
  const all = told.map((each) => ({ ...common, pid: 0, sessionId: each.pid ?? 0, ...each }));
  const machine = {
    all: async () => all.map(({ pid }) => pid),
    named: (name: string) => all.filter((each) => each.name === name).map(({ pid }) => pid),
    facts: async (pid: number) => all.find((each) => each.pid === pid),
    workingIn: async (pids: readonly number[], folder: string) =>
      new Map(pids.map((pid) => [pid, folder === "/data" && !elsewhere.includes(pid) ? "yes" : "no"] as const)),
  };
  return await leftBehind(machine, { pid: 10, program: "postgres", folder: "/data" });
}

test("what has lost its server is a backend in a session of its own, one that has not got there, and what they started", async () => {
  const backends = [{ pid: 11 }, { pid: 12, sessionId: 10 }];
  const started = [
    { pid: 13, name: "sh", parentPid: 11, sessionId: 11 },
    { pid: 14, name: "cp", parentPid: 13, sessionId: 11 },
    // Which is not executed yet.
    { pid: 15, parentPid: 12, sessionId: 12 },
  ];
  assert.deepEqual(await leftOf([...backends, ...started]), [11, 12, 13, 15, 14]);
  assert.deepEqual(await leftOf([...backends, { pid: 16 }], { elsewhere: [16] }), [11, 12]);
});

test("what works elsewhere, has another name or is dead was not left behind, and another server with its children neither", async () => {
  assert.deepEqual(
    await leftOf([{ pid: 11 }, { pid: 12, name: "psql" }, { pid: 13, zombie: true }], { elsewhere: [11] }),
    [],
  );
  assert.deepEqual(await leftOf([{ pid: 20 }, { pid: 21, parentPid: 20 }, { pid: 11 }]), [11]);
  // At somebody's terminal.
  assert.deepEqual(await leftOf([{ pid: 30, parentPid: 29, sessionId: 28 }]), []);
});
