import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { MAJORS, type Major, startServer, type TestServer } from "../../../test/support/servers.ts";
import {
  formatLsn,
  type Lsn,
  lsnAdd,
  lsnDistance,
  parseLsn,
  type SystemId,
  segmentName,
  segmentStart,
  type Timeline,
} from "../../postgres/lsn.ts";
import { filledBehind, UNMARKED_BYTES_MAX } from "../spool-marks.ts";
import { decodeCopy } from "./copied-folders.ts";
import { isSwitch, RECORD_HEADER_BYTES } from "./cursor.ts";
import { RecordEnds } from "./ends.ts";
import type { WalEvent, WalTime } from "./events.ts";
import { foldersOf } from "./main-data.ts";
import { checkSegmentHeader, WAL_PAGE_BYTES } from "./page.ts";
import {
  findEndOfWal,
  readEvents,
  readRecords,
  scanRecords,
  segmentSummary,
  type WalRecord,
  type WalSource,
} from "./reader.ts";

/** The smallest segments: records cross many borders without much work. */
const SEGMENT_BYTES = 1024 * 1024;

/** One of so many lengths is looked into: each look reads 128 KiB. */
const SAMPLED = 13;

/** Names by number, as pg_walinspect prints them. */
const RESOURCE_MANAGERS = (
  "XLOG Transaction Storage CLOG Database Tablespace MultiXact RelMap Standby Heap2 Heap Btree Hash Gin Gist " +
  "Sequence SPGist BRIN CommitTs ReplicationOrigin Generic LogicalMessage"
).split(" ");

const WORKLOAD = [
  "create table t(id int primary key, x text)",
  "insert into t select g, repeat('x', g) from generate_series(1, 3000) g",
  "begin",
  "insert into t values (10001, 'a')",
  "savepoint s",
  "insert into t values (10002, 'b')",
  "savepoint s2",
  "insert into t values (10003, 'c')",
  "commit",
  "begin",
  "insert into t values (10004, 'a')",
  "rollback",
  "begin",
  "insert into t values (10005, 'a')",
  "savepoint s",
  "create table dropped(x int)",
  "drop table dropped",
  "prepare transaction 'one'",
  "commit prepared 'one'",
  "begin",
  "create table never(x int)",
  "prepare transaction 'two'",
  "rollback prepared 'two'",
  "create table gone as select g from generate_series(1, 1000) g",
  "drop table gone",
  "checkpoint",
  "select pg_create_restore_point('before the fall')",
  "select pg_switch_wal()",
  "select pg_logical_emit_message(false, 'test', repeat('z', 3500000))",
  "update t set x = 'n' where id < 2000",
  "create index on t(x)",
  "create database copied oid 40000 template template0 strategy file_copy",
];

