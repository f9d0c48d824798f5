import assert from "node:assert/strict";
import { test } from "node:test";
import { overrideRisk } from "./waiting-commits.ts";

test("who does not wait is named, with the statement that resets just that", () => {
  for (const [role, database, whose, statement] of [
    ["importer", undefined, "role importer", 'ALTER ROLE "importer" RESET'],
    [undefined, "shop", "database shop", 'ALTER DATABASE "shop" RESET'],
    ['a"b', "shop", 'role a"b in database shop', 'ALTER ROLE "a""b" IN DATABASE "shop" RESET'],
    [undefined, undefined, "all roles", "ALTER ROLE ALL RESET"],
  ] as const) {
    const risk = overrideRisk({ role, database, value: "local" });
    assert.ok(risk?.message.startsWith(`synchronous_commit is local for ${whose}:`), risk?.message);
    assert.ok(risk?.remedy.includes(`${statement} synchronous_commit;`), risk?.remedy);
    assert.equal(overrideRisk({ role, database, value: "remote_apply" }), undefined);
  }
});
