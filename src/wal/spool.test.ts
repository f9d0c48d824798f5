import assert from "node:assert/strict";
import { appendFile, open as openFile, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { FREE_LOCKS } from "../../test/support/power-cuts.ts";
import { eventually, temporaryFolder } from "../../test/support/receivers.ts";
import {
  SPOOL_SEGMENT_BYTES as MIB,
  SPOOL_START as START,
  SPOOL_STATE as STATE,
} from "../../test/support/spool-states.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { type FileFault, faultyFiles } from "../platform/faulty-files.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { systemRandom } from "../platform/random.ts";
import { LSN_NONE, type Lsn, lsnAdd, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { openSpool, type Spool } from "./spool.ts";
import { listSpool, readSpoolFile } from "./spool-files.ts";
import { laidOutBytes, markPosition, readMarks } from "./spool-marks.ts";

const ONE = 1 as Timeline;
const TWO = 2 as Timeline;
/** One and a half segments of WAL, with headers that are right. */
const WAL = writeSyntheticWal(
  { start: START, walSegmentBytes: MIB },
  Array.from({ length: 15 }, (_, index) => ({ rmgr: 0, info: 0, xid: index, mainData: Buffer.alloc(100_000, index) })),
).bytes.subarray(0, 1.5 * MIB);
/** The same with small records among them, each of which ends a group: after most of them no mark is written. */
const COMMITS = writeSyntheticWal(
  { start: START, walSegmentBytes: MIB },
  [200_000, 300, 100, 200_000, 40, 200_000, 8300, 60, 200_000, 90, 200_000, 200_000, 500, 30].map((size, index) => ({
    rmgr: 10,
    info: 0,
    xid: index,
    mainData: Buffer.alloc(size, index + 1),
  })),
);
const GROUP_BYTES = 400_000;
/** Taken at once; too few of them for the next file to be laid out. */
const SMALL_GROUP_BYTES = 32 * 1024;

/** Nobody waits for the same disk, and every sync is quick. */
const clock: Clock = { ...systemClock, monotonic: () => 0 as Monotonic, sleep: async () => undefined };

function open(folder: string, files: Files = systemFiles): Promise<Spool> {
  return openSpool({ files, locks: systemLocks, clock, random: systemRandom }, folder, {});
}

/** A spool that no disk is waited for. */
function inMemory(files: Files): Promise<Spool> {
  return openSpool({ files, locks: FREE_LOCKS, clock, random: systemRandom }, "/srv/spool", {});
}

function failsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => isLifeboatError(error, code);
}

/** How the files of segments come to be: with their blocks, or with their length alone; `committed`: with blocks, of commits. */
type Making = "laid out" | "hollow" | "committed";
const MAKINGS = ["laid out", "hollow", "committed"] as const;

function walOf(making: Making): Buffer {
  return making === "committed" ? COMMITS.bytes.subarray(0, COMMITS.records.at(-1)?.end) : WAL;
}

/** Receives what is missing of WAL, in groups; `confirmed` is what a server would have been told. */
async function receive(
  spool: Spool,
  confirmed: { lsn: Lsn },
  making: Making = "hollow",
  groupBytes = GROUP_BYTES,
): Promise<void> {
  if (spool.state === undefined) await spool.adopt(STATE);
  await spool.completeFull();
  const ends = (await spool.list()).map(({ end }) => end);
  const at = ends.reduce((newest, end) => (end > newest ? end : newest), START);
  await spool.continueAt({ timeline: ONE, lsn: at });
  if (at > START) spool.trustBefore();
  const wal = walOf(making);
  for (let from = Number(at - START); from < wal.byteLength; ) {
    const commitEnd = making === "committed" ? COMMITS.records.find(({ end }) => end > from)?.end : undefined;
    const group = wal.subarray(from, commitEnd ?? from + groupBytes);
    const begins = from === 0 || Math.floor(from / MIB) < Math.floor((from + group.byteLength) / MIB);
    if (making !== "hollow" && begins) await spool.layOutNext();
    from += group.byteLength;
    if (!spool.takeNow(group)) {
      await spool.append(group, () => {});
      await spool.flush();
    }
    confirmed.lsn = spool.flushed;
  }
}

/** A spool that has received all of WAL into files that were laid out, and was closed. Returns where its partial lies. */
async function laidOutPartial(folder: string): Promise<string> {
  const spool = await open(folder);
  await receive(spool, { lsn: LSN_NONE }, "laid out");
  const partial = (await spool.list()).at(-1)?.path ?? "";
  await spool.close();
  assert.equal((await stat(partial)).size, laidOutBytes(MIB));
  return partial;
}

async function overwrite(file: string, position: number, bytes: Buffer): Promise<void> {
  const handle = await openFile(file, "r+");
  await handle.write(bytes, 0, bytes.byteLength, position);
  await handle.close();
}

/** What lies in the spool, read past any fault. */
async function content(spool: Spool, files: Files = systemFiles): Promise<Buffer> {
  const found = await listSpool(files, spool.folder, STATE);
  const parts = await Promise.all(found.map((file) => readSpoolFile(files, file)));
  return Buffer.concat(parts);
}

test("what is appended is held, complete segments under their names and the rest as a partial", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  const confirmed = { lsn: LSN_NONE };
  await receive(spool, confirmed);
  assert.equal(confirmed.lsn, lsnAdd(START, WAL.byteLength));
  assert.equal(spool.written, confirmed.lsn);
  const names = (await spool.list()).map(({ kind, path: file }) => [kind, path.basename(file)]);
  assert.deepEqual(names, [
    ["complete", "000000010000000000000005"],
    ["partial", "000000010000000000000006.partial"],
  ]);
  assert.ok((await content(spool)).equals(WAL));
  const stretch = { timeline: ONE, from: lsnAdd(START, MIB - 8192), to: lsnAdd(START, MIB) };
  assert.ok((await spool.read(stretch))?.equals(WAL.subarray(MIB - 8192, MIB)));
  assert.equal(await spool.read({ ...stretch, timeline: 2 as Timeline }), undefined);
  await spool.close();
  await spool.close();
});

