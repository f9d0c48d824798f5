/**
 * What other programs say over sockets and pipes (servers, redis, the balancer, our own of another version), given nearly
 * right: it is read, or refused with an error that is no bug.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { askBalancerHealth } from "../../src/balancer/ask.ts";
import { pingCache } from "../../src/cache/ask.ts";
import { parseCheckReport } from "../../src/daemon/check-report.ts";
import { decodeClusterRecord } from "../../src/daemon/cluster-record.ts";
import { modeOfNames, parseSyncNames, sameSyncNames } from "../../src/durability/names.ts";
import { isLifeboatError } from "../../src/errors/error.ts";
import type { Epoch } from "../../src/failover/ports.ts";
import { admitSession, withEpoch } from "../../src/node/admission.ts";
import { readNodeView } from "../../src/node/view.ts";
import * as supervisor from "../../src/platform/local/protocol.ts";
import type { Lsn, Timeline } from "../../src/postgres/lsn.ts";
import { openQuery } from "../../src/postgres/query-connection.ts";
import { openReplication } from "../../src/postgres/replication-connection.ts";
import * as probe from "../../src/probe/protocol.ts";
import { parseSegmentSize } from "../../src/wal/segment-size.ts";
import * as witness from "../../src/witness/protocol.ts";
import { DEAR, fuzz } from "../support/fuzzing.ts";
import { withListener } from "../support/listener.ts";
import { STREAMING_REPORT } from "../support/receiver-report.ts";

/** A program that says this to the first question, and closes. */
async function saying(bytes: Buffer, body: (port: number) => Promise<void>): Promise<void> {
  await withListener((socket: Socket) => socket.once("data", () => socket.end(bytes)), body);
}

// --- Health checks ----------------------------------------------------------------------------------------------------

