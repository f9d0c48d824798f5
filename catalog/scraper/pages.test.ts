import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { servePages } from "./pages.ts";

test("an address that is none is answered 404, and the program goes on", { timeout: 20_000 }, async () => {
  const scheduler = { silentMs: 0, running: [], totals: new Map<string, number>() };
  const at = { host: "127.0.0.1", port: 0 };
  const server = await servePages({ scheduler, schema: { state: "fits" }, warmer: undefined }, at);
  const status = async (path: string) => {
    const [response] = await once(
      request({ ...at, port: (server.address() as AddressInfo).port, path }).end(),
      "response",
    );
    response.resume();
    return response.statusCode;
  };
  try {
    assert.deepEqual([await status("//"), await status("/health/live")], [404, 200]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
