import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { hashOf, MCP_ID } from "./key.ts";
import { KnownKeys } from "./known-keys.ts";

const HERE = "192.0.2.1";

/** Keys over a table that has none, which counts how often it is asked. */
function strangers() {
  const clock = new ManualClock();
  const asked = { queries: 0 };
  const keys = new KnownKeys({
    clock,
    operatorKey: "the operator's",
    mcpKey: "the MCP service's",
    reads: {
      read: async () => {
        asked.queries += 1;
        return { rows: [], from: "primary" };
      },
      readRaw: () => Promise.reject(new Error("nobody asks for raw rows")),
    },
  });
  return { clock, asked, keys };
}

test("keys that nobody has are looked up once at a time, and drive out none that are good", async () => {
  const { keys, asked } = strangers();
  const caller = { id: 1, hash: "0".repeat(64), agentName: "a", tier: "free", scopes: ["read"] } as const;
  const good = "bw_free_good";
  keys.learn(hashOf(good), { kind: "good", caller });
  await Promise.all(Array.from({ length: 5 }, () => keys.standing("bw_free_stranger", HERE)));
  assert.equal(asked.queries, 1);
  for (let each = 0; each < 20_001; each++) keys.learn(`stranger ${each}`, { kind: "unknown" });
  assert.deepEqual(await keys.standing(good, HERE), { kind: "good", caller });
  assert.equal(asked.queries, 1);
});

test("who shows one key after another is looked up no more for the rest of the minute, and others are", async () => {
  const { clock, keys, asked } = strangers();
  await clock.advance(10_000);
  const guess = async (from: string) =>
    await Promise.all(Array.from({ length: 40 }, async (_, each) => (await keys.standing(`guess ${each}`, from)).kind));
  assert.equal((await guess(HERE)).filter((kind) => kind === "unknown").length, 30);
  assert.equal(asked.queries, 30);
  assert.deepEqual(await keys.standing("another", HERE), { kind: "guessed", resetS: 50 });
  assert.equal((await keys.standing("another", "192.0.2.2")).kind, "unknown");
  await clock.advance(50_000);
  assert.equal((await keys.standing("another", HERE)).kind, "unknown");
});

test("the MCP service's key reads and does nothing else", async () => {
  const { keys, asked } = strangers();
  const standing = await keys.standing("the MCP service's", HERE);
  assert(standing.kind === "good");
  assert.deepEqual([standing.caller.id, standing.caller.scopes], [MCP_ID, ["read"]]);
  assert.equal(asked.queries, 0);
});
