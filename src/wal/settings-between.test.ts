import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { repetitions } from "../../test/support/effort.ts";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { type SyntheticRecord, writeSyntheticWal } from "../../test/support/synthetic-wal.ts";

import { createTestVault } from "../../test/support/vaults.ts";
import { LifeboatError } from "../errors/error.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { turnOfOthers } from "../platform/timer.ts";
import { formatLsn, type Lsn, parseLsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import type { Store } from "../store/store.ts";
import { segmentKey } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { getSegment, putHistory, putSegment } from "../vault/wal-store.ts";
import type { UnsoundCopy } from "./records/copied-folders.ts";
import { type HeldStretch, type SettingsAnswer, walBetween } from "./settings-between.ts";
import { UnreadableStretches } from "./unreadable.ts";
import { Walker } from "./walked.ts";

const SEGMENT_BYTES = 1024 * 1024;
const START = 0x5_0000_0000n as Lsn;
const SYSTEM = "7000000000000000001" as SystemId;
const ONE = 1 as Timeline;
const CHANGE_BYTES = 32 + 24 + 2;

/** Says that the server was started with these settings. */
function change(walLogHints: boolean): SyntheticRecord {
  const mainData = Buffer.alloc(32);
  mainData.writeInt32LE(1, 20);
  mainData.writeUInt8(walLogHints ? 1 : 0, 24);
  return { rmgr: 0, info: 0x60, xid: 0, mainData };
}

function filler(length: number): SyntheticRecord {
  return { rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, length & 0xff) };
}

/** Says that a database was copied by its files, to the next number. */
function copied(database: number): SyntheticRecord {
  const mainData = Buffer.from(Uint32Array.of(database + 1, 1663, database, 1663).buffer);
  return { rmgr: 4, info: 0x00, xid: 7, mainData };
}

function dropped(database: number): SyntheticRecord {
  return { rmgr: 4, info: 0x20, xid: 7, mainData: Buffer.from(Uint32Array.of(database, 1, 1663).buffer) };
}

const lsnAt = (offset: number): Lsn => (START + BigInt(offset)) as Lsn;
const nameOf = (index: number): string =>
  segmentName({ timeline: ONE, lsn: lsnAt(index * SEGMENT_BYTES), walSegmentBytes: SEGMENT_BYTES });

type Scene = AsyncDisposable & {
  readonly vault: Vault;
  readonly spoolFolder: string;
  readonly ask: (
    stretch: { readonly from: Lsn; readonly to: Lsn; readonly timeline?: Timeline },
    where?: "spool",
  ) => Promise<SettingsAnswer>;
  readonly holds: (stretch: { readonly from: Lsn; readonly to: Lsn }) => Promise<HeldStretch>;
  readonly askCopies: (
    stretch: { readonly from: Lsn; readonly to: Lsn },
    where?: "spool",
  ) => Promise<UnsoundCopy | undefined>;
  readonly walker: (vaultId?: string, clock?: Clock) => Walker;
  /** Gives segments to a walker, as a receiver does. */
  readonly walk: (walker: Walker, indexes: readonly number[]) => Promise<void>;
  readonly reads: () => number;
};

