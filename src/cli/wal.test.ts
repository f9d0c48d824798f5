import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { STREAMING_REPORT } from "../../test/support/receiver-report.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { ReceiverReport } from "../wal/report.ts";
import { runCli } from "./run.ts";
import { createStyle } from "./style.ts";
import {
  isReceivingWell,
  renderWalStatus,
  statusOfAnswer,
  type WalAnswer,
  type WalStatus,
  walStatusJson,
} from "./wal.ts";

const SEGMENT = "000000010000000000000003";
const reason = new LifeboatError("store.failed", { message: "the store did not answer", remedy: "Try again." });

function getting(answer: WalAnswer | "throws") {
  return allVerbs({
    getWal: async () => {
      if (answer === "throws") throw reason;
      return answer;
    },
  });
}

async function statusOf(args: readonly string[], answer: WalAnswer | "throws" = { kind: "found" }): Promise<number> {
  return runCli(["wal", "get", ...args], getting(answer), recordedFrame());
}

test("rule B2: found is 0, proven absent 1, unknown stops a restore and lets a standby ask again", () => {
  assert.equal(statusOfAnswer({ kind: "found" }, "restore"), 0);
  assert.equal(statusOfAnswer({ kind: "absent" }, "restore"), 1);
  assert.equal(statusOfAnswer({ kind: "absent" }, "standby"), 1);
  assert.equal(statusOfAnswer({ kind: "unknown", reason }, "restore"), 200);
  assert.equal(statusOfAnswer({ kind: "unknown", reason }, "standby"), 1);
});

test("rule B2: whatever else fails while WAL is fetched for a restore is never taken for the end of the WAL", async () => {
  assert.equal(await statusOf([SEGMENT, "/pg_wal/x"], "throws"), 200);
  assert.equal(await statusOf([SEGMENT]), 200);
  assert.equal(await statusOf([SEGMENT, "/pg_wal/x", "--mod", "restore"]), 200);
  assert.equal(await statusOf([SEGMENT, "/pg_wal/x", "--mode", "standbi"]), 200);
  assert.equal(await statusOf([SEGMENT, "/pg_wal/x", "--config", "/nonexistent.yaml"]), 200);
  assert.equal(
    await runCli(["--nonsense", "wal", "get", SEGMENT, "x"], getting({ kind: "found" }), recordedFrame()),
    200,
  );
});

test("a standby asks again after any failure", async () => {
  assert.equal(await statusOf([SEGMENT, "/pg_wal/x", "--mode", "standby"], "throws"), 1);
  assert.equal(await statusOf([SEGMENT, "/pg_wal/x", "--mode=standby", "--nonsense"]), 1);
});

test("a fetched segment is quiet, an unknown one says why on stderr", async () => {
  const quiet = recordedFrame();
  assert.equal(await runCli(["wal", "get", SEGMENT, "x"], getting({ kind: "found" }), quiet), 0);
  assert.equal(quiet.stdout.written() + quiet.stderr.written(), "");
  const told = recordedFrame();
  await runCli(["wal", "get", SEGMENT, "x"], getting({ kind: "unknown", reason }), told);
  assert.equal(told.stderr.written(), `${SEGMENT}: the store did not answer (store.failed)\n`);
});

test("the destination is absolute from where PostgreSQL runs the command", async () => {
  const seen: object[] = [];
  const verbs = allVerbs({
    getWal: async ({ name, destination, system }) => {
      seen.push({ name, destination, system });
      return { kind: "found" };
    },
  });
  await runCli(["wal", "get", SEGMENT, "pg_wal/RECOVERYXLOG"], verbs, recordedFrame({ workingFolder: "/data" }));
  assert.deepEqual(seen, [{ name: SEGMENT, destination: "/data/pg_wal/RECOVERYXLOG", system: undefined }]);
});

