import assert from "node:assert/strict";
import { mkdir, readFile, symlink } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { startServer } from "../../test/support/servers.ts";
import { STACK_CHOICE, testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { askPrimary, prepareDatabase } from "./nodes.ts";
import { HIDDEN_SECRETS, type StackSecrets } from "./secrets.ts";
import { ROLES } from "./stack.ts";

const SECRETS: StackSecrets = {
  ...HIDDEN_SECRETS,
  replication: "first-of-replication",
  backup: "first-of-backup",
  application: "first-of-application",
  "password-salt": "salt",
};

test("each role of a stack gets the password of its secret, again when that was changed, and the server's log has none of them", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer({ settings: { log_statement: "all" } });
    await server.query("CREATE ROLE postgres SUPERUSER LOGIN");
    const { port, socketFolder, logFile } = server.server.setup;
    const stack = testStack({ stacksFolder: folder, ports: { ...STACK_CHOICE.ports, db: port } });
    await mkdir(stack.place.sockets, { recursive: true });
    const socket = `.s.PGSQL.${port}`;
    await symlink(path.join(socketFolder, socket), path.join(stack.place.sockets, socket));
    const roles = {
      application: stack.applicationRole,
      replication: ROLES.replication,
      backup: ROLES.lifeboat,
    } as const;
    const enters = async (name: keyof typeof roles, password: string): Promise<boolean> => {
      try {
        await server.query("SELECT 1", [], { user: roles[name], password, over: "tcp" });
        return true;
      } catch (error) {
        assert(isLifeboatError(error, "postgres.login-refused"), String(error));
        return false;
      }
    };
    const fits = async (secrets: StackSecrets) => (await askPrimary(stack, secrets, {}))?.rolesFit;

    const owner = async () => (await askPrimary(stack, SECRETS, {}))?.databaseOwner;
    assert.equal(await fits(SECRETS), false);
    assert.equal(await owner(), undefined);
    await prepareDatabase(stack, SECRETS, {});
    let secrets = SECRETS;
    const used = new Set<string>();
    for (const name of ["application", "replication", "backup"] as const) {
      assert.equal(await fits(secrets), true, name);
      secrets = { ...secrets, [name]: `second-of-${name}` };
      assert.equal(await fits(secrets), false, name);
      await prepareDatabase(stack, secrets, {});
      assert.ok(await enters(name, secrets[name]), name);
      assert.equal(await enters(name, SECRETS[name]), false, name);
      used.add(SECRETS[name]).add(secrets[name]);
    }
    assert.equal(await fits(secrets), true);
    assert.equal(await owner(), stack.applicationRole);
    await server.query(`ALTER DATABASE "${stack.database}" OWNER TO postgres`);
    assert.equal(await owner(), "postgres");
    // As after another stack.applicationRole, which was taken back: no proof could be written.
    await server.query("ALTER TABLE lifeboat_stack_proof OWNER TO postgres", [], { database: stack.database });
    assert.equal(await fits(secrets), false);
    await prepareDatabase(stack, secrets, {});
    assert.equal(await fits(secrets), true);
    const log = await readFile(logFile, "utf8");
    assert.match(log, /ALTER ROLE "replicator"/);
    for (const password of used) assert.ok(!log.includes(password), password);
  });
});