/** A vault that has the segments of some WAL, and a spool. */
async function sceneOf(bytes: Buffer): Promise<Scene> {
  const temporary = await temporaryFolder("settings-between");
  const spoolFolder = temporary.folder;
  const vault = await createTestVault();
  const segments = Array.from({ length: bytes.byteLength / SEGMENT_BYTES }, (_, index) =>
    bytes.subarray(index * SEGMENT_BYTES, (index + 1) * SEGMENT_BYTES),
  );
  for (const [index, segment] of segments.entries()) {
    await putSegment(vault, { systemId: SYSTEM, segment: nameOf(index), bytes: segment }, {});
  }
  const counted = faultyStore({ store: vault.store, clock: systemClock });
  const seen: Vault = { ...vault, store: counted.store };
  const common = { systemId: SYSTEM, timeline: ONE, walLevel: "replica", walLogHints: true };
  const between = (where: "spool" | undefined) => {
    const sources = { vault: seen, files: systemFiles, ...(where === "spool" ? { spoolFolder } : {}) };
    return walBetween(sources, SEGMENT_BYTES);
  };
  return {
    vault,
    spoolFolder,
    ask: (stretch, where) => between(where).settings({ ...common, ...stretch }, {}),
    holds: (stretch) => between("spool").holds({ systemId: SYSTEM, timeline: ONE, ...stretch }, {}),
    askCopies: (stretch, where) => between(where).unsoundCopy({ systemId: SYSTEM, timeline: ONE, ...stretch }, {}),
    walker: (vaultId = vault.id, clock = systemClock) =>
      new Walker({
        files: systemFiles,
        random: systemRandom,
        clock,
        spoolFolder,
        vaultId,
        segment: (named) => getSegment(vault, named, {}),
        unreadable: async () => {},
      }),
    walk: async (walker, indexes) => {
      for (const index of indexes) {
        const segment = segments[index];
        assert.ok(segment !== undefined);
        await walker.stored({ systemId: SYSTEM, segment: nameOf(index), bytes: segment });
      }
    },
    reads: () => counted.effects.filter(({ operation }) => operation === "get").length,
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  };
}

test("a change that crosses the end of a stretch is found by whoever asks on", async () => {
  const room = SEGMENT_BYTES - 40 - 127 * 24;
  const wal = writeSyntheticWal({ start: START, walSegmentBytes: SEGMENT_BYTES }, [
    filler(room - 24 - 5 - 24),
    change(false),
    filler(100),
  ]);
  const crossing = wal.records[1];
  assert.ok(crossing !== undefined && crossing.pieces.length === 2 && crossing.rawEnd - crossing.start > CHANGE_BYTES);
  await using scene = await sceneOf(wal.bytes);
  const beyond = await scene.ask({ from: START, to: lsnAt(crossing.end - 8) });
  assert.deepEqual(beyond, { kind: "same", reached: lsnAt(crossing.start) });
  const first = await scene.ask({ from: START, to: lsnAt(SEGMENT_BYTES) });
  assert.deepEqual(first, { kind: "same", reached: lsnAt(crossing.start) });
  assert.deepEqual(await scene.ask({ from: first.reached, to: lsnAt(wal.records[2]?.end ?? 0) }), { kind: "changed" });
});

const script = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 9000 }).map(filler) },
      { weight: 3, arbitrary: fc.integer({ min: 100_000, max: 1_200_000 }).map(filler) },
      { weight: 1, arbitrary: fc.boolean().map(change) },
      { weight: 2, arbitrary: fc.nat(2).map(copied) },
      { weight: 2, arbitrary: fc.nat(3).map(dropped) },
    ),
    { minLength: 8, maxLength: 24 },
  )
  .filter((records) => records.reduce((sum, { mainData }) => sum + mainData.byteLength, 0) > SEGMENT_BYTES);

test("what the receiver walked answers as the WAL does, wherever it began and was started anew", async () => {
  await fc.assert(
    fc.asyncProperty(script, fc.nat(), fc.nat(), fc.nat(), fc.nat(), async (records, a, b, begun, restarted) => {
      const wal = writeSyntheticWal({ start: START, walSegmentBytes: SEGMENT_BYTES }, records);
      const whole = Math.floor((wal.records.at(-1)?.end ?? 0) / SEGMENT_BYTES);
      const ends = [0, ...wal.records.map(({ end }) => end)];
      const [x = 0, y = 0] = [ends[a % ends.length], ends[b % ends.length]].toSorted((p = 0, q = 0) => p - q);
      if (x === y || whole === 0) return;
      await using scene = await sceneOf(wal.bytes);
      const indexes = Array.from({ length: whole }, (_, index) => index).slice(begun % whole);
      const cut = restarted % (indexes.length + 1);
      await scene.walk(scene.walker(), indexes.slice(0, cut));
      await scene.walk(scene.walker(), indexes.slice(cut));
      const stretch = { from: lsnAt(x), to: lsnAt(y) };
      assert.deepEqual(await scene.ask(stretch, "spool"), await scene.ask(stretch));
      assert.deepEqual(await scene.askCopies(stretch, "spool"), await scene.askCopies(stretch));
    }),
    { numRuns: repetitions(15, 300) },
  );
});