for (const making of MAKINGS) {
  test(`killed at any effect on the disk, a spool of ${making} files keeps what was confirmed and goes on to the same bytes`, async () => {
    let fault: FileFault = { at: 1, errno: "EIO", when: "short", forever: true };
    for (let finished = false; !finished; fault = { ...fault, at: fault.at + 1 }) {
      const { files } = memoryFiles();
      const confirmed = { lsn: LSN_NONE };
      const faulty = faultyFiles(files, fault);
      const first = await inMemory(faulty.files).catch(() => undefined);
      if (first !== undefined) {
        await receive(first, confirmed, making).catch(() => {});
        await first.close().catch(() => {});
      }
      finished = faulty.effects.length < fault.at;

      const second = await inMemory(files);
      const held = await content(second, files);
      assert.ok(lsnAdd(START, held.byteLength) >= confirmed.lsn, `effect ${fault.at}: what was confirmed is held`);
      assert.ok(
        walOf(making).subarray(0, held.byteLength).equals(held),
        `effect ${fault.at}: what is held is what was sent`,
      );
      await receive(second, confirmed, making);
      assert.ok((await content(second, files)).equals(walOf(making)), `effect ${fault.at}: goes on to the same bytes`);
      await second.close();
    }
    assert.ok(fault.at > 20, "the sweep met every effect");
  });

  // What a write that is cut short leaves behind is what differs between the two.
  for (const when of making === "hollow" ? (["after", "short"] as const) : (["short"] as const)) {
    test(`failed ${when} any one effect on the disk, the same process abandons and goes on to the same bytes in ${making} files`, async () => {
      let fault: FileFault = { at: 1, errno: "ENOSPC", when };
      for (let finished = false; !finished; fault = { ...fault, at: fault.at + 1 }) {
        const { files } = memoryFiles();
        const confirmed = { lsn: LSN_NONE };
        const faulty = faultyFiles(files, fault);
        const spool = await inMemory(faulty.files).catch(() => undefined);
        if (spool === undefined) continue;
        await receive(spool, confirmed, making).catch(async () => {
          const before = confirmed.lsn;
          await spool.abandon();
          const ends = (await spool.list()).map(({ end }) => end);
          assert.ok(before === LSN_NONE || ends.some((end) => end >= before), `effect ${fault.at}`);
          await receive(spool, confirmed, making);
        });
        finished = faulty.effects.length < fault.at;
        assert.ok((await content(spool, files)).equals(walOf(making)), `effect ${fault.at}: goes on to the same bytes`);
        await spool.close();
      }
      assert.ok(fault.at > 20, "the sweep met every effect");
    });
  }
}

