import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { makeFolders, writeConfiguration } from "./making.ts";
import { staleConfig } from "./observe.ts";
import { recordScale, runScale, scaled } from "./scale.ts";
import { makeSecrets, readSecrets, secretFile } from "./secrets.ts";
import type { StackDescription } from "./stack.ts";
import type { StepTools } from "./steps.ts";
import { unreadComponents } from "./unread.ts";

const TOOLS = { files: systemFiles, random: systemRandom, clock: systemClock };

/** A machine on which these run, and whose restarts are told, and end in what `fails` says. */
function machine(stack: StackDescription, names: readonly string[]) {
  const restarted: string[] = [];
  const fails = new Map<string, "platform.aborted" | "platform.component-fenced">();
  const platform = {
    start: async () => undefined,
    state: async () => names.map((name) => ({ name, mode: "running" })),
    restart: async (name: string) => {
      const code = fails.get(name);
      if (code !== undefined) throw new LifeboatError(code, { message: `${name} fails`, remedy: "Look at its log." });
      restarted.push(name);
    },
  };
  const tools = { ...TOOLS, user: undefined, platform, stack, onRecoveryKey: () => undefined } as unknown as StepTools;
  return { tools, restarted, fails };
}

async function withConfigured(work: (stack: StackDescription) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, service: false });
    const { tools } = machine(stack, []);
    await makeFolders(tools);
    await makeSecrets(TOOLS, stack.place, { owner: undefined });
    await writeConfiguration(tools, {});
    assert.deepEqual(await unreadComponents(systemFiles, stack), []);
    await work(stack);
  });
}

const RUNNING = ["pgbouncer", "pgbouncer_2", "pooler_watch", "daemon", "daemon_2"];
/** The poolers have no socket here: they are restarted like what listens elsewhere. */
const TOLD = [...RUNNING];

test("a scaling that was cut short before the daemons were told is ended by the same command, and once only", async () => {
  await withConfigured(async (before) => {
    const stack = scaled(before, "pgbouncer", 2);
    // What a first one left that was killed right after the second pooler was recorded, or started.
    await recordScale(TOOLS, stack, {});
    const { tools, restarted } = machine(stack, RUNNING);
    assert.equal(await runScale(tools, stack, "pgbouncer", {}), "done");
    assert.deepEqual(restarted, TOLD);
    assert.equal(await runScale(tools, stack, "pgbouncer", {}), "unchanged");
    assert.deepEqual(restarted, TOLD);
  });
});

test("files that were written by a start that was cut short before they were read are read by the next", async () => {
  await withConfigured(async (before) => {
    const stack = scaled(before, "pgbouncer", 2);
    const { tools, restarted, fails } = machine(stack, RUNNING);
    const stale = async () => await staleConfig(TOOLS, stack, await readSecrets(systemFiles, stack.place));
    for (const [name, told] of [
      ["pgbouncer", TOLD],
      ["daemon", ["daemon", "daemon_2"]],
      ["daemon_2", ["daemon", "daemon_2"]],
    ] as const) {
      fails.set(name, "platform.aborted");
      await assert.rejects(writeConfiguration(tools, {}), (error) => isLifeboatError(error, "platform.aborted"));
      assert.ok((await stale()).includes("daemon"), `${name}: there is something to do`);
      fails.clear();
      restarted.length = 0;
      await writeConfiguration(tools, {});
      assert.deepEqual(restarted, told, name);
      assert.deepEqual(await stale(), []);
      // And once more, with another file.
      await writeFile(secretFile(stack.place, "application"), `${name}\n`);
    }
  });
});

test("what could not be told stays to be told; what runs no more has nothing to read", async () => {
  await withConfigured(async (before) => {
    const stack = scaled(before, "pgbouncer", 2);
    const { tools, restarted, fails } = machine(stack, RUNNING);
    fails.set("pooler_watch", "platform.component-fenced");
    await assert.rejects(writeConfiguration(tools, {}), (error) => isLifeboatError(error, "platform.component-fenced"));
    assert.deepEqual(await unreadComponents(systemFiles, stack), ["pooler_watch"]);
    assert.ok(restarted.includes("daemon_2"), "the others are told all the same");
    await writeConfiguration(machine(stack, []).tools, {});
    assert.deepEqual(await unreadComponents(systemFiles, stack), []);
  });
});

test("a console's password that was made anew has those restarted that log in with it", async () => {
  await withConfigured(async (stack) => {
    await systemFiles.remove(secretFile(stack.place, "pooler-admin"));
    await makeSecrets(TOOLS, stack.place, { owner: undefined });
    const { tools, restarted } = machine(stack, RUNNING);
    await writeConfiguration(tools, {});
    assert.deepEqual(restarted, ["pgbouncer", "pooler_watch", "daemon", "daemon_2"]);
  });
});
