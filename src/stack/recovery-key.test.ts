import assert from "node:assert/strict";
import { mkdir, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { openVault } from "../vault/vault.ts";
import { makeFolders, makeOwedRecoveryKey, makeVault } from "./making.ts";
import { recoveryKeyShown } from "./recovery-key-mark.ts";
import { makeSecrets } from "./secrets.ts";
import type { StepTools } from "./steps.ts";

const MACHINE = { files: systemFiles, clock: systemClock, random: systemRandom };

function toolsFor(stacksFolder: string, onRecoveryKey: (recoveryKey: string) => void): StepTools {
  return {
    ...MACHINE,
    processes: systemProcesses,
    locks: systemLocks,
    user: undefined,
    stack: testStack({ stacksFolder }),
    onRecoveryKey,
    platform: {
      start: async () => undefined,
      stop: async () => ({ killed: false }),
      restart: async () => undefined,
      state: async () => [],
      lastLines: async () => [],
    },
    programs: {
      postgres: { major: 16, version: "16.0", binFolder: "/nowhere", source: "named" },
      redis: "",
      pgbouncer: "",
      haproxy: "",
      lifeboat: { command: "", args: [] },
      service: { command: "", args: [], api: "", mcp: "", scraper: "", schema: "" },
      lifeboatAsUser: true,
    },
  };
}

async function opens({ stack }: StepTools, recoveryKey: string): Promise<void> {
  const store = await openDiskStore({ ...MACHINE, folder: stack.place.vault, access: "read" });
  await openVault({ ...MACHINE, store }, { kind: "recovery-key", recoveryKey }, {});
}

test("a recovery key that nobody is known to have seen is followed by another one until one was shown, and none lies in a file", async () => {
  await withFolder(async (folder) => {
    const keys: string[] = [];
    const tools = toolsFor(folder, (key) => keys.push(key));
    await makeFolders(tools);
    await makeSecrets(tools, tools.stack.place, { owner: undefined });
    await makeVault(tools, {});
    await makeOwedRecoveryKey(tools, {});
    await makeOwedRecoveryKey(tools, {});
    assert.equal(new Set(keys).size, 3);
    for (const key of keys) await opens(tools, key);
    await recoveryKeyShown(tools, tools.stack.place);
    await makeOwedRecoveryKey(tools, {});
    assert.equal(keys.length, 3);
    const holds = async (name: string): Promise<boolean> => {
      const text = await readFile(name, "latin1");
      return keys.some((key) => text.includes(key));
    };
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
    assert.ok(files.length > 10);
    for (const { parentPath, name } of files) assert.equal(await holds(path.join(parentPath, name)), false, name);
  });
});

test("the mark that a recovery key is to be shown is there before there is a vault", async () => {
  await withFolder(async (folder) => {
    const keys: string[] = [];
    const tools = toolsFor(folder, (key) => keys.push(key));
    await makeFolders(tools);
    await makeSecrets(tools, tools.stack.place, { owner: undefined });
    // Whatever comes of making the vault: here it cannot be made.
    await mkdir(path.join(tools.stack.place.vault, "vault.json"));
    await assert.rejects(makeVault(tools, {}));
    assert.deepEqual(keys, []);
    assert.ok((await systemFiles.stat(tools.stack.place.recoveryKeyMark)) !== undefined);
  });
});
