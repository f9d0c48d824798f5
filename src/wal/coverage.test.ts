import assert from "node:assert/strict";
import { test } from "node:test";
import { leapingClock, only } from "../../test/support/failover-ports.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { FREE_LOCKS } from "../../test/support/power-cuts.ts";
import { STREAMING_REPORT } from "../../test/support/receiver-report.ts";
import { createTestVault, TEST_SECRET } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { systemRandom } from "../platform/random.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { rotateDataKey } from "../vault/key-ring.ts";
import { NO_STRETCH } from "../vault/keys.ts";
import { historyKey } from "../vault/names.ts";
import { initVault, openVault, type Vault } from "../vault/vault.ts";
import { putSegment } from "../vault/wal-store.ts";
import { type CoverageTools, ReceivedCoverage, type UnfilledSegment } from "./coverage.ts";
import type { Receiver } from "./receiver.ts";
import { type ReceiverMode, writeReport } from "./report.ts";
import { UnreadableStretches } from "./unreadable.ts";

const vault = await createTestVault();
const freeTools = () => ({
  store: openMemoryStore({ clock: systemClock }),
  clock: systemClock,
  random: systemRandom,
  stretchCost: NO_STRETCH,
});
const SERVER = { systemId: "7" as SystemId, timeline: 1 as Timeline, flushedLsn: 0x3000000n as Lsn };
const RANGE = { systemId: SERVER.systemId, timeline: SERVER.timeline, from: 0x2000000n as Lsn, to: 0x3000000n as Lsn };
const TIMEOUT_MS = 120_000;
const SPOOL = "/srv/spool";

/** Coverage on a clock that leaps, where no receiver runs unless it is said; what its own receiver does is given. */
function coverageWith(
  receiver: Partial<Receiver>,
  {
    of = vault,
    store = of.store,
    files = memoryFiles().files,
    locks = FREE_LOCKS,
    clock = leapingClock(),
    onUnfilled,
  }: {
    readonly of?: Vault;
    readonly store?: Store;
    readonly files?: Files;
    readonly locks?: Locks;
    readonly clock?: Clock;
    readonly onUnfilled?: CoverageTools["onUnfilled"];
  } = {},
) {
  const report = { alarms: [], lastError: { message: "all slots are in use" } } as unknown as ReturnType<
    Receiver["report"]
  >;
  const usual: Partial<Receiver> = {
    start: async () => undefined,
    stop: async () => undefined,
    ended: new Promise(() => undefined),
    report: () => report,
  };
  const coverage = new ReceivedCoverage({
    vault: { ...of, store },
    files,
    locks,
    clock,
    spoolFolder: SPOOL,
    createReceiver: () => only<Receiver>("receiver", { ...usual, ...receiver }),
    walSegmentBytes: 16 * 1024 * 1024,
    timeoutMs: TIMEOUT_MS,
    onUnfilled,
  });
  return { coverage, clock };
}

test("a receiver of our own that has ended for good is told at once to whoever waits for its WAL", async () => {
  const ended = Promise.withResolvers<void>();
  const { coverage, clock } = coverageWith({ ended: ended.promise });
  await coverage.begin(SERVER, {});
  const error = new LifeboatError("wal.spool-damaged", { message: "a segment is cut", remedy: "Look at it." });
  ended.reject(error);
  const begun = clock.monotonic();
  await assert.rejects(coverage.covered(RANGE, {}), (thrown) => thrown === error);
  assert.ok(clock.monotonic() - begun < 1_000, `after ${clock.monotonic() - begun} ms`);
  await coverage.end();
});

test("a receiver that brings nothing new is waited for as long as was said, and what it complains of is told", async () => {
  const { coverage, clock } = coverageWith({});
  await coverage.begin(SERVER, {});
  const begun = clock.monotonic();
  await assert.rejects(coverage.covered(RANGE, {}), (error) => {
    assert.ok(isLifeboatError(error, "backup.wal-not-covered"));
    return error.message.includes("all slots are in use");
  });
  assert.ok(clock.monotonic() - begun < 1.1 * TIMEOUT_MS, `after ${clock.monotonic() - begun} ms`);
  await coverage.end();
});