fuzz(
  "redis' answer to a login and a ping",
  [Buffer.from("+OK\r\n+PONG\r\n"), Buffer.from("-WRONGPASS invalid\r\n"), Buffer.from("+OK\r\n-LOADING Redis\r\n")],
  async (bytes) => await saying(bytes, async (port) => await pingCache({ port, password: "x" }, {})),
  DEAR,
);
fuzz(
  "the balancer's own page",
  [Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nup\n")],
  async (bytes) => await saying(bytes, async (port) => await askBalancerHealth(port, {})),
  DEAR,
);

// --- A server ---------------------------------------------------------------------------------------------------------

const message = (type: string, ...parts: readonly (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.byteLength + 4, 1);
  return Buffer.concat([head, body]);
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const welcome = Buffer.concat([
  message("R", int32(0)),
  message("S", "server_version\0", "16.4\0"),
  message("K", int32(7), int32(8)),
  message("Z", "I"),
]);
const scram = message("R", int32(10), "SCRAM-SHA-256\0\0");
const md5 = message("R", int32(5), Buffer.from("salt"));
const refused = message("E", "SFATAL\0VFATAL\0C53300\0Mtoo many\0\0");
const to = (port: number) => ({
  ...{ host: "127.0.0.1", port, user: "x", password: "y", applicationName: "fuzz" },
  connectTimeoutMs: 2_000,
});
fuzz(
  "what a server says at a login for replication",
  [welcome, scram, md5, refused],
  async (bytes) =>
    await saying(bytes, async (port) => {
      const session = await openReplication(to(port), {});
      await session.close();
    }),
  DEAR,
);
const shown = Buffer.concat([
  message("T", Buffer.from([0, 1]), "server_version\0", Buffer.alloc(18)),
  message("D", Buffer.from([0, 1]), int32(4), "16.4"),
  message("C", "SHOW\0"),
  message("Z", "I"),
]);
fuzz(
  "what a server says at a login for SQL",
  [Buffer.concat([welcome, shown]), scram, md5, refused],
  async (bytes) =>
    await withListener(
      (socket: Socket) => {
        socket.once("data", () => {
          socket.write(bytes.subarray(0, welcome.byteLength));
          socket.once("data", () => socket.end(bytes.subarray(welcome.byteLength)));
        });
      },
      async (port) => {
        // What is cut short is waited for.
        const connectTimeoutMs = bytes.indexOf(shown) === welcome.byteLength ? 10_000 : 50;
        const session = await openQuery({ ...to(port), connectTimeoutMs }, {});
        assert.ok(Number.isInteger(session.serverVersion), String(session.serverVersion));
        await session.close();
      },
    ),
  DEAR,
);

/** As a server that was logged in to, which says this to the next question. */
async function greeting(bytes: Buffer, body: (port: number) => Promise<void>): Promise<void> {
  await withListener((socket: Socket) => {
    socket.once("data", () => {
      socket.write(welcome);
      socket.once("data", () => socket.end(bytes));
    });
  }, body);
}

const walHeader = Buffer.alloc(25);
walHeader.write("w");
walHeader.writeBigUInt64BE(0x100n, 1);
const keepalive = Buffer.alloc(18, 0);
keepalive.write("k");
const wal = Buffer.concat([
  message("W", Buffer.alloc(3)),
  message("d", walHeader, "abcd"),
  message("d", keepalive),
  message("c"),
]);
fuzz(
  "a stream of WAL",
  [wal],
  async (bytes) =>
    await greeting(bytes, async (port) => {
      const connection = await openReplication(to(port), {});
      try {
        const stream = await connection.startWal({ lsn: 0x100n as Lsn, timeline: 1 as Timeline }, {});
        let expected = 0x100n;
        for (let group = await stream.next({ timeoutMs: 2_000 }); group !== undefined; ) {
          for (const each of group) {
            if (each.kind !== "data") continue;
            assert.equal(each.start, expected);
            expected += BigInt(each.data.byteLength);
          }
          // The sample ends in the middle of an answer.
          group = await stream.next({ timeoutMs: 2_000 }).catch(() => undefined);
        }
      } catch (error) {
        // The sample ends where no server does; this is what it is told as.
        if (!/closed|lost/.test(String(error)) || !bytes.equals(wal)) throw error;
      } finally {
        await connection.close();
      }
    }),
  DEAR,
);
const identified = Buffer.concat([
  message("T", Buffer.from([0, 0])),
  message("D", Buffer.from([0, 4]), int32(4), "7000", int32(1), "1", int32(4), "0/10", int32(-1)),
  message("C", "IDENTIFY_SYSTEM\0"),
  message("Z", "I"),
]);
fuzz(
  "who a server says that it is",
  [identified],
  async (bytes) =>
    await greeting(bytes, async (port) => {
      const connection = await openReplication(to(port), {});
      try {
        const { timeline, systemId } = await connection.identifySystem({});
        assert.ok(timeline >= 1 && /^\d{1,20}$/.test(systemId), systemId);
      } finally {
        await connection.close();
      }
    }),
  DEAR,
);

fuzz("the size of a server's segments", [Buffer.from("16MB")], (bytes) => {
  const size = parseSegmentSize(bytes.toString("utf8"));
  assert.ok(size >= 1024 ** 2 && size <= 1024 ** 3);
});
const names = ['ANY 1 (db_replica, "lifeboat_vault_e8")', "2 (a, b, *)", "a, b"];
fuzz(
  "whom a server's commits wait for",
  names.map((each) => Buffer.from(each)),
  (bytes) => {
    const text = bytes.toString("utf8");
    assert.equal(sameSyncNames(text, text), true);
    assert.match(modeOfNames(text), /^(async|quorum|strict|other)$/);
    const read = parseSyncNames(text);
    if (read?.kind === "wait") assert.ok(read.count > 0 && read.names.length > 0);
  },
);

const facts = { freeBytes: 1, cloning: false };
const lsn = "0/3000060";
const primary = {
  ...{ timeline: "00000002", flushed: lsn, history: `1\t0/3000000\tno\n`, synchronousCommit: "on" },
  confirmers: [] as unknown[],
};
primary.confirmers.push({ name: "db_replica", state: "streaming", flushed: lsn });
const standby = {
  ...{ controlTimeline: 2, checkpointTimeline: 1, receiverTimeline: 2, segments: ["000000020000000000000003"] },
  ...{ received: lsn, replayed: lsn, idle: true, receives: true, streams: true, agoMs: 12.5, upstream: true },
  ...{ delay: "0", paused: false },
  capacity: {
    ...{ maxConnections: 100, maxWorkerProcesses: 8, maxWalSenders: 10, maxPreparedTransactions: 0 },
    ...{ maxLocksPerTransaction: 64, control: "00".repeat(512) },
  },
};
for (const [kind, said] of [
  ["primary", { standby: false, primary_: JSON.stringify(primary), standby_: null }],
  ["standby", { standby: true, primary_: null, standby_: JSON.stringify(standby) }],
] as const) {
  const row = { ...said, system: "7000", names: "", alters: true };
  // The row, and the JSON in it.
  fuzz(`what a ${kind} tells of itself, as a row`, [Buffer.from(JSON.stringify(row))], (bytes) => {
    const { timeline } = readNodeView(rowIn(bytes), facts);
    assert.ok(timeline >= 0, String(timeline));
  });
  const inner = Buffer.from((kind === "primary" ? said.primary_ : said.standby_) ?? "");
  fuzz(`what a ${kind} tells of itself`, [inner], (bytes) => {
    const { timeline, role } = readNodeView({ ...row, [`${kind}_`]: `${bytes}` }, facts);
    assert.ok(Number.isInteger(timeline) && timeline >= 0 && typeof role.flushed === "bigint", String(timeline));
  });
}

function rowIn(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const row: unknown = JSON.parse(`${bytes}`);
    return typeof row === "object" && row !== null ? { ...row } : {};
  } catch {
    // No driver gives a row that is none.
    return {};
  }
}

const EPOCH = 7 as Epoch;
const written = "port = '1'\nlifeboat.epoch = '3'\n";
const endless = `lifeboat.epoch = '${"9".repeat(24)}'\n`;
fuzz("the epoch in a server's settings", [Buffer.from(written), Buffer.from(endless)], (bytes) => {
  const after = withEpoch(bytes.toString("utf8"), EPOCH);
  const [, epoch] = /lifeboat\.epoch = '(\d{1,10})'\n$/.exec(after) ?? [];
  assert.ok(Number(epoch) >= EPOCH, after);
  assert.equal(withEpoch(after, EPOCH), after);
});
fuzz(
  "the epoch that a server has seen",
  [Buffer.from("3")],
  async (bytes) => {
    const told: string[] = [];
    const answer = await admitSession(
      async (sql) => {
        told.push(sql);
        return sql.includes("AS seen") ? [{ seen: bytes.toString("utf8") }] : [];
      },
      { epoch: EPOCH, marked: undefined },
    );
    // Whoever is let in has raised it, or it was that already.
    assert.ok(
      answer !== undefined || Number(`${bytes}`) === EPOCH || told.some((sql) => sql.startsWith("ALTER SYSTEM")),
    );
  },
  DEAR * 4,
);

// --- Programs of ours, perhaps of another version ---------------------------------------------------------------------

const spec = {
  ...{ name: "redis", program: "/usr/bin/redis-server", arguments: ["--port", "6379"], environment: { A: "b" } },
  ...{ workFolder: "/srv", ports: [{ name: "redis", port: 6379 }], restart: "on-failure" },
  stop: { signal: "SIGTERM", timeoutMs: 1_000 },
};
fuzz("a question to a supervisor", [Buffer.from(JSON.stringify({ call: "start", spec, epoch: 3 }))], (bytes) =>
  supervisor.parseRequest(`${bytes}`),
);
const states = [
  { name: "redis", mode: "running", since: 7, adopted: false, lastEnd: null, restarts: 0, ports: [] },
] as const;
const answers = [
  { pid: 1, components: states },
  { error: { code: "platform.component-unknown", message: "m", remedy: "r" } },
];
fuzz(
  "a supervisor's answer",
  answers.map((each) => Buffer.from(JSON.stringify(each))),
  (bytes) => supervisor.parseAnswer(`${bytes}`),
);

const grant = { call: "grant", epoch: 3, reign: 2, duration: { ms: 5_000, ticket: "t" }, contiguousWith: lsn };
fuzz("a question to a witness", [Buffer.from(JSON.stringify(grant))], (bytes) => witness.parseRequest(`${bytes}`));
const status = witness.statusLine({
  mandate: { kind: "withdrawn", epoch: 3, contiguousWith: undefined },
  ...{ mayConfirm: false, ticket: "t", rangeFrom: undefined, heardAgoMs: 7, receiver: STREAMING_REPORT },
});
fuzz("a witness's status", [Buffer.from(status)], (bytes) => {
  assert.match(witness.parseStatus(`${bytes}`).receiver.flushedLsn, /^[0-9A-F]+\/[0-9A-F]+$/);
});

const started = {
  ...{ kind: "start", id: 1, ledgerFile: "/state/ledger" },
  probe: {
    connect: { host: "127.0.0.1", port: 5432, user: "x", applicationName: "probe", connectTimeoutMs: 1_000 },
    ...{ clientId: "0".repeat(32), writesPerSecond: 10, readsPerSecond: 0, laneCount: 1 },
    ...{ queueDeadlineMs: 100, answerDeadlineMs: 100 },
  },
};
fuzz("a question to a probe", [Buffer.from(JSON.stringify(started))], (bytes) => probe.parseRequest(`${bytes}`));
const done = [
  { kind: "done", id: 1, report: {} },
  { kind: "refused", id: 1, code: "c", message: "m" },
];
fuzz(
  "a probe's answer",
  done.map((each) => Buffer.from(JSON.stringify(each))),
  (bytes) => {
    const { id } = probe.parseAnswer(`${bytes}`);
    assert.ok(Number.isInteger(id));
  },
);

const reason = { code: "lease-live", node: null, says: "s", facts: { leftMs: 3 } };
const loss = { possible: true, bytesMax: null, writesMax: null, seenAgoMs: 9 };
const check = {
  ...{ stack: "shop", at: "2026-11-23T08:00:00.000Z", state: "blocked", primary: "db", epoch: 3, timeline: 2 },
  ...{ durability: "quorum", maintenance: false, action: null, candidate: null, automatic: false, loss },
  ...{ reasons: [reason], against: [], offers: [{ kind: "accept-loss", candidate: "db_replica", loss }] },
  nodes: [{ name: "db", state: "silent", timeline: 2, flushed: lsn, replayed: null, candidate: true }],
  receiver: { state: "withdrawn", flushed: lsn, confirms: false },
  poolers: [{ name: "a", mode: "paused", target: null, problem: null }],
  costs: [
    { candidate: "db_replica", seenAgoMs: 3, found: [{ code: "slot-missing", of: "s", says: "s", remedy: "r" }] },
  ],
};
fuzz("what a daemon knows and decided", [Buffer.from(JSON.stringify(check))], (bytes) =>
  parseCheckReport(rowIn(bytes)),
);

const action = { kind: "failover", epoch: 3, from: "db", to: "db_replica", phase: "promoting", target: lsn };
const record = {
  ...{ systemId: "7000", primary: "db", reign: 2, timeline: 2, durability: "quorum", joined: ["db_replica"] },
  ...{ action, maintenance: false },
};
fuzz("the record of a stack", [Buffer.from(JSON.stringify(record))], (bytes) => {
  try {
    decodeClusterRecord(rowIn(bytes));
  } catch (error) {
    // The remedy of any other says nothing of where the last content is.
    assert.ok(isLifeboatError(error, "lease.record-damaged"), String(error));
    throw error;
  }
});
