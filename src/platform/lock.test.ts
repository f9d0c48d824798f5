import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { systemLocks } from "./lock.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "lifeboat-lock-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("a second holder of the same process is refused until the first gives up", () => {
  const file = path.join(folder, "one");
  const first = systemLocks.tryAcquire(file);
  assert.ok(first);
  // Removing one would be a sync, for which the whole process waits.
  assert.equal(existsSync(`${file}-journal`), false);
  assert.equal(systemLocks.tryAcquire(file), undefined);
  first.release();
  first.release();
  const second = systemLocks.tryAcquire(file);
  assert.ok(second);
  second.release();
});

test("a lock of another process ends when that process is killed", async () => {
  const file = path.join(folder, "two");
  const code = `const { systemLocks } = await import(${JSON.stringify(import.meta.resolve("./lock.ts"))});
    systemLocks.tryAcquire(${JSON.stringify(file)}); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  assert.equal(systemLocks.tryAcquire(file), undefined);
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = systemLocks.tryAcquire(file);
  assert.ok(lock);
  lock.release();
});

test("a lock file in a folder that is not there is an error, with the system's reason, and not a holder", () => {
  assert.throws(
    () => systemLocks.tryAcquire(path.join(folder, "missing", "lock")),
    (error) => isLifeboatError(error, "platform.file-missing"),
  );
});
