import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { systemProcesses } from "../src/platform/processes.ts";
import { bench, leftRunning, withFolder } from "../test/support/benchmarks.ts";

test("a stack under load bears the loss of its replica and a halted primary, and the benchmark goes on where it was", async () => {
  await withFolder(async (folder) => {
    const json = path.join(folder, "result.json");
    const line = ["failover", "--rate", "50", "--runs", "1", "--folder", folder];
    const first = await bench([...line, "--faults", "redis"]);
    assert.equal(first.status, 0, first.output);
    const { status, output } = await bench([...line, "--faults", "redis,replica,pause", "--json", json]);
    assert.equal(status, 0, output);
    assert.match(output, /^1 runs are in .*, 2 are missing$/m);
    assert.match(output, /^kept +replica killed \(SIGKILL\): operations not ok, at most: 0 in a run$/m);
    assert.match(output, /^kept +primary halted for 2 s: false alarms: 0 of 1$/m);
    assert.match(output, /^kept +redis killed \(SIGKILL\): acknowledged writes lost or odd: 0 of all runs$/m);
    const { runs }: { runs: { acknowledged: number; lost: number }[] } = JSON.parse(await readFile(json, "utf8"));
    for (const { acknowledged, lost } of runs) assert.ok(acknowledged > 100 && lost === 0, output);
    assert.deepEqual(await leftRunning(folder), []);
  });
});

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
