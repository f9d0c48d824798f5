import assert from "node:assert/strict";
import { test } from "node:test";
import { isServerOf } from "./server-process.ts";

test("a server that cannot be seen is known by its command line, and one of another folder is not called none", async () => {
  const facts = {
    pid: 7,
    parentPid: 1,
    sessionId: 7,
    name: "postgres",
    zombie: false,
    halted: false,
    startTicks: "77",
  };
  const isServer = (shown: readonly string[]) =>
    isServerOf(
      { worksIn: async () => "unknown", facts: async () => facts, commandLine: async () => shown },
      { pid: 7, dataFolder: "/data" },
    );
  assert.equal(await isServer(["/usr/bin/postgres", "-D", "/data", "-c", "port=1"]), true);
  for (const shown of [["postgres", "-D", "/other"], ["postgres: idle"], ["postgres", "/data"], []]) {
    await assert.rejects(isServer(shown), { code: "platform.file-denied" });
  }
});
