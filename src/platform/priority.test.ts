import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { getPriority, setPriority } from "node:os";
import { test } from "node:test";
import { comeForward, poolStandsBack, standBack } from "./priority.ts";

async function priorities(): Promise<readonly number[]> {
  return (await readdir("/proc/self/task")).map((thread) => getPriority(Number(thread)));
}

test("a thread comes forward where that is permitted, and alone", async (t) => {
  const before = await priorities();
  const own = getPriority(process.pid);
  t.after(() => setPriority(process.pid, own));
  comeForward(own - 1);
  const moved = getPriority(process.pid);
  assert.ok(moved === own - 1 || process.geteuid?.() !== 0, `root is at ${moved}`);
  assert.equal((await priorities()).filter((each) => each < own).length, moved < own ? 1 : 0, String(before));
  comeForward(moved + 1);
  assert.equal(getPriority(process.pid), moved, "it never goes back");
});

test("a pool that stands back leaves the thread that asks as it was", async () => {
  const own = getPriority(process.pid);
  const nice = Math.min(19, own + 2);
  await poolStandsBack(nice);
  assert.equal(getPriority(process.pid), own);
  const lowered = (await priorities()).filter((each) => each === nice);
  assert.ok(
    own === 19 || lowered.length === Number(process.env["UV_THREADPOOL_SIZE"] ?? 4),
    `${lowered.length} threads`,
  );
});

const STANDING = `
  const { standBack } = await import(${JSON.stringify(new URL("./priority.ts", import.meta.url).href)});
  await standBack(7);
  await standBack(5);
  const { readFileSync } = await import("node:fs");
  process.stdout.write(readFileSync("/proc/self/autogroup", "utf8").split(" ").at(-1));
`;

test("where a session has a priority of its own, that of one led by the process goes down, and no other", async () => {
  const before = await readFile("/proc/self/autogroup", "utf8").catch(() => "");
  const session = before.split(" ").at(-1)?.trim();
  const run = async (detached: boolean) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", STANDING], { detached });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await once(child, "close");
    return said.trim();
  };
  assert.deepEqual(
    [await run(true), await run(false)],
    session === undefined || session === "" ? ["", ""] : ["7", session],
  );
});

test("a process that stands back does so with all its threads, and never comes forward again", async () => {
  const lowest = Math.min(...(await priorities()));
  const nice = Math.min(19, lowest + 3);
  await standBack(nice);
  assert.deepEqual([...new Set(await priorities())], [nice]);
  await standBack(nice - 2);
  assert.deepEqual([...new Set(await priorities())], [nice]);
});