const FOUR = writeSyntheticWal(
  { start: START, walSegmentBytes: SEGMENT_BYTES },
  Array.from({ length: 500 }, () => filler(8000)),
);

test("what was walked is not read again, also over a restart of the receiver; what was not, is", async () => {
  await using scene = await sceneOf(FOUR.bytes);
  const stretch = { from: lsnAt(FOUR.records[3]?.end ?? 0), to: lsnAt(3 * SEGMENT_BYTES - 50_000) };
  const same = { kind: "same", reached: stretch.to } as const;
  const readsOf = async (): Promise<number> => {
    const before = scene.reads();
    const { kind } = await scene.ask(stretch, "spool");
    assert.equal(kind, same.kind);
    return scene.reads() - before;
  };
  assert.equal(await readsOf(), 3);
  await scene.walk(scene.walker(), [0, 1]);
  assert.equal(await readsOf(), 2, "the last record walked may end in the next segment");
  await scene.walk(scene.walker(), [2]);
  assert.equal(await readsOf(), 0);
  await scene.walk(scene.walker("another vault"), [1, 2]);
  assert.equal(await readsOf(), 3, "another vault's WAL proves nothing");
  await scene.walk(scene.walker(), [0, 1, 2]);
  await writeFile(path.join(scene.spoolFolder, "walked.json"), "{");
  assert.equal(await readsOf(), 3, "half a file is none");
});

test("for databases that were copied, WAL is read from the first copy that was walked, else only what was not walked", async () => {
  const room = filler(SEGMENT_BYTES - 50_000);
  const script = [filler(100), room, room, copied(20001), room, dropped(20001), room];
  const wal = writeSyntheticWal({ start: START, walSegmentBytes: SEGMENT_BYTES }, script);
  await using scene = await sceneOf(wal.bytes);
  const [begin = START, , before = START, , , behind = START] = wal.records.map(({ end }) => lsnAt(end));
  const ask = async (to: Lsn): Promise<readonly [string | undefined, number]> => {
    const reads = scene.reads();
    const found = await scene.askCopies({ from: begin, to }, "spool");
    return [found?.why, scene.reads() - reads];
  };
  assert.deepEqual(await ask(behind), ["source-dropped", 3], "nothing was walked");
  await scene.walk(scene.walker(), [0]);
  assert.deepEqual(await ask(before), [undefined, 2], "the last record walked may end in the next segment");
  await scene.walk(scene.walker(), [1, 2]);
  assert.deepEqual(await ask(before), [undefined, 0]);
  assert.deepEqual(await ask(behind), ["source-dropped", 2]);
  const file = path.join(scene.spoolFolder, "walked.json");
  const { copies, copiesFrom, ...others } = JSON.parse(`${await readFile(file)}`) as Record<string, unknown>;
  assert.deepEqual([copies, copiesFrom], [[formatLsn(lsnAt(wal.records[3]?.start ?? 0))], others["from"]]);
  await writeFile(file, JSON.stringify({ ...others, version: 2 }));
  assert.deepEqual(await ask(behind), ["source-dropped", 3], "an earlier version noted no copies");
  const reads = scene.reads();
  assert.equal((await scene.ask({ from: begin, to: behind }, "spool")).kind, "same");
  assert.equal(scene.reads(), reads, "but settings");
});

test("a walk is not resumed in WAL whose first record is linked to another than the last one walked", async () => {
  await using scene = await sceneOf(FOUR.bytes);
  await scene.walk(scene.walker(), [0]);
  const file = path.join(scene.spoolFolder, "walked.json");
  const walked = (await readFile(file)).toString();
  const fromOf = async (): Promise<string> => (JSON.parse(`${await readFile(file)}`) as { readonly from: string }).from;
  const begun = await fromOf();
  const { last, to } = JSON.parse(walked) as Record<"last" | "to", string>;
  const index = FOUR.records.findIndex(({ start }) => formatLsn(lsnAt(start)) === last);
  assert.equal(formatLsn(lsnAt(FOUR.records[index]?.end ?? 0)), to);
  // As if the segment before had held other records, of which the last one ended at the same place.
  const other = walked.replace(`"last":"${last}"`, `"last":"${formatLsn(lsnAt(FOUR.records[index - 1]?.start ?? 0))}"`);
  assert.notEqual(other, walked);
  await writeFile(file, other);
  await scene.walk(scene.walker(), [1]);
  assert.ok(parseLsn(await fromOf()) > parseLsn(to), "it begins anew");
  await writeFile(file, walked);
  await scene.walk(scene.walker(), [1]);
  assert.equal(await fromOf(), begun);
});

