import assert from "node:assert/strict";
import { test } from "node:test";
import { withServer } from "../../test/support/servers.ts";
import { testStack } from "../../test/support/stacks.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { prepareDatabase } from "./nodes.ts";
import { proveStack } from "./prove.ts";
import { ROLES } from "./stack.ts";

const SECRETS = {
  superuser: "one",
  replication: "two",
  backup: "three",
  application: "four",
  "pooler-admin": "five",
  "password-salt": "six",
  redis: "seven",
  "vault-passphrase": "eight",
};

test("what proves that a stack works runs nothing of the application's as a superuser: not on the replica, nor when the database is prepared again", async () => {
  await withServer({ major: 16 }, async (server) => {
    // One server in place of pooler, primary and replica.
    const { port, socketFolder } = server.server.setup;
    const described = testStack({
      ports: { front: 1, mcp: 2, pgbouncer: port, db: port, dbReplica: port, reads: 3, redis: 4 },
    });
    const stack = { ...described, place: { ...described.place, sockets: socketFolder } };
    await server.query(`CREATE ROLE ${ROLES.superuser} SUPERUSER LOGIN PASSWORD 'one'`);
    await prepareDatabase(stack, SECRETS, {});
    const tools = { clock: systemClock, random: systemRandom };
    assert.equal(await proveStack(tools, { stack, secrets: SECRETS }, {}), true);
    // All of this the application may do in its own database.
    const application = { database: stack.database, user: stack.applicationRole, password: "four" };
    await server.onOneSession(application, async (ask) => {
      await ask("ALTER TABLE lifeboat_stack_proof RENAME TO data");
      await ask(`CREATE FUNCTION taken() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
          EXECUTE 'ALTER ROLE ${stack.applicationRole} SUPERUSER';
        END IF;
        RETURN true;
      END $$`);
      await ask("CREATE VIEW lifeboat_stack_proof AS SELECT * FROM data WHERE taken()");
      await ask("CREATE FUNCTION to_regclass(varchar) RETURNS boolean LANGUAGE sql AS 'SELECT taken()'");
      await ask(`ALTER DATABASE ${stack.database} SET search_path = public, pg_catalog`);
    });
    assert.equal(await proveStack(tools, { stack, secrets: SECRETS }, {}), true);
    await prepareDatabase(stack, SECRETS, {});
    const sql = "SELECT rolsuper::text FROM pg_roles WHERE rolname = $1";
    assert.equal(await server.value(sql, [stack.applicationRole]), "false");
  });
});
