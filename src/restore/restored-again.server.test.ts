import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { restoreTools, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { caughtUp, eventually, openStation, type Station } from "../../test/support/receivers.ts";
import { serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { systemFiles } from "../platform/files.ts";
import { formatLsn, type Lsn, parseLsn, type Timeline } from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { readHoldings } from "../wal/holdings.ts";
import { walLineage } from "../wal/ranges.ts";
import { HeldWal } from "./held-wal.ts";
import { prepareRestore, runRestore } from "./restore.ts";

const MIB = 1024 * 1024;

type Scene = { readonly station: Station; readonly backup: BackupRecord; readonly folder: string };

function sourcesOf({ station, backup }: Scene) {
  const { vault, spoolFolder } = station;
  return { vault, files: systemFiles, spoolFolder, systemId: backup.systemId };
}

/** Restores to a position and starts what comes of it; `along` is the timeline to follow, whatever the plan says. */
async function restored(scene: Scene, name: string, to: { readonly lsn: Lsn; readonly along?: Timeline }) {
  const { station, backup, folder } = scene;
  const dataFolder = path.join(folder, name);
  const tools = { ...restoreTools(station.vault, backup), wal: new HeldWal(sourcesOf(scene), MIB) };
  const target = { kind: "lsn", lsn: to.lsn, inclusive: true } as const;
  const plan = await prepareRestore(tools, { systemId: backup.systemId, target, acceptGap: false }, {});
  const place = { folder: dataFolder, tablespaces: { byOid: new Map(), under: undefined }, owner: await serverUser() };
  await runRestore(tools, { ...plan, timeline: to.along ?? plan.timeline }, place, {});
  return await startServer({ major: 18, dataFolder, settings: { wal_keep_size: "1GB" }, name, until: "recovered" });
}

/** The ancestors in a server's history file, and where they were left. */
async function historyOf(server: TestServer, timeline: number): Promise<readonly (readonly [string, string])[]> {
  const text = await readFile(path.join(server.dataFolder, "pg_wal", `0000000${timeline}.history`), "utf8");
  return [...text.matchAll(/^(\d+)\t(\S+)/gm)].map(([, ancestor = "", lsn = ""]) => [ancestor, lsn]);
}

/** Receives what a server has, and writes more; all of it must follow from the backup without a gap. */
async function receiveAll(scene: Scene, server: TestServer, timeline: number): Promise<void> {
  // More than one segment, and a checkpoint, before anybody receives: a new slot begins behind them.
  await server.query("CREATE TABLE IF NOT EXISTS more (id int)");
  for (let round = 0; round < 3; round += 1) {
    await server.query("INSERT INTO more VALUES (0)");
    await server.query("SELECT pg_switch_wal()");
  }
  await server.query("CHECKPOINT");
  const receiver = await scene.station.start(server);
  await server.query("INSERT INTO more VALUES (1)");
  await caughtUp(server);
  const report = receiver.report();
  await receiver.stop();
  assert.equal(report.timeline, timeline);
  assert.deepEqual(report.gaps, []);
  const lineage = walLineage(await readHoldings(sourcesOf(scene), MIB, {}), timeline as Timeline);
  assert.deepEqual(lineage.gaps, []);
  const start = parseLsn(scene.backup.startLsn);
  const range = lineage.ranges.find(({ from, to }) => from <= start && start < to);
  assert.equal(formatLsn(range?.to ?? start), report.flushedLsn);
}

test("restored to a moment and then to an earlier one, twice: the rows are right, and WAL is received on without a gap", () =>
  withFolder(async (folder) => {
    await using station = await openStation();
    await using first = await startServer({ major: 18, walSegmentBytes: MIB, name: "first" });
    await first.query("CREATE TABLE t (id int, x text)");
    const scene = { station, backup: await takeTestBackup(first, station.vault), folder };
    const receiver = await station.start(first);
    const behind: Lsn[] = [];
    for (let id = 1; id <= 4; id += 1) {
      await first.query(`INSERT INTO t SELECT ${id}, repeat('x', 800) FROM generate_series(1, 2000)`);
      behind.push(parseLsn(await first.value("SELECT pg_current_wal_flush_lsn()")));
    }
    const [one = 0n as Lsn, two = one, three = one] = behind;
    // To the end of a segment: nothing of this timeline is left in the spool, by which it would be found.
    await first.query("SELECT pg_switch_wal()");
    await caughtUp(first);
    await eventually("all is stored", async () => receiver.report().segmentsWaiting === 0);
    await receiver.stop();
    await first.stop();
    const rows = (server: TestServer): Promise<string> => server.value("SELECT max(id) FROM t");

    await using late = await restored(scene, "late", { lsn: three });
    await receiveAll(scene, late, 2);
    await late.stop();
    await using early = await restored(scene, "early", { lsn: two });
    assert.equal(await rows(early), "2");
    const ancestors = (await historyOf(early, 3)).map(([ancestor]) => ancestor);
    assert.deepEqual(ancestors, ["1"], "it branched off where it stopped");
    await receiveAll(scene, early, 3);
    await early.stop();
    // As another tool does it, and as Lifeboat did: told to follow a timeline that began behind the stop.
    await using back = await restored(scene, "back", { lsn: one, along: 3 as Timeline });
    assert.equal(await rows(back), "1");
    const [before, after] = await historyOf(back, 4);
    assert.deepEqual([before?.[0], after?.[0]], ["1", "3"]);
    assert.ok(parseLsn(after?.[1] ?? "") < parseLsn(before?.[1] ?? ""), "the positions go back");
    await receiveAll(scene, back, 4);
    await back.stop();
    // And what came of that can be restored again.
    await using again = await restored(scene, "again", { lsn: one });
    assert.equal(await rows(again), "1");
  }));