for (const [making, groupBytes] of MAKINGS.flatMap((each) =>
  (each === "committed" ? [SMALL_GROUP_BYTES] : [GROUP_BYTES, SMALL_GROUP_BYTES]).map((size) => [each, size] as const),
)) {
  test(`what a sync of ${groupBytes} bytes that failed should have kept in ${making} files is counted by nobody who reads the spool`, async () => {
    const run = async (fault?: FileFault) => {
      await using temporary = await temporaryFolder("spool");
      const faulty = faultyFiles(systemFiles, fault);
      const spool = await open(temporary.folder, faulty.files);
      const confirmed = { lsn: LSN_NONE };
      const failed = await receive(spool, confirmed, making, groupBytes).then(
        () => false,
        () => true,
      );
      await spool.abandon();
      const end = lsnAdd(START, (await content(spool)).byteLength);
      await spool.close();
      return { effects: faulty.effects, failed, end, confirmed: confirmed.lsn };
    };
    const whole = await run();
    assert.equal(whole.end, lsnAdd(START, walOf(making).byteLength));
    const last = whole.effects.findLastIndex(
      ({ operation, path: file }) => operation === "sync" && file.endsWith(".partial"),
    );
    const cut = await run({ at: last + 1, errno: "EIO", when: "before" });
    assert.equal(cut.failed, true);
    assert.equal(cut.end, cut.confirmed);
  });
}

test("commits write a mark now and then, and what each of them held is told without", async () => {
  const { files } = memoryFiles();
  const faulty = faultyFiles(files);
  const spool = await inMemory(faulty.files);
  await receive(spool, { lsn: LSN_NONE }, "committed");
  const writes = faulty.effects.filter(
    ({ operation, path: file }) => operation === "write" && file.endsWith(".partial"),
  );
  const groups = COMMITS.records.length;
  assert.ok(writes.length > groups && writes.length < 1.8 * groups, `${writes.length} writes of ${groups} groups`);
  assert.ok((await content(spool, files)).equals(walOf("committed")));
  await spool.close();
});

test("when a receiver lets go of a file its marks alone say all that was confirmed", async () => {
  const { files } = memoryFiles();
  const spool = await inMemory(files);
  const confirmed = { lsn: LSN_NONE };
  await receive(spool, confirmed, "committed");
  const handle = await files.open((await spool.list()).at(-1)?.path ?? "", "read");
  const start = lsnAdd(START, MIB);
  const marked = async () => (await readMarks(handle, { start, walSegmentBytes: MIB }))?.[0]?.filledBytes;
  assert.notEqual(await marked(), Number(confirmed.lsn - start), "the last commits had none");
  await spool.abandon();
  assert.equal(await marked(), Number(confirmed.lsn - start));
  await handle.close();
  await spool.close();
});

