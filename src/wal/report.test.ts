import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { REPORT_HEAD, type ReceiverReport, readReceiverStatus, writeReport } from "./report.ts";
import { spoolLock } from "./spool.ts";

const TOOLS = { files: systemFiles, locks: systemLocks, random: systemRandom };
const REPORT: ReceiverReport = {
  ...REPORT_HEAD,
  pid: 1,
  mode: "streaming",
  startedAt: "2026-11-22T11:00:00.000Z",
  updatedAt: "2026-11-22T12:00:00.000Z",
  systemId: "7000000000000000001",
  timeline: 1,
  slot: "lifeboat_vault",
  epoch: 0,
  applicationName: "lifeboat_vault",
  writtenLsn: "0/3000060",
  flushedLsn: "0/3000060",
  serverEndLsn: "0/3000060",
  lagBytes: 0,
  segmentsWaiting: 0,
  spoolBytes: 96,
  spoolBytesMax: 1024,
  lastError: null,
  alarms: [],
  gaps: [],
};

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