test("a backup of a replica that ends in a segment which nobody ends says so in time, and names what ends it", async () => {
  const range = { ...RANGE, to: 0x2800000n as Lsn };
  const told = async (flushedLsn: string): Promise<readonly UnfilledSegment[]> => {
    const { files } = memoryFiles();
    await files.makeFolder(SPOOL);
    await writeReport({ files, random: systemRandom }, SPOOL, { ...STREAMING_REPORT, systemId: "7", flushedLsn });
    const unfilled: UnfilledSegment[] = [];
    const onUnfilled = (each: UnfilledSegment): void => {
      unfilled.push(each);
    };
    const { coverage } = coverageWith({}, { files, locks: { tryAcquire: () => undefined }, onUnfilled });
    await assert.rejects(coverage.covered(range, {}), (error) => {
      assert.ok(isLifeboatError(error, "backup.wal-not-covered"));
      return error.remedy.includes("pg_switch_wal()") === unfilled.length > 0;
    });
    await coverage.end();
    return unfilled;
  };
  assert.deepEqual(await told("0/2800100"), [{ segment: "000000010000000000000002", receivedTo: 0x2800100n }]);
  assert.deepEqual(await told("0/2700000"), [], "it has not come so far");
  assert.deepEqual(await told("0/3000100"), [], "the segment is on its way");
});

test("while the last segment is not there it alone is asked for, and all WAL is listed only now and then", async () => {
  const counted = faultyStore({ store: vault.store, clock: leapingClock() });
  const { coverage, clock } = coverageWith({}, { store: counted.store });
  await coverage.begin(SERVER, {});
  const begun = clock.monotonic();
  await assert.rejects(coverage.covered(RANGE, {}));
  const seconds = (clock.monotonic() - begun) / 1000;
  const count = (wanted: string): number => counted.effects.filter(({ operation }) => operation === wanted).length;
  assert.ok(count("list") > seconds && count("list") < 2.1 * seconds, `${count("list")} lists in ${seconds} s`);
  assert.ok(count("head") > 5 * seconds, `${count("head")} looks in ${seconds} s`);
  await coverage.end();
});

test("a backup waits until the receiver that runs streams, and is told what that complains of when it never does", async () => {
  const { files } = memoryFiles();
  await files.makeFolder(SPOOL);
  const clock = new ManualClock();
  const lastError = {
    code: "postgres.unreachable",
    message: "cannot reach the server",
    remedy: "Start it.",
    at: STREAMING_REPORT.updatedAt,
  };
  const write = (mode: ReceiverMode): Promise<void> =>
    writeReport({ files, random: systemRandom }, SPOOL, { ...STREAMING_REPORT, mode, systemId: "7", lastError });
  const begin = async (): Promise<void> => {
    const { coverage } = coverageWith({}, { files, clock, locks: { tryAcquire: () => undefined } });
    try {
      await coverage.begin(SERVER, {});
    } finally {
      await coverage.end();
    }
  };
  await write("connecting");
  let begun = false;
  const waiting = begin().then(() => (begun = true));
  await clock.advance(1_000);
  assert.equal(begun, false);
  await write("streaming");
  await clock.advance(50);
  await waiting;
  await write("backing-off");
  const vain = assert.rejects(begin(), (error) => {
    assert.ok(isLifeboatError(error, "backup.wal-not-covered"));
    return error.message.includes("cannot reach the server");
  });
  await clock.advance(TIMEOUT_MS);
  await vain;
});

test("a receiver of our own that never comes to stream keeps no backup waiting for ever", {
  timeout: 10_000,
}, async () => {
  const stopped: string[] = [];
  const { coverage } = coverageWith({
    start: ({ signal }) =>
      new Promise((_, reject) => {
        const stop = (): void => reject(new Error("stopped"));
        if (signal?.aborted === true) stop();
        signal?.addEventListener("abort", stop, { once: true });
      }),
    stop: async () => {
      stopped.push("stopped");
    },
  });
  await assert.rejects(coverage.begin(SERVER, {}), (error) => {
    assert.ok(isLifeboatError(error, "backup.wal-not-covered"));
    return error.message.includes("all slots are in use");
  });
  assert.deepEqual(stopped, ["stopped"]);
  await coverage.end();
});

