/**
 * What the kernel, servers and other programs of ours leave on this machine, and what is read again after a crash: given nearly
 * right it is read, or refused with an error that is no bug.
 */
import assert from "node:assert/strict";
import { REPORT_VERSION } from "../../src/daemon/report.ts";
import { Reporter } from "../../src/daemon/reporter.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { lastLinesOf, newLinesOf } from "../../src/platform/local/log-file.ts";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { listenersIn } from "../../src/platform/port-holder.ts";
import { parseStat } from "../../src/platform/proc-stat.ts";
import { clientErrorsIn } from "../../src/pooler/client-errors.ts";
import { CONTROL_FILE_PATH } from "../../src/postgres/control-file.ts";
import { crc32c } from "../../src/postgres/crc32c.ts";
import { parseLsn } from "../../src/postgres/lsn.ts";
import { parsePidFile } from "../../src/postgres/pid-file.ts";
import { FED_LIST } from "../../src/restore/recovery-files.ts";
import { UNFINISHED_MARKER, unfinishedId } from "../../src/restore/target-guard.ts";
import { readFeed } from "../../src/restore/wal-feeder.ts";
import { readRoles } from "../../src/stack/roles.ts";
import { scaleInUse } from "../../src/stack/scale.ts";
import { readReceiverStatus } from "../../src/wal/report.ts";
import { GOLDEN_SERVER } from "../golden/make-vault.ts";
import { syntheticControlFile } from "../golden/synthetic-server.ts";
import { DEAR, fuzz, fuzzFile } from "../support/fuzzing.ts";
import { FREE_LOCKS } from "../support/power-cuts.ts";
import { STREAMING_REPORT } from "../support/receiver-report.ts";
import { testStack } from "../support/stacks.ts";

// --- The kernel -------------------------------------------------------------------------------------------------------

const numbers = "1 4242 4242 0 -1 4194560 219 0 0 0 3 1 0 0 20 0 11 0 81234 1073741824 9000 18446744073709551615";
fuzz("a process as the kernel tells of it", [Buffer.from(`4242 (a) (b c) S ${numbers} 0 0 17 1\n`)], (bytes) => {
  const { fields } = parseStat(bytes.toString("utf8"));
  // Its parent, and when it began.
  assert.ok(Number.isFinite(Number(fields[1])) && /^-?\d+$/.test(fields[19] ?? ""));
});
const sockets = [
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
  "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 81234 1 0000000000000000 100 0",
  "   1: 0100007F:1538 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000  1000        0 81235 1 0000000000000000 20 4",
  "",
].join("\n");
fuzz("the sockets of this machine", [Buffer.from(sockets)], (bytes) => {
  for (const inode of listenersIn(bytes.toString("utf8"), 0x1538)) assert.match(inode, /^\d+$/);
});

// --- Servers and their logs -------------------------------------------------------------------------------------------

const pidFile = "4242\n/srv/data\n1764252000\n5432\n/srv/sockets\n127.0.0.1\n  5432001    229376\nready   \n";
fuzz("a postmaster.pid", [Buffer.from(pidFile)], (bytes) => {
  const found = parsePidFile(bytes.toString("utf8"));
  // Whatever it names is sent signals.
  assert.ok(found === undefined || (Number.isInteger(found.pid) && found.pid > 0 && found.pid < 2 ** 23));
});
const poolerLog = [
  "2026-11-26 17:21:00.837 UTC [17627] WARNING C-0x563b83891da0: shop/app@127.0.0.1:46666 pooler error: server conn crashed?",
  "2026-11-26 17:21:00.871 UTC [17627] WARNING C-0x563b83892100: shop/app@unix(17474):24916 pooler error: pgbouncer is shutting down",
  "",
].join("\n");
fuzz("a pooler's log", [Buffer.from(poolerLog)], (bytes) => {
  const lines = bytes.toString("utf8").split("\n");
  const { errors } = clientErrorsIn([{ lines, isAll: false }], {
    database: "shop",
    from: 0 as never,
    to: systemClock.now(),
  });
  for (const { count, executed } of errors) assert.ok(count > 0 && /^(no|perhaps)$/.test(executed));
});
fuzzFile("a component's log", "log", poolerLog, async (files, file) => {
  assert.ok((await lastLinesOf(files, file, 2)).length <= 2);
  const { sizeBytes = 0 } = (await files.stat(file)) ?? {};
  for (let at = 0, before = -1; at !== before; ) {
    before = at;
    at = (await newLinesOf(files, file, at)).next;
    assert.ok(at >= before && at <= sizeBytes);
  }
});

// --- What is read again after a crash ---------------------------------------------------------------------------------

