import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { bench, leftRunning, withFolder } from "../test/support/benchmarks.ts";
import { repetitions } from "../test/support/effort.ts";

test("a stack under load is failed over and switched over twice, loses nothing, and the benchmark goes on where it was", async () => {
  await withFolder(async (folder) => {
    const json = path.join(folder, "result.json");
    const line = ["failover", "--rate", "50", "--folder", folder];
    const first = await bench([...line, "--faults", "switchover", "--runs", "1"]);
    assert.equal(first.status, 0, first.output);
    // Those that take longer are in the long run.
    const faults = ["killed", "switchover", ...(repetitions(0, 1) === 0 ? [] : ["frozen", "pause"])];
    const { status, output } = await bench([...line, "--faults", faults.join(","), "--runs", "2", "--json", json]);
    assert.equal(status, 0, output);
    assert.match(output, new RegExp(`^1 runs are in .*, ${2 * faults.length - 1} are missing$`, "m"));
    type Run = Readonly<Record<"fault" | "primaryBefore" | "primaryAfter", string>> &
      Readonly<Record<"acknowledged" | "lost" | "odd" | "writesFailed" | "readsFailed", number>>;
    const { runs }: { runs: readonly Run[] } = JSON.parse(await readFile(json, "utf8"));
    assert.equal(runs.length, 2 * faults.length);
    for (const run of runs) {
      assert.ok(run.acknowledged > 50, output);
      assert.deepEqual([run.lost, run.odd], [0, 0], output);
      assert.equal(run.primaryBefore === run.primaryAfter, run.fault === "pause", output);
    }
    assert.deepEqual(await leftRunning(folder), []);
  });
});

// A stack with its service takes half a minute of two cores to come up and be disturbed; test/end-to-end/service.test.ts asks the same of one.
for (let count = 0; count < repetitions(0, 1); count += 1) {
  test("callers of the service have no failed request while its primary is killed and handed over, and the benchmark goes on", async () => {
    await withFolder(async (folder) => {
      const json = path.join(folder, "result.json");
      const line = ["service-failover", "--folder", folder, "--runs", "1", "--json", json];
      const first = await bench([...line, "--faults", "switchover"]);
      assert.equal(first.status, 0, first.output);
      const { status, output } = await bench([...line, "--faults", "killed,switchover"]);
      assert.equal(status, 0, output);
      assert.match(output, /^1 runs are in .*, 1 are missing$/m);
      const { verdicts }: { verdicts: readonly { readonly kept: boolean }[] } = JSON.parse(
        await readFile(json, "utf8"),
      );
      assert.equal(verdicts.length, 8);
      assert.ok(
        verdicts.every(({ kept }) => kept),
        output,
      );
      assert.deepEqual(await leftRunning(folder), []);
    });
  });
}
