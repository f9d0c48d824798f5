import assert from "node:assert/strict";
import { mkdir, symlink } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { startPair } from "../../test/support/pairs.ts";
import { eventually } from "../../test/support/receivers.ts";
import { PORTS } from "../../test/support/servers.ts";
import { STACK_CHOICE, testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { findPrimary, startedSecrets } from "./primary.ts";
import { HIDDEN_SECRETS } from "./secrets.ts";

test("the primary is the one node that takes writes, by asking both; two of them are told, and none", async () => {
  await withFolder(async (folder) => {
    await using pair = await startPair();
    await pair.primary.query("CREATE ROLE postgres SUPERUSER LOGIN");
    const ports = {
      ...STACK_CHOICE.ports,
      db: pair.primary.server.setup.port,
      dbReplica: pair.replica.server.setup.port,
    };
    const stack = testStack({ stacksFolder: folder, ports });
    await mkdir(stack.place.sockets, { recursive: true });
    for (const { server } of [pair.primary, pair.replica]) {
      const name = `.s.PGSQL.${server.setup.port}`;
      await symlink(path.join(server.setup.socketFolder, name), path.join(stack.place.sockets, name));
    }
    await eventually("the replica knows the role", async () => {
      return (await pair.replica.value("SELECT count(*) FROM pg_roles WHERE rolname = 'postgres'")) === "1";
    });
    assert.equal(await findPrimary(stack, HIDDEN_SECRETS, {}), "db");
    await pair.replica.query("SELECT pg_promote()");
    await assert.rejects(findPrimary(stack, HIDDEN_SECRETS, {}), (error) => {
      assert(isLifeboatError(error, "stack.two-primaries"));
      assert.match(error.message, /^db and db_replica of stack shop both take writes/);
      return true;
    });
    await pair.primary.stop();
    assert.equal(await findPrimary(stack, HIDDEN_SECRETS, {}), "db_replica");
    await pair.replica.stop();
    await assert.rejects(findPrimary(stack, HIDDEN_SECRETS, {}), (error) => {
      assert(isLifeboatError(error, "stack.no-primary"));
      assert.match(error.message, /db cannot be asked .*, db_replica cannot be asked/);
      return true;
    });
  });
});

test("of a stack that was never started it is said that it was not, rather than which of its files is missing", async () => {
  await withFolder(async (folder) => {
    await assert.rejects(startedSecrets(PORTS.files, testStack({ stacksFolder: folder })), (error) =>
      isLifeboatError(error, "stack.not-started"),
    );
  });
});