test("how receiving stands is told for people and for programs, with and without a server", () => {
  const style = createStyle({ colours: false, columns: 100 });
  const report: ReceiverReport = {
    ...STREAMING_REPORT,
    pid: 4711,
    startedAt: "2026-01-01T03:00:00.000Z",
    updatedAt: "2026-01-01T03:30:00.000Z",
    serverEndLsn: "0/3000160",
    lagBytes: 256,
    segmentsWaiting: 2,
    spoolBytes: 33_554_432,
    spoolBytesMax: 1_073_741_824,
  };
  const well: WalStatus = {
    receiver: { kind: "running", report },
    reportAgeMs: 400,
    server: { kind: "reached", systemId: "7" as SystemId, lsn: 0x3000160n as Lsn, lagBytes: 256, slot: "keeps WAL" },
  };
  const badly: WalStatus = {
    reportAgeMs: undefined,
    receiver: {
      kind: "not-running",
      report: {
        ...report,
        mode: "backing-off",
        lastError: { code: reason.code, message: reason.message, remedy: reason.remedy, at: report.updatedAt },
        alarms: [{ kind: "not-streaming", message: "nothing is confirmed", since: report.updatedAt }],
        gaps: [{ timeline: 1, from: "0/2000000", to: "0/3000000", noticedAt: report.updatedAt }],
      },
    },
    server: { kind: "unreachable", reason },
  };
  const never: WalStatus = {
    receiver: { kind: "never-ran" },
    reportAgeMs: undefined,
    server: {
      kind: "reached",
      systemId: "7" as SystemId,
      lsn: 0x3000160n as Lsn,
      lagBytes: undefined,
      slot: "missing",
    },
  };
  const silent: WalStatus = { ...well, reportAgeMs: 14_000 };
  const ahead: WalStatus = { ...well, reportAgeMs: -90_000 };
  const governed: WalStatus = {
    ...well,
    receiver: { kind: "running", report: { ...report, epoch: 9, applicationName: "lifeboat_vault_e8" } },
  };
  const since = "2026-01-01T03:29:00.000Z";
  const message = "nothing is confirmed: there is no grant in reign 8";
  const ungranted: WalStatus = {
    ...well,
    receiver: { kind: "running", report: { ...report, alarms: [{ kind: "stalled", message, since }] } },
  };
  const shown = [well, badly, never, silent, ahead, governed, ungranted].map((status) =>
    renderWalStatus(status, style),
  );
  matchesGolden("results/wal-status.txt", `${shown.join("\n\n")}\n`);
  const each = [well, badly, never, silent, ahead, governed, ungranted].map(isReceivingWell);
  assert.deepEqual(each, [true, false, false, false, false, true, false]);
  assert.deepEqual(walStatusJson(badly).server, {
    kind: "unreachable",
    code: "store.failed",
    message: "the store did not answer",
  });
});

test("a stopped receiver says what it did", async () => {
  const frame = recordedFrame();
  const verbs = allVerbs({
    receiveWal: async () => ({
      confirmed: { timeline: 2 as Timeline, lsn: 0x6000000n as Lsn },
      segmentsWaiting: 1,
    }),
  });
  assert.equal(await runCli(["wal", "receive"], verbs, frame), 0);
  assert.equal(
    frame.stdout.written(),
    "Stopped. Confirmed up to 0/6000000 on timeline 2; 1 segment waits in the spool for the vault.\n",
  );
});

test("wal feed ends with where recovery ended", async () => {
  const calls: string[] = [];
  const verbs = allVerbs({
    feedRecovery: async ({ targetFolder }) => {
      calls.push(targetFolder);
      return { targetFolder, reached: { timeline: 2 as Timeline, lsn: 0x5000060n as Lsn } };
    },
  });
  const frame = recordedFrame({ workingFolder: "/srv" });
  assert.equal(await runCli(["wal", "feed", "--target", "r"], verbs, frame), 0);
  assert.deepEqual(calls, ["/srv/r"]);
  const ended = "The recovery in /srv/r has ended at 0/5000060 on timeline 2; nothing needs to be fed any more.\n";
  assert.equal(frame.stdout.written(), ended);
});
