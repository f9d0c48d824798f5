/** What a supervisor does while commands run beside its components that no kill ends. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { eventually, temporaryFolder } from "../../../test/support/receivers.ts";
import { type Clock, systemClock } from "../clock.ts";
import { COUNTS_AND_STAYS, scriptSpec, startsIn } from "../conformance/conformance.ts";
import { systemFiles } from "../files.ts";
import { systemLocks } from "../lock.ts";
import { type Processes, systemProcesses } from "../processes.ts";
import { logFolderOf, Supervisor } from "./supervisor.ts";

/** What would take seconds takes as long as a look. */
const HASTY: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(Math.min(ms, 200), options) };

type Given = { readonly supervisor: Supervisor; readonly folder: string; readonly notices: readonly string[] };

/** A supervisor whose commands end as `run` says. */
async function withCommands(
  { run, clock }: { readonly run: Processes["run"]; readonly clock: Clock },
  work: (given: Given) => Promise<void>,
): Promise<void> {
  await using at = await temporaryFolder("executions");
  const folder = path.join(at.folder, "supervisor");
  await systemFiles.makeFolder(logFolderOf(folder), 0o700);
  const notices: string[] = [];
  const notice = (message: string): void => void notices.push(message);
  const processes = { ...systemProcesses, run };
  const tools = { files: systemFiles, processes, clock, locks: systemLocks, notice };
  const supervisor = await Supervisor.open(tools, folder);
  assert(supervisor !== undefined);
  try {
    await work({ supervisor, folder: at.folder, notices });
  } finally {
    await supervisor.end();
  }
}

async function pidOf(folder: string, component: string): Promise<number> {
  const record: unknown = JSON.parse(await readFile(path.join(folder, "supervisor/components.json"), "utf8"));
  const pid = (record as { components: Record<string, { process: { pid: number } }> }).components[component]?.process
    .pid;
  assert(pid !== undefined);
  return pid;
}

function begin(supervisor: Supervisor, name: string): Promise<unknown> {
  const request = { name, program: "dd", arguments: [], timeoutMs: 60_000 };
  return supervisor.exec(request, new AbortController().signal).catch((error: unknown) => error);
}

test("a fence, a kill and a stop reach a component beside which a command does not end, and name the command", async () => {
  const endless = Promise.withResolvers<never>();
  await withCommands({ run: () => endless.promise, clock: HASTY }, async ({ supervisor, folder, notices }) => {
    for (const how of ["fence", "kill", "stop"] as const) {
      await supervisor.start(scriptSpec(folder, how, "exec sleep 1000"));
      const pid = await pidOf(folder, how);
      void begin(supervisor, how);
      await supervisor[how](how);
      assert.equal(await systemProcesses.isAlive(pid), false);
      assert.equal(notices.at(-1), `${how}: dd, run beside it, was killed and is still there`);
    }
  });
});

test("a fence kills the component before it waits for a command", async () => {
  let pid = 0;
  const outlivesIt: Processes["run"] = async ({ signal }) => {
    await eventually("it is killed", async () => signal?.aborted === true);
    await eventually("the component is gone", async () => pid > 0 && !(await systemProcesses.isAlive(pid)));
    throw new Error("killed");
  };
  await withCommands({ run: outlivesIt, clock: systemClock }, async ({ supervisor, folder, notices }) => {
    await supervisor.start(scriptSpec(folder, "db", "exec sleep 1000"));
    pid = await pidOf(folder, "db");
    const command = begin(supervisor, "db");
    assert.equal((await supervisor.fence("db")).ran, true);
    assert.match(String(await command), /db ended, and dd was killed with it/);
    assert.deepEqual(notices, []);
  });
});

test("a component that ended is started again beside a command that does not end", async () => {
  const endless = Promise.withResolvers<never>();
  await withCommands({ run: () => endless.promise, clock: HASTY }, async ({ supervisor, folder }) => {
    await supervisor.start(scriptSpec(folder, "kept", COUNTS_AND_STAYS, { restart: "on-failure" }));
    await eventually("it runs", async () => (await startsIn(folder)) === 1);
    void begin(supervisor, "kept");
    process.kill(await pidOf(folder, "kept"), "SIGKILL");
    await eventually("it runs again", async () => (await startsIn(folder)) === 2);
  });
});
