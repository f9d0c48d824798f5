import assert from "node:assert/strict";
import { symlink, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { startPooler } from "../../test/support/poolers.ts";
import { STACK_CHOICE, testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { makeFolders, writeConfiguration } from "./making.ts";
import { makeSecrets, secretFile } from "./secrets.ts";
import type { StepTools } from "./steps.ts";

test("a pooler that knows the console's password of before is restarted, unless somebody has it paused", async () => {
  await withFolder(async (folder) => {
    await using pooler = await startPooler({ server: { host: "127.0.0.1", port: 1 } });
    const ports = { ...STACK_CHOICE.ports, pgbouncer: pooler.port };
    const stack = testStack({ stacksFolder: folder, service: false, ports });
    const restarted: string[] = [];
    const platform = {
      state: async () => [{ name: "pgbouncer", mode: "running" }],
      restart: async (name: string) => void restarted.push(name),
    };
    const tools = {
      files: systemFiles,
      random: systemRandom,
      clock: systemClock,
      user: undefined,
      platform,
      stack,
      onRecoveryKey: () => undefined,
    } as unknown as StepTools;
    await makeFolders(tools);
    const socket = `.s.PGSQL.${pooler.port}`;
    await symlink(path.join(pooler.folder, socket), path.join(stack.place.sockets, socket));
    await makeSecrets(tools, stack.place, { owner: undefined });
    await writeFile(secretFile(stack.place, "pooler-admin"), "console\n");
    await writeConfiguration(tools, {});
    assert.deepEqual(restarted, [], "the one that it knows is enough to have it read");
    await writeFile(secretFile(stack.place, "pooler-admin"), "another\n");
    const hold = path.join(stack.place.configOf("pgbouncer"), "databases.ini.127.0.0.1-5435.hold");
    await writeFile(hold, "");
    await assert.rejects(writeConfiguration(tools, {}), (error) => isLifeboatError(error, "stack.busy"));
    assert.deepEqual(restarted, []);
    // Nobody renews it, and no watchdog has ended it: it hinders nobody.
    const before = systemClock.now() / 1_000 - 61;
    await utimes(hold, before, before);
    await writeConfiguration(tools, {});
    assert.deepEqual(restarted, ["pgbouncer"]);
  });
});
