import assert from "node:assert/strict";
import { test } from "node:test";
import { LifeboatError, assert as mustHold } from "../errors/error.ts";
import { abortedError } from "../platform/clock.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { proveEach } from "./each.ts";

const backups = ["a", "b", "c"].map((backupId) => ({ backupId })) as unknown as BackupRecord[];
const lacking = new LifeboatError("proof.library-missing", { message: "no library", remedy: "Install it." });

function except(backupId: string, error: unknown): (backup: BackupRecord) => Promise<string> {
  return async (backup) => {
    if (backup.backupId === backupId) throw error;
    return `${backup.backupId} proven`;
  };
}

test("one that cannot be proven leaves the others to be proven", async () => {
  assert.deepEqual(await proveEach(backups, except("b", lacking)), {
    made: ["a proven", "c proven"],
    unproven: [{ backupId: "b", error: lacking }],
  });
});

test("a stop, a bug and what keeps the only one from being proven are thrown", async () => {
  const stopped = abortedError("proving", new Error("stopped"));
  await assert.rejects(proveEach(backups, except("b", stopped)), { code: "platform.aborted" });
  const bug = async (): Promise<never> => {
    mustHold(false, "of the test");
    throw lacking;
  };
  await assert.rejects(proveEach(backups, bug), { code: "platform.assertion-failed" });
  await assert.rejects(proveEach(backups, except("b", new TypeError("of the test"))), TypeError);
  await assert.rejects(proveEach(backups.slice(1, 2), except("b", lacking)), { code: "proof.library-missing" });
});
