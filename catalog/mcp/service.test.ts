import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { networksOf } from "../../src/platform/caller-address.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { eventually } from "../../test/support/receivers.ts";
import { HttpApi } from "./api-client.ts";
import { BODY_BYTES_MAX } from "./bodies.ts";
import { McpService } from "./service.ts";

const HOST = "127.0.0.1";
const LONG = { timeout: 20_000 };

/** The service over an API that is not there, and what it calls its own mistakes. */
async function started({ receiveTimeoutMs = 20_000 } = {}) {
  const mistakes: unknown[] = [];
  const api = new HttpApi({ base: `http://${HOST}:1`, ownKey: "bw_live_k", random: systemRandom });
  const service = await McpService.start(systemClock, api, {
    host: HOST,
    port: 0,
    origins: [HOST],
    publicUrl: "http://mcp.test/mcp",
    trustedProxies: networksOf(["127.0.0.0/8"]),
    onMistake: (error) => mistakes.push(error),
    receiveTimeoutMs,
  });
  const { port } = service;
  const unfinished: Socket[] = [];
  return {
    mistakes,
    port,
    unfinished,
    /** What a ping of an address is answered; it may be as long as is wished. */
    ping: async (from: string, bytes = 0) => {
      const response = await fetch(`http://${HOST}:${port}/mcp`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          "x-forwarded-for": from,
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }) + " ".repeat(bytes),
      });
      await response.arrayBuffer();
      return response.status;
    },
    /** Sends so much of a request that it does not end. */
    begin: async (from: string, bytes: number): Promise<Socket> => {
      const socket = connect(port, HOST);
      unfinished.push(socket);
      socket.on("error", () => undefined);
      const head = `POST /mcp HTTP/1.1\r\nhost: ${HOST}\r\ncontent-type: application/json\r\nx-forwarded-for: ${from}`;
      socket.write(`${head}\r\ncontent-length: ${BODY_BYTES_MAX}\r\n\r\n`);
      await new Promise((resolve) => socket.write(Buffer.alloc(bytes, " "), resolve));
      return socket;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of unfinished) socket.destroy();
      await service.stop();
    },
  };
}

test(
  "unfinished requests of one address keep no other one out, however many they are and however much they bring",
  LONG,
  async () => {
    await using service = await started();
    assert.equal(await service.ping("192.0.2.1"), 200);
    for (let each = 0; each < 300; each++) await service.begin("192.0.2.9", 1);
    assert.equal(await service.ping("192.0.2.9"), 200);
    for (let each = 0; each < 8; each++) await service.begin("192.0.2.9", BODY_BYTES_MAX - 1_000);
    // Its share of what is kept is full when all of it has come.
    await eventually("it has no room", async () => (await service.ping("192.0.2.9", 65_536)) === 503);
    assert.equal(await service.ping("192.0.2.1", 65_536), 200);
    for (const socket of service.unfinished) socket.destroy();
    await eventually("it has room again", async () => (await service.ping("192.0.2.9", 65_536)) === 200);
  },
);

test("a request that does not end is waited for no longer than a while", LONG, async () => {
  await using service = await started({ receiveTimeoutMs: 100 });
  const socket = await service.begin("192.0.2.1", 1);
  socket.resume();
  await once(socket, "close");
});

test("a body that is too long is refused in words to who is still sending it", LONG, async () => {
  await using service = await started();
  assert.equal(await service.ping("192.0.2.1", BODY_BYTES_MAX), 413);
  assert.deepEqual(service.mistakes, []);
});

test("what is no address, host or method that we know is refused, and no mistake of ours", LONG, async () => {
  await using service = await started();
  const { port } = service;
  const status = async (asked: { method?: string; path: string; host?: string }) => {
    const { host = HOST, ...rest } = asked;
    const sent = request({ port, headers: { host }, ...rest }).end();
    const [response] = await once(sent, "response");
    response.resume();
    return response.statusCode;
  };
  assert.equal(await status({ path: "//" }), 404);
  assert.equal(await status({ path: "/mcp", host: `${HOST}:99999` }), 403);
  assert.equal(await status({ method: "TRACE", path: "/mcp" }), 405);
  assert.deepEqual(service.mistakes, []);
});

test("whether the API is reached is said of its instances, not of a balancer with none behind it, and not before it was asked", async () => {
  let answered = "<html><body><h1>503 Service Unavailable</h1></body></html>";
  const balancer = createServer((_asked, response) => response.writeHead(503).end(answered)).listen(0, HOST);
  await once(balancer, "listening");
  const at = balancer.address();
  assert(typeof at === "object" && at !== null);
  const api = new HttpApi({ base: `http://${HOST}:${at.port}`, ownKey: undefined, random: systemRandom });
  const reached = [api.reached];
  for (const text of [answered, '{"error":{"code":"NO_SERVER","message":"no server answers"}}']) {
    answered = text;
    await assert.rejects(api.get("/v1/categories", {}, { key: undefined }));
    reached.push(api.reached);
  }
  balancer.closeAllConnections();
  balancer.close();
  assert.deepEqual(reached, [undefined, false, true]);
});
