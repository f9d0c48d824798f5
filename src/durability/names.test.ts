import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { confirmerNames, modeOfNames, parseSyncNames, sameSyncNames, synchronousStandbyNames } from "./names.ts";

const confirmers = { nodes: ["db_replica"], receiver: "lifeboat_vault_e8" };

test("each mode waits for as many of all other nodes and the receiver as it says", () => {
  assert.equal(synchronousStandbyNames("async", confirmers), "");
  assert.equal(synchronousStandbyNames("quorum", confirmers), "ANY 1 (db_replica, lifeboat_vault_e8)");
  assert.equal(synchronousStandbyNames("strict", confirmers), "ANY 2 (db_replica, lifeboat_vault_e8)");
  assert.deepEqual(confirmerNames({ ...confirmers, receiver: undefined }), ["db_replica"]);
});

test("a mode that waits for nobody at all cannot be written, since no commit would ever end", () => {
  assert.throws(
    () => synchronousStandbyNames("quorum", { nodes: [], receiver: undefined }),
    (error) => isLifeboatError(error, "platform.assertion-failed"),
  );
});

test("names that the server would read as something else are quoted, and read back as they were", () => {
  const names = ["any", "Db", "2nd", 'a"b', "first", "db-1"];
  const text = synchronousStandbyNames("quorum", { nodes: names, receiver: undefined });
  assert.equal(text, 'ANY 1 ("any", "Db", "2nd", "a""b", "first", "db-1")');
  assert.deepEqual(parseSyncNames(text), { kind: "wait", method: "any", count: 1, names });
});

test("a mode is read only from names that Lifeboat would set", () => {
  const modes = [
    ["", "async"],
    ["  ", "async"],
    ["any 1 (a, b)", "quorum"],
    ["ANY 2(a,b)", "strict"],
    ["ANY 3 (a, b, c)", "other"],
    ["FIRST 1 (a, b)", "other"],
    ["1 (a, b)", "other"],
    ["a, b", "other"],
    ["*", "other"],
    ["ANY 0 (a)", "other"],
    ["ANY 1 (a", "other"],
    ["ANY 1 (a b)", "other"],
    ["ANY 1 (a,)", "other"],
    ["ANY 1 ()", "other"],
    ["a; b", "other"],
  ] as const;
  for (const [text, mode] of modes) assert.equal(modeOfNames(text), mode, text);
});

test("two values are the same when a commit waits for the same, whatever their order and case, but for a priority", () => {
  assert.equal(sameSyncNames("ANY 1 (a, b)", 'any 1 ("B", A)'), true);
  assert.equal(sameSyncNames("ANY 1 (a, b)", "ANY 1 (a)"), false);
  assert.equal(sameSyncNames("ANY 1 (a, b)", "ANY 2 (a, b)"), false);
  assert.equal(sameSyncNames("FIRST 1 (a, b)", "FIRST 1 (b, a)"), false);
  assert.equal(sameSyncNames("a, b", "1 (a, b)"), true);
  assert.equal(sameSyncNames("", "ANY 1 (a)"), false);
  assert.equal(sameSyncNames("", " "), true);
  assert.equal(sameSyncNames("(", "("), true);
});
