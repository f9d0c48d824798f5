import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { hashOf } from "./key.ts";
import { KnownKeys } from "./known-keys.ts";

test("keys that nobody has are looked up once at a time, and drive out none that are good", async () => {
  let queries = 0;
  const keys = new KnownKeys({
    clock: new ManualClock(),
    operatorKey: undefined,
    reads: {
      read: async () => {
        queries += 1;
        return { rows: [], from: "primary" };
      },
      readRaw: () => Promise.reject(new Error("nobody asks for raw rows")),
    },
  });
  const caller = { id: 1, hash: "0".repeat(64), agentName: "a", tier: "free", scopes: ["read"] } as const;
  const good = "bw_free_good";
  keys.learn(hashOf(good), { kind: "good", caller });
  await Promise.all(Array.from({ length: 5 }, () => keys.standing("bw_free_stranger")));
  assert.equal(queries, 1);
  for (let each = 0; each < 20_001; each++) keys.learn(`stranger ${each}`, { kind: "unknown" });
  assert.deepEqual(await keys.standing(good), { kind: "good", caller });
  assert.equal(queries, 1);
});