test("WAL that was sealed with a data key which the vault does not know covers nothing; one that a rotation made since does", async () => {
  const segment = "000000010000000000000002";
  for (const foreign of [true, false]) {
    const { vault: own } = await initVault(freeTools(), TEST_SECRET, {});
    if (!foreign) await rotateDataKey(own, TEST_SECRET, {});
    const other = foreign ? await createTestVault() : await openVault(own, TEST_SECRET, {});
    await putSegment(
      { ...other, store: own.store },
      { systemId: RANGE.systemId, segment, bytes: Buffer.from("wal") },
      {},
    );
    const { coverage } = coverageWith({}, { of: own, store: own.store });
    const covered = coverage.covered(RANGE, {});
    if (foreign) {
      await assert.rejects(covered, (error) => {
        assert.ok(isLifeboatError(error, "backup.wal-not-covered"));
        return error.message.includes(other.dataKey.id);
      });
    } else await covered;
    await coverage.end();
  }
});

test("a history that does not open is looked at where it is that of the backup's own timeline, and ends no other backup", async () => {
  const of = { systemId: RANGE.systemId, timeline: 2 as Timeline };
  const { vault: own } = await initVault(freeTools(), TEST_SECRET, {});
  for (const segment of ["000000010000000000000002", "000000020000000000000002"]) {
    await putSegment(own, { systemId: of.systemId, segment, bytes: Buffer.from("wal") }, {});
  }
  await own.store.put(historyKey(of), [Buffer.from("damage")]);
  const { coverage } = coverageWith({}, { of: own });
  assert.equal(await coverage.between.holds(RANGE, {}), "held");
  await coverage.covered(RANGE, {});
  const damaged = (error: unknown): boolean => isLifeboatError(error, "vault.object-damaged");
  await assert.rejects(coverage.between.holds({ ...RANGE, ...of }, {}), damaged);
  await assert.rejects(coverage.covered({ ...RANGE, ...of }, {}), damaged);
  await coverage.end();
});

test("a backup whose WAL does not come is told that the receiver has another vault open", async () => {
  const { files } = memoryFiles();
  await files.makeFolder(SPOOL);
  const alarm = {
    kind: "vault-failing",
    since: STREAMING_REPORT.updatedAt,
    message: "the vault was exchanged",
  } as const;
  await writeReport({ files, random: systemRandom }, SPOOL, { ...STREAMING_REPORT, systemId: "7", alarms: [alarm] });
  const { coverage } = coverageWith({}, { files, locks: { tryAcquire: () => undefined } });
  await assert.rejects(coverage.covered(RANGE, {}), (error) => {
    assert.ok(isLifeboatError(error, "backup.wal-not-covered"));
    return error.message.includes(alarm.message);
  });
  await coverage.end();
});

test("a backup does not rest on WAL that was found not to read on; damage before it or on another timeline is none of its", async () => {
  const { files } = memoryFiles();
  await files.makeFolder(SPOOL);
  const { vault: own } = await initVault(freeTools(), TEST_SECRET, {});
  await putSegment(
    own,
    { systemId: SERVER.systemId, segment: "000000010000000000000002", bytes: Buffer.alloc(100) },
    {},
  );
  const { coverage } = coverageWith({}, { of: own, files });
  await coverage.begin(SERVER, {});
  const noticing = new UnreadableStretches({
    ...{ files, random: systemRandom, clock: leapingClock(), spoolFolder: SPOOL },
    state: () => undefined,
    backups: async () => [],
  });
  const found = { systemId: SERVER.systemId, reason: "bad-checksum", noticedAt: "2026-11-22T11:00:00.000Z" };
  const { from, to } = RANGE;
  await noticing.note({ ...found, timeline: SERVER.timeline, from: 0x1000100n as Lsn, to: from });
  await noticing.note({ ...found, timeline: 2 as Timeline, from, to });
  await coverage.covered(RANGE, {});
  await noticing.note({ ...found, timeline: SERVER.timeline, from: 0x2000100n as Lsn, to });
  await assert.rejects(coverage.covered(RANGE, {}), (error) => {
    assert.ok(isLifeboatError(error, "backup.wal-not-covered"));
    return error.message.includes("does not read on at 0/2000100: bad-checksum");
  });
  await coverage.end();
});
