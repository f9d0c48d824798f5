import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { MAJORS, type Major, startServer, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import {
  historyName,
  LSN_NONE,
  type Lsn,
  parseLsn,
  segmentName,
  segmentStart,
  type Timeline,
  WAL_SEGMENT_BYTES_DEFAULT,
} from "./lsn.ts";
import type { ReplicationConnection, WalMessage, WalStream } from "./replication.ts";
import { openReplication } from "./replication-connection.ts";

const SLOT = "lifeboat_vault";
const ONE = 1 as Timeline;
/** Long enough for a slow machine; nothing waits for it to pass. */
const WAIT_MS = 30_000;

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: the stream is byte for byte the server's segments, and the slot follows what was flushed`, async (t) => {
    await using server = await startServer({ major, name: "wal" });
    const connection = await open(t, server);
    assert.equal(await connection.createSlot({ name: SLOT, reserveWal: true, temporary: false }, {}), "created");
    assert.equal(await connection.createSlot({ name: SLOT, reserveWal: true, temporary: false }, {}), "existed");
    const reserved = (await connection.readSlot(SLOT, {}))?.restartLsn ?? LSN_NONE;
    const from = segmentStart(reserved, WAL_SEGMENT_BYTES_DEFAULT);
    const stream = await connection.startWal({ lsn: from, timeline: ONE, slot: SLOT }, {});

    await server.query("CREATE TABLE bulk AS SELECT i, repeat('x', 200) AS pad FROM generate_series(1, 80000) i");
    await server.query("SELECT pg_switch_wal()");
    await server.query("INSERT INTO bulk SELECT i, 'y' FROM generate_series(1, 1000) i");
    await server.query("SELECT pg_switch_wal()");
    const target = await insertLsn(server);
    const received = new Received(from);
    await received.readTo(stream, target);
    assert.ok(received.bytes().byteLength > 2 * WAL_SEGMENT_BYTES_DEFAULT);
    assertEqualsSegments(received, server);

    // Written is not flushed: the slot must not move for it.
    await stream.sendStatus({ written: target, flushed: from, applied: LSN_NONE, replyRequested: true });
    await received.readToKeepalive(stream);
    assert.equal(await restartLsn(server), from);
    await stream.sendStatus({ written: target, flushed: target, applied: LSN_NONE, replyRequested: true });
    await received.readToKeepalive(stream);
    assert.equal(await restartLsn(server), target);

    const other = await open(t, server);
    await assert.rejects(
      other.startWal({ lsn: target, timeline: ONE, slot: SLOT }, {}),
      isCode("postgres.slot-in-use", { retryable: true }),
    );
    await assert.rejects(other.dropSlot(SLOT, {}), isCode("postgres.slot-in-use", { retryable: true }));

    await stream.stop({});
    await stream.stop({});
    assert.equal((await connection.identifySystem({})).timeline, 1);
    await connection.dropSlot(SLOT, {});
    assert.equal(await connection.readSlot(SLOT, {}), undefined);
    await assert.rejects(
      connection.startWal({ lsn: target, timeline: ONE, slot: SLOT }, {}),
      isCode("postgres.slot-missing"),
    );
    // The session survived the refusal.
    assert.match(await connection.show("server_version", {}), new RegExp(`^${major}`));
    assert.equal(Math.floor(connection.serverVersion / 10000), major);
    await assert.rejects(connection.show("no_such_setting", {}), isCode("postgres.query-failed"));
  });

  test(`PostgreSQL ${major}: a standby is promoted, and the stream goes on from the old timeline to the next`, async (t) => {
    await using primary = await startServer({ major, name: "primary" });
    await using standby = await startStandby(primary, major);
    const connection = await open(t, standby);
    const from = segmentStart((await connection.identifySystem({})).flushedLsn, WAL_SEGMENT_BYTES_DEFAULT);
    const stream = await connection.startWal({ lsn: from, timeline: ONE }, {});
    await primary.query("CREATE TABLE before AS SELECT i FROM generate_series(1, 1000) i");
    const received = new Received(from);
    await received.readTo(stream, await insertLsn(primary));

    await standby.query("SELECT pg_promote()");
    const end = await received.readToEnd(stream);
    assert.equal(end.next?.timeline, 2);
    assert.equal(end.next?.switchLsn, received.end);
    assert.equal((await connection.identifySystem({})).timeline, 2);
    const history = await connection.timelineHistory(2 as Timeline, {});
    assert.equal(history.name, historyName(2 as Timeline));
    assert.deepEqual(history.content, readFileSync(path.join(standby.dataFolder, "pg_wal", history.name)));

    // Asked for at its very end, the old timeline has nothing to stream.
    const empty = await connection.startWal({ lsn: received.end, timeline: ONE }, {});
    assert.deepEqual(await empty.next({ timeoutMs: WAIT_MS }), [{ kind: "timeline-end", next: end.next }]);

    const second = await connection.startWal({ lsn: received.end, timeline: 2 as Timeline }, {});
    await standby.query("CREATE TABLE after AS SELECT i FROM generate_series(1, 1000) i");
    const continued = new Received(received.end);
    await continued.readTo(second, await insertLsn(standby));
    const file = path.join(standby.dataFolder, "pg_wal", name(from, 2 as Timeline));
    const both = Buffer.concat([received.bytes(), continued.bytes()]);
    assert.ok(readFileSync(file).subarray(0, both.byteLength).equals(both));
    await assert.rejects(
      open(t, standby).then((other) => other.timelineHistory(7 as Timeline, {})),
      isCode("postgres.wal-removed"),
    );
  });

  test(`PostgreSQL ${major}: WAL that was removed is named, also behind a slot, and the session stays usable`, async (t) => {
    const settings = { max_slot_wal_keep_size: "1MB", max_wal_size: "32MB", min_wal_size: "32MB" };
    await using server = await startServer({ major, name: "wal", settings });
    const connection = await open(t, server);
    await connection.createSlot({ name: SLOT, reserveWal: true, temporary: false }, {});
    const from = (await connection.readSlot(SLOT, {}))?.restartLsn ?? LSN_NONE;
    await server.query("CREATE TABLE filler (i int)");
    for (let round = 0; round < 4; round += 1) {
      await server.query("INSERT INTO filler VALUES (1)");
      await server.query("SELECT pg_switch_wal()");
      await server.query("CHECKPOINT");
    }
    const read = async (slot?: string) => {
      const stream = await connection.startWal({ lsn: from, timeline: ONE, slot }, {});
      await stream.next({ timeoutMs: WAIT_MS });
    };
    await assert.rejects(read(), isCode("postgres.wal-removed"));
    // An invalidated slot has lost its position on every version; only 18 refuses to stream from it.
    assert.deepEqual(await connection.readSlot(SLOT, {}), { restartLsn: undefined, timeline: undefined });
    await assert.rejects(read(SLOT), isCode(major >= 18 ? "postgres.slot-unusable" : "postgres.wal-removed"));
    assert.equal((await connection.identifySystem({})).timeline, 1);
  });
}

