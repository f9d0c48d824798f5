import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import {
  caughtUp,
  eventually,
  openStation,
  RECEIVER_NAME,
  type Station,
  serverSegment,
  temporaryFolder,
} from "../../test/support/receivers.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { formatLsn, lsnAdd, parseLsn, segmentName, type Timeline } from "../postgres/lsn.ts";
import { getHistory } from "../vault/wal-store.ts";
import { getTail } from "./get.ts";
import { parseHistory } from "./history.ts";
import { readHoldings } from "./holdings.ts";
import { coversRange, walLineage } from "./ranges.ts";
import type { Receiver } from "./receiver.ts";
import { listSpool } from "./spool-files.ts";
import { readSpoolState } from "./spool-state.ts";

const MIB = 1024 * 1024;
const ONE = 1 as Timeline;
const TWO = 2 as Timeline;

async function writeRows(server: TestServer, name: string, count: number): Promise<void> {
  await server.query(`CREATE TABLE ${name} AS SELECT i, repeat('x', 900) AS t FROM generate_series(1, ${count}) i`);
}

async function assertSameAsServer(server: TestServer, station: Station, timeline: Timeline): Promise<void> {
  const held = await station.held(timeline);
  assert.ok(held.size > 0, "something is held");
  for (const [segment, bytes] of held) {
    const original = await serverSegment(server, segment);
    assert.ok(original?.subarray(0, bytes.byteLength).equals(bytes), `${segment} is what the server has`);
  }
}

/** Copies a stopped server's data folder, for another server of the same cluster. */
async function cloneOf(
  server: TestServer,
  as: "standby" | "twin",
): Promise<AsyncDisposable & { readonly dataFolder: string }> {
  const clone = await temporaryFolder(as);
  await chmod(clone.folder, 0o755);
  const dataFolder = path.join(clone.folder, "data");
  execFileSync("cp", ["-a", "--", server.dataFolder, dataFolder]);
  if (as === "standby") await writeFile(path.join(dataFolder, "standby.signal"), "");
  return { dataFolder, [Symbol.asyncDispose]: () => clone[Symbol.asyncDispose]() };
}

function conninfo(primary: TestServer): string {
  const { host, port, user } = primary.server.address();
  return `host=${host} port=${port} user=${user} application_name=replica`;
}

async function replayed(standby: TestServer, primary: TestServer): Promise<void> {
  const lsn = await primary.value("SELECT pg_current_wal_flush_lsn()");
  await eventually(`the standby replays ${lsn}`, async () => {
    return (await standby.value(`SELECT pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn`)) === "true";
  });
}

async function spoolNames(station: Station): Promise<readonly string[]> {
  const state = await readSpoolState(systemFiles, station.spoolFolder);
  if (state === undefined) return [];
  return (await listSpool(systemFiles, station.spoolFolder, state)).map((file) => path.basename(file.path));
}

/** What it tells of WAL that does not read on: of what a server wrote, nothing. */
function unreadableOf(receiver: Pick<Receiver, "report">): readonly string[] {
  const { alarms } = receiver.report();
  return alarms.filter(({ kind }) => kind === "unreadable").map(({ message }) => message);
}

for (const major of [15, 16, 17, 18] as const) {
  test(`PostgreSQL ${major}: received from a standby that is promoted: the timeline is followed, its history stored first`, async () => {
    await using primary = await startServer({ major, walSegmentBytes: MIB, name: "primary" });
    await primary.stop();
    await using clone = await cloneOf(primary, "standby");
    await primary.start();
    const settings = { primary_conninfo: conninfo(primary) };
    await using standby = await startServer({ major, dataFolder: clone.dataFolder, settings, name: "standby" });
    await using station = await openStation();
    const receiver = await station.start(standby);
    await writeRows(primary, "before", 2000);
    await replayed(standby, primary);

    await primary.stop("immediate");
    await standby.query("SELECT pg_promote()");
    await writeRows(standby, "after", 2000);
    await caughtUp(standby);
    assert.equal(receiver.report().timeline, 2);
    assert.deepEqual([receiver.report().gaps, unreadableOf(receiver)], [[], []]);
    await assertSameAsServer(standby, station, TWO);

    const state = await readSpoolState(systemFiles, station.spoolFolder);
    assert.ok(state !== undefined);
    const stored = await getHistory(station.vault, { systemId: state.systemId, timeline: TWO }, {});
    const original = await readFile(path.join(standby.dataFolder, "pg_wal", "00000002.history"));
    assert.ok(stored?.equals(original));
    assert.equal(state.history, original.toString("utf8"));
    assert.ok((await spoolNames(station)).some((name) => name.endsWith(".partial.tl00000002")));

    const sources = {
      vault: station.vault,
      files: systemFiles,
      spoolFolder: station.spoolFolder,
      systemId: state.systemId,
    };
    const lineage = walLineage(await readHoldings(sources, MIB, {}), TWO);
    assert.deepEqual(lineage.gaps, []);
    assert.equal(lineage.ranges[0]?.to, parseLsn(receiver.report().flushedLsn));
    assert.deepEqual(
      lineage.ranges[0]?.spans.map((span) => span.timeline),
      [1, 2],
    );
  });
}

