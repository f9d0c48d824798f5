import assert from "node:assert/strict";
import { test } from "node:test";
import { systemProcesses } from "../src/platform/processes.ts";
import { bench, leftRunning, withFolder } from "../test/support/benchmarks.ts";

test("an interrupt under load takes the stack down and leaves no process of it", async () => {
  await withFolder(async (folder) => {
    const { status, output } = await bench(
      ["failover", "--faults", "redis", "--runs", "2", "--rate", "50", "--folder", folder],
      (text, pid) => void (text.includes("redis killed (SIGKILL), 1 of 2") && systemProcesses.signal(pid, "SIGINT")),
    );
    assert.equal(status, 130, output);
    assert.deepEqual(await leftRunning(folder), []);
  });
});