test("a server that shuts down hands over its last WAL and then says so", async (t) => {
  await using server = await startServer({ major: 16, name: "wal" });
  const connection = await open(t, server);
  const from = segmentStart(await insertLsn(server), WAL_SEGMENT_BYTES_DEFAULT);
  const stream = await connection.startWal({ lsn: from, timeline: ONE }, {});
  const received = new Received(from);
  const stopped = server.stop();
  await assert.rejects(
    async () => {
      for (let told = LSN_NONE; ; told = received.end) {
        await received.next(stream);
        // Told everything, the server goes: an answer to what it sent before would meet a closed socket.
        if (received.end === told) continue;
        await stream.sendStatus({ written: received.end, flushed: received.end, applied: LSN_NONE });
      }
    },
    isCode("postgres.shutting-down", { retryable: true }),
  );
  await stopped;
  // The shutdown checkpoint is the last record: all of the segment's bytes up to it came.
  assertEqualsSegments(received, server);
});

test("a server killed in mid-stream loses the connection, after all that arrived was handed out", async (t) => {
  await using server = await startServer({ major: 16, name: "wal" });
  const connection = await open(t, server);
  const from = segmentStart(await insertLsn(server), WAL_SEGMENT_BYTES_DEFAULT);
  const stream = await connection.startWal({ lsn: from, timeline: ONE }, {});
  await server.query("CREATE TABLE bulk AS SELECT i FROM generate_series(1, 10000) i");
  const received = new Received(from);
  await received.readTo(stream, await insertLsn(server));
  await server.server.kill();
  await assert.rejects(
    async () => {
      for (;;) await received.next(stream);
    },
    isCode("postgres.connection-lost", { retryable: true }),
  );
  await stream.sendStatus({ written: from, flushed: from, applied: from });
  await assert.rejects(stream.next({ timeoutMs: 1000 }), isCode("postgres.connection-lost", { retryable: true }));
});

