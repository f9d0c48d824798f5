import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { runCli } from "./run.ts";
import { createStyle } from "./style.ts";
import { renderWalStatus, statusOfAnswer, type WalAnswer, type WalStatus, walStatusJson } from "./wal.ts";

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

test("the destination is absolute from where PostgreSQL runs the command, and the mode is restore unless said", async () => {
  const seen: object[] = [];
  const verbs = allVerbs({
    getWal: async ({ name, destination, mode }) => {
      seen.push({ name, destination, mode });
      return { kind: "found" };
    },
  });
  await runCli(["wal", "get", SEGMENT, "pg_wal/RECOVERYXLOG"], verbs, recordedFrame({ workingFolder: "/data" }));
  assert.deepEqual(seen, [{ name: SEGMENT, destination: "/data/pg_wal/RECOVERYXLOG", mode: "restore" }]);
});

test("how receiving stands is told for people and for programs, with and without a server", () => {
  const style = createStyle({ colours: false, columns: 100 });
  const confirmed = { timeline: 1 as Timeline, lsn: 0x3000060n as Lsn };
  const spool = { segmentCount: 2, sizeBytes: 33_554_432 };
  const well: WalStatus = {
    receiver: { kind: "running", pid: 4711 },
    confirmed,
    spool,
    server: { kind: "reached", lsn: 0x3000160n as Lsn, lagBytes: 256, slot: "active" },
  };
  const badly: WalStatus = {
    receiver: { kind: "not-running" },
    confirmed: undefined,
    spool: { segmentCount: 0, sizeBytes: 0 },
    server: { kind: "unreachable", reason },
  };
  matchesGolden("results/wal-status.txt", `${renderWalStatus(well, style)}\n\n${renderWalStatus(badly, style)}\n`);
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
      receivedBytes: 50_331_648,
      storedSegmentCount: 3,
      confirmed: { timeline: 2 as Timeline, lsn: 0x6000000n as Lsn },
    }),
  });
  assert.equal(await runCli(["wal", "receive"], verbs, frame), 0);
  assert.equal(
    frame.stdout.written(),
    "Stopped. Received 48.0 MiB, stored 3 segments, confirmed up to 0/6000000 on timeline 2.\n",
  );
});
