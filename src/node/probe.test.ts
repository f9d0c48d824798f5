/** What a probe makes of a server that ends while it is asked. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { systemClock } from "../platform/clock.ts";
import { SqlNode } from "./node.ts";

function nodeAt(port: number): SqlNode {
  return new SqlNode(systemClock, {
    name: "node",
    address: {
      host: "127.0.0.1",
      port,
      user: "postgres",
      password: "secret",
      tls: { mode: "disable" },
      applicationName: "lifeboat_node",
      connectTimeoutMs: 5_000,
    },
    connectionTo: () => ({ conninfo: "", slot: "" }),
    freeBytes: async () => 0,
    cloning: () => false,
  });
}

test("a server that ends while it is asked is looked at again at once, and nobody listens then", async () => {
  const server = net.createServer((socket) => {
    server.close();
    socket.once("data", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  assert.deepEqual(await nodeAt(port).probe({ timeoutMs: 5_000 }), { kind: "nobody-listens" });
});

test("a server that ends every session without a word is silent", async () => {
  let sessions = 0;
  const server = net.createServer((socket) => {
    sessions += 1;
    socket.once("data", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  assert.deepEqual(await nodeAt(port).probe({ timeoutMs: 5_000 }), { kind: "silent" });
  assert.equal(sessions, 2);
  server.close();
});
