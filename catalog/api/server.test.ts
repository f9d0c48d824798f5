import assert from "node:assert/strict";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { test } from "node:test";
import { networksOf } from "../../src/platform/caller-address.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { copyOf } from "../cache/copies.ts";
import { Limits } from "../keys/limits.ts";
import { problemOf } from "./bind.ts";
import type { Health } from "./health.ts";
import { formOf } from "./problems.ts";
import { makeServer, type ServerOptions } from "./server.ts";
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
    [false, ["198.51.100.0/24", "192.0.2.2"]],
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
      headers: { "x-forwarded-for": networks.length > 1 ? "2001:db8::9, 192.0.2.2" : "192.0.2.1, 192.0.2.2" },
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
    // Of the newer kind a caller chooses the second half.
    "address:2001:db8:0:0::/64",
  ]);
});

test("a read that its server gave up is answered as one without a server: later", () => {
  const problem = problemOf(
    Object.assign(new Error("canceling statement due to statement timeout"), { code: "57014" }),
  );
  assert.deepEqual([problem?.code, problem?.retryAfterS], ["SERVICE_UNAVAILABLE", 2]);
});

/** For what comes to nothing but the server itself. */
function bareServer(options: Partial<ServerOptions> = {}) {
  return makeServer(
    { metrics: { request: () => undefined } } as unknown as ApiTools,
    { isSchemaOlder: false } as unknown as Health,
    {
      isBehindBalancer: false,
      trustedProxies: networksOf([]),
      mcpUrl: undefined,
      onMistake: assert.ifError,
      ...options,
    },
  );
}

test("a body that is too long is refused in words to who is still sending it, and the connection stays", async () => {
  const app = bareServer();
  await app.listen({ host: "127.0.0.1", port: 0 });
  const half = Buffer.alloc(3 * 1024 * 1024, "x");
  try {
    const answer = await new Promise<{ readonly status: number | undefined; readonly connection: string | undefined }>(
      (resolve, reject) => {
        const sent = request({
          port: (app.server.address() as AddressInfo).port,
          method: "POST",
          path: "/v1/auth/register",
          headers: { "content-type": "application/json", "content-length": 2 * half.length },
        });
        sent.once("error", reject);
        sent.once("response", (response) => {
          const { statusCode: status, headers } = response;
          response.resume();
          // The other half comes behind the answer, and is not in vain.
          sent.end(half, () => resolve({ status, connection: headers.connection }));
        });
        sent.write(half);
      },
    );
    assert.deepEqual(answer, { status: 413, connection: undefined });
  } finally {
    app.server.closeAllConnections();
    await app.close();
  }
});

/** An instance that answers what it lets in: each key says of which tier it is and for what, and who asks comes from the address that it names. */
async function admitting() {
  const clock = new ManualClock();
  const copy = copyOf(Buffer.from("{}"), { now: clock.now(), times: { softMs: 60_000, hardMs: 60_000 } });
  const app = makeServer(
    {
      clock,
      metrics: { request: () => undefined },
      usage: { called: () => undefined },
      keys: {
        passedAddress: () => undefined,
        standing: async (key: string) => {
          const [tier = "", use] = key.split("-");
          const scopes = use === "ingest" ? ["read", "ingest"] : ["read"];
          return { kind: "good", caller: { id: 1, hash: key, agentName: key, tier, scopes } };
        },
      },
      limits: new Limits(clock, undefined),
      answers: { get: async () => ({ copy, from: "memory", isStale: false }) },
      writes: { run: async () => ({ status: 201, content: "{}", isReplayed: false }) },
    } as unknown as ApiTools,
    { isSchemaOlder: false } as unknown as Health,
    { isBehindBalancer: false, trustedProxies: networksOf([]), mcpUrl: undefined, onMistake: assert.ifError },
  );
  const ask = async (from: string, key: string | undefined, url: string, payload?: object) =>
    await app.inject({
      method: payload === undefined ? "GET" : "POST",
      url,
      remoteAddress: from,
      headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      ...(payload === undefined ? {} : { payload }),
    });
  const read = async (from: string, key: string) => await ask(from, key, "/v1/categories");
  const ingest = async (key: string, payload: object) => await ask("192.0.2.1", key, "/v1/ingest/products", payload);
  const register = async (from: string, key?: string) => await ask(from, key, "/v1/auth/register", { agent_name: "a" });
  return { app, ask, clock, ingest, read, register };
}