test("a standby that has less than the vault is promoted: the longer tail stays apart, the new timeline is whole", async () => {
  await using primary = await startServer({ walSegmentBytes: MIB, name: "primary" });
  await primary.stop();
  await using clone = await cloneOf(primary, "standby");
  await primary.start();
  await using station = await openStation();
  const receiver = await station.start(primary);
  await writeRows(primary, "only_in_the_vault", 300);
  await caughtUp(primary);
  const longest = parseLsn(receiver.report().flushedLsn);
  await receiver.stop();
  await primary.server.kill();

  await using standby = await startServer({ dataFolder: clone.dataFolder, name: "standby" });
  await standby.query("SELECT pg_promote()");
  const second = await station.start(standby);
  await writeRows(standby, "after", 200);
  await caughtUp(standby);
  assert.equal(second.report().timeline, 2);
  await assertSameAsServer(standby, station, TWO);
  const state = await readSpoolState(systemFiles, station.spoolFolder);
  assert.ok(state !== undefined);
  const history = parseHistory(TWO, Buffer.from(state.history));
  assert.ok((history[0]?.switchLsn ?? longest) < longest, "the standby had less");
  const sources = {
    vault: station.vault,
    files: systemFiles,
    spoolFolder: station.spoolFolder,
    systemId: state.systemId,
  };
  const segment = segmentName({ timeline: ONE, lsn: lsnAdd(longest, -1), walSegmentBytes: MIB });
  const tail = await getTail(sources, segment, {});
  assert.ok(tail.kind === "found");
  assert.equal(formatLsn(tail.endLsn), formatLsn(longest));
  await second.stop();

  await primary.start();
  const third = station.receiver(primary);
  await assert.rejects(third.start({}), (error) => isLifeboatError(error, "wal.timeline-behind"));
  await using emptySpool = await openStation(station.vault);
  const fourth = emptySpool.receiver(primary);
  await assert.rejects(fourth.start({}), (error) => isLifeboatError(error, "wal.timeline-behind"));
});

test("promotions that happened while the receiver was away are followed one after the other, two in one segment by the newest copy", async () => {
  const settings = { archive_mode: "on", archive_command: "true" };
  await using primary = await startServer({ walSegmentBytes: MIB, name: "primary", settings });
  await using station = await openStation();
  const promoted = async (table: string, rows: number): Promise<void> => {
    await writeRows(primary, table, rows);
    // A server that archives switches segments when it is stopped otherwise.
    await primary.stop("immediate");
    await writeFile(path.join(primary.dataFolder, "standby.signal"), "");
    await primary.start();
    await primary.query("SELECT pg_promote()");
    await eventually("it is a primary", async () => (await primary.value("SELECT pg_is_in_recovery()")) === "false");
  };
  const first = await station.start(primary);
  await caughtUp(primary);
  await first.stop();
  for (const round of [1, 2]) await promoted(`round${round}`, 1500);
  await writeRows(primary, "last", 100);
  const second = await station.start(primary);
  await primary.query("SELECT pg_switch_wal()");
  await writeRows(primary, "held", 1);
  await caughtUp(primary);
  assert.equal(second.report().timeline, 3);
  await second.stop();

  const segment = await primary.value("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 9)");
  for (const round of [3, 4]) await promoted(`round${round}`, 1);
  assert.equal(await primary.value("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 9)"), segment);
  // That is where the server would read what is left of timeline 3.
  await eventually("timeline 4's copy is put aside", async () => {
    return (await serverSegment(primary, `00000004${segment}`)) === undefined;
  });
  const third = await station.start(primary);
  await caughtUp(primary);
  const report = third.report();
  assert.equal(report.timeline, 5);
  for (const receiver of [second, third]) assert.deepEqual([receiver.report().gaps, unreadableOf(receiver)], [[], []]);
  const systemId = (await readSpoolState(systemFiles, station.spoolFolder))?.systemId;
  assert.ok(systemId !== undefined);
  const sources = { vault: station.vault, files: systemFiles, spoolFolder: station.spoolFolder, systemId };
  const lineage = walLineage(await readHoldings(sources, MIB, {}), 5 as Timeline);
  assert.deepEqual(lineage.gaps, []);
  assert.deepEqual(
    lineage.ranges[0]?.spans.map(({ timeline }) => timeline),
    [1, 2, 3, 4, 5],
  );
  await assertSameAsServer(primary, station, 5 as Timeline);
});

