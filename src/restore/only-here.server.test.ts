import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { startServer } from "../../test/support/servers.ts";
import { systemFiles } from "../platform/files.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import { formatLsn, type Lsn, parseLsn, segmentStart, type Timeline } from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { WalHoldings } from "../wal/ranges.ts";
import { describeOnlyHere, findOnlyHere, isOnlyCopy, refuseOnlyHere } from "./only-here.ts";

test("commits that a killed server had alone are found, whether or not a checkpoint came after them, and what is held elsewhere is none", async () => {
  await using server = await startServer();
  const folder = server.dataFolder;
  const here = async (): Promise<Lsn> => parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));
  await server.query("CREATE TABLE kept (id int)");
  await server.query("CHECKPOINT");
  const before = await here();
  await server.query("INSERT INTO kept VALUES (1)");
  await server.query("INSERT INTO kept VALUES (2)");
  const after = await here();
  await server.server.kill();
  const find = async (heldTo: Lsn) => {
    const control = parseControlFile(await systemFiles.readFile(path.join(folder, CONTROL_FILE_PATH)));
    const { systemId, walSegmentBytes } = control;
    const tail = { timeline: 1 as Timeline, start: segmentStart(heldTo, walSegmentBytes), end: heldTo };
    const holdings: WalHoldings = { systemId, walSegmentBytes, segments: [], tails: [tail], histories: new Map() };
    const backup = { timeline: tail.timeline, startLsn: formatLsn(tail.start), endLsn: formatLsn(tail.start) };
    const held = { holdings, backups: [backup as BackupRecord] };
    const found = await findOnlyHere(systemFiles, { folder, walFolder: undefined, control }, held, {});
    assert.notEqual(found?.kind, "untold");
    return found?.kind === "found" ? found : undefined;
  };
  const found = await find(before);
  assert.ok(found !== undefined);
  assert.deepEqual([found.timeline, found.heldTo, found.commits?.count], [1, before, 2]);
  assert.match(describeOnlyHere(folder, found), /: 2 commits behind that \(the last of .*Z\) would be lost$/);
  assert.ok(isOnlyCopy(found));
  assert.throws(() => refuseOnlyHere(folder, found), { code: "restore.only-copy" });
  assert.equal(await find(after), undefined);
  // It recovers, which ends with a checkpoint, and is stopped in an orderly way: its WAL is there still.
  await server.start();
  await server.stop();
  assert.equal((await find(before))?.commits?.count, 2);
  assert.equal(await find(after), undefined);
  for (const { name } of await systemFiles.list(path.join(folder, "pg_wal"))) {
    if (/^[0-9A-F]{24}$/.test(name)) await systemFiles.remove(path.join(folder, "pg_wal", name));
  }
  assert.deepEqual((await find(before))?.commits, undefined);
  assert.ok((await find(before)) !== undefined);
});