test("whoever waits for the thread has a turn after each 32 KiB of a walk that takes its time", async () => {
  const wal = writeSyntheticWal({ start: START, walSegmentBytes: SEGMENT_BYTES }, Array(1_500).fill(filler(600)));
  await using scene = await sceneOf(wal.bytes);
  let now = 0;
  const monotonic = (): Monotonic => {
    now += 1;
    return now as Monotonic;
  };
  const clock = { ...systemClock, monotonic };
  let turns = 0;
  let isOver = false;
  const walking = scene.walk(scene.walker(undefined, clock), [0]).then(() => {
    isOver = true;
  });
  while (!isOver) {
    await turnOfOthers();
    turns += 1;
  }
  await walking;
  assert.ok(turns >= (1_500 * 600) / (32 * 1024), `${turns} turns`);
});

test("the walk begins anew behind a hole", async () => {
  await using scene = await sceneOf(FOUR.bytes);
  const walker = scene.walker();
  await scene.walk(walker, [0, 2]);
  const [third, last] = [FOUR.records[280]?.end ?? 0, FOUR.records[370]?.end ?? 0];
  assert.deepEqual(
    [third, last].map((end) => Math.floor(end / SEGMENT_BYTES)),
    [2, 2],
  );
  const before = scene.reads();
  assert.equal((await scene.ask({ from: lsnAt(third), to: lsnAt(last) }, "spool")).kind, "same");
  assert.equal(scene.reads(), before);
  assert.equal((await scene.ask({ from: lsnAt(FOUR.records[3]?.end ?? 0), to: lsnAt(last) }, "spool")).kind, "same");
  assert.equal(scene.reads(), before + 3, "the last record before the hole ends behind it");
});

test("a segment that is not WAL ends the walk, and no storing of it", async () => {
  await using scene = await sceneOf(FOUR.bytes);
  const walker = scene.walker();
  await scene.walk(walker, [0]);
  await walker.stored({ systemId: SYSTEM, segment: nameOf(1), bytes: Buffer.alloc(SEGMENT_BYTES) });
  await scene.walk(walker, [2]);
  const stretch = { from: lsnAt(FOUR.records[3]?.end ?? 0), to: lsnAt(2 * SEGMENT_BYTES) };
  const before = scene.reads();
  assert.equal((await scene.ask(stretch, "spool")).kind, "same");
  assert.equal(scene.reads() - before, 2);
});

test("a segment that does not open is no error of who asks for settings, is told, and is passed over where it was walked", async () => {
  await using scene = await sceneOf(FOUR.bytes);
  const key = segmentKey({ systemId: SYSTEM, segment: nameOf(1) });
  const sound = await scene.vault.store.get(key);
  await scene.vault.store.delete(key);
  await scene.vault.store.put(key, [Buffer.from(sound).fill(0xa5, 70, 90)]);
  const stretch = { from: lsnAt(FOUR.records[3]?.end ?? 0), to: lsnAt(3 * SEGMENT_BYTES - 50_000) };
  const answer = await scene.ask(stretch);
  assert.ok(answer.kind === "unreadable");
  assert.deepEqual([answer.damage?.code, answer.damage?.details["object"]], ["vault.object-damaged", key]);
  await assert.rejects(scene.askCopies(stretch), { code: "vault.object-damaged" }, "a backup's own WAL");
  await scene.walk(scene.walker(), [0, 1, 2]);
  assert.equal((await scene.ask(stretch, "spool")).kind, "same");
});