test("a server of another system is refused by the spool, and by the vault until it is said to be new", async () => {
  await using one = await startServer({ walSegmentBytes: MIB, name: "one" });
  await using other = await startServer({ name: "other", major: 17 });
  await using station = await openStation();
  const receiver = await station.start(one);
  await writeRows(one, "rows", 2000);
  await caughtUp(one);
  await eventually("the vault has a segment", async () => receiver.report().segmentsWaiting === 0);
  await receiver.stop();
  await assert.rejects(station.receiver(other).start({}), (error) => isLifeboatError(error, "wal.foreign-system"));

  await using newSpool = await openStation(station.vault);
  await assert.rejects(newSpool.receiver(other).start({}), (error) => isLifeboatError(error, "wal.foreign-system"));
  const welcome = await newSpool.start(other, { newSystem: true });
  assert.equal(welcome.report().mode, "streaming");
});

test("a twin of the server with other WAL is refused when it is ahead, and waited for when it is behind", async () => {
  await using server = await startServer({ walSegmentBytes: MIB, name: "server" });
  await server.stop();
  await using clone = await cloneOf(server, "twin");
  await server.start();
  await using twin = await startServer({ dataFolder: clone.dataFolder, name: "twin" });
  await using station = await openStation();
  const receiver = await station.start(server);
  await writeRows(server, "mine", 500);
  await caughtUp(server);
  await receiver.stop();

  const behind = station.receiver(twin);
  const stop = new AbortController();
  const waiting = behind.start({ signal: stop.signal });
  await eventually("the twin is behind", async () => behind.report().lastError?.code === "wal.server-behind");
  stop.abort();
  await assert.rejects(waiting, (error) => isLifeboatError(error, "platform.aborted"));

  await writeRows(twin, "theirs", 800);
  const slot = "SELECT restart_lsn FROM pg_replication_slots";
  const before = await twin.value(slot);
  const ahead = station.receiver(twin);
  await assert.rejects(ahead.start({}), (error) => isLifeboatError(error, "wal.foreign-lineage"));
  assert.equal(await twin.value(slot), before, "nothing was confirmed to the twin");
});

test("a server whose files were put back is refused behind a switch of segments too, whatever it has left to compare", async () => {
  await using server = await startServer({ walSegmentBytes: MIB, name: "server" });
  await server.stop();
  await using clone = await cloneOf(server, "twin");
  await server.start();
  await using station = await openStation();
  const receiver = await station.start(server);
  await writeRows(server, "acknowledged", 100);
  await server.query("SELECT pg_switch_wal()");
  await caughtUp(server);
  await eventually("the vault has all", async () => receiver.report().segmentsWaiting === 0);
  const held = receiver.report().flushedLsn;
  assert.equal(parseLsn(held) % BigInt(MIB), 0n, "all that is held ends with a segment");
  await receiver.stop();
  await server.server.kill();

  // It switches in the same segment: the last pages of that are as blank.
  await using twin = await startServer({
    dataFolder: clone.dataFolder,
    name: "twin",
    settings: { wal_keep_size: "1GB" },
  });
  await writeRows(twin, "others", 90);
  await twin.query("SELECT pg_switch_wal()");
  assert.equal(await twin.value(`SELECT pg_walfile_name(pg_current_wal_lsn()) = pg_walfile_name('${held}')`), "true");
  await twin.stop("immediate");
  await using promoted = await cloneOf(twin, "standby");
  await twin.start();
  const refused = async (by: TestServer): Promise<string> => {
    const failed = await station
      .receiver(by)
      .start({})
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    assert.ok(isLifeboatError(failed, "wal.foreign-lineage"), `${failed}`);
    return failed.message;
  };
  assert.match(await refused(twin), /differs from what was received before/);

  // As a checkpoint does where nobody asks for it to be kept.
  const last = segmentName({ timeline: ONE, lsn: lsnAdd(parseLsn(held), -1), walSegmentBytes: MIB });
  await rm(path.join(twin.dataFolder, "pg_wal", last));
  assert.match(await refused(twin), /does not go on from what was received before/);
  await using standby = await startServer({ dataFolder: promoted.dataFolder, name: "promoted" });
  await standby.query("SELECT pg_promote()");
  await refused(standby);
});

