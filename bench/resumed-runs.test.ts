import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { tree } from "./report.ts";
import { keepMeasured, outcomeOf } from "./resumed-runs.ts";
import { RunRecord } from "./run-record.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-runs-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("a run that nothing could follow is kept before the benchmark ends, and is there for the next call", async () => {
  await withFolder(async (folder) => {
    const file = path.join(folder, "runs.jsonl");
    const record = await RunRecord.open<{ number: number }>(file, { tree: "a" }, false);
    await keepMeasured(record, { run: { number: 1 } });
    await assert.rejects(keepMeasured(record, { run: { number: 2 }, cut: new Error("not whole") }), /not whole/);
    const next = await RunRecord.open<{ number: number }>(file, { tree: "a" }, false);
    assert.deepEqual(next.runs, [{ number: 1 }, { number: 2 }]);
  });
});

test("two edits of one commit are two programs, and the same edit is the same", async () => {
  await withFolder(async (folder) => {
    const git = (...words: readonly string[]): void => {
      execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t", ...words], { cwd: folder, stdio: "ignore" });
    };
    git("init");
    const trees: string[] = [];
    for (const text of ["as committed", "edited", "edited again", "edited"]) {
      await writeFile(path.join(folder, "program"), text);
      if (trees.length === 0) {
        git("add", "--all");
        git("commit", "--message", "first");
      }
      trees.push(await tree(folder));
    }
    await writeFile(path.join(folder, "another"), "new");
    trees.push(await tree(folder));
    assert.equal(trees[1], trees[3]);
    assert.equal(new Set(trees).size, 4);
    assert.ok(
      trees.every((each) => /^[0-9a-f]{40,64}$/.test(each)),
      trees.join(),
    );
  });
});

test("work that fails is an outcome with its error, unless the benchmark is stopped", async () => {
  const stop = new AbortController();
  const call = { signal: stop.signal };
  assert.deepEqual(await outcomeOf(Promise.resolve(1), call), { value: 1 });
  assert.equal((await outcomeOf(Promise.reject(new Error("gone")), call)).error?.message, "gone");
  stop.abort();
  await assert.rejects(outcomeOf(Promise.reject(new Error("gone")), call), /abort/);
});
