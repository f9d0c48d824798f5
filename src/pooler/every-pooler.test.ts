import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { tellEvery } from "./every-pooler.ts";

const POOLERS = ["one", "two", "three"].map((name) => ({ name }));

function gone(name: string): LifeboatError {
  return new LifeboatError("pooler.unreachable", { message: `${name} is gone`, remedy: "None." });
}

test("every one is told, and what all answered comes back", async () => {
  const answers = await tellEvery(POOLERS, async ({ name }) => name.length);
  assert.deepEqual(answers, [
    { name: "one", answer: 3 },
    { name: "two", answer: 3 },
    { name: "three", answer: 5 },
  ]);
});

test("two of three that fail are both named, and the third was told all the same", async () => {
  const told: string[] = [];
  const telling = tellEvery(POOLERS, async ({ name }) => {
    told.push(name);
    if (name !== "two") throw gone(name);
  });
  await assert.rejects(telling, (error) => {
    assert(isLifeboatError(error, "pooler.not-all"));
    assert.match(error.message, /2 of 3 poolers did not do it: one: one is gone; three: three is gone/);
    return true;
  });
  assert.deepEqual(told, ["one", "two", "three"]);
});

test("an abort is no failure of a pooler", async () => {
  const aborted = new LifeboatError("platform.aborted", { message: "stopped", remedy: "None." });
  const telling = tellEvery(POOLERS, async ({ name }) => {
    throw name === "two" ? aborted : gone(name);
  });
  await assert.rejects(telling, { code: "platform.aborted" });
});