test("a spool of an earlier version becomes one of this before anything is received into it", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await spool.adopt(STATE);
  await spool.close();
  const file = path.join(temporary.folder, "state.json");
  const now = await readFile(file, "utf8");
  await writeFile(file, now.replace(/"version": 3/, '"version": 2'));
  const second = await open(temporary.folder);
  assert.deepEqual(second.state, STATE);
  assert.equal(await readFile(file, "utf8"), now);
  await second.close();
});

test("a power cut after the mark and before its bytes leaves what was synced before", async () => {
  await using temporary = await temporaryFolder("spool");
  const partial = await laidOutPartial(temporary.folder);
  const lastGroup = WAL.byteLength % GROUP_BYTES;
  await overwrite(partial, MIB / 2 - lastGroup / 2, Buffer.alloc(512, 0xee));
  const spool = await open(temporary.folder);
  assert.equal((await spool.list()).at(-1)?.end, lsnAdd(START, WAL.byteLength - lastGroup));
  await receive(spool, { lsn: LSN_NONE });
  assert.ok((await content(spool)).equals(WAL));
  await spool.close();
});

test("a power cut in the middle of a mark leaves what the one before said", async () => {
  await using temporary = await temporaryFolder("spool");
  const partial = await laidOutPartial(temporary.folder);
  const handle = await openFile(partial, "r");
  const filled: number[] = [];
  for (const slot of [0, 1] as const) {
    const { buffer } = await handle.read(Buffer.alloc(32), 0, 32, markPosition(MIB, slot));
    filled.push(buffer.readUInt32BE(20));
  }
  await handle.close();
  const newest = (filled[0] ?? 0) > (filled[1] ?? 0) ? 0 : 1;
  await overwrite(partial, markPosition(MIB, newest) + 16, Buffer.alloc(16));
  const spool = await open(temporary.folder);
  assert.equal((await spool.list()).at(-1)?.end, lsnAdd(START, WAL.byteLength - (WAL.byteLength % GROUP_BYTES)));
  await receive(spool, { lsn: LSN_NONE });
  assert.ok((await content(spool)).equals(WAL));
  await spool.close();
});

test("a partial whose marks are both damaged is damage, never taken for empty", async () => {
  await using temporary = await temporaryFolder("spool");
  const partial = await laidOutPartial(temporary.folder);
  for (const slot of [0, 1] as const) await overwrite(partial, markPosition(MIB, slot), Buffer.alloc(32));
  const spool = await open(temporary.folder);
  await assert.rejects(spool.list(), failsWith("wal.spool-damaged"));
  await spool.close();
});

test("a partial that lost a sector long after its sync is damage, however often it is taken over", async () => {
  await using temporary = await temporaryFolder("spool");
  const partial = await laidOutPartial(temporary.folder);
  await overwrite(partial, 100_352, Buffer.alloc(512));
  const spool = await open(temporary.folder);
  const end = (await spool.list()).at(-1)?.end ?? LSN_NONE;
  assert.equal(end, lsnAdd(START, WAL.byteLength), "its marks do not tell");
  for (const _ of [1, 2]) await assert.rejects(receive(spool, { lsn: LSN_NONE }), failsWith("wal.spool-damaged"));
  await spool.close();
});

test("a segment of many small groups has the next one's file laid out, and nothing of that is left in the end", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await spool.adopt(STATE);
  await spool.continueAt({ timeline: ONE, lsn: START });
  const group = 8192;
  const size = laidOutBytes(MIB);
  let atOnce = 0;
  for (let from = 0; from < WAL.byteLength; from += group) {
    if (from === MIB) {
      const spare = path.join(temporary.folder, "spare");
      await eventually("the file is there", async () => (await stat(spare).catch(() => undefined))?.size === size);
      await spool.layOutNext();
    }
    if (spool.takeNow(WAL.subarray(from, from + group))) atOnce += 1;
    else {
      await spool.append(WAL.subarray(from, from + group), () => {});
      await spool.flush();
    }
    assert.equal(spool.flushed, lsnAdd(START, from + group));
  }
  assert.equal(atOnce, WAL.byteLength / group - 3, "all but the first of a segment and the last of a whole one");
  const partial = (await spool.list()).at(-1);
  assert.equal(partial?.sizeBytes, MIB / 2);
  assert.equal((await stat(partial?.path ?? "")).size, size);
  await spool.layOutNext();
  await spool.close();
  assert.equal((await readdir(temporary.folder)).includes("spare"), false);
});

