import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestName } from "./nearest-name.ts";

test("a slip of the finger finds the name that was meant", () => {
  const names = ["host", "port", "user", "passphraseFile"];
  assert.equal(nearestName("hots", names), "host");
  assert.equal(nearestName("prot", names), "port");
  assert.equal(nearestName("passphrasefile", names), "passphraseFile");
  assert.equal(nearestName("passfraseFile", names), "passphraseFile");
});

test("a name that is like none of them finds none", () => {
  assert.equal(nearestName("zebra", ["host", "port"]), undefined);
  assert.equal(nearestName("x", ["host"]), undefined);
});
