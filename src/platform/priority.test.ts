import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { getPriority } from "node:os";
import { test } from "node:test";
import { standBack } from "./priority.ts";

async function priorities(): Promise<readonly number[]> {
  return (await readdir("/proc/self/task")).map((thread) => getPriority(Number(thread)));
}

test("a process that stands back does so with all its threads, and never comes forward again", async () => {
  const lowest = Math.min(...(await priorities()));
  const nice = Math.min(19, lowest + 3);
  await standBack(nice);
  assert.deepEqual([...new Set(await priorities())], [nice]);
  await standBack(nice - 2);
  assert.deepEqual([...new Set(await priorities())], [nice]);
});
