/** What is this machine's fault and not the backup's: it ends a proof without a record, and the backup stays what it was. */
import assert from "node:assert/strict";
import { appendFile, readdir } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { type Proven, prove } from "../../test/support/proofs.ts";
import { startServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { systemFiles } from "../platform/files.ts";
import { listProofs } from "../vault/proofs.ts";

const MIB = 1024 * 1024;

/** Rejects so at this depth, and leaves neither a proof nor a folder. */
async function endsUnrecorded(
  of: Proven,
  wanted: { readonly code: ErrorCode; readonly says: RegExp },
  sql?: string,
): Promise<void> {
  const before = (await listProofs(of.vault, {}, {})).proofs.length;
  const invariants = sql === undefined ? [] : [{ name: "asks", database: "postgres", expect: "no-rows", sql } as const];
  await assert.rejects(prove(of, sql === undefined ? "booted" : "checked", { invariants }), (error) => {
    assert.ok(isLifeboatError(error, wanted.code), String(error));
    assert.match(error.message, wanted.says);
    return true;
  });
  assert.equal((await listProofs(of.vault, {}, {})).proofs.length, before);
  assert.deepEqual(await systemFiles.list(of.folder), []);
}

test("a full disk, too little memory, a failing disk and a killed process are no findings, a crash is one", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer({ walSegmentBytes: MIB });
    const vault = await createTestVault();
    const of = { vault, backup: await takeTestBackup(server, vault), server, folder };
    for (const [sqlstate, code] of [
      ["53100", "platform.disk-full"],
      ["53200", "proof.machine-failed"],
      ["58030", "proof.machine-failed"],
    ] as const) {
      const raise = `DO $$ BEGIN RAISE 'as the server says it' USING ERRCODE = '${sqlstate}'; END $$`;
      await endsUnrecorded(of, { code, says: /as the server says it/ }, raise);
    }
    // As the kernel does where memory is short.
    const kill = "COPY (SELECT 1) TO PROGRAM 'kill -KILL $PPID'";
    await endsUnrecorded(of, { code: "proof.machine-failed", says: /terminated by signal 9/ }, kill);
    const postmaster = "COPY (SELECT pg_sleep(60)) TO PROGRAM 'kill -KILL $(head -n 1 postmaster.pid)'";
    await endsUnrecorded(of, { code: "proof.machine-failed", says: /was killed/ }, postmaster);
    const crash = "COPY (SELECT 1) TO PROGRAM 'kill -SEGV $PPID'";
    const proof = await prove(of, "checked", {
      invariants: [{ name: "asks", database: "postgres", expect: "no-rows", sql: crash }],
    });
    assert.deepEqual([proof.failedAt, proof.findings[0]?.code], ["checked", "server-ended"]);
  });
});

test("a locale that this machine lacks hinders no proof; a file that it lacks ends it and is named", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer({ walSegmentBytes: MIB });
    const vault = await createTestVault();
    const settings = path.join(server.dataFolder, "postgresql.conf");
    // As on the machine that has it: good there, and not read again here.
    await appendFile(settings, "\nlc_messages = 'xx_XX.UTF-8'\nlc_monetary = 'xx_XX.UTF-8'\n");
    await appendFile(settings, "lc_numeric = 'xx_XX.UTF-8'\nlc_time = 'xx_XX.UTF-8'\n");
    const passed = await prove({ vault, backup: await takeTestBackup(server, vault), server, folder }, "booted");
    assert.deepEqual([passed.reached, passed.findings], ["booted", []]);
    await appendFile(settings, "include '/etc/of/the/other/machine.conf'\n");
    const of = { vault, backup: await takeTestBackup(server, vault), server, folder };
    await endsUnrecorded(of, { code: "postgres.start-failed", says: /of\/the\/other\/machine\.conf/ });
  });
});

test("a server that damage keeps from starting is a finding", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer({ walSegmentBytes: MIB, settings: { max_prepared_transactions: 1 } });
    const vault = await createTestVault();
    // The running server reads it again only to end it.
    await server.onOneSession({}, async (ask) => {
      for (const sql of ["BEGIN", "CREATE TABLE t ()", "PREPARE TRANSACTION 'left'", "CHECKPOINT"]) await ask(sql);
    });
    const folderOfIt = path.join(server.dataFolder, "pg_twophase");
    const [name = ""] = await readdir(folderOfIt);
    await appendFile(path.join(folderOfIt, name), "more");
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "booted");
    assert.deepEqual([proof.failedAt, proof.findings[0]?.code], ["booted", "postgres.start-failed"]);
    assert.match(proof.findings[0]?.message ?? "", /pg_twophase/);
  });
});
