import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { MAJORS, PORTS, type TestServer, withServer } from "../../test/support/servers.ts";
import { CONTROL_FILE_PATH, type ControlFile, parseControlFile } from "./control-file.ts";
import { formatLsn, segmentName } from "./lsn.ts";
import type { QueryRow } from "./query-connection.ts";

// Every number away from its default, so that two fields cannot be mistaken for each other.
const SETTINGS = {
  max_connections: 31,
  max_worker_processes: 7,
  max_wal_senders: 11,
  max_prepared_transactions: 13,
  max_locks_per_transaction: 65,
  track_commit_timestamp: true,
  wal_log_hints: true,
  wal_level: "logical",
};

async function read(server: TestServer): Promise<ControlFile> {
  return parseControlFile(await readFile(path.join(server.dataFolder, CONTROL_FILE_PATH)));
}

async function row(server: TestServer, name: string): Promise<QueryRow> {
  return (await server.query(`select * from ${name}()`))[0] ?? {};
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: every field is what the server's own functions say`, async () => {
    await withServer(
      { major, settings: SETTINGS, walSegmentBytes: 4 * 1024 * 1024, name: "control" },
      async (server) => {
        await makeHistory(server);
        const control = await read(server);
        assert.equal(control.major, major);
        assert.equal(control.state, "in production");
        await compareSystem(server, control);
        await compareCheckpoint(server, control);
        await compareInit(server, control);
        await compareRecovery(server, control);
        assert.deepEqual(control.capacity, {
          maxConnections: 31,
          maxWorkerProcesses: 7,
          maxWalSenders: 11,
          maxPreparedTransactions: 13,
          maxLocksPerTransaction: 65,
        });
        assert.equal(control.trackCommitTimestamp, true);
        assert.equal(control.walLogHints, true);
        assert.equal(control.walLevel, "logical");
        await server.stop();
        assert.equal((await read(server)).state, "shut down");
      },
    );
  });
}

/** Transaction ids, multixacts and commit timestamps that differ from each other, then a checkpoint. */
async function makeHistory(server: TestServer): Promise<void> {
  await server.query("create table t (id int primary key)");
  await server.query("do $$ begin for i in 1..20 loop insert into t values (i); commit; end loop; end $$");
  // A row locked by a transaction and changed by its subtransaction has two owners: a multixact.
  await server.query(`do $$ begin
    perform 1 from t for key share;
    begin update t set id = id where id < 3; exception when division_by_zero then null; end;
  end $$`);
  await server.query("checkpoint");
}

async function compareSystem(server: TestServer, control: ControlFile): Promise<void> {
  const system = await row(server, "pg_control_system");
  assert.equal(control.controlVersion, system["pg_control_version"]);
  assert.equal(control.catalogVersion, system["catalog_version_no"]);
  assert.equal(control.systemId, String(system["system_identifier"]));
  assert.equal(control.writtenAt, Number(system["pg_control_last_modified"]));
}

async function compareCheckpoint(server: TestServer, control: ControlFile): Promise<void> {
  const theirs = await row(server, "pg_control_checkpoint");
  const ours = control.checkpoint;
  const { timeline, redoLsn } = ours;
  assert.deepEqual(
    {
      checkpoint_lsn: formatLsn(ours.lsn),
      redo_lsn: formatLsn(redoLsn),
      redo_wal_file: segmentName({ timeline, lsn: redoLsn, walSegmentBytes: control.walSegmentBytes }),
      timeline_id: timeline,
      prev_timeline_id: ours.previousTimeline,
      full_page_writes: ours.fullPageWrites,
      next_xid: `${ours.nextXid >> 32n}:${ours.nextXid & 0xffffffffn}`,
      next_oid: ours.nextOid,
      next_multixact_id: String(ours.nextMultixact),
      next_multi_offset: String(ours.nextMultixactOffset),
      oldest_xid: String(ours.oldestXid),
      oldest_xid_dbid: ours.oldestXidDatabaseOid,
      oldest_active_xid: String(ours.oldestActiveXid),
      oldest_multi_xid: String(ours.oldestMultixact),
      oldest_multi_dbid: ours.oldestMultixactDatabaseOid,
      oldest_commit_ts_xid: String(ours.oldestCommitTimestampXid),
      newest_commit_ts_xid: String(ours.newestCommitTimestampXid),
      checkpoint_time: new Date(ours.startedAt),
    },
    { ...theirs },
  );
  assert.notEqual(ours.oldestActiveXid, 0);
  assert.ok(ours.nextMultixact > 1);
  assert.notEqual(ours.newestCommitTimestampXid, 0);
}

