import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { systemRandom } from "../platform/random.ts";
import { type Lsn, lsnAdd, parseLsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { SpoolState } from "./spool-state.ts";
import { readUnreadable, UnreadableStretches, type UnreadableWal } from "./unreadable.ts";
import { Walker } from "./walked.ts";

const MIB = 1024 * 1024;
const START = 0x5_0000_0000n as Lsn;
const SYSTEM = "7000000000000000001" as SystemId;
const ONE = 1 as Timeline;
const TWO = 2 as Timeline;
const SPOOL = "/srv/spool";
const STATE = { systemId: SYSTEM, timeline: ONE, history: "" } as SpoolState;

const LENGTHS = Array.from({ length: 700 }, (_, at) => (at * 977) % 20_000);
const { bytes: WAL, records: RECORDS } = writeSyntheticWal(
  { start: START, walSegmentBytes: MIB },
  LENGTHS.map((length) => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, 255) })),
);
const segmentOf = (index: number, wal = WAL): Buffer => Buffer.from(wal.subarray(index * MIB, (index + 1) * MIB));

/** What walkers of one spool tell, one receiver after another. */
function walking() {
  const { files } = memoryFiles();
  const making = files.makeFolder(SPOOL);
  const told: UnreadableWal[] = [];
  const fresh = (): Walker =>
    new Walker({
      ...{ files, random: systemRandom, clock: new ManualClock(), spoolFolder: SPOOL, vaultId: "v" },
      segment: async ({ segment }) => stored.get(segment),
      unreadable: async (found) => void told.push(found),
    });
  const stored = new Map<string, Buffer>();
  let walker = fresh();
  return {
    told,
    restart: () => {
      walker = fresh();
    },
    store: async (index: number, bytes = segmentOf(index), timeline = ONE): Promise<void> => {
      await making;
      const segment = segmentName({ timeline, lsn: lsnAdd(START, index * MIB), walSegmentBytes: MIB });
      stored.set(segment, bytes);
      await walker.stored({ systemId: SYSTEM, segment, bytes });
    },
  };
}

test("WAL that reads on is told of by nobody: over restarts, a gap, a segment stored twice, and another timeline", async () => {
  const { told, restart, store } = walking();
  assert.ok(WAL.byteLength >= 6 * MIB);
  await store(0);
  restart();
  await store(1);
  await store(1);
  await store(3);
  restart();
  await store(3);
  // As a new timeline begins: with what came before in its own copy of the segment.
  const copy = segmentOf(4);
  for (let page = 512 * 1024; page < MIB; page += 8192) copy.writeUInt32LE(TWO, page + 4);
  await store(4, copy, TWO);
  const next = segmentOf(5);
  for (let page = 0; page < MIB; page += 8192) next.writeUInt32LE(TWO, page + 4);
  await store(5, next, TWO);
  assert.deepEqual(told, []);
});

test("a lost sector in a stored segment is told once, by the record that it lies in; what follows reads on", async () => {
  const { told, restart, store } = walking();
  const at = MIB + 400_384;
  const lost = segmentOf(1).fill(0, at - MIB, at - MIB + 512);
  const record = RECORDS.find(({ end }) => end > at);
  await store(0);
  await store(1, lost);
  await store(2);
  restart();
  await store(3);
  assert.deepEqual(
    told.map(({ from, to, timeline, systemId }) => ({ from, to, timeline, systemId })),
    [{ from: lsnAdd(START, record?.start ?? 0), to: lsnAdd(START, 2 * MIB), timeline: ONE, systemId: SYSTEM }],
  );
  const first = walking();
  await first.store(1, lost);
  assert.equal(first.told.length, 1, "also where the walk begins with it");
  const after = walking();
  await after.store(0);
  after.restart();
  await after.store(1, lost);
  assert.equal(after.told.length, 1, "and where it goes on behind an earlier one");
});

test("what an earlier receiver walked of other WAL is no damage of what comes now", async () => {
  const { told, restart, store } = walking();
  const other = writeSyntheticWal(
    { start: START, walSegmentBytes: MIB },
    Array.from({ length: 200 }, () => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(7000, 1) })),
  );
  await store(0, segmentOf(0, other.bytes));
  restart();
  await store(1);
  await store(2);
  assert.deepEqual(told, []);
});

const stretch = (from: string, to: string): UnreadableWal => ({
  ...{ systemId: SYSTEM, timeline: ONE, reason: "bad-checksum", noticedAt: "2026-11-22T11:00:00.000Z" },
  from: parseLsn(from),
  to: parseLsn(to),
});

test("a stretch is told until a backup begins behind it, also by the receivers that come after", async () => {
  const { files } = memoryFiles();
  await files.makeFolder(SPOOL);
  let backups: readonly { readonly timeline: Timeline; readonly startLsn: string }[] = [];
  let isThere = true;
  /** A receiver's, once it has asked the vault. */
  const started = async () => {
    const clock = new ManualClock();
    const asked = Promise.withResolvers<void>();
    const ending = new AbortController();
    const stretches = new UnreadableStretches({
      ...{ files, random: systemRandom, clock, spoolFolder: SPOOL, state: () => STATE },
      backups: async () => {
        asked.resolve();
        if (!isThere) throw new Error("the vault does not answer");
        return backups;
      },
    });
    const running = stretches.run(ending.signal);
    if ((await readUnreadable(files, SPOOL)).length > 0) await asked.promise;
    await new Promise((resolve) => setImmediate(resolve));
    const stop = async (): Promise<void> => {
      ending.abort();
      await running;
    };
    return { stretches, clock, stop };
  };
  const first = await started();
  const damage = stretch("0/3000100", "0/4000000");
  await first.stretches.note(damage);
  await first.stretches.note(stretch("0/4000000", "0/5000000"));
  const both = [{ ...damage, to: parseLsn("0/5000000") }];
  assert.deepEqual(first.stretches.standing, both, "one after another are one");
  await first.stop();
  backups = [{ timeline: ONE, startLsn: "0/4000028" }];
  for (const there of [true, false]) {
    isThere = there;
    const next = await started();
    assert.deepEqual(next.stretches.standing, both);
    await next.stop();
  }
  isThere = true;
  backups = [{ timeline: ONE, startLsn: "0/5000028" }];
  const last = await started();
  assert.deepEqual(last.stretches.standing, []);
  await last.stop();
  assert.deepEqual(await readUnreadable(files, SPOOL), both, "what was noticed stays on record");
});
