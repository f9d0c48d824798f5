import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { STREAMING_REPORT as REPORT } from "../../test/support/receiver-report.ts";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { readReceiverStatus, writeReport } from "./report.ts";
import { spoolLock } from "./spool.ts";

const TOOLS = { files: systemFiles, locks: systemLocks, random: systemRandom };
test("the receiver runs while somebody holds its spool, and only then", async () => {
  await using temporary = await temporaryFolder("report");
  const { folder } = temporary;
  assert.deepEqual(await readReceiverStatus(TOOLS, folder), { kind: "never-ran" });
  await writeReport(TOOLS, folder, REPORT);
  assert.deepEqual(await readReceiverStatus(TOOLS, folder), { kind: "not-running", report: REPORT });
  const lock = systemLocks.tryAcquire(spoolLock(folder));
  assert.deepEqual(await readReceiverStatus(TOOLS, folder), { kind: "running", report: REPORT });
  lock?.release();
});

test("a report that a power cut left torn counts as none", async () => {
  await using temporary = await temporaryFolder("report");
  await writeFile(path.join(temporary.folder, "receiver.json"), '{"format": "lifeb');
  assert.deepEqual(await readReceiverStatus(TOOLS, temporary.folder), { kind: "never-ran" });
});

test("a report is replaced whole and leaves nothing else behind", async () => {
  await using temporary = await temporaryFolder("report");
  await writeReport(TOOLS, temporary.folder, REPORT);
  await writeReport(TOOLS, temporary.folder, { ...REPORT, mode: "stopped" });
  const names = (await systemFiles.list(temporary.folder)).map(({ name }) => name);
  assert.deepEqual(names, ["receiver.json"]);
});