test("waiting for WAL ends undefined when its time is over, and with platform.aborted on request", async (t) => {
  await using server = await startServer({ major: 16, name: "wal" });
  const connection = await open(t, server);
  const stream = await connection.startWal({ lsn: await insertLsn(server), timeline: ONE }, {});
  let answer: readonly WalMessage[] | undefined = [];
  // Keepalives and the server's own background WAL may come first.
  while (answer !== undefined) answer = await stream.next({ timeoutMs: 50 });
  const stop = new AbortController();
  const waiting = (async () => {
    while ((await stream.next({ timeoutMs: WAIT_MS, signal: stop.signal })) !== undefined);
  })();
  stop.abort();
  await assert.rejects(waiting, (error) => {
    assert.ok(isLifeboatError(error, "platform.aborted"), String(error));
    assert.match(error.message, /receiving WAL/);
    return true;
  });
});

test("a temporary slot goes with its session, and one without reserved WAL has no position", async (t) => {
  await using server = await startServer({ major: 16, name: "wal" });
  const connection = await open(t, server);
  const slot = { name: "weird_1", reserveWal: false, temporary: true };
  assert.equal(await connection.createSlot(slot, {}), "created");
  assert.deepEqual(await connection.readSlot("weird_1", {}), { restartLsn: undefined, timeline: undefined });
  await assert.rejects(
    connection.createSlot({ ...slot, name: 'x"; DROP' }, {}),
    isCode("postgres.query-failed"),
    "a name the server does not take stays one name",
  );
  await connection.close();
  await connection.close();
  const deadline = performance.now() + WAIT_MS;
  while ((await server.query("SELECT 1 FROM pg_replication_slots")).length > 0) {
    assert.ok(performance.now() < deadline, "the slot goes");
  }
});

/** What came of a stream, from a position on. */
class Received {
  readonly from: Lsn;
  end: Lsn;
  readonly #parts: Buffer[] = [];

  constructor(from: Lsn) {
    this.from = from;
    this.end = from;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  async next(stream: WalStream): Promise<readonly WalMessage[]> {
    const group = await stream.next({ timeoutMs: WAIT_MS });
    assert.ok(group !== undefined && group.length > 0, "the server sent something in time");
    for (const message of group) {
      if (message.kind !== "data") continue;
      assert.equal(message.start, this.end);
      this.#parts.push(message.data);
      this.end = (this.end + BigInt(message.data.byteLength)) as Lsn;
    }
    return group;
  }

  async readTo(stream: WalStream, target: Lsn): Promise<void> {
    while (this.end < target) await this.next(stream);
  }

  async readToKeepalive(stream: WalStream): Promise<void> {
    while (!(await this.next(stream)).some((message) => message.kind === "keepalive"));
  }

  async readToEnd(stream: WalStream): Promise<Extract<WalMessage, { kind: "timeline-end" }>> {
    for (;;) {
      const end = (await this.next(stream)).find((message) => message.kind === "timeline-end");
      if (end !== undefined) return end;
    }
  }
}

function assertEqualsSegments(received: Received, server: TestServer): void {
  const bytes = received.bytes();
  for (let at = 0; at < bytes.byteLength; at += WAL_SEGMENT_BYTES_DEFAULT) {
    const file = name((received.from + BigInt(at)) as Lsn, ONE);
    const part = bytes.subarray(at, at + WAL_SEGMENT_BYTES_DEFAULT);
    const disk = readFileSync(path.join(server.dataFolder, "pg_wal", file)).subarray(0, part.byteLength);
    assert.ok(disk.equals(part), `segment ${file}`);
  }
}

function name(lsn: Lsn, timeline: Timeline): string {
  return segmentName({ timeline, lsn, walSegmentBytes: WAL_SEGMENT_BYTES_DEFAULT });
}

async function startStandby(primary: TestServer, major: Major): Promise<TestServer> {
  const dataFolder = path.join(primary.folder, "standby");
  await primary.stop();
  execFileSync("cp", ["-a", primary.dataFolder, dataFolder]);
  await primary.start();
  writeFileSync(path.join(dataFolder, "standby.signal"), "");
  const { host, port, user } = primary.server.address();
  const settings = { primary_conninfo: `host=${host} port=${port} user=${user}` };
  return await startServer({ major, name: "standby", dataFolder, settings });
}

async function insertLsn(server: TestServer): Promise<Lsn> {
  return parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()::text"));
}

async function restartLsn(server: TestServer): Promise<Lsn> {
  return parseLsn(await server.value("SELECT restart_lsn::text FROM pg_replication_slots"));
}

async function open(t: TestContext, server: TestServer): Promise<ReplicationConnection> {
  const connection = await openReplication(server.server.address(), {});
  t.after(() => connection.close());
  return connection;
}

function isCode(code: ErrorCode, facts: { readonly retryable: boolean } = { retryable: false }) {
  return (error: unknown): boolean => {
    assert.ok(isLifeboatError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.retryable, facts.retryable);
    return true;
  };
}
