import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { hashOf, keyOf, MCP_ID } from "./key.ts";
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
        return { rows: [], from: "primary", behindMs: 0 };
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

test("a key that a replica has which is far behind may have been revoked: it is asked for again", async () => {
  const table = { behindMs: 3_600_000, revoked: false };
  const keys = new KnownKeys({
    clock: new ManualClock(),
    operatorKey: undefined,
    mcpKey: undefined,
    reads: {
      read: async () => {
        const row = { id: 1, agent_name: "a", tier: "free", scopes: ["read"], is_revoked: table.revoked };
        return { rows: [row], from: "replica", behindMs: table.behindMs };
      },
      readRaw: () => Promise.reject(new Error("nobody asks for raw rows")),
    },
  });
  const kind = async (): Promise<string> => (await keys.standing("bw_free_a", HERE)).kind;
  assert.equal(await kind(), "unasked");
  table.revoked = true;
  assert.equal(await kind(), "revoked");
  Object.assign(table, { behindMs: 1_000, revoked: false });
  assert.equal((await keys.standing("bw_free_b", HERE)).kind, "good");
});

/** Keys over a table that has the good ones, in which each look takes a while; tells how many were under way at once at most. */
function slowTable() {
  const clock = new ManualClock();
  const under = { now: 0, most: 0 };
  const keys = new KnownKeys({
    clock,
    operatorKey: undefined,
    mcpKey: undefined,
    reads: {
      read: async (_text, [hash]) => {
        under.now += 1;
        under.most = Math.max(under.most, under.now);
        await clock.sleep(10, {});
        under.now -= 1;
        const id = GOOD.findIndex((key) => hashOf(key) === hash);
        const row = { id: id + 1, agent_name: "a", tier: "free", scopes: ["read"], is_revoked: false };
        return { rows: id < 0 ? [] : [row], from: "primary", behindMs: 0 };
      },
      readRaw: () => Promise.reject(new Error("nobody asks for raw rows")),
    },
  });
  /** What the keys are that are shown at once, when all is answered. */
  const show = async (shown: readonly string[], from = HERE): Promise<readonly string[]> => {
    let ended = false;
    const kinds = Promise.all(shown.map(async (key) => (await keys.standing(key, from)).kind)).finally(() => {
      ended = true;
    });
    while (!ended) await clock.advance(10);
    return await kinds;
  };
  return { clock, under, show };
}

const GOOD = Array.from({ length: 100 }, (_, each) => `bw_free_good_${each}`);
const guesses = (from: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, each) => `guess ${from + each}`);

test("an instance that knows no key yet answers all who come at once from one address, some at a time", async () => {
  const { show, under } = slowTable();
  assert.deepEqual(new Set(await show(GOOD)), new Set(["good"]));
  assert.equal(under.most, 8);
});

test("the keys of an address that guesses are looked up one after another, the good ones among them too, and a flood is refused", async () => {
  const { clock, show, under } = slowTable();
  await show(guesses(0, 30));
  under.most = 0;
  assert.deepEqual(new Set(await show([...guesses(30, 50), ...GOOD])), new Set(["unknown", "good"]));
  assert.equal(under.most, 1);
  assert.equal((await show(guesses(100, 250))).filter((kind) => kind === "guessed").length, 250 - 201);
  under.most = 0;
  await show(guesses(400, 20), "192.0.2.2");
  assert.equal(under.most, 8, "others are not kept waiting");
  await clock.advance(60_000);
  under.most = 0;
  await show(guesses(500, 20));
  assert.equal(under.most, 8, "a minute later it is as good as any");
});

test("the MCP service's key reads and does nothing else", async () => {
  const { keys, asked } = strangers();
  const standing = await keys.standing("the MCP service's", HERE);
  assert(standing.kind === "good");
  assert.deepEqual([standing.caller.id, standing.caller.scopes], [MCP_ID, ["read"]]);
  assert.equal(asked.queries, 0);
});

test("an empty header shows no key", () => {
  for (const headers of [{ "x-api-key": "" }, { authorization: "" }, { authorization: "Bearer " }, {}])
    assert.equal(keyOf(headers), undefined);
  assert.equal(keyOf({ "x-api-key": "bw_free_k" }), "bw_free_k");
});
