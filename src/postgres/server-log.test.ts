import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { systemFiles } from "../platform/files.ts";
import { LOG_TAIL_BYTES, readLogTail, startError } from "./server-log.ts";

const SETUP = { dataFolder: "/data", port: 5432, logFile: "/log" };
const FAILED = { kind: "exited", status: 1 } as const;

test("a busy port and a full disk have codes of their own", () => {
  const cases = [
    ['LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', "postgres.port-busy"],
    ['FATAL:  lock file "/tmp/.s.PGSQL.5432.lock" already exists', "postgres.port-busy"],
    ['FATAL:  could not write lock file "postmaster.pid": No space left on device', "platform.disk-full"],
    ['FATAL:  lock file "postmaster.pid" already exists', "postgres.start-failed"],
  ] as const;
  for (const [log, code] of cases) {
    const error = startError(SETUP, FAILED, log);
    assert.equal(error.code, code);
    assert.ok(error.message.includes(log.slice(log.indexOf("  ") + 2)), error.message);
  }
});

test("the advice fits what the log says, and without any it names the log", () => {
  const cases = [
    ['FATAL:  data directory "/data" has wrong ownership', /Give the data folder/],
    ['FATAL:  data directory "/data" has invalid permissions', /0700/],
    ['FATAL:  could not access file "pg_cron": No such file or directory', /shared_preload_libraries/],
    ["FATAL:  recovery ended before configured recovery target was reached", /earlier target/],
    ["FATAL:  requested recovery stop point is before consistent recovery point", /after the end of the backup/],
    ["FATAL:  database files are incompatible with server", /version that made/],
    ["PANIC:  could not locate a valid checkpoint record", /restore it again/],
    ["FATAL:  something new", /\/log/],
  ] as const;
  for (const [log, remedy] of cases) assert.match(startError(SETUP, FAILED, log).remedy, remedy);
});

test("the message quotes the serious lines, else the last ones, and says how the server ended", () => {
  const log = "LOG:  one\nFATAL:  two\nLOG:  three";
  assert.match(
    startError(SETUP, FAILED, log).message,
    /ended with status 1 while starting: LOG: {2}one; FATAL: {2}two$/,
  );
  const led = startError(SETUP, FAILED, "LOG:  1\nLOG:  2\nLOG:  3\nLOG:  4\nHINT:  5\nLOG:  6\nFATAL:  7").message;
  assert.match(led, /: LOG: {2}6; FATAL: {2}7$/);
  const last = startError(SETUP, FAILED, "LOG:  1\nLOG:  2\nLOG:  3\nLOG:  4\nFATAL:  5").message;
  assert.match(last, /: LOG: {2}2; LOG: {2}3; LOG: {2}4; FATAL: {2}5$/);
  const detailed = startError(SETUP, FAILED, "DETAIL:  zero\nFATAL:  one\nDETAIL:  two\nHINT:  three\nDETAIL:  four");
  assert.match(detailed.message, /: FATAL: {2}one; DETAIL: {2}two$/);
  const killed = startError(SETUP, { kind: "signalled", signal: "SIGKILL" }, "LOG:  a\nLOG:  b\nLOG:  c\nLOG:  d");
  assert.match(killed.message, /was ended by SIGKILL while starting: LOG: {2}b; LOG: {2}c; LOG: {2}d$/);
  assert.match(startError(SETUP, FAILED, "").message, /log is empty/);
});

test("the tail of a log is whole lines, from where it was told, and empty without a log", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-log-"));
  try {
    const file = path.join(folder, "log");
    assert.equal(await readLogTail(systemFiles, { file, fromByte: 0 }), "");
    await writeFile(file, "before\nafter\n");
    assert.equal(await readLogTail(systemFiles, { file, fromByte: 7 }), "after");
    await writeFile(file, Array.from({ length: 2000 }, (_, number) => `line ${number}\n`).join(""));
    const tail = await readLogTail(systemFiles, { file, fromByte: 0 });
    assert.ok(tail.length <= LOG_TAIL_BYTES && tail.endsWith("line 1999"));
    assert.match(tail, /^line \d+\n/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
