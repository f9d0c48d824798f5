import assert from "node:assert/strict";
import { readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { POOLED_DATABASE, startPooler } from "../../test/support/poolers.ts";
import { eventually } from "../../test/support/receivers.ts";
import { addressOf } from "../../test/support/repoint-loops.ts";
import { SUPERUSER, startServer } from "../../test/support/servers.ts";
import { STACK_CHOICE, testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { lookAtComponents } from "./look.ts";
import { makeFolders } from "./making.ts";
import { type LookTools, observeStack } from "./observe.ts";
import { makeSecrets, secretFile } from "./secrets.ts";

test("a pooler that runs is asked whether it lets the application in, where there is a primary to lead to", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    await server.query("CREATE ROLE postgres SUPERUSER LOGIN");
    // Whom it lets in is its own business here: that it serves is what is looked at.
    await using pooler = await startPooler({ server: addressOf(server), settings: ["auth_type = trust"] });
    const { port, socketFolder } = server.server.setup;
    const stack = testStack({
      stacksFolder: folder,
      database: POOLED_DATABASE,
      applicationRole: SUPERUSER.name,
      service: false,
      ports: { ...STACK_CHOICE.ports, pgbouncer: pooler.port, db: port },
    });
    let running = ["db", "pgbouncer"];
    const platform = { state: async () => running.map((name) => ({ name, mode: "running" })) };
    const tools = { files: systemFiles, clock: systemClock, random: systemRandom, platform } as unknown as LookTools;
    await makeFolders({ files: systemFiles, stack, user: undefined });
    await makeSecrets(tools, stack.place, { owner: undefined });
    const own = `.s.PGSQL.${port}`;
    await symlink(path.join(socketFolder, own), path.join(stack.place.sockets, own));
    const poolers = path.join(stack.place.sockets, `.s.PGSQL.${pooler.port}`);
    await symlink(path.join(pooler.folder, path.basename(poolers)), poolers);
    const serve = async () => (await observeStack(tools, stack, {})).poolersServe;
    assert.equal(await serve(), true);
    await rm(poolers);
    assert.equal(await serve(), false);
    running = ["db"];
    assert.equal(await serve(), undefined);
    running = ["pgbouncer"];
    assert.equal(await serve(), undefined);
    // Another password of the superuser than the secret's: that is told of a primary that works, and not that it does not.
    const access = path.join(server.server.setup.dataFolder, "pg_hba.conf");
    await writeFile(access, `local all postgres scram-sha-256\n${await readFile(access, "utf8")}`);
    await server.query("SELECT pg_reload_conf()");
    running = ["db", "receiver"];
    await eventually("the server asks for a password", async () => {
      const told = await observeStack(tools, stack, {}).catch((error: unknown) => error);
      if (!isLifeboatError(told, "stack.login-refused")) return false;
      return (
        told.message.includes("db, the primary of stack") && told.remedy.includes(secretFile(stack.place, "superuser"))
      );
    });
    const seen = await lookAtComponents({ ...tools, stack }, {});
    for (const name of running) {
      const { works, wasAsked, refused } = seen.find((each) => each.name === name) ?? assert.fail(name);
      assert.deepEqual([works, wasAsked, refused?.code], [false, false, "stack.login-refused"], name);
    }
  });
});
