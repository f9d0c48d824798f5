import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { startPair } from "../../test/support/pairs.ts";
import { POOLED_DATABASE, startPooler } from "../../test/support/poolers.ts";
import { addressOf } from "../../test/support/repoint-loops.ts";
import { SUPERUSER, type TestServer } from "../../test/support/servers.ts";
import { STACK_CHOICE, testStack } from "../../test/support/stacks.ts";
import { systemFiles } from "../platform/files.ts";
import { leadsToPrimary } from "./prove.ts";
import { HIDDEN_SECRETS } from "./secrets.ts";

test("a pooler leads to the primary when a statement runs on its port, and there on a server that writes", async () => {
  await using pair = await startPair();
  const { primary, replica } = pair;
  /** Through a pooler before `server`, with `db` described as the primary. */
  const asked = async (server: TestServer, db: TestServer): Promise<boolean> => {
    await using pooler = await startPooler({ server: addressOf(server) });
    return await withFolder(async (folder) => {
      const stack = testStack({
        stacksFolder: folder,
        database: POOLED_DATABASE,
        applicationRole: SUPERUSER.name,
        ports: { ...STACK_CHOICE.ports, pgbouncer: pooler.port, db: addressOf(db).port },
      });
      await systemFiles.makeFolder(stack.place.sockets);
      const socket = `.s.PGSQL.${pooler.port}`;
      await symlink(path.join(pooler.folder, socket), path.join(stack.place.sockets, socket));
      const secrets = { ...HIDDEN_SECRETS, application: SUPERUSER.password };
      return await leadsToPrimary(stack, secrets, { instance: "pgbouncer" });
    });
  };
  assert.equal(await asked(primary, primary), true);
  assert.equal(await asked(primary, replica), false, "another node is the primary");
  assert.equal(await asked(replica, replica), false, "it only reads");
});
