import assert from "node:assert/strict";
import { test } from "node:test";
import { networksOf } from "../../src/platform/caller-address.ts";
import { problemOf } from "./bind.ts";
import type { Health } from "./health.ts";
import { makeServer } from "./server.ts";
import type { ApiTools } from "./tools.ts";

test("who asks without a key is counted by the address that connects, unless only the balancer can, or a proxy that is trusted", async () => {
  const counted: string[] = [];
  const limits = {
    take: async (who: string) => {
      counted.push(who);
      return { limit: 0, remaining: 0, resetS: 1, isOver: true, isRevoked: false };
    },
  };
  const metrics = { request: () => undefined };
  // Refused by its limit, a request comes to nothing else.
  const keys = { passedAddress: () => undefined };
  const tools = { limits, metrics, keys } as unknown as ApiTools;
  for (const [isBehindBalancer, networks] of [
    [false, []],
    [true, []],
    [true, ["192.0.2.2"]],
    [false, ["198.51.100.0/24"]],
  ] as const) {
    const app = makeServer(tools, { isSchemaOlder: false } as unknown as Health, {
      isBehindBalancer,
      trustedProxies: networksOf(networks),
      mcpUrl: undefined,
      onMistake: assert.ifError,
    });
    const { statusCode } = await app.inject({
      method: "POST",
      url: "/v1/auth/register",
      remoteAddress: "198.51.100.1",
      headers: { "x-forwarded-for": "192.0.2.1, 192.0.2.2" },
      payload: { agent_name: "a" },
    });
    assert.equal(statusCode, 429);
    await app.close();
  }
  assert.deepEqual(counted, [
    "address:198.51.100.1",
    "address:192.0.2.2",
    // The one that connected to the balancer is a proxy.
    "address:192.0.2.1",
    "address:192.0.2.2",
  ]);
});

test("a read that its server gave up is answered as one without a server: later", () => {
  const problem = problemOf(
    Object.assign(new Error("canceling statement due to statement timeout"), { code: "57014" }),
  );
  assert.deepEqual([problem?.code, problem?.retryAfterS], ["SERVICE_UNAVAILABLE", 2]);
});
