import assert from "node:assert/strict";
import { test } from "node:test";
import { readTransaction } from "./pgbench.ts";

test("a transaction of a rated load begins when it was meant to", () => {
  const line = "3 17 250000 0 1700000000 500000 200000";
  assert.deepEqual(readTransaction(line), { latencyMs: 250, beganAtMs: 1_700_000_000_250 });
});