/** Its walsender may outlive a receiver by a moment. */
async function dropSlot(server: TestServer): Promise<void> {
  await eventually("the slot is free", async () => {
    return (await server.value("SELECT active FROM pg_replication_slots")) === "false";
  });
  await server.query("SELECT pg_drop_replication_slot($1)", [RECEIVER_NAME]);
}

test("a server that has no WAL any more of what is held goes on behind a switch of segments, also when it is promoted there", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const first = await station.start(server);
  const switched = async (receiver: Receiver): Promise<void> => {
    await server.query("SELECT pg_switch_wal()");
    await caughtUp(server);
    await eventually("the vault has all", async () => receiver.report().segmentsWaiting === 0);
    await receiver.stop();
  };
  await writeRows(server, "before", 100);
  await switched(first);
  await dropSlot(server);
  await server.query("CHECKPOINT");
  const kept = await station.start(server);
  await switched(kept);
  await systemFiles.removeTree(station.spoolFolder);
  await dropSlot(server);
  await server.query("CHECKPOINT");
  const lost = await station.start(server);
  await switched(lost);

  await server.stop("immediate");
  await writeFile(path.join(server.dataFolder, "standby.signal"), "");
  await server.start();
  await server.query("SELECT pg_promote()");
  await eventually("it is a primary", async () => (await server.value("SELECT pg_is_in_recovery()")) === "false");
  const last = await station.start(server);
  await caughtUp(server);
  assert.equal(last.report().timeline, 2);
  const gaps = [kept, lost, last].flatMap((receiver) => receiver.report().gaps);
  assert.deepEqual(gaps, []);
  await assertSameAsServer(server, station, TWO);
});

for (const lost of ["dropped", "invalidated"] as const) {
  test(`a slot that was ${lost} while the receiver was away: the gap is named, and reception goes on behind it`, async () => {
    const settings = lost === "dropped" ? {} : { max_slot_wal_keep_size: "1MB" };
    await using server = await startServer({
      walSegmentBytes: MIB,
      settings: { wal_keep_size: 0, min_wal_size: "2MB", max_wal_size: "4MB", ...settings },
    });
    await using station = await openStation();
    const first = await station.start(server);
    await writeRows(server, "before", 300);
    await caughtUp(server);
    const from = first.report().flushedLsn;
    await first.stop();
    if (lost === "dropped") await dropSlot(server);
    for (const round of [1, 2, 3]) {
      await writeRows(server, `lost${round}`, 3000);
      await server.query("CHECKPOINT");
    }
    const second = await station.start(server);
    await writeRows(server, "after", 10);
    await caughtUp(server);
    const report = second.report();
    assert.equal(report.gaps.length, 1);
    const [gap] = report.gaps;
    assert.ok(gap !== undefined);
    assert.equal(gap.from, from);
    assert.ok(parseLsn(gap.to) > parseLsn(gap.from));
    assert.deepEqual(
      report.alarms.map(({ kind }) => kind),
      ["gap"],
    );
    const systemId = (await readSpoolState(systemFiles, station.spoolFolder))?.systemId;
    assert.ok(systemId !== undefined);
    const sources = { vault: station.vault, files: systemFiles, spoolFolder: station.spoolFolder, systemId };
    const holdings = await readHoldings(sources, MIB, {});
    const ends = walLineage(holdings, ONE).ranges.map(({ from: begin, to }) => [formatLsn(begin), formatLsn(to)]);
    assert.equal(ends.length, 2);
    assert.equal(ends[0]?.[1], gap.from);
    assert.equal(ends[1]?.[0], gap.to);
    const whole = { timeline: ONE, from: parseLsn(gap.from), to: parseLsn(gap.to) };
    assert.equal(coversRange(holdings, whole).kind, "missing");
    for (const { start, end } of holdings.tails) {
      const segment = segmentName({ timeline: ONE, lsn: start, walSegmentBytes: MIB });
      const tail = await getTail(sources, segment, {});
      assert.ok(tail.kind === "found", tail.kind);
      // More, where the server wrote of its own accord meanwhile.
      assert.ok(tail.endLsn >= end, `what counts as held can be had: ${tail.endLsn} of ${end}`);
    }
    // Nobody took a backup behind it: it is as lost after a restart.
    await second.stop();
    const third = await station.start(server);
    await eventually("the gap is told anew", async () => third.report().alarms.some(({ kind }) => kind === "gap"));
  });
}