async function compareInit(server: TestServer, control: ControlFile): Promise<void> {
  const theirs = await row(server, "pg_control_init");
  const { build } = control;
  assert.deepEqual(
    {
      max_data_alignment: build.maxAlign,
      database_block_size: control.blockBytes,
      blocks_per_segment: control.segmentBlocks,
      wal_block_size: control.walBlockBytes,
      bytes_per_wal_segment: control.walSegmentBytes,
      max_identifier_length: build.nameBytes,
      max_index_columns: build.indexKeysMax,
      max_toast_chunk_size: build.toastChunkBytes,
      large_object_chunk_size: build.largeObjectChunkBytes,
      float8_pass_by_value: build.float8ByValue,
      data_page_checksum_version: control.dataChecksumVersion,
      ...(control.major >= 18 ? { default_char_signedness: build.defaultCharSigned } : {}),
    },
    { ...theirs },
  );
}

async function compareRecovery(server: TestServer, control: ControlFile): Promise<void> {
  assert.deepEqual(
    {
      min_recovery_end_lsn: formatLsn(control.minRecovery.lsn),
      min_recovery_end_timeline: control.minRecovery.timeline ?? 0,
      backup_start_lsn: formatLsn(control.backupStartLsn),
      backup_end_lsn: formatLsn(control.backupEndLsn),
      end_of_backup_record_required: control.backupEndRequired,
    },
    { ...(await row(server, "pg_control_recovery")) },
  );
}

test("without checksums the checksum version is 0", async () => {
  await withServer({ dataChecksums: false, started: false, name: "control" }, async (server) => {
    assert.equal((await read(server)).dataChecksumVersion, 0);
  });
});

test("Debian's 15: the same as its pg_controldata prints", async () => {
  await withServer({ major: "system", settings: SETTINGS, name: "control" }, async (server) => {
    await server.stop();
    const control = await read(server);
    const printed = await PORTS.processes.run({
      command: path.join(server.installation.binFolder, "pg_controldata"),
      args: [server.dataFolder],
      environment: { LC_ALL: "C" },
      timeoutMs: 10_000,
    });
    const lines = new Map(
      printed.stdout.split("\n").map((line) => [line.split(":")[0], line.replace(/^[^:]*:\s*/, "")]),
    );
    const expected: Record<string, string> = {
      "Database cluster state": control.state,
      "Fake LSN counter for unlogged rels": formatLsn(control.unloggedLsn),
      "wal_level setting": control.walLevel,
      "wal_log_hints setting": control.walLogHints ? "on" : "off",
      "max_connections setting": String(control.capacity.maxConnections),
      "max_worker_processes setting": String(control.capacity.maxWorkerProcesses),
      "max_wal_senders setting": String(control.capacity.maxWalSenders),
      "max_prepared_xacts setting": String(control.capacity.maxPreparedTransactions),
      "max_locks_per_xact setting": String(control.capacity.maxLocksPerTransaction),
      "track_commit_timestamp setting": control.trackCommitTimestamp ? "on" : "off",
      "Data page checksum version": String(control.dataChecksumVersion),
      "Latest checkpoint location": formatLsn(control.checkpoint.lsn),
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(lines.get(name), value, name);
  });
});
