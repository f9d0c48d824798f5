import assert from "node:assert/strict";
import { test } from "node:test";
import { leftBehind } from "./left-behind.ts";
import type { ProcessFacts } from "./processes.ts";
import type { Seen } from "./seen-processes.ts";

type Told = Partial<ProcessFacts> & { readonly shows?: readonly string[] };

type Where = {
  readonly elsewhere?: readonly number[];
  /** Which nobody may look into. */
  readonly unseen?: readonly number[];
  /** Is told who was looked at. */
  readonly looked?: number[];
};

/** Of a machine on which these processes run; all but those of `elsewhere` work in /data. */
async function leftOf(told: readonly Told[], { elsewhere = [], unseen = [], looked = [] }: Where = {}) {
  const common = { parentPid: 1, name: "postgres", zombie: false, halted: false, startTicks: "77" };
  const all = told.map((each) => ({ ...common, pid: 0, sessionId: each.pid ?? 0, ...each }));
  const seenOf = (pid: number, folder: string): Seen => {
    if (unseen.includes(pid)) return "unknown";
    return folder === "/data" && !elsewhere.includes(pid) ? "yes" : "no";
  };
  const machine = {
    all: async () => all.map(({ pid }) => pid),
    named: (name: string) => all.filter((each) => each.name === name).map(({ pid }) => pid),
    facts: async (pid: number) => all.find((each) => each.pid === pid),
    commandLine: async (pid: number) => all.find((each) => each.pid === pid)?.shows ?? [],
    workingIn: async (pids: readonly number[], folder: string) => {
      looked.push(...pids);
      return new Map(pids.map((pid) => [pid, seenOf(pid, folder)]));
    },
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
  // By `ssh host postgres --single …`: it leads a session, too.
  assert.deepEqual(await leftOf([{ pid: 31, parentPid: 29, shows: ["postgres", "--single", "-D", "/data"] }]), []);
});

test("nothing is looked into whose server lives, and process 1 is looked into before its children are spared", async () => {
  const looked: number[] = [];
  const server = [{ pid: 20 }, { pid: 21, parentPid: 20 }, { pid: 22, parentPid: 20 }];
  assert.deepEqual(await leftOf(server, { looked }), []);
  assert.deepEqual(looked, []);
  assert.deepEqual(await leftOf([...server, { pid: 11 }], { looked }), [11]);
  assert.deepEqual(looked, [11]);
  const first = [{ pid: 1, parentPid: 0 }, { pid: 2 }, { pid: 3 }];
  assert.deepEqual(await leftOf(first), []);
  // What a server elsewhere lost falls to one that is process 1.
  assert.deepEqual(await leftOf(first, { elsewhere: [1, 2] }), [3]);
});

test("a backend that has lost its server and cannot be looked into was left behind; what may be a living server's is not called gone", async () => {
  const shown = [
    { pid: 11, shows: ["postgres: app app [local] COMMIT"] },
    // Which has no title yet.
    { pid: 12, shows: ["/bin/postgres", "-D", "/data"] },
    { pid: 13, shows: ["/bin/postgres", "-D", "/other"] },
    { pid: 14, shows: ["/bin/postgres", "--single", "-D", "/data"] },
    { pid: 15, shows: [] },
  ];
  assert.deepEqual(await leftOf(shown, { unseen: [11, 12, 13, 14, 15] }), [11, 12]);
  const first = [{ pid: 1, parentPid: 0, shows: ["postgres", "-D", "/other"] }, shown[0] ?? {}];
  await assert.rejects(leftOf(first, { unseen: [1, 11] }), { code: "platform.file-denied" });
});
