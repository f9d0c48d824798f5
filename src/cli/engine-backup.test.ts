import assert from "node:assert/strict";
import { test } from "node:test";
import { openBoth } from "./engine-backup.ts";

/** A server that is reached, or not, when it is told so, and gives up on request. */
function pendingServer() {
  const told = Promise.withResolvers<{ readonly connection: { close(): Promise<void> } }>();
  const seen = { closed: 0, aborted: false };
  const connection = {
    close: async () => {
      seen.closed += 1;
    },
  };
  const reach = (signal: AbortSignal) => {
    signal.addEventListener("abort", () => {
      seen.aborted = true;
      told.reject(new Error("given up"));
    });
    return told.promise;
  };
  return { reach, seen, arrive: () => told.resolve({ connection }), fail: (cause: Error) => told.reject(cause) };
}

const { signal } = new AbortController();

test("vault and server are reached beside each other, whichever is first", async () => {
  const server = pendingServer();
  const vault = Promise.withResolvers<string>();
  const both = openBoth(vault.promise, server.reach, { signal });
  server.arrive();
  vault.resolve("vault");
  assert.equal((await both).vault, "vault");
  assert.deepEqual(server.seen, { closed: 0, aborted: false });
});

test("a vault that does not open is told, whatever the server says, and leaves no connection", async () => {
  const wrongKey = new Error("wrong key");
  const early = pendingServer();
  early.arrive();
  await assert.rejects(openBoth(Promise.reject(wrongKey), early.reach, { signal }), wrongKey);
  assert.equal(early.seen.closed, 1);

  const failing = pendingServer();
  failing.fail(new Error("no server"));
  await assert.rejects(openBoth(Promise.reject(wrongKey), failing.reach, { signal }), wrongKey);

  const silent = pendingServer();
  await assert.rejects(openBoth(Promise.reject(wrongKey), silent.reach, { signal }), wrongKey);
  assert.ok(silent.seen.aborted);
});

test("a server that is not reached is told when the vault has opened", async () => {
  const noServer = new Error("no server");
  const server = pendingServer();
  server.fail(noServer);
  await assert.rejects(openBoth(Promise.resolve("vault"), server.reach, { signal }), noServer);
});
