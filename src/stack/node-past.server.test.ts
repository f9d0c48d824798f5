import assert from "node:assert/strict";
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { startPair } from "../../test/support/pairs.ts";
import { PORTS, type TestServer } from "../../test/support/servers.ts";
import { HELD_NAMES } from "../durability/names.ts";
import { systemFiles } from "../platform/files.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import { lookAtPast } from "./node-past.ts";

const CONFIRMERS = ["db", "db_replica"];

async function past({ dataFolder: folder }: TestServer) {
  const { data, node } = await lookAtPast(systemFiles, { folder, confirmers: CONFIRMERS }, {});
  assert.ok(node !== undefined);
  const { timeline, walEnd, lineage, wasPrimary, heldBack } = node;
  return { data, timeline, ends: walEnd !== undefined, parts: lineage?.length, wasPrimary, heldBack };
}

test("what a node was is told by its history and WAL before its first checkpoint on a new timeline, and whatever it would start as", async () => {
  await using pair = await startPair();
  const { primary, replica } = pair;
  await replica.query("CHECKPOINT");
  await replica.query(`ALTER SYSTEM SET synchronous_standby_names = '${HELD_NAMES}'`);
  await replica.server.kill();
  const standby = { data: "standby", timeline: 1, ends: true, parts: 1, wasPrimary: false, heldBack: true };
  assert.deepEqual(await past(replica), standby);
  await replica.start();
  // A promotion asks for a checkpoint, and does not wait for it.
  const checkpointer = Number(
    await replica.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"),
  );
  PORTS.processes.signal(checkpointer, "SIGSTOP");
  await replica.query("SELECT pg_promote(true, 20)");
  await replica.server.kill();
  const control = parseControlFile(await systemFiles.readFile(path.join(replica.dataFolder, CONTROL_FILE_PATH)));
  assert.deepEqual([control.state, control.checkpoint.timeline], ["in production", 1]);
  const promoted = { ...standby, data: "primary", timeline: 2, ends: false, parts: 2, wasPrimary: true };
  assert.deepEqual(await past(replica), promoted);
  // Commits that wait for nobody hold nothing back. What is set by ALTER SYSTEM wins over the file, and a remark is none.
  const [conf, auto] = ["postgresql.conf", "postgresql.auto.conf"].map((name) => path.join(replica.dataFolder, name));
  assert.ok(conf !== undefined && auto !== undefined);
  const [inConf, inAuto] = [await readFile(conf, "utf8"), await readFile(auto, "utf8")];
  for (const [edited, altered, heldBack] of [
    ["SYNCHRONOUS_COMMIT off # for the load", "", false],
    ["synchronous_commit = off", "synchronous_commit = 'remote_write'", true],
    ["# synchronous_commit = off", "", true],
    ["synchronous_commit='on'", "synchronous_commit = 'local'", false],
  ] as const) {
    await writeFile(conf, `${inConf}\n${edited}\n`);
    await writeFile(auto, `${inAuto}${altered}\n`);
    assert.deepEqual(await past(replica), { ...promoted, heldBack }, `${edited} ${altered}`);
  }
  await writeFile(auto, inAuto);
  await replica.start();
  await replica.query("ALTER SYSTEM RESET synchronous_standby_names");
  await replica.stop();
  assert.deepEqual(await past(replica), { ...promoted, ends: true, heldBack: false });
  const signal = path.join(replica.dataFolder, "standby.signal");
  await writeFile(signal, "");
  assert.deepEqual(await past(replica), { ...promoted, data: "standby", ends: true, heldBack: false });
  const history = path.join(replica.dataFolder, "pg_wal/00000002.history");
  await rename(history, `${history}.away`);
  assert.equal((await past(replica)).parts, undefined);
  // A backup's control file is that of its primary: nothing ran here yet.
  await writeFile(path.join(replica.dataFolder, "backup_label"), "");
  assert.equal((await past(replica)).wasPrimary, false);
  await primary.stop();
  assert.deepEqual(await past(primary), { ...promoted, timeline: 1, parts: 1, ends: true, heldBack: false });
});
