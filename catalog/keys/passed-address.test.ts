import assert from "node:assert/strict";
import { test } from "node:test";
import { passAddress, passedAddress } from "./passed-address.ts";

test("an address is believed with the proof of its own, made by who has the key", () => {
  const header = passAddress("192.0.2.1", "sesame");
  assert.equal(passedAddress(header, "sesame"), "192.0.2.1");
  assert.equal(passedAddress(header.replace("192.0.2.1", "192.0.2.2"), "sesame"), undefined);
  assert.equal(passedAddress(passAddress("192.0.2.1", "guess"), "sesame"), undefined);
  for (const other of [undefined, "", "192.0.2.1", `192.0.2.1 ${"0".repeat(64)}`, [header], "192.0.2.1 00"])
    assert.equal(passedAddress(other, "sesame"), undefined);
  assert.equal(passedAddress(header, undefined), undefined, "without an MCP service");
});
