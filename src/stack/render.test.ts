import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesGolden } from "../../test/support/golden.ts";
import { testStack } from "../../test/support/stacks.ts";
import { formatDatabases } from "../pooler/databases-file.ts";
import { COMPONENT_NAMES } from "./component-names.ts";
import { renderComponent, renderStack } from "./render.ts";
import { HIDDEN_SECRETS, STARS, type StackSecrets } from "./secrets.ts";
import { confirmersOf, describeStack, type StackDescription } from "./stack.ts";

const stack = testStack();
const SCRAM_SECRET = /SCRAM-SHA-256\$4096:[\w+/=]+\$[\w+/=]+:[\w+/=]+/g;

for (const component of COMPONENT_NAMES) {
  test(`the configuration of ${component} is as it was looked at when it was written`, () => {
    const files = renderStack(stack, HIDDEN_SECRETS).filter((file) => file.component === component);
    matchesGolden(
      `stack/${component.replace("_", "-")}.txt`,
      files.map(({ file, text }) => `== ${file}\n${text}`).join("\n"),
    );
  });
}

const READ_NAMES = Object.keys(HIDDEN_SECRETS) as (keyof typeof HIDDEN_SECRETS)[];

test("shown configuration holds stars for every secret that written configuration holds, and lifeboat.yaml holds none", () => {
  const secrets = { ...HIDDEN_SECRETS };
  for (const name of READ_NAMES) secrets[name] = `value-of-${name}`;
  const shown = renderStack(stack, HIDDEN_SECRETS);
  const written = renderStack(stack, secrets);
  const hidden = (text: string) =>
    READ_NAMES.reduce((all, name) => all.replaceAll(`value-of-${name}`, STARS), text)
      .replaceAll(SCRAM_SECRET, STARS)
      // Nor what is made of all of them together.
      .replaceAll(/ secrets [0-9a-f]{16}\.$/gm, ` secrets ${STARS}.`);
  assert.deepEqual(
    shown.map(({ text }) => text),
    written.map(({ text }) => hidden(text)),
  );
  const holding = written.filter(({ text }) => text.includes("value-of-")).map(({ file }) => file.split("/config/")[1]);
  assert.deepEqual(holding, ["db/pgpass", "db_replica/pgpass", "redis/redis.conf"]);
});

test("the pooler's list of users holds no password: of each what a server keeps of it, other ones for equal passwords", () => {
  const equal = { ...HIDDEN_SECRETS, application: "one", "pooler-admin": "one", "password-salt": "salt" };
  const users = (secrets: StackSecrets) =>
    renderComponent(stack, secrets, "pgbouncer").find(({ file }) => file.endsWith("/userlist.txt"))?.text ?? "";
  const [first, second] = users(equal).match(SCRAM_SECRET) ?? [];
  assert.ok(first !== undefined && second !== undefined && first !== second);
  assert.equal(users(equal), users({ ...equal }));
  assert.notEqual(users(equal), users({ ...equal, "password-salt": "another" }));
  assert.doesNotMatch(users(equal), /"one"/);
});

test("two nodes differ in their port alone", () => {
  const [db = "", replica = ""] = ["db", "db_replica"].map(
    (name) => renderStack(stack, HIDDEN_SECRETS).find(({ file }) => file.endsWith(`/${name}/lifeboat.conf`))?.text,
  );
  assert.equal(db.replace("port = 5432", "port = 5433"), replica);
});

test("whichever node is the primary, the other one and the receiver can confirm", () => {
  assert.deepEqual(confirmersOf("db", "lifeboat_vault"), { nodes: ["db_replica"], receiver: "lifeboat_vault" });
  assert.deepEqual(confirmersOf("db_replica", "lifeboat_vault_e8"), { nodes: ["db"], receiver: "lifeboat_vault_e8" });
});

test("sockets leave a folder whose path is too long for them, each stack to a place of its own", () => {
  const long = `/srv/${"long/".repeat(20)}stacks`;
  const [one, two] = ["one", "two"].map((name) => testStack({ name, stacksFolder: long }).place.sockets);
  assert.match(one ?? "", /^\/tmp\/lifeboat-stack-[0-9a-f]{12}$/);
  assert.notEqual(one, two);
  assert.equal(stack.place.sockets, "/srv/lifeboat/stacks/shop/run");
  assert.equal(describeStack({ ...stack, stacksFolder: "/srv/lifeboat/stacks" }).place.folder, stack.place.folder);
});

test("where the pooler leads is as described until a controller has acted on it, and then as it is", () => {
  const file = renderComponent(testStack(), HIDDEN_SECRETS, "pgbouncer").find((each) =>
    each.file.endsWith("/databases.ini"),
  );
  const elsewhere = (epoch: number): string =>
    formatDatabases({
      epoch,
      databases: [{ name: "catalog", database: "catalog", server: { host: "127.0.0.1", port: 5433 } }],
    });
  assert.deepEqual(
    [elsewhere(0), elsewhere(1), "anything"].map((there) => file?.isKept?.(there)),
    [false, true, false],
  );
});

test("where poolers lead is made anew, when somebody spoilt it, for the primary that is recorded", () => {
  const databases = (of: StackDescription) =>
    renderComponent(of, HIDDEN_SECRETS, "pgbouncer").find(({ file }) => file.endsWith("/databases.ini"));
  assert.match(databases({ ...stack, primary: "db_replica" })?.text ?? "", / port=5433 /);
  assert.equal(
    databases(stack)?.isKept?.(`${databases(stack)?.text.replace("epoch=0", "epoch=7")}pool_size=20\n`),
    false,
  );
});
