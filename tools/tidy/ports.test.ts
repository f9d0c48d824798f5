import assert from "node:assert/strict";
import { test } from "node:test";
import { driverRule, portsRule, purityRule, renameRule } from "./ports.ts";

const used = (text: string, file = "src/wal/spool.ts") =>
  portsRule(new Map([[file, text]])).map(({ message }) => message.split(" is ")[0]);

test("a concept that uses the machine's files, processes or timers is refused", () => {
  assert.deepEqual(used('import fs from "node:fs/promises";'), ["node:fs/promises"]);
  assert.deepEqual(used('import { spawn } from "node:child_process";'), ["node:child_process"]);
  assert.deepEqual(used("setTimeout(() => {}, 1);"), ["setTimeout"]);
});

test("a concept that uses the machine's clock, random source or environment is refused", () => {
  assert.deepEqual(used("Date.now();"), ["Date.now"]);
  assert.deepEqual(used("new Date();"), ["new Date()"]);
  assert.deepEqual(used("Math.random();"), ["Math.random"]);
  assert.deepEqual(used('import { createHash, randomBytes } from "node:crypto";'), ["randomBytes"]);
  assert.deepEqual(used("process.env;"), ["process.env"]);
});

test("a concept that ends the process or listens to its signals is refused", () => {
  assert.deepEqual(used('process.on("SIGINT", stop);'), ["process.on"]);
  assert.deepEqual(used("process.exit(1);"), ["process.exit"]);
});

test("platform, programs and tests may use the machine, and a type is no use", () => {
  assert.deepEqual(used("Date.now();", "src/platform/clock.ts"), []);
  assert.deepEqual(used("process.env;", "src/cli/main.ts"), []);
  assert.deepEqual(used("Date.now();", "src/wal/spool.test.ts"), []);
  assert.deepEqual(used('import type { Stats } from "node:fs"; new Date(5);'), []);
});

test("a rename outside the durable write is refused", () => {
  const check = (file: string) => renameRule(new Map([[file, "await files.rename(a, b);"]])).length;
  assert.equal(check("src/wal/spool.ts"), 1);
  assert.equal(check("src/platform/durable.ts"), 0);
});

test("a session by node-postgres without a guarded socket is refused", () => {
  const check = (text: string) => driverRule(new Map([["src/daemon/sentinel.ts", text]])).length;
  assert.equal(check("new pg.Client({ host, ssl: false });"), 1);
  assert.equal(check("new pg.Pool({ stream: () => new Socket() });"), 1);
  assert.equal(check("new pg.Client({ stream: () => guardedSocket() });"), 0);
  assert.equal(check("const client: pg.Client = newSession(address);"), 0);
});

test("a plan or decision that waits is refused", () => {
  const check = (file: string, text: string) => purityRule(new Map([[file, text]])).length;
  assert.equal(check("src/restore/plan.ts", "export const plan = async () => {};"), 1);
  assert.equal(check("src/failover/decide.ts", "export const plan = () => {};"), 0);
  assert.equal(check("src/restore/act.ts", "export const act = async () => {};"), 0);
});
