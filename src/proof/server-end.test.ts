import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestVault } from "../../test/support/vaults.ts";
import { LifeboatError } from "../errors/error.ts";
import { findingOf } from "./look.ts";
import { readServerEnd } from "./server-end.ts";

const STARTS = "LOG:  starting PostgreSQL\nLOG:  redo starts at 0/2000028\n";

test("a log that calls something damaged is damage, also beside words of an ordinary recovery", () => {
  for (const line of [
    "PANIC:  could not locate a valid checkpoint record",
    "FATAL:  could not locate required checkpoint record",
    "FATAL:  WAL ends before consistent recovery point",
    "FATAL:  btree_redo: unknown op code 240\nCONTEXT:  WAL redo at 0/2000110 for Btree/UNKNOWN (f0)",
    'FATAL:  could not open file "global/pg_filenode.map": No such file or directory',
    'FATAL:  relation mapping file "global/pg_filenode.map" contains incorrect checksum',
    "FATAL:  could not access status of transaction 700\nDETAIL:  Could not read from file",
    'FATAL:  incorrect alignment of CRC offset for file "x"\nLOG:  shutting down due to startup process failure',
    "LOG:  startup process (PID 7) was terminated by signal 11: Segmentation fault",
  ]) {
    assert.equal(readServerEnd(`${STARTS}${line}\nLOG:  database system is shut down`).kind, "damage", line);
  }
});

test("what the machine lacks or did is the machine's, whatever else the log says", () => {
  for (const [line, why] of [
    ['PANIC:  could not write to file "pg_wal/xlogtemp.7": No space left on device', "disk-full"],
    ["LOG:  server process (PID 7) was terminated by signal 9: Killed", "killed"],
    ["FATAL:  could not map anonymous shared memory: Cannot allocate memory", "other"],
    ['FATAL:  could not read file "base/5/2619": Input/output error', "other"],
    [
      "FATAL:  recovery aborted because of insufficient parameter settings\nCONTEXT:  WAL redo at 0/2000110 for XLOG/PARAMETER_CHANGE",
      "other",
    ],
    ["FATAL:  resource manager with ID 134 not registered\nCONTEXT:  WAL redo at 0/2000110 for custom134", "other"],
  ] as const) {
    const end = readServerEnd(`${STARTS}${line}`);
    assert.deepEqual([end.kind, end.kind === "machine" ? end.why : undefined], ["machine", why], line);
  }
});

test("a setting and a server without a word are unclear", () => {
  for (const log of [
    'LOG:  invalid value for parameter "lc_monetary": "xx"\nFATAL:  configuration file "postgresql.conf" contains errors',
    'LOG:  could not open configuration file "/etc/other.conf": No such file or directory\nFATAL:  configuration file "postgresql.conf" contains errors',
    'FATAL:  database "shop" does not exist',
    "LOG:  could not read from somewhere",
    STARTS,
    "",
  ]) {
    assert.equal(readServerEnd(log).kind, "unclear", log);
  }
});

test("a server that did not come up is a finding only where its log shows damage", async () => {
  const vault = await createTestVault();
  for (const code of ["postgres.start-failed", "restore.point-not-reached"] as const) {
    for (const [logTail, is] of [
      ["PANIC:  could not locate a valid checkpoint record", true],
      ['FATAL:  configuration file "postgresql.conf" contains errors', false],
      ["LOG:  startup process (PID 7) was terminated by signal 9: Killed", false],
    ] as const) {
      const error = new LifeboatError(code, { message: "it ended", remedy: "Look.", details: { logTail } });
      assert.equal((await findingOf(vault, error, "backup", {})) !== undefined, is, `${code} ${logTail}`);
    }
    // Without a log: one that came up short is a finding, a login that could not be made is none.
    const error = new LifeboatError(code, { message: "it ended", remedy: "Look." });
    assert.equal((await findingOf(vault, error, "backup", {})) !== undefined, code === "restore.point-not-reached");
  }
});
