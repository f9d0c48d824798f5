import assert from "node:assert/strict";
import { test } from "node:test";
import { leftBehind } from "./left-behind.ts";
import type { ProcessFacts, RunRequest, RunResult } from "./processes.ts";

const user = { name: "postgres", uid: 70, gid: 70 };

/** Of a machine on which these processes run; all but those of `elsewhere` work in /data, which without a right only their user sees. */
async function leftOf(
  told: readonly Partial<ProcessFacts>[],
  { elsewhere = [], mayLook = true }: { readonly elsewhere?: readonly number[]; readonly mayLook?: boolean } = {},
) {
  const common = { parentPid: 1, name: "postgres", zombie: false, halted: false, startTicks: "77" };
  const all = told.map((each) => ({ ...common, pid: 0, sessionId: each.pid ?? 0, ...each }));
  const machine = {
    all: async () => all.map(({ pid }) => pid),
    named: (name: string) => all.filter((each) => each.name === name).map(({ pid }) => pid),
    facts: async (pid: number) => all.find((each) => each.pid === pid),
    worksIn: async (pid: number, folder: string) =>
      mayLook && (folder === `/proc/${pid}/cwd` || (folder === "/data" && !elsewhere.includes(pid))),
    run: async ({ args, user: as }: RunRequest): Promise<RunResult> => {
      assert.deepEqual([as, args[2], mayLook], [user, "/data", false]);
      const here = args.slice(3).filter((pid) => !elsewhere.includes(Number(pid)));
      return { exit: { kind: "exited", status: 1 }, stdout: `${here.join("\n")}\n`, stderr: "", truncated: false };
    },
  };
  return await leftBehind(machine, { pid: 10, program: "postgres", folder: "/data", user });
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
  assert.deepEqual(await leftOf([...backends, { pid: 16 }], { elsewhere: [16], mayLook: false }), [11, 12]);
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
