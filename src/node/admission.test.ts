import assert from "node:assert/strict";
import { test } from "node:test";
import type { Epoch } from "../failover/ports.ts";
import { withEpoch } from "./admission.ts";

test("a server that is down is left the epoch that has it started, in place of what its data said, and never a smaller one", () => {
  const eight = 8 as Epoch;
  assert.equal(withEpoch("", eight), "lifeboat.epoch = '8'\n");
  assert.equal(
    withEpoch("port = 1\nlifeboat.epoch = '3'\nfsync = on", eight),
    "port = 1\nfsync = on\nlifeboat.epoch = '8'\n",
  );
  assert.equal(withEpoch("lifeboat.epoch = '3'\nlifeboat.epoch = '12'\n", eight), "lifeboat.epoch = '12'\n");
  assert.equal(withEpoch("lifeboat.epoch = '12'\nlifeboat.epoch = '3'\n", eight), "lifeboat.epoch = '8'\n");
  const once = withEpoch("port = 1\n", eight);
  assert.equal(withEpoch(once, eight), once);
});
