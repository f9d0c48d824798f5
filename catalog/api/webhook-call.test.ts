import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { isPublicAddress } from "../../src/platform/public-address.ts";
import { callWebhook } from "./webhook-call.ts";

test("a webhook that leads to a private network, by its address or by a name, is not connected to", async () => {
  let connections = 0;
  const server = createServer((_request, response) => response.end("a body"));
  server.on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const call = async (host: string, allowPrivate: boolean) =>
    await callWebhook({ id: 1, url: `http://${host}:${port}/`, secret: "s", payload: {} }, { allowPrivate });
  try {
    for (const host of ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"]) {
      const { isDone, answer } = await call(host, false);
      assert.equal(isDone, false);
      assert.match(answer, /leads to a private network/, host);
    }
    assert.equal(connections, 0);
    assert.deepEqual(await call("localhost", true), { isDone: true, answer: "200" });
  } finally {
    server.closeAllConnections();
    server.close();
  }
  for (const other of ["169.254.169.254", "fd00::1", "::1", "2002:7f00:1::", "198.18.0.1"]) {
    assert.equal(isPublicAddress(other), false, other);
  }
  assert.deepEqual([isPublicAddress("9.9.9.9"), isPublicAddress("2620:fe::fe")], [true, true]);
});