/** The bytes, and the mark that counts them. */
const WRITTEN_AGAIN = ["write", "write", "sync"];

for (const making of MAKINGS) {
  test(`what an earlier process left in ${making} files is written again and synced before it counts as flushed`, async () => {
    await using temporary = await temporaryFolder("spool");
    const first = await open(temporary.folder);
    await receive(first, { lsn: LSN_NONE }, making);
    await first.close();
    const faulty = faultyFiles(systemFiles);
    const second = await open(temporary.folder, faulty.files);
    const before = faulty.effects.length;
    const end = lsnAdd(START, walOf(making).byteLength);
    await second.continueAt({ timeline: ONE, lsn: end });
    assert.equal(second.flushed, end);
    const effects = faulty.effects.slice(before).filter(({ path: file }) => file.endsWith(".partial"));
    const operations = effects.map(({ operation }) => operation).filter((each) => each === "write" || each === "sync");
    assert.deepEqual(operations, WRITTEN_AGAIN);
    await second.close();
  });
}

test("the partial of a timeline that was left is kept apart", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await receive(spool, { lsn: LSN_NONE });
  await spool.endOthers(2 as Timeline);
  const last = (await spool.list()).at(-1);
  assert.equal(last?.kind, "ended");
  assert.equal(path.basename(last?.path ?? ""), "000000010000000000000006.partial.tl00000002");
  assert.equal(last?.end, lsnAdd(START, WAL.byteLength));
  await spool.close();
});

/** A spool that took over from each of the timelines before this one after half a segment of it. */
async function throughTimelines(files: Files, last: number): Promise<Spool> {
  const spool = await inMemory(files);
  for (let timeline = 1; timeline <= last; timeline += 1) await takeUp(spool, timeline as Timeline);
  return spool;
}

/** Goes on with a timeline that begins here, for half a segment. */
async function takeUp(spool: Spool, timeline: Timeline): Promise<void> {
  await spool.adopt({ ...STATE, timeline });
  await spool.endOthers(timeline);
  await spool.continueAt({ timeline, lsn: START });
  const { bytes } = writeSyntheticWal(
    { start: START, walSegmentBytes: MIB, timeline },
    Array.from({ length: 5 }, () => ({ rmgr: 0, info: 0, xid: 1, mainData: Buffer.alloc(100_000, timeline) })),
  );
  await spool.append(bytes.subarray(0, MIB / 2), () => {});
  await spool.flush();
}

test("looking at a spool takes no longer the more timelines were left", async () => {
  const effectsOfLooking = async (timelines: number): Promise<number> => {
    const { files, effects } = faultyFiles(memoryFiles().files);
    const spool = await throughTimelines(files, timelines);
    await spool.list();
    const before = effects.length;
    assert.equal((await spool.list()).length, timelines);
    const looks = effects.length - before;
    await spool.close();
    return looks;
  };
  assert.equal(await effectsOfLooking(40), await effectsOfLooking(2));
});

test("a timeline that is taken up again is looked at again, and so is a file that somebody removed", async () => {
  const { files } = memoryFiles();
  const spool = await throughTimelines(files, 3);
  await spool.list();
  const ended = { timeline: TWO, from: START, to: lsnAdd(START, 8192) };
  assert.equal((await spool.read(ended))?.byteLength, 8192);
  await files.remove((await spool.list())[1]?.path ?? "");
  assert.equal(await spool.read(ended), undefined);
  assert.equal((await spool.list()).length, 2);
  await takeUp(spool, TWO);
  assert.deepEqual(
    (await spool.list()).map(({ kind }) => kind),
    ["ended", "partial", "ended"],
  );
  await spool.close();
});