test("a segment that the disk does not give is as one that does not open, unless the store gives nothing any more", async () => {
  await using scene = await sceneOf(FOUR.bytes);
  const failing = new LifeboatError("store.failed", { message: "EIO, as planned", remedy: "None." });
  const stretch = { from: lsnAt(FOUR.records[3]?.end ?? 0), to: lsnAt(3 * SEGMENT_BYTES - 50_000) };
  const askWhere = (fails: (key: string) => boolean): Promise<SettingsAnswer> => {
    const { store } = scene.vault;
    const over: Store = {
      name: store.name,
      get: (key, options) => (fails(key) ? Promise.reject(failing) : store.get(key, options)),
      getRange: store.getRange.bind(store),
      head: store.head.bind(store),
      list: store.list.bind(store),
      put: store.put.bind(store),
      delete: store.delete.bind(store),
    };
    const between = walBetween({ vault: { ...scene.vault, store: over }, files: systemFiles }, SEGMENT_BYTES);
    const question = { systemId: SYSTEM, timeline: ONE, walLevel: "replica", walLogHints: true, ...stretch };
    return between.settings(question, {});
  };
  const sector = segmentKey({ systemId: SYSTEM, segment: nameOf(1) });
  assert.equal((await askWhere((key) => key === sector)).kind, "unreadable");
  await assert.rejects(
    askWhere(() => true),
    { code: "store.failed" },
  );
});

test("WAL that a receiver noted as unreadable is known before it is read, unless it was walked since", async () => {
  await using scene = await sceneOf(FOUR.bytes);
  const { spoolFolder } = scene;
  const noting = new UnreadableStretches({
    ...{ files: systemFiles, random: systemRandom, clock: systemClock, spoolFolder },
    state: () => undefined,
    backups: async () => [],
  });
  const second = { from: lsnAt(SEGMENT_BYTES), to: lsnAt(2 * SEGMENT_BYTES) };
  await noting.note({ systemId: SYSTEM, timeline: ONE, ...second, reason: "planned", noticedAt: "2026-11-28" });
  const to = lsnAt(3 * SEGMENT_BYTES);
  assert.equal(await scene.holds({ from: lsnAt(SEGMENT_BYTES + 40), to }), "unreadable");
  assert.equal(await scene.holds({ from: START, to: second.from }), "held");
  assert.equal(await scene.holds({ from: second.to, to }), "held");
  await scene.walk(scene.walker(), [0, 1, 2]);
  assert.equal(await scene.holds({ from: lsnAt(SEGMENT_BYTES + 40), to }), "held");
  await scene.vault.store.delete(segmentKey({ systemId: SYSTEM, segment: nameOf(1) }));
  assert.equal(await scene.holds({ from: START, to }), "missing");
});

test("of the segment in which a timeline began its own copy is read, not the older one that went on in it", async () => {
  const place = { start: START, walSegmentBytes: SEGMENT_BYTES };
  const rest = [filler(SEGMENT_BYTES / 2), filler(SEGMENT_BYTES)];
  const one = writeSyntheticWal(place, [filler(100), change(true), ...rest]);
  const two = writeSyntheticWal(place, [filler(100), change(false), ...rest]);
  const switchLsn = lsnAt(one.records[1]?.start ?? 0);
  await using scene = await sceneOf(one.bytes);
  const timeline = 2 as Timeline;
  const content = Buffer.from(`1\t${formatLsn(switchLsn)}\tno recovery target specified\n`);
  await putHistory(scene.vault, { systemId: SYSTEM, timeline, content }, {});
  for (const index of [0, 1]) {
    const segment = nameOf(index).replace("00000001", "00000002");
    const bytes = two.bytes.subarray(index * SEGMENT_BYTES, (index + 1) * SEGMENT_BYTES);
    await putSegment(scene.vault, { systemId: SYSTEM, segment, bytes }, {});
  }
  const stretch = { from: START, to: lsnAt(two.records.at(-1)?.end ?? 0) };
  assert.equal((await scene.ask(stretch)).kind, "same");
  assert.deepEqual(await scene.ask({ ...stretch, timeline }), { kind: "changed" });
  const before = await scene.ask({ from: START, to: switchLsn, timeline });
  assert.deepEqual(before, { kind: "same", reached: switchLsn });
});