type Position = { readonly timeline: Timeline; readonly switched: Lsn | undefined };

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: records, commits and ends are those that the server itself names, over a torn record and a promotion`, async () => {
    await using server = await startServer({
      major,
      walSegmentBytes: SEGMENT_BYTES,
      settings: {
        wal_level: "logical",
        track_commit_timestamp: true,
        max_prepared_transactions: 5,
        wal_keep_size: "500MB",
        restore_command: "/bin/false",
      },
    });
    await server.query("create extension pg_walinspect");
    const from = await position(server, "pg_current_wal_flush_lsn()");
    const firstXid = Number(await server.value("select pg_current_xact_id()::text")) + 1;
    await run(server, WORKLOAD);
    await changeParameters(server);
    const torn = await tearLastRecord(server);
    await assertEndsBefore(server, { from, torn });
    await server.start();
    await run(server, ["insert into t values (20001, 'after the tear')"]);
    const switched = await promote(server);
    await run(server, ["select pg_create_restore_point('the end')", "insert into t values (20002, 'on timeline 2')"]);
    const to = await position(server, "pg_current_wal_flush_lsn()");

    const source = sourceOf(server, { timeline: 2 as Timeline, switched });
    await assertSameRecords(server, source, { from, to });
    await assertSameFolders(server, source, { from, to });
    const events = await eventsOf(source, { from, to });
    await assertSameCommits(server, events, firstXid);
    await assertOtherEvents(server, events, torn);
    await assertHeaders(server, major, { from, to });
  });
}

async function run(server: TestServer, statements: readonly string[]): Promise<void> {
  const session = await server.server.connect({ namesOf: "database" }, {});
  try {
    for (const sql of statements) await session.query(sql, [], { timeoutMs: 30_000 });
  } finally {
    await session.close();
  }
}

async function position(server: TestServer, expression: string): Promise<Lsn> {
  return parseLsn(await server.value(`select ${expression}::text`));
}

async function changeParameters(server: TestServer): Promise<void> {
  await server.query("alter system set wal_log_hints = on");
  await server.restart();
}

/** Kills the server and leaves its last record without its end, as a power cut does. Returns where that record begins. */
async function tearLastRecord(server: TestServer): Promise<Lsn> {
  const begin = await position(server, "pg_current_wal_insert_lsn()");
  await run(server, [
    "select pg_logical_emit_message(false, 'test', repeat('t', 30000))",
    "insert into t values (10006, 'lost')",
  ]);
  await server.server.kill();
  const tear = Number(begin - (begin % 8192n)) + 2 * 8192;
  for (let at = tear; at < tear + 5 * 8192; at += 8192) {
    const handle = await fs.open(walFile(server, 1, at), "r+");
    await handle.write(Buffer.alloc(8192), 0, 8192, at % SEGMENT_BYTES);
    await handle.close();
  }
  return begin;
}

function walFile(server: TestServer, timeline: number, at: number): string {
  const name = segmentName({
    timeline: timeline as Timeline,
    lsn: BigInt(at) as Lsn,
    walSegmentBytes: SEGMENT_BYTES,
  });
  return path.join(server.dataFolder, "pg_wal", name);
}

async function assertEndsBefore(server: TestServer, at: { readonly from: Lsn; readonly torn: Lsn }): Promise<void> {
  const source = sourceOf(server, { timeline: 1 as Timeline, switched: undefined });
  const end = await findEndOfWal(source, { from: at.from });
  // Other processes may have written a record just before the torn one.
  assert.ok(end.last !== undefined && end.last.end >= at.torn && end.last.end < at.torn + 8192n, `${end.last?.end}`);
  assert.equal(end.openRecord, undefined);
  assert.equal(end.reason, "bad-page");
}

/** Ends recovery on a new timeline; returns where it begins. */
async function promote(server: TestServer): Promise<Lsn> {
  await server.stop("immediate");
  await fs.writeFile(path.join(server.dataFolder, "recovery.signal"), "");
  await fs.chmod(path.join(server.dataFolder, "recovery.signal"), 0o666);
  await server.start("recovered");
  const history = await fs.readFile(path.join(server.dataFolder, "pg_wal", "00000002.history"), "utf8");
  return parseLsn(history.trim().split("\t")[1] ?? "");
}

function sourceOf(server: TestServer, at: Position): WalSource {
  return {
    walSegmentBytes: SEGMENT_BYTES,
    timelineAt: (start) =>
      at.switched !== undefined && start + BigInt(SEGMENT_BYTES) <= at.switched ? (1 as Timeline) : at.timeline,
    readSegment: async (name) => {
      const file = path.join(server.dataFolder, "pg_wal", name);
      return (await fs.stat(file).catch(() => undefined)) === undefined ? undefined : await fs.readFile(file);
    },
  };
}

/** Of blocks, and of a database that was copied by its files. */
async function assertSameFolders(server: TestServer, source: WalSource, span: Span): Promise<void> {
  const rows = await server.query(
    `select start_lsn::text, resource_manager, record_type, description, coalesce(block_ref, '') as blocks
       from pg_get_wal_records_info($1::pg_lsn, $2::pg_lsn)`,
    [formatLsn(span.from), formatLsn(span.to)],
  );
  const told = rows.map((row) => {
    const names = `${row["blocks"]}`.matchAll(/rel (\d+\/\d+)\//g);
    const isCopy = row["resource_manager"] === "Database" && row["record_type"] === "CREATE_FILE_COPY";
    return [row["start_lsn"], [...new Set(Array.from(names, ([, name]) => name))], isCopy ? row["description"] : ""];
  });
  const found: unknown[] = [];
  const nameOf = (folder: { readonly tablespace: number; readonly database: number }): string =>
    `${folder.tablespace}/${folder.database}`;
  await scanRecords(source, { from: span.from, limit: span.to }, (cursor) => {
    const copy = decodeCopy(cursor);
    const folders = [...new Set(foldersOf(cursor)?.map(nameOf))];
    const description = copy && `copy dir ${nameOf(copy.source)} to ${nameOf(copy.target)}`;
    found.push([formatLsn(BigInt(cursor.lsn) as Lsn), folders, description ?? ""]);
    return undefined;
  });
  assert.deepEqual(found, told);
  assert.equal(told.filter(([, , description]) => `${description}`.endsWith("to 1663/40000")).length, 1);
}

type Span = { readonly from: Lsn; readonly to: Lsn };

async function assertSameRecords(server: TestServer, source: WalSource, span: Span): Promise<void> {
  const rows = await server.query(
    `select start_lsn::text, end_lsn::text, prev_lsn::text, xid::text, resource_manager, record_length::text,
            main_data_length::text
       from pg_get_wal_records_info($1::pg_lsn, $2::pg_lsn)`,
    [formatLsn(span.from), formatLsn(span.to)],
  );
  const found: WalRecord[] = [];
  for await (const record of readRecords(source, { from: span.from, limit: span.to })) found.push(record);
  assert.ok(rows.length > 5000, `only ${rows.length} records`);
  assert.deepEqual(
    found.map((record) => [
      formatLsn(record.lsn),
      formatLsn(record.end),
      formatLsn(record.prev),
      `${record.xid}`,
      RESOURCE_MANAGERS[record.rmgr],
      `${record.sizeBytes}`,
      `${record.mainData?.byteLength}`,
    ]),
    rows.map((row) => Object.values(row)),
  );
  await assertSameEnds(found, source);
}

/** Their lengths alone say where the same records end, but for what follows a switch: of groups that end with each and before it. */
async function assertSameEnds(records: readonly WalRecord[], source: WalSource): Promise<void> {
  const bySegment = Map.groupBy(records, ({ end }) => segmentStart(lsnAdd(end, -1), SEGMENT_BYTES));
  for (const [start, ending] of bySegment) {
    // The first one begins in the middle of what was read.
    if (start <= (records[0]?.lsn ?? 0n)) continue;
    const name = segmentName({ timeline: source.timelineAt(start), lsn: start, walSegmentBytes: SEGMENT_BYTES });
    const bytes = await source.readSegment(name, {});
    assert.ok(bytes !== undefined);
    const [ends, insides] = [endsOf(bytes), endsOf(bytes)];
    const place = { start, timeline: source.timelineAt(start), walSegmentBytes: SEGMENT_BYTES };
    let before: number | undefined;
    for (const { rmgr, info, lsn, end, sizeBytes } of ending) {
      // Of one that began in the segment before, or whose header is all of it and lies on two pages, it is not known whether it switches.
      const split = sizeBytes === RECORD_HEADER_BYTES && WAL_PAGE_BYTES - (Number(lsn) % WAL_PAGE_BYTES) < sizeBytes;
      if (split || lsn < start || isSwitch(rmgr, info)) continue;
      const to = lsnDistance({ from: start, to: end });
      assert.equal(ends(to), true, `at ${formatLsn(end)}`);
      assert.equal(insides(to - 8), false, `before ${formatLsn(end)}`);
      // Of a partial that was marked there, and synced up to here since.
      const partial = {
        read: async ({ position = 0, length = 0 }) => bytes.subarray(position, Math.min(to, position + length)),
      };
      if (before !== undefined && to - before <= UNMARKED_BYTES_MAX && sizeBytes % SAMPLED === 0) {
        assert.equal(await filledBehind(partial, place, before), to, `from ${before} of ${name} to ${to}`);
      }
      before = to;
    }
  }
  assert.ok(bySegment.size > 4, "over several segments");
}

/** Passes a segment up to a place behind the one before; whether a record ends there. */
function endsOf(bytes: Buffer): (to: number) => boolean {
  const ends = new RecordEnds();
  let offset = 0;
  return (to) => {
    ends.pass(bytes.subarray(offset, to), offset);
    offset = to;
    return ends.atEnd;
  };
}

async function eventsOf(source: WalSource, span: Span): Promise<readonly WalEvent[]> {
  const events: WalEvent[] = [];
  for await (const event of readEvents(source, { from: span.from, limit: span.to })) events.push(event);
  return events;
}

async function assertSameCommits(server: TestServer, events: readonly WalEvent[], firstXid: number): Promise<void> {
  const next = Number(await server.value("select pg_snapshot_xmax(pg_current_snapshot())::text"));
  const rows = await server.query(
    `select xid, (extract(epoch from pg_xact_commit_timestamp(xid::xid)) * 1000000)::bigint::text as time
       from (select generate_series($1::int, $2::int - 1)::text as xid) xids
      where pg_xact_commit_timestamp(xid::xid) is not null`,
    [firstXid, next],
  );
  const committed = new Map<string, WalTime>();
  const aborted = new Set<string>();
  for (const event of events) {
    if (event.kind === "abort") aborted.add(`${event.xid}`);
    if (event.kind !== "commit") continue;
    for (const xid of [event.xid, ...event.subtransactions]) committed.set(`${xid}`, event.time);
  }
  committed.delete("0");
  // The transaction that asked for the first xid has committed between `from` and the workload.
  committed.delete(`${firstXid - 1}`);
  assert.deepEqual(
    [...committed].map(([xid, time]) => `${xid} ${time}`).sort(),
    rows.map((row) => `${row["xid"]} ${row["time"]}`).sort(),
  );
  assert.equal(aborted.size, 2);
  assert.equal(events.filter((event) => event.kind === "commit" && event.prepared).length, 1);
  assert.equal(events.filter((event) => event.kind === "abort" && event.prepared).length, 1);
  assert.ok(events.some((event) => event.kind === "commit" && event.subtransactions.length === 2));
}

async function assertOtherEvents(server: TestServer, events: readonly WalEvent[], torn: Lsn): Promise<void> {
  const points = events.flatMap((event) => (event.kind === "restore-point" ? [event.name] : []));
  assert.deepEqual(points, ["before the fall", "the end"]);
  assert.equal(events.filter(({ kind }) => kind === "switch").length, 1);
  const changes = events.flatMap((event) => (event.kind === "parameter-change" ? [event] : []));
  assert.deepEqual(
    changes.map(({ walLevel, walLogHints, trackCommitTimestamp }) => [walLevel, walLogHints, trackCommitTimestamp]),
    [["logical", true, true]],
  );
  const overwritten = events.flatMap((event) => (event.kind === "overwritten-record" ? [event.overwritten] : []));
  assert.equal(overwritten.length, 1);
  assert.ok((overwritten[0] ?? 0n) >= torn && (overwritten[0] ?? 0n) < torn + 8192n);
  const ends = events.flatMap((event) =>
    event.kind === "end-of-recovery" || event.kind === "checkpoint" ? [event] : [],
  );
  assert.ok(ends.some(({ ownTimeline, previousTimeline }) => ownTimeline === 2 && previousTimeline === 1));
  assert.equal(events.at(-1)?.timeline, 2);

  const [row] = await server.query(
    `select redo_lsn::text as redo, timeline_id as timeline, prev_timeline_id as previous, next_xid as next,
            extract(epoch from checkpoint_time)::bigint::text as seconds, checkpoint_lsn::text as lsn
       from pg_control_checkpoint()`,
  );
  const checkpoint = events.flatMap((event) => (event.kind === "checkpoint" ? [event] : [])).at(-1);
  assert.ok(checkpoint !== undefined && row !== undefined);
  const nextXid = `${checkpoint.nextXid >> 32n}:${checkpoint.nextXid & 0xffffffffn}`;
  assert.deepEqual(
    [checkpoint.redo, checkpoint.ownTimeline, checkpoint.previousTimeline, nextXid, checkpoint.time, checkpoint.lsn],
    [
      parseLsn(String(row["redo"])),
      Number(row["timeline"]),
      Number(row["previous"]),
      row["next"],
      Number(row["seconds"]) * 1_000_000,
      parseLsn(String(row["lsn"])),
    ],
  );
}

async function assertHeaders(server: TestServer, major: Major, span: Span): Promise<void> {
  const systemId = (await server.value("select system_identifier::text from pg_control_system()")) as SystemId;
  const start = span.to - (span.to % BigInt(SEGMENT_BYTES));
  const bytes = await fs.readFile(walFile(server, 2, Number(start)));
  const expected = {
    start: start as Lsn,
    systemId,
    timeline: 2 as Timeline,
    walSegmentBytes: SEGMENT_BYTES,
    postgresMajor: major,
  };
  assert.equal(checkSegmentHeader(bytes.subarray(0, 40), expected).kind, "good");
  assert.equal(checkSegmentHeader(bytes, { ...expected, systemId: "1" as SystemId }).kind, "bad");
  const summary = segmentSummary(bytes);
  assert.ok(summary.kind === "good");
  assert.deepEqual([summary.postgresMajor, summary.systemId, summary.lastTimeline], [major, systemId, 2]);
  assert.ok((summary.end.last?.end ?? 0n) >= span.to);
  assert.ok(summary.commitCount >= 1 && summary.lastCommitTime !== undefined);
}