fuzzFile("the report of a receiver", "receiver.json", JSON.stringify(STREAMING_REPORT), async (files) => {
  const status = await readReceiverStatus({ files, locks: FREE_LOCKS }, "/state");
  if (status.kind === "never-ran") return;
  const { updatedAt, flushedLsn, pid } = status.report;
  assert.ok(!Number.isNaN(Date.parse(updatedAt)) && pid > 0, updatedAt);
  parseLsn(flushedLsn);
});

const stack = testStack();
fuzzFile(
  "how many programs a stack has",
  "scale.json",
  '{"format":"lifeboat-stack-scale","version":1,"instances":{"pgbouncer":2,"api":3}}\n',
  async (files, scaleFile) => {
    const { poolers, apis } = await scaleInUse(files, { ...stack, place: { ...stack.place, scaleFile } });
    for (const count of [poolers, apis]) assert.ok(Number.isInteger(count) && count >= 1 && count <= 16);
  },
);

fuzzFile(
  "who is the primary of a stack",
  "record.json",
  '{"format":"lifeboat-record","version":1,"revision":3,"epoch":2,"value":{"primary":"db_replica","action":null,"maintenance":true}}\n',
  async (files) => {
    const roles = await readRoles(files, "/state");
    // What is not understood is never taken for "nothing is recorded": the stack would begin with the primary of the beginning.
    assert.ok(roles !== undefined);
  },
);

const main = "/state";
const marker = `A restore is being written here. Nothing in this folder is anybody's data yet.\n{"restoreId":"0011","main":"${main}"}\n`;
fuzzFile("the mark of an unfinished restore", UNFINISHED_MARKER, marker, async (files) => {
  const id = await unfinishedId(files, main);
  assert.ok(id === undefined || typeof id === "string");
});

/** Of a server that recovers. */
const control = syntheticControlFile(GOLDEN_SERVER);
control.writeUInt32LE(5, 16);
control.writeUInt32LE(crc32c(control.subarray(0, 288)), 288);

const segments = "000000010000000000000002\n000000010000000000000003\n";
fuzz(
  "the list of what is fed",
  [Buffer.from(segments)],
  async (bytes) => {
    const { files } = memoryFiles();
    for (const folder of ["/data", "/data/global", "/data/lifeboat-restore"]) await files.makeFolder(folder);
    for (const [name, content] of [
      [CONTROL_FILE_PATH, control],
      [FED_LIST, bytes],
    ] as const) {
      const handle = await files.open(`/data/${name}`, "create");
      await handle.write(content, 0);
      await handle.close();
    }
    await readFeed(files, "/data");
  },
  DEAR,
);

const report = {
  format: "lifeboat-event-report",
  version: REPORT_VERSION,
  stack: "shop",
  kind: "failover",
  epoch: 8,
  from: "db",
  to: "db_replica",
  beganAt: "2026-11-23T08:00:00.000Z",
  endedAt: "2026-11-23T08:00:03.000Z",
  parts: { detect: 900, decide: 1, fence: 20, promote: 400, route: 30, prove: 5 },
  outageMs: 1356,
  decision: { loss: { kind: "possible" } },
  positions: [{ of: "db", timeline: 1, flushed: "0/3000060", whole: null, seenAgoMs: 9 }],
  gap: { promotedAt: "0/3000050", highestKnown: "0/3000060", of: "db", bytes: 16 },
  lost: { acknowledged: null, basis: "unknown", commitsBeyond: null, bytesBeyond: null },
  clients: { errors: [{ reason: "x", outcome: "failed", count: 1 }], failed: 1, unknown: 0, complete: true },
  costs: { seenAgoMs: 3, found: [{ code: "slot-missing", of: "s", says: "s", remedy: "r" }] },
  steps: [{ step: "promote", ms: 400, failed: null }],
  shortcomings: [],
  journalHead: "ab",
};
fuzzFile("the newest report of an event", "000008-failover.json", JSON.stringify(report), async (files) => {
  const notices: string[] = [];
  const reporter = new Reporter(
    { append: async () => undefined },
    {
      files,
      clock: systemClock,
      folder: "/state",
      stack: "shop",
      journalHead: () => "ab",
      timelineStart: async () => undefined,
      clientErrors: async () => undefined,
      costs: async () => ({ seenAgoMs: null, found: [] }),
      notice: (message) => notices.push(message),
    },
  );
  const [fork, end] = [parseLsn("0/3000050"), parseLsn("0/3000060")];
  reporter.noteBeyond({ node: "db", fork, end, commits: 2 });
  const last = await reporter.last();
  assert.ok(last === undefined || last.report.lost.commitsBeyond === 2, notices.join());
});
