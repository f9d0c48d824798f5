import assert from "node:assert/strict";
import path from "node:path";
import { FREE_LOCKS, type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { systemClock } from "../platform/clock.ts";
import { type FileEffect, faultyFiles } from "../platform/faulty-files.ts";
import type { Files } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { LSN_NONE, type Lsn, lsnAdd, lsnDistance, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { openSpool, type Spool } from "./spool.ts";
import { listSpool, readSpoolFile } from "./spool-files.ts";
import type { SpoolState } from "./spool-state.ts";

const MIB = 1024 * 1024;
const FOLDER = "/srv/spool";
const PARTIAL = `${FOLDER}/7000000000000000001/00000001/000000010000000000000005.partial`;
const START = BigInt(5 * MIB) as Lsn;
const ONE = 1 as Timeline;
const TWO = 2 as Timeline;
const STATE: SpoolState = {
  vaultId: "0".repeat(32),
  systemId: "7000000000000000001" as SystemId,
  walSegmentBytes: MIB,
  timeline: ONE,
  history: "",
  slot: "lifeboat_vault",
  flushedLsn: START,
  rangeFrom: undefined,
  gaps: [],
};
/** A segment and a little more. */
const WAL = writeSyntheticWal(
  { start: START, walSegmentBytes: MIB },
  Array.from({ length: 12 }, (_, index) => ({ rmgr: 0, info: 0, xid: index, mainData: Buffer.alloc(100_000, index) })),
).bytes.subarray(0, MIB + 100_000);
/** Small records, as commits write them, one over several pages and one that ends with its page among them. */
const COMMITS = writeSyntheticWal(
  { start: START, walSegmentBytes: MIB },
  [30, 200, 90, 20_000, 40, 8300, 300, 120, 60, 700].map((size, index) => ({
    rmgr: 10,
    info: 0,
    xid: index,
    mainData: Buffer.alloc(size, index + 1),
  })),
);
/** After each record a group ends, and one in the middle of the longest. */
const COMMIT_ENDS = COMMITS.records.flatMap(({ start, end }) => (end - start > 10_000 ? [start + 9000, end] : [end]));
/** How often the server is told how far its WAL is held. */
const GROUPS = 2;
/** Whole segments take a while to write. */
const LAID_OUT_STRIDE = 3;
/** Less than a segment, for what happens within one. */
const FEW_BYTES = 40_000;

/** A clock that waits for nothing. */
const HASTY = { ...systemClock, sleep: async () => undefined };

function open(files: Files): Promise<Spool> {
  return openSpool({ files, locks: FREE_LOCKS, clock: HASTY, random: systemRandom }, FOLDER, {});
}

async function heldEnd(spool: Spool): Promise<Lsn> {
  const ends = (await spool.list()).filter(({ kind }) => kind !== "ended").map(({ end }) => end);
  return ends.reduce((newest, end) => (end > newest ? end : newest), START);
}

/** Goes on behind what is held, up to `to` bytes; `confirmed` is what the server is told. */
async function receive(
  files: Files,
  confirmed: { lsn: Lsn },
  to: number,
  how: { readonly laidOut: boolean; readonly inTwo?: boolean; readonly commits?: boolean } = { laidOut: false },
): Promise<Spool> {
  const wal = how.commits === true ? COMMITS.bytes : WAL;
  const spool = await open(files);
  if (spool.state === undefined) await spool.adopt(STATE);
  await spool.completeFull();
  const at = await heldEnd(spool);
  await spool.continueAt({ timeline: ONE, lsn: at });
  if (at > START) spool.trustBefore();
  if (spool.flushed !== LSN_NONE) confirmed.lsn = spool.flushed;
  if (how.laidOut) await spool.layOutNext();
  const groupBytes = Math.ceil(to / GROUPS);
  for (let from = lsnDistance({ from: START, to: at }); from < to; ) {
    const commitEnd = COMMIT_ENDS.find((end) => end > from);
    const end = how.commits === true && commitEnd !== undefined ? commitEnd : from + groupBytes;
    const group = wal.subarray(from, Math.min(end, to));
    from += group.byteLength;
    if (how.inTwo === true) {
      const half = group.byteLength >> 1;
      for (const part of [group.subarray(0, half), group.subarray(half)]) await spool.append(part, () => {});
      await spool.flush();
    } else if (!spool.takeNow(group)) {
      await spool.append(group, () => {});
      await spool.flush();
    }
    confirmed.lsn = spool.flushed;
  }
  return spool;
}

/** What was confirmed is held as it was sent, and reception goes on to the same bytes. */
async function assertHeld(files: Files, confirmed: { lsn: Lsn }, to: number, commits = false): Promise<void> {
  const wal = commits ? COMMITS.bytes : WAL;
  const held = await contentOf(files);
  assert.ok(wal.subarray(0, held.byteLength).equals(held), "what is held is what was sent");
  assert.ok(lsnAdd(START, held.byteLength) >= confirmed.lsn, "what was confirmed is held");
  await (await receive(files, confirmed, to, { laidOut: false, commits })).close();
  assert.ok((await contentOf(files)).equals(wal.subarray(0, to)), "goes on to the same bytes");
}

async function contentOf(files: Files): Promise<Buffer> {
  const parts = (await listSpool(files, FOLDER, STATE)).map((file) => readSpoolFile(files, file));
  return Buffer.concat(await Promise.all(parts));
}

const before = (files: Files): Promise<void> => files.makeFolder("/srv");

function receiving(): Story {
  const confirmed = { lsn: LSN_NONE };
  return {
    before,
    live: async (files) => (await receive(files, confirmed, WAL.byteLength)).close(),
    after: (files) => assertHeld(files, confirmed, WAL.byteLength),
  };
}

testPowerCuts("WAL received", receiving, ["src/wal/spool.ts sync: sync"]);

/** Into a file that was laid out beforehand, or has its length alone: a few small groups, or a whole segment. */
function into(how: { readonly laidOut: boolean }, bytes: number): () => Story {
  return () => {
    const confirmed = { lsn: LSN_NONE };
    return {
      before,
      live: async (files) => (await receive(files, confirmed, bytes, how)).close(),
      after: (files) => assertHeld(files, confirmed, bytes),
    };
  };
}

for (const [made, isLaidOut] of [
  ["was laid out", true],
  ["has no blocks", false],
] as const) {
  testPowerCuts(`a few bytes received into a file that ${made}`, into({ laidOut: isLaidOut }, FEW_BYTES), [
    "src/wal/spool.ts syncNow: syncNow",
    "src/wal/spare-file.ts take: sync",
  ]);
}
testPowerCuts(
  "a segment received into a file that was laid out",
  into({ laidOut: true }, WAL.byteLength),
  ["src/wal/spool.ts complete: sync"],
  LAID_OUT_STRIDE,
);

/** Groups that end with records, of which no mark says that they are held. */
function committing(laidOut: boolean): () => Story {
  const to = COMMIT_ENDS.at(-1) ?? 0;
  return () => {
    const confirmed = { lsn: LSN_NONE };
    return {
      before,
      live: async (files) => (await receive(files, confirmed, to, { laidOut, commits: true })).close(),
      after: (files) => assertHeld(files, confirmed, to, true),
    };
  };
}

for (const laidOut of [true, false]) {
  testPowerCuts(
    `commits received into a file that ${laidOut ? "was laid out" : "has no blocks"}`,
    committing(laidOut),
    ["src/wal/spool.ts syncNow: syncNow"],
  );
}

/** Of two writes that one sync was to cover the second may be on the disk and the first not: a hole, and a length that hides it. */
function inTwo(): Story {
  const confirmed = { lsn: LSN_NONE };
  return {
    before,
    live: async (files) => (await receive(files, confirmed, FEW_BYTES, { laidOut: false, inTwo: true })).close(),
    after: (files) => assertHeld(files, confirmed, FEW_BYTES),
  };
}

testPowerCuts("a group of two writes received", inTwo, ["src/wal/spool.ts syncNow: syncNow"]);

/** A process that was killed leaves what it wrote to the kernel; another goes on, and what counts then is promised. */
function takingOver(killedAt: (effect: FileEffect) => boolean, bytes: number): () => Story {
  return () => {
    const confirmed = { lsn: LSN_NONE };
    return {
      before: async (files) => {
        await before(files);
        const spool = await open(files);
        await spool.adopt(STATE);
        await spool.close();
      },
      live: async (files) => {
        const killed = faultyFiles(files, { at: killedAt, errno: "EIO", when: "before", forever: true });
        await assert.rejects(receive(killed.files, { lsn: LSN_NONE }, bytes));
        killed.assertFired();
        await (await receive(files, confirmed, bytes)).close();
      },
      after: (files) => assertHeld(files, confirmed, bytes),
    };
  };
}

const isPartial = (file: string): boolean => file.endsWith(".partial");
testPowerCuts(
  "a partial whose process was killed before its sync",
  takingOver(({ operation, path: file }) => operation === "sync" && isPartial(file), FEW_BYTES),
  ["src/wal/spool.ts settle: sync"],
);
testPowerCuts(
  "an empty partial whose process was killed before its name was synced",
  takingOver(({ operation, path: file }) => operation === "sync" && file.endsWith("/00000001"), FEW_BYTES),
  ["src/wal/spool.ts begin: syncFolder"],
);
testPowerCuts(
  "a full partial whose process was killed before it got its plain name",
  takingOver(({ operation }) => operation === "rename", MIB),
  [],
);

/** Somebody put a partial back that he had kept elsewhere, and went away. */
function putBack(): Story {
  const confirmed = { lsn: LSN_NONE };
  return {
    before: async (files) => {
      await before(files);
      const spool = await open(files);
      await spool.adopt(STATE);
      await spool.close();
      await files.makeFolder(path.dirname(PARTIAL));
    },
    live: async (files) => {
      const copy = await files.open(PARTIAL, "create");
      await copy.write(WAL.subarray(0, FEW_BYTES), 0);
      await copy.close();
      await (await receive(files, confirmed, FEW_BYTES)).close();
    },
    after: (files) => assertHeld(files, confirmed, FEW_BYTES),
  };
}

testPowerCuts("a partial that was put back", putBack, [
  "src/wal/spool.ts settle: sync",
  "src/wal/spool.ts settle: syncFolder",
]);

/** A partial ended by another timeline is evidence: it stays, under one name or the other. */
function ending(): Story {
  let ended = false;
  return {
    before: async (files) => {
      await before(files);
      await (await receive(files, { lsn: LSN_NONE }, FEW_BYTES)).close();
    },
    live: async (files) => {
      const spool = await open(files);
      await spool.endOthers(TWO);
      ended = true;
      await spool.close();
    },
    after: async (files) => {
      const [file, ...others] = await listSpool(files, FOLDER, STATE);
      assert.deepEqual([others.length, file?.sizeBytes], [0, FEW_BYTES]);
      if (ended) assert.equal(file?.kind, "ended");
    },
  };
}

testPowerCuts("a partial kept apart from the timeline that ended it", ending, [
  "src/platform/durable.ts renameDurable: syncFolder",
]);
