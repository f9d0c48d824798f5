import assert from "node:assert/strict";
import { chmod, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { Scene } from "../../test/support/quorum-scene.ts";
import { caughtUp, eventually, temporaryFolder } from "../../test/support/receivers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { formatLsn, type Lsn, lsnAdd, lsnMin, parseLsn, segmentName, segmentStart } from "../postgres/lsn.ts";
import { listSpool } from "../wal/spool-files.ts";
import { readSpoolState } from "../wal/spool-state.ts";
import { READ_BYTES_MAX } from "./protocol.ts";

const MIB = 1024 * 1024;
const CALL = { timeoutMs: 10_000 };

test("what the old timeline had beyond the switch is kept apart, and none of it counts on the new one", async () => {
  await using scene = await Scene.open(18);
  await scene.write(20);
  await scene.stopReceiving();
  await scene.write(40);
  await scene.primary.server.kill();
  const { held } = await scene.witness.withdraw(2, CALL);
  assert.ok(held !== undefined);
  // A person accepted the loss: the replica is promoted as it is.
  const switchLsn = await scene.failOver(undefined);
  assert.ok(switchLsn < held.flushedLsn);
  const state = await readSpoolState(systemFiles, scene.station.spoolFolder);
  assert.ok(state !== undefined);
  const ended = (await listSpool(systemFiles, scene.station.spoolFolder, state)).filter(({ kind }) => kind === "ended");
  assert.equal(formatLsn(ended.at(-1)?.end ?? (0n as Lsn)), formatLsn(held.flushedLsn));
  const { receiver } = await scene.witness.status(CALL);
  assert.equal(receiver.timeline, 2);
  assert.equal(receiver.flushedLsn, await scene.replica.value("SELECT pg_current_wal_flush_lsn()"));
});

test("a node that still receives, or is no standby, is given nothing", async () => {
  await using scene = await Scene.open(18);
  await scene.write(5);
  const { held } = await scene.witness.withdraw(2, CALL);
  await assert.rejects(scene.fill(2, held), (error) => isLifeboatError(error, "witness.node-not-still"));
  await scene.failOver(held);
  await assert.rejects(scene.fill(2, held), (error) => isLifeboatError(error, "witness.node-not-still"));
});

test("a node whose WAL is not what the witness has of it is left as it is, and the place is named", async () => {
  await using scene = await Scene.open(18);
  await scene.write(20);
  await scene.stopReceiving();
  const end = await scene.flushed();
  const wal = path.join(scene.replica.dataFolder, "pg_wal");
  const segment = await scene.primary.value("SELECT pg_walfile_name($1::pg_lsn)", [formatLsn(end)]);
  await scene.write(20);
  const { held } = await scene.witness.withdraw(2, CALL);
  const file = path.join(wal, segment);
  const bytes = await readFile(file);
  const at = Number(end % BigInt(MIB)) - 100;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(file, bytes);
  const answer = await scene.fill(2, held);
  assert.equal(answer.kind, "diverged");
  assert.equal(answer.kind === "diverged" && answer.at <= end && end - answer.at < 8192n + 100n, true);
  assert.ok((await readFile(file)).equals(bytes), "nothing was written");
});

test("WAL that neither has is a hole, and the end of a record that cannot be told is not guessed", async () => {
  await using scene = await Scene.open(18);
  await scene.write(5);
  await scene.stopReceiving();
  await scene.write(5);
  const { held } = await scene.witness.withdraw(2, CALL);
  assert.ok(held !== undefined);
  const rangeFrom = held.flushedLsn;
  const answer = await scene.fill(2, { ...held, rangeFrom });
  assert.deepEqual(answer, { kind: "hole", from: await scene.flushed(), to: rangeFrom });
  await assert.rejects(scene.fill(2, { ...held, recordEndLsn: undefined }), (error) =>
    isLifeboatError(error, "witness.end-unknown"),
  );
});

test("what was written is read back: a node that does not keep it can be filled again, and replays it at once", async () => {
  await using scene = await Scene.open(18);
  await scene.write(5);
  await scene.replica.query("ALTER SYSTEM SET wal_retrieve_retry_interval = '10min'");
  await scene.stopReceiving();
  await scene.write(5);
  const { held } = await scene.witness.withdraw(2, CALL);
  const forgetful = scene.fill(2, held, (node) => ({
    serverVersion: node.serverVersion,
    query: async (sql, ...rest) => (sql.startsWith("COPY") ? [] : node.query(sql, ...rest)),
    close: () => node.close(),
  }));
  await assert.rejects(forgetful, (error) => isLifeboatError(error, "witness.gap-not-written"));
  const answer = await scene.fill(2, held);
  assert.ok(answer.kind === "filled");
  await eventually("it is replayed by a node that looks into pg_wal every ten minutes", async () => {
    const replayed = await scene.replica.value("SELECT pg_last_wal_replay_lsn()");
    return parseLsn(replayed) >= answer.recordEnd;
  });
});

test("a segment shorter than the replica's own, handed to restore_command, destroys WAL that was acknowledged: none ever is", async () => {
  await using scene = await Scene.open(18, { delayMs: 300 });
  await using archive = await temporaryFolder("archive");
  await chmod(archive.folder, 0o777);
  // The witness has something of the segment: 300 commits may take less time than its first sync is put off.
  await scene.write(1);
  await caughtUp(scene.primary, "lifeboat_vault_e1");
  await scene.write(300);
  await scene.primary.server.kill();
  const { held } = await scene.witness.withdraw(2, CALL);
  assert.ok(held !== undefined && held.flushedLsn < (await scene.flushed()));
  const at = { lsn: lsnAdd(held.flushedLsn, -1), walSegmentBytes: MIB };
  const from = segmentStart(at.lsn, MIB);
  const bytes = Buffer.alloc(MIB);
  const { timeline } = held;
  for (let done = 0; lsnAdd(from, done) < held.flushedLsn; done += READ_BYTES_MAX) {
    const to = lsnMin(held.flushedLsn, lsnAdd(from, done + READ_BYTES_MAX));
    (await scene.witness.read(2, { timeline, from: lsnAdd(from, done), to }, CALL)).copy(bytes, done);
  }
  const file = path.join(archive.folder, segmentName({ timeline, ...at }));
  await writeFile(file, bytes, { mode: 0o644 });
  await scene.stopReceiving();
  const asked = path.join(archive.folder, "asked");
  await scene.replica.query(`ALTER SYSTEM SET restore_command = 'cp ${archive.folder}/%f %p && touch ${asked}'`);
  await scene.replica.query("ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'");
  await scene.replica.query("SELECT pg_reload_conf()");
  // A promotion that comes before the setting does takes what lies in pg_wal.
  await eventually("it is handed the segment", async () => (await systemFiles.stat(asked)) !== undefined);
  await scene.replica.query("SELECT pg_promote()").catch(() => undefined);
  const count = "SELECT count(DISTINCT i) FROM t WHERE i BETWEEN 1 AND $1";
  const found = await scene.replica.value(count, [scene.acknowledged]).catch(() => "none: the server is broken");
  assert.notEqual(found, String(scene.acknowledged));
});