test("a look at a spool that is received into counts what gets another name meanwhile", async () => {
  const { files } = memoryFiles();
  const spool = await throughTimelines(files, 1);
  const seen = async (meanwhile: () => Promise<unknown>): Promise<readonly string[]> => {
    let listed = false;
    const looking: Files = {
      ...files,
      list: async (folder) => {
        const names = await files.list(folder);
        if (!listed && folder.endsWith("/00000001")) {
          listed = true;
          await meanwhile();
        }
        return names;
      },
    };
    const found = await listSpool(looking, spool.folder, STATE);
    return found.map(({ kind, start, end }) => `${kind} ${start - START} to ${end - START}`);
  };
  const half = MIB / 2;
  const completed = await seen(async () => {
    await spool.append(WAL.subarray(half, MIB + half), () => {});
    await spool.flush();
  });
  assert.deepEqual(completed, [`complete 0 to ${MIB}`]);
  const ended = await seen(() => takeUp(spool, TWO));
  assert.deepEqual(ended, [`complete 0 to ${MIB}`, `ended ${MIB} to ${MIB + half}`]);
  await spool.close();
});

test("what a timeline leaves behind has no blocks but those of its bytes, unless it is not known that they are there", async () => {
  const { files } = memoryFiles();
  const spool = await throughTimelines(files, 2);
  const left = (await spool.list())[0]?.path ?? "";
  assert.equal((await files.stat(left))?.sizeBytes, MIB / 2);
  await spool.close();
  const second = await inMemory(files);
  await second.endOthers(3 as Timeline);
  const other = (await second.list())[1];
  assert.equal(other?.kind, "ended");
  assert.equal(other?.sizeBytes, MIB / 2);
  assert.equal((await files.stat(other?.path ?? ""))?.sizeBytes, laidOutBytes(MIB));
  await second.close();
});

test("a segment whose first page is not what its name says is refused before anything of it is flushed", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await spool.adopt({ ...STATE, systemId: "7000000000000000002" as SystemId });
  await spool.continueAt({ timeline: ONE, lsn: START });
  await assert.rejects(
    spool.append(WAL.subarray(0, 100), () => {}),
    failsWith("wal.segment-damaged"),
  );
  assert.equal(spool.flushed, LSN_NONE);
  await spool.close();
});

test("a state that is not ours is damage, and so is a segment of the wrong length", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await receive(spool, { lsn: LSN_NONE });
  const [complete] = await spool.list();
  await spool.close();
  await truncate(complete?.path ?? "", 100);
  const second = await open(temporary.folder);
  await assert.rejects(second.list(), failsWith("wal.spool-damaged"));
  await second.close();
  await writeFile(path.join(temporary.folder, "state.json"), "{}");
  await assert.rejects(open(temporary.folder), failsWith("wal.spool-damaged"));
});

test("a partial that is longer than what may be trusted of it is damage, never cut", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await receive(spool, { lsn: LSN_NONE });
  const partial = (await spool.list()).at(-1)?.path ?? "";
  await spool.close();
  await appendFile(partial, Buffer.alloc(10));
  const second = await open(temporary.folder);
  await assert.rejects(
    second.continueAt({ timeline: ONE, lsn: lsnAdd(START, WAL.byteLength) }),
    failsWith("wal.spool-damaged"),
  );
  assert.equal((await readFile(partial)).byteLength, laidOutBytes(MIB) + 10);
  await second.close();
});

test("a second owner of a spool is refused", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await assert.rejects(open(temporary.folder), failsWith("wal.spool-busy"));
  await spool.close();
  await (await open(temporary.folder)).close();
});
