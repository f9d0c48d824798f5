import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { restoreTools, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { outermost } from "../../test/support/majors.ts";
import { PORTS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { unsyncedFiles } from "../../test/support/unsynced-files.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { findFreePort } from "../platform/free-port.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { crc32c } from "../postgres/crc32c.ts";
import { formatLsn, type Lsn, lsnAdd, parseLsn, segmentName, segmentStart, type Timeline } from "../postgres/lsn.ts";
import { LocalServer } from "../postgres/server.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { segmentKey } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { putHistory } from "../vault/wal-store.ts";
import { commitsIn } from "../wal/records/commits.ts";
import { POSTGRES_EPOCH_MICROSECONDS } from "../wal/records/events.ts";
import { bootRestored, type Reached } from "./boot.ts";
import { plannedReach } from "./plan.ts";
import { type PricedPlan, prepareRestore, type RestoreRequest, runRestore } from "./restore.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { describeStop, type RecoveryTarget } from "./target.ts";

const MIB = 1024 * 1024;

/** What happened on the server, in this order, between and after two backups. */
type Story = {
  readonly server: TestServer;
  readonly vault: Vault;
  readonly first: BackupRecord;
  readonly second: BackupRecord;
  /** Of row 2, which is followed by row 3; each of its own transaction. */
  readonly xid: bigint;
  readonly subxid: bigint;
  /** Behind row 2. */
  readonly lsn: Lsn;
  readonly time: Instant;
  /** Behind all that is held. */
  readonly end: Lsn;
};

/** Row 1 is in the second backup, a restore point lies on either side of it. */
async function tell(server: TestServer): Promise<Story> {
  const vault = await createTestVault();
  await server.query("CREATE TABLE t (id int)");
  await server.query("INSERT INTO t VALUES (0)");
  const first = await takeTestBackup(server, vault);
  await server.query("SELECT pg_create_restore_point('it''s \\ twice')");
  await server.query("INSERT INTO t VALUES (1)");
  const early = await server.value("SELECT pg_create_restore_point('early')");
  assert.notEqual(early, "");
  // Before the second backup's checkpoint lets go of it.
  await server.query("SELECT pg_switch_wal()");
  await storeServerWal(server, vault);
  const second = await takeTestBackup(server, vault);
  const session = await server.server.connect({ namesOf: "database" }, {});
  const one = async (sql: string): Promise<string> =>
    String(Object.values((await session.query(sql, [], { timeoutMs: 10_000 }))[0] ?? {})[0]);
  await one("BEGIN");
  const xid = BigInt(await one("SELECT pg_current_xact_id()::text"));
  await one("SAVEPOINT s");
  await one("INSERT INTO t VALUES (2)");
  await one("RELEASE s");
  await one("COMMIT");
  await session.close();
  const lsn = parseLsn(await server.value("SELECT pg_current_wal_lsn()"));
  const time = Number(await server.value("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000) + 1")) as Instant;
  await server.query("SELECT pg_create_restore_point('it''s \\ twice'), pg_sleep(0.02)");
  await server.query("INSERT INTO t VALUES (3)");
  await server.query("SELECT pg_create_restore_point('it''s \\ twice')");
  await server.query("SELECT pg_switch_wal()");
  await server.query("INSERT INTO t VALUES (4)");
  await server.query("SELECT pg_switch_wal()");
  const end = segmentStart(parseLsn(await server.value("SELECT pg_current_wal_lsn()")), MIB);
  await storeServerWal(server, vault);
  return { server, vault, first, second, xid, subxid: xid + 1n, lsn, time, end };
}

async function prepare(story: Story, target: RecoveryTarget, more: Partial<RestoreRequest> = {}): Promise<PricedPlan> {
  const { systemId } = story.second;
  return prepareRestore(restoreTools(story.vault, story.second), { systemId, target, acceptGap: false, ...more }, {});
}

/** Restores, boots, and reads the rows. */
async function rowsAt(
  story: Story,
  target: RecoveryTarget,
  more: Partial<RestoreRequest> = {},
): Promise<{ readonly plan: PricedPlan; readonly reached: Reached; readonly rows: string }> {
  return withFolder(async (folder) => {
    const { server, vault, second } = story;
    const plan = await prepare(story, target, more);
    const dataFolder = path.join(folder, "restored");
    const tools = { ...restoreTools(vault, second), files: unsyncedFiles };
    const tablespaces = { byOid: new Map<number, string>(), under: undefined };
    await runRestore(tools, plan, { folder: dataFolder, tablespaces, owner: await serverUser() }, {});
    const { setup } = server.server;
    const place = { dataFolder, port: await findFreePort(systemRandom), logFile: path.join(folder, "log") };
    const local = new LocalServer(PORTS, { ...setup, ...place, logFile: path.join(dataFolder, "log") });
    try {
      const reached = await bootRestored({ ...PORTS, server: local, wal: tools.wal }, plan, { timeoutMs: 30_000 });
      assert.equal(formatLsn(reached.lsn), formatLsn(plannedReach(plan)));
      const session = await local.connect({ namesOf: "database" }, {});
      const sql = "SELECT string_agg(id::text, ',' ORDER BY id) AS rows, pg_last_wal_replay_lsn() AS replayed FROM t";
      const [row] = await session.query(sql, [], { timeoutMs: 10_000 });
      await session.close();
      assert.equal(parseLsn(String(row?.["replayed"])), reached.lsn, "the server says the same");
      return { plan, reached, rows: String(row?.["rows"]) };
    } finally {
      await local.kill();
    }
  });
}

async function refusal(
  story: Story,
  target: RecoveryTarget,
  more: Partial<RestoreRequest> = {},
): Promise<LifeboatError> {
  try {
    await prepare(story, target, more);
  } catch (error) {
    assert.ok(isLifeboatError(error), String(error));
    assert.match(error.remedy, /^[A-Z].+\.$/);
    return error;
  }
  return assert.fail("it was planned");
}

const TWICE = "it's \\ twice";

/** The versions between stop by the same code; of them each way of stopping once. */
function casesOf({ server, xid, lsn, time }: Story): readonly (readonly [RecoveryTarget, string])[] {
  const some: readonly (readonly [RecoveryTarget, string])[] = [
    [{ kind: "xid", xid, inclusive: false }, "0,1"],
    [{ kind: "name", name: TWICE }, "0,1,2"],
    [{ kind: "immediate" }, "0,1"],
  ];
  if (server.major === 16 || server.major === 17) return some;
  return [
    ...some,
    [{ kind: "xid", xid, inclusive: true }, "0,1,2"],
    [{ kind: "lsn", lsn, inclusive: false }, "0,1,2"],
    [{ kind: "lsn", lsn: lsnAdd(lsn, -1), inclusive: true }, "0,1,2"],
    [{ kind: "time", time, inclusive: false }, "0,1,2"],
  ];
}

for (const major of outermost([15, 16, 17])) {
  test(`PostgreSQL ${major}: recovery ends at each kind of target where the plan says`, async () => {
    await using server = await startServer({ major, walSegmentBytes: MIB });
    const told = await tell(server);
    await assertStops(told);
    await assertLeftBehind(told);
  });
}

/** Another server has left timeline 1 behind row 2, in a segment of which the vault has timeline 1's own copy only. */
async function assertLeftBehind(story: Story): Promise<void> {
  const { vault, second, lsn } = story;
  const content = Buffer.from(`1\t${formatLsn(lsn)}\tno recovery target specified\n`);
  await putHistory(vault, { systemId: second.systemId, timeline: 2 as Timeline, content }, {});
  const { plan, rows } = await rowsAt(story, { kind: "latest" });
  assert.deepEqual([plan.timeline, rows], [2, "0,1,2"]);
}

async function assertStops(story: Story): Promise<void> {
  for (const [target, rows] of casesOf(story)) {
    const restored = await rowsAt(story, target);
    assert.equal(restored.rows, rows, describeStop(restored.plan.stop));
    assert.equal(restored.plan.backup.backupId, story.second.backupId);
  }
}

/** Of the newest version, for the tests below. */
let story: Story;
let newest: TestServer;
const inclusive = true;

before(async () => {
  newest = await startServer({ walSegmentBytes: MIB, settings: { max_prepared_transactions: "1" } });
  story = await tell(newest);
});

after(() => newest[Symbol.asyncDispose]());

async function refused(
  target: RecoveryTarget,
  code: LifeboatError["code"],
  says?: RegExp,
  more: Partial<RestoreRequest> = {},
): Promise<LifeboatError> {
  const error = await refusal(story, target, more);
  assert.equal(error.code, code, error.message);
  if (says !== undefined) assert.match(error.message, says);
  return error;
}

test("PostgreSQL 18: recovery ends at each kind of target where the plan says", () => assertStops(story));

test("a position at the end of all WAL that is held is reached, though no record begins there", async () => {
  const { end } = story;
  const restored = await rowsAt(story, { kind: "lsn", lsn: end, inclusive });
  // As pg_switch_wal() tells it: behind the record, of which the rest of the segment is a part.
  const inside = await prepare(story, { kind: "lsn", lsn: lsnAdd(end, -MIB / 2), inclusive });
  assert.deepEqual([inside.stop.kind, inside.endLsn], ["end-of-wal", end]);
  assert.deepEqual([restored.rows, restored.reached.lsn], ["0,1,2,3,4", end]);
});

test("the newest backup that is consistent by then is taken, an older one for what lies before", async () => {
  const { first, second } = story;
  const early = await rowsAt(story, { kind: "name", name: "early" });
  assert.deepEqual([early.rows, early.plan.backup.backupId], ["0,1", first.backupId]);
  const named = await prepare(story, { kind: "name", name: TWICE }, { backupId: first.backupId });
  assert.ok(named.stop.kind === "record" && plannedReach(named) < parseLsn(second.startLsn));
  assert.equal(named.stop.others.length, 2, "further ones of that name are told");
  const position = lsnAdd(parseLsn(second.endLsn), -8);
  assert.equal((await prepare(story, { kind: "lsn", lsn: position, inclusive })).backup.backupId, first.backupId);
});

test("no more WAL is laid than the target needs", async () => {
  const { xid } = story;
  const whole = await prepare(story, { kind: "latest" });
  const immediate = await prepare(story, { kind: "immediate" });
  const transaction = await prepare(story, { kind: "xid", xid, inclusive });
  assert.ok(immediate.segments.length < transaction.segments.length);
  assert.ok(transaction.segments.length < whole.segments.length);
});

test("a transaction is known by its epoch where that is given", async () => {
  const { xid } = story;
  const epoch = 1n << 32n;
  await refused({ kind: "xid", xid: xid + 5n * epoch, inclusive }, "restore.point-out-of-reach", /searched/);
});

test("a subtransaction is no target, and its transaction is named", async () => {
  const { xid, subxid } = story;
  const says = new RegExp(`^${subxid} is a subtransaction of transaction ${xid}:`);
  await refused({ kind: "xid", xid: subxid, inclusive }, "restore.not-a-transaction", says);
});

test("what is not held is refused, and told what was searched", async () => {
  const { first, end } = story;
  const from = `${first.startLsn} to `;
  const code = "restore.point-out-of-reach";
  assert.match((await refused({ kind: "xid", xid: 4_000_000n, inclusive }, code)).message, new RegExp(from));
  assert.match((await refused({ kind: "name", name: "never" }, code)).message, new RegExp(from));
  const beyond = await refused({ kind: "lsn", lsn: lsnAdd(end, 8), inclusive }, code);
  assert.match(beyond.message, new RegExp(`to ${formatLsn(end)}$`));
  await refused({ kind: "lsn", lsn: parseLsn("0/10"), inclusive }, "restore.no-backup");
});

test("what lies before the named backup is consistent is refused", async () => {
  const { second } = story;
  const more = { backupId: second.backupId };
  const code = "restore.point-out-of-reach";
  const at = lsnAdd(parseLsn(second.endLsn), -200);
  await refused({ kind: "lsn", lsn: at, inclusive: false }, code, /before backup .+ is consistent/, more);
  const ancient = { kind: "time", time: 0 as Instant, inclusive } as const;
  await refused(ancient, code, /^1970-01-01T00:00:00.000Z lies before backup/, more);
});

test("a timeline that no backup lies on is refused, the only one can be named", async () => {
  const timeline = 7 as Timeline;
  await refused({ kind: "latest" }, "restore.no-backup", /timeline 7/, { timeline });
  assert.equal((await prepare(story, { kind: "latest" }, { timeline: 1 as Timeline })).timeline, 1);
});

test("a hole before the target is named, with what can be reached", async () => {
  const { first, second, xid, lsn, end } = story;
  const { store } = story.vault;
  const segment = segmentName({ timeline: 1 as Timeline, lsn, walSegmentBytes: MIB });
  const key = segmentKey({ systemId: first.systemId, segment });
  const bytes = await store.get(key);
  await store.delete(key);
  for (const target of [
    { kind: "lsn", lsn: lsnAdd(end, -8), inclusive },
    { kind: "name", name: TWICE },
    { kind: "xid", xid, inclusive },
  ] satisfies RecoveryTarget[]) {
    const { message } = await refused(target, "restore.wal-gap", undefined, { backupId: second.backupId });
    assert.match(message, new RegExp(`a hole in the WAL: 0/\\w+ to 0/\\w+ on timeline 1 .*${segment}`));
  }
  await store.put(key, [bytes]);
});

test("what a timeline wrote behind where it was left is not replayed on the way to a newer one", () =>
  assertLeftBehind(story));

/** The same WAL, of which one commit is dated so much later. */
function dated(wal: RestoreWal, { xid, laterMs }: { readonly xid: number; readonly laterMs: number }): RestoreWal {
  return {
    holdings: (options) => wal.holdings(options),
    history: (timeline, options) => wal.history(timeline, options),
    segment: async (name, options) => {
      const held = await wal.segment(name, options);
      const bytes = held && Buffer.from(held);
      for (const { offset, time } of bytes === undefined ? [] : commitsIn(bytes)) {
        if (bytes?.readUInt32LE(offset + 4) !== xid) continue;
        const record = bytes.subarray(offset, offset + bytes.readUInt32LE(offset));
        const micros = Buffer.alloc(8);
        micros.writeBigInt64LE(BigInt(time - POSTGRES_EPOCH_MICROSECONDS));
        const at = record.indexOf(micros);
        assert.ok(at > 0 && (offset % 8192) + record.byteLength < 8192, "it lies on one page");
        record.writeBigInt64LE(micros.readBigInt64LE() + BigInt(laterMs * 1000), at);
        record.writeUInt32LE(crc32c(Buffer.concat([record.subarray(24), record.subarray(0, 20)])), 20);
      }
      return bytes;
    },
  };
}

test("a clock that was ahead for a while: recovery ends where the plan says, laid or fed, and what it dated later is told", async () => {
  const vault = await createTestVault();
  const backup = await takeTestBackup(newest, vault);
  const xids: number[] = [];
  for (let row = 11; row <= 16; row += 1) {
    xids.push(Number(await newest.value(`INSERT INTO t VALUES (${row}) RETURNING pg_current_xact_id()::text`)));
    await newest.query("SELECT pg_switch_wal()");
  }
  const session = await newest.server.connect({ namesOf: "database" }, {});
  for (const sql of ["BEGIN", "INSERT INTO t VALUES (17)", "PREPARE TRANSACTION 'p'"]) {
    await session.query(sql, [], { timeoutMs: 10_000 });
  }
  await session.close();
  const time = Number(await newest.value("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000) + 1")) as Instant;
  await newest.query("SELECT pg_sleep(0.02)");
  await newest.query("COMMIT PREPARED 'p'");
  await newest.query("SELECT pg_switch_wal()");
  await storeServerWal(newest, vault);
  const notices: string[] = [];
  const onNotice = (text: string): number => notices.push(text);
  const held = restoreTools(vault, backup);
  const wal = dated(held.wal, { xid: xids[0] ?? 0, laterMs: 5 * 3_600_000 });
  const tools = { ...held, wal, files: unsyncedFiles, onNotice };
  const { systemId } = backup;
  for (const walLaidBytesMax of [undefined, 0]) {
    await withFolder(async (folder) => {
      const dataFolder = path.join(folder, "restored");
      const request = {
        systemId,
        target: { kind: "time", time, inclusive },
        acceptGap: false,
        walLaidBytesMax,
      } as const;
      const plan = await prepareRestore(tools, request, {});
      assert.match(describeStop(plan.stop), /^before the commit of transaction/);
      const tablespaces = { byOid: new Map<number, string>(), under: undefined };
      await runRestore(tools, plan, { folder: dataFolder, tablespaces, owner: await serverUser() }, {});
      const place = { dataFolder, port: await findFreePort(systemRandom), logFile: path.join(dataFolder, "log") };
      const local = new LocalServer(PORTS, { ...newest.server.setup, ...place });
      try {
        const reached = await bootRestored({ ...PORTS, locks: systemLocks, server: local, wal, onNotice }, plan, {
          timeoutMs: 30_000,
        });
        assert.equal(formatLsn(reached.lsn), formatLsn(plannedReach(plan)));
        const restored = await local.connect({ namesOf: "database" }, {});
        const sql =
          "SELECT count(*) AS rows, (SELECT count(*) FROM pg_prepared_xacts) AS prepared FROM t WHERE id > 10";
        const [row] = await restored.query(sql, [], { timeoutMs: 10_000 });
        await restored.close();
        assert.deepEqual([Number(row?.["rows"]), Number(row?.["prepared"])], [6, 1]);
      } finally {
        await local.kill();
      }
      assert.equal(notices.length, 1);
      assert.match(notices.pop() ?? "", /^the server's clock was ahead for a while: .* --to-lsn 0\/\w+ --exclusive$/);
    });
  }
});