test("a long body is kept of nobody but who may ingest: others are answered before it is there, or refused for its length", async () => {
  const { app, ingest } = await admitting();
  await app.listen({ host: "127.0.0.1", port: 0 });
  /** What is answered to who has sent the first byte of a body. */
  const begun = async (at: string, key: string, length: number): Promise<string> =>
    await new Promise((resolve, reject) => {
      const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
      socket.on("error", reject);
      socket.once("data", (data) => {
        socket.destroy();
        resolve(data.toString().slice("HTTP/1.1 ".length, "HTTP/1.1 401".length));
      });
      const head = `content-type: application/json\r\ncontent-length: ${length}\r\n${key === "" ? "" : `x-api-key: ${key}\r\n`}`;
      socket.write(`POST ${at} HTTP/1.1\r\nhost: localhost\r\n${head}\r\n{`);
    });
  try {
    const long = 4 * 1024 * 1024;
    assert.equal(await begun("/v1/ingest/products", "", long), "401");
    assert.equal(await begun("/v1/ingest/products", "free-reader", long), "403");
    assert.equal(await begun("/v1/auth/register", "", 300 * 1024), "413");
    assert.equal(await begun("/v1/nothing", "", 300 * 1024), "413");
    const body = { source: "s", products: ["x".repeat(3_000_000)] };
    assert.equal((await ingest("live-ingest", body)).statusCode, 201);
    assert.equal((await ingest("live-reader", body)).statusCode, 403);
    // Who sends on behind the answer has it all the same.
    const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/v1/ingest/products`;
    const asked = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    assert.equal((await fetch(url, asked)).status, 401);
    assert.equal((await ingest("live-ingest", { source: "x".repeat(long) })).statusCode, 413);
  } finally {
    app.server.closeAllConnections();
    await app.close();
  }
});

test("an address gets by many free keys what five of them may ask, each what it may; what was refused counts for nobody else", async () => {
  const { clock, read } = await admitting();
  const [here, there] = ["192.0.2.1", "192.0.2.2"];
  const asked = async (from: string, key: string, times: number) => {
    let answered = 0;
    for (let each = 0; each < times; each++) if ((await read(from, key)).statusCode === 200) answered += 1;
    return answered;
  };
  assert.equal(await asked(here, "free-0", 200), 60);
  const rest = [1, 2, 3, 4].map(async (each) => await asked(here, `free-${each}`, 60));
  assert.deepEqual(await Promise.all(rest), [60, 60, 60, 60]);
  const over = await read(here, "free-5");
  assert.equal(over.statusCode, 429);
  assert.match(over.json().error.message, /free keys of this address/);
  assert.ok(Number(over.headers["retry-after"]) <= 60);
  assert.deepEqual([await asked(there, "free-5", 1), await asked(here, "live-0", 100)], [1, 100]);
  await clock.advance(60_000);
  const again = await read(here, "free-5");
  assert.deepEqual([again.statusCode, again.headers["x-ratelimit-remaining"]], [200, "59"]);
});

test("an address is given so many free keys an hour, with a key of its own or without one, and webhooks; whom the operator knows is not counted", async () => {
  const { ask, clock, register } = await admitting();
  const registered = async (from: string, key?: string) => (await register(from, key)).statusCode;
  for (let each = 0; each < 30; each++) {
    assert.equal(await registered("192.0.2.1", each % 2 === 0 ? undefined : "free-0"), 201);
    await clock.advance(1_000);
  }
  const [over, other] = [await register("192.0.2.1"), await register("192.0.2.2")];
  assert.deepEqual([over.statusCode, other.statusCode], [429, 201]);
  assert.ok(Number(over.headers["retry-after"]) > 60);
  assert.equal(other.headers["x-ratelimit-remaining"], "29");
  assert.deepEqual([await registered("192.0.2.1", "free-0"), await registered("192.0.2.1", "live-0")], [429, 201]);
  const hook = async (key: string) =>
    (await ask("192.0.2.1", key, "/v1/webhooks", { url: "https://h.sg/" })).statusCode;
  const hooks = await Promise.all(Array.from({ length: 31 }, async (_, each) => await hook(`free-${each}`)));
  assert.deepEqual([hooks.filter((status) => status === 201).length, await hook("live-0")], [30, 201]);
  await clock.advance(3_600_000);
  assert.equal(await registered("192.0.2.1"), 201);
});

test("a body of more levels than there is a digest of is refused, and is not our mistake", async () => {
  const { app } = await admitting();
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const answer = await app.inject({
    method: "POST",
    url: "/v1/auth/register",
    headers: { "idempotency-key": "k".repeat(36), "content-type": "application/json" },
    payload: `{"agent_name":"a","other":${deep}}`,
  });
  assert.deepEqual([answer.statusCode, answer.json().error.code], [400, "VALIDATION_ERROR"]);
});

test("what a write brings counts by its bytes as they came, whether their number was told before or not", async () => {
  const counted: (number | undefined)[] = [];
  const allowance = { limit: 9, remaining: 9, resetS: 1, isOver: false, isRevoked: false };
  const app = makeServer(
    {
      metrics: { request: () => undefined },
      keys: { passedAddress: () => undefined },
      limits: { take: async () => allowance },
      writes: {
        run: async (_work: unknown, { bytes }: { readonly bytes?: number }) => {
          counted.push(bytes);
          return { status: 201, content: "{}", isReplayed: false };
        },
      },
    } as unknown as ApiTools,
    { isSchemaOlder: false } as unknown as Health,
    { isBehindBalancer: false, trustedProxies: networksOf([]), mcpUrl: undefined, onMistake: assert.ifError },
  );
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  try {
    const whole = JSON.stringify({ agent_name: "ü".repeat(100) });
    for (const body of [whole, ReadableStream.from([Buffer.from(whole)])]) {
      const headers = { "content-type": "application/json" };
      const asked = { method: "POST", headers, body, ...(body === whole ? {} : { duplex: "half" }) } as RequestInit;
      assert.equal((await fetch(`${url}/v1/auth/register`, asked)).status, 201);
    }
    assert.deepEqual(counted, [Buffer.byteLength(whole), Buffer.byteLength(whole)]);
  } finally {
    await app.close();
  }
});

test("a body that does not end is waited for no longer than a while, also behind its answer; an answer may take longer", {
  timeout: 20_000,
}, async () => {
  const app = bareServer({ receiveTimeoutMs: 500 });
  const asked = Promise.withResolvers<void>();
  const cut = Promise.withResolvers<void>();
  app.post("/slow", async () => {
    asked.resolve();
    await cut.promise;
    return "late";
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  try {
    const slow = fetch(`${url}/slow`, { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
    // A machine that is busy may have been too slow for it: said at once, not waited for.
    await Promise.race([asked.promise, slow.then(() => assert.fail("it was answered"))]);
    const answers = await new Promise<string>((resolve) => {
      let said = "";
      const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        said += data;
      });
      socket.on("close", () => resolve(said));
      const type = "content-type: application/json\r\ncontent-length: 5000000";
      socket.write(`POST /v1/auth/register HTTP/1.1\r\nhost: localhost\r\n${type}\r\n\r\n{`);
    });
    assert.match(answers, /^HTTP\/1\.1 413 /);
    cut.resolve();
    assert.equal(await (await slow).text(), "late");
  } finally {
    cut.resolve();
    await app.close();
  }
});

test("the form of RFC 9457 is for who accepts it, and not for who refuses it", () => {
  for (const accept of ["application/problem+json", "text/html, Application/Problem+JSON;q=0.5"])
    assert.equal(formOf(accept), "rfc9457", accept);
  for (const accept of [undefined, "*/*", "application/json", "application/problem+json;q=0, application/json"])
    assert.equal(formOf(accept), "ours", accept);
});