test("PostgreSQL 18: a slot that was invalidated for being idle is made anew, and nothing is lost that the server has", async () => {
  const settings = { idle_replication_slot_timeout: "1s", wal_keep_size: "1GB" };
  await using server = await startServer({ major: 18, walSegmentBytes: MIB, settings });
  await using station = await openStation();
  const first = await station.start(server);
  await writeRows(server, "before", 300);
  await caughtUp(server);
  await first.stop();
  await writeRows(server, "away", 3000);
  await eventually("the slot is invalidated", async () => {
    await server.query("CHECKPOINT");
    return (await server.value("SELECT invalidation_reason FROM pg_replication_slots")) === "idle_timeout";
  });
  assert.notEqual(await server.value("SELECT restart_lsn FROM pg_replication_slots"), "", "it looks as if it kept WAL");
  const second = await station.start(server);
  await writeRows(server, "after", 10);
  await caughtUp(server);
  const { gaps, lastError } = second.report();
  assert.deepEqual([gaps, lastError], [[], null]);
  assert.equal(await server.value("SELECT invalidation_reason IS NULL FROM pg_replication_slots"), "true");
  await assertSameAsServer(server, station, ONE);
});

test("an old spool that comes back goes on behind what another receiver has stored since", async () => {
  const settings = { wal_keep_size: 0, min_wal_size: "2MB", max_wal_size: "4MB" };
  await using server = await startServer({ walSegmentBytes: MIB, settings });
  await using station = await openStation();
  const first = await station.start(server);
  await writeRows(server, "first", 300);
  await caughtUp(server);
  const from = (await readSpoolState(systemFiles, station.spoolFolder))?.rangeFrom;
  await first.stop();
  await using beside = await openStation(station.vault);
  const other = await beside.start(server);
  for (const round of [1, 2, 3]) {
    await writeRows(server, `other${round}`, 2000);
    await server.query("CHECKPOINT");
  }
  await caughtUp(server);
  await eventually("the vault has all", async () => other.report().segmentsWaiting === 0);
  await other.stop();

  const back = await station.start(server);
  await writeRows(server, "last", 300);
  await caughtUp(server);
  assert.deepEqual([back.report().gaps, back.report().alarms], [[], []]);
  const state = await readSpoolState(systemFiles, station.spoolFolder);
  assert.ok(state !== undefined);
  assert.equal(state.rangeFrom, from);
  const sources = {
    vault: station.vault,
    files: systemFiles,
    spoolFolder: station.spoolFolder,
    systemId: state.systemId,
  };
  assert.deepEqual(walLineage(await readHoldings(sources, MIB, {}), ONE).gaps, []);
});

test("a spool that lost its files goes on from the vault", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation(await createTestVault());
  const first = await station.start(server);
  await writeRows(server, "before", 2000);
  await caughtUp(server);
  await eventually("the vault has all complete segments", async () => first.report().segmentsWaiting === 0);
  await first.stop();
  await systemFiles.removeTree(station.spoolFolder);
  const second = await station.start(server);
  await writeRows(server, "after", 500);
  await caughtUp(server);
  assert.deepEqual([second.report().gaps, unreadableOf(second)], [[], []]);
  const systemId = (await readSpoolState(systemFiles, station.spoolFolder))?.systemId;
  assert.ok(systemId !== undefined);
  const sources = { vault: station.vault, files: systemFiles, spoolFolder: station.spoolFolder, systemId };
  assert.deepEqual(walLineage(await readHoldings(sources, MIB, {}), ONE).gaps, []);
  await assertSameAsServer(server, station, ONE);
});
