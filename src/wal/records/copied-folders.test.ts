import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type SyntheticRecord, writeSyntheticWal } from "../../../test/support/synthetic-wal.ts";
import { type Lsn, segmentName, type Timeline } from "../../postgres/lsn.ts";
import { CopiedFolders } from "./copied-folders.ts";
import { scanRecords } from "./reader.ts";

const PLACE = { start: BigInt(3 * 1024 * 1024) as Lsn, walSegmentBytes: 1024 * 1024 };
const BASE = 1663;
const ELSEWHERE = 16400;
const [SHOP, STORE, OTHER] = [20001, 20002, 20003];

function numbers(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

function record(rmgr: number, info: number, ...values: readonly number[]): SyntheticRecord {
  return { rmgr, info, xid: 7, mainData: numbers(...values) };
}

const copy = (from: readonly [number, number], to: readonly [number, number]): SyntheticRecord =>
  record(4, 0x00, to[0], to[1], from[0], from[1]);
const drop = (database: number, ...tablespaces: readonly number[]): SyntheticRecord =>
  record(4, 0x20, database, tablespaces.length, ...tablespaces);
const logged = (database: number): SyntheticRecord => record(4, 0x10, database, BASE);

/** A record of a manager that touches a block of a relation in each folder. */
function touch(rmgr: number, info: number, ...folders: readonly (readonly [number, number])[]): SyntheticRecord {
  const headers = folders.map(([database, tablespace], id) =>
    Buffer.concat([Buffer.from([id, 0, 0, 0]), numbers(tablespace, database, 16384, 3)]),
  );
  return { ...record(rmgr, info, 1), blocks: Buffer.concat(headers) };
}

const insert = (database: number, tablespace = BASE): SyntheticRecord => touch(10, 0x00, [database, tablespace]);
const deleteShared = (xid: number): SyntheticRecord => ({ ...touch(10, 0x10, [0, 1664]), xid });
const commit = (xid: number): SyntheticRecord => ({ ...record(1, 0x00, 0, 0), xid });
const END: SyntheticRecord = record(0, 0x50, 0, 0);

const COPIED = copy([SHOP, BASE], [STORE, BASE]);
const MOVED = copy([SHOP, BASE], [SHOP, ELSEWHERE]);

/** What is unsound in an image that ends before the record `END`, or behind all. */
async function unsoundIn(script: readonly SyntheticRecord[]): Promise<string | undefined> {
  const wal = writeSyntheticWal(PLACE, script);
  const end = wal.records[script.indexOf(END)]?.start ?? wal.records.at(-1)?.end ?? 0;
  const copied = new CopiedFolders((PLACE.start + BigInt(end)) as Lsn);
  const name = segmentName({ ...PLACE, timeline: 1 as Timeline, lsn: PLACE.start });
  const source = {
    walSegmentBytes: PLACE.walSegmentBytes,
    timelineAt: () => 1 as Timeline,
    readSegment: async (wanted: string) => (wanted === name ? wal.bytes : undefined),
  };
  let count = 0;
  await scanRecords(source, { from: PLACE.start }, (cursor) => {
    count += 1;
    return copied.visit(cursor);
  });
  assert.equal(count, script.length);
  const found = copied.unsound();
  return found && `${found.target.tablespace}/${found.target.database} ${found.why}`;
}

const UNSOUND: readonly (readonly [string, readonly SyntheticRecord[], string])[] = [
  ["a database was moved", [MOVED, drop(SHOP, BASE)], "16400/20001 moved"],
  ["a move has not told of its source's removal by the image's end", [MOVED], "16400/20001 moved"],
  [
    "a database was moved there and back",
    [MOVED, drop(SHOP, BASE), copy([SHOP, ELSEWHERE], [SHOP, BASE]), drop(SHOP, ELSEWHERE)],
    "1663/20001 moved",
  ],
  ["the source was dropped", [COPIED, drop(OTHER, BASE), drop(SHOP, ELSEWHERE, BASE)], "1663/20002 source-dropped"],
  ["the source was dropped as the image ended", [COPIED, END, drop(SHOP, BASE)], "1663/20002 source-dropped"],
  ["a transaction under way at the end may be dropping it", [COPIED, deleteShared(9)], "1663/20002 source-dropped"],
  ["a row of the source was written", [COPIED, insert(OTHER), insert(SHOP)], "1663/20002 source-changed"],
  [
    "by a record that touches others too",
    [COPIED, touch(11, 0, [OTHER, BASE], [SHOP, BASE])],
    "1663/20002 source-changed",
  ],
  ["a file was made in the source", [COPIED, record(2, 0x10, BASE, SHOP, 16390, 0)], "1663/20002 source-changed"],
  ["a file of the source was cut", [COPIED, record(2, 0x20, 4, BASE, SHOP, 16390, 7)], "1663/20002 source-changed"],
  ["catalogs of the source were mapped anew", [COPIED, record(7, 0x00, SHOP, BASE, 0)], "1663/20002 source-changed"],
  ["an extension's record says nothing of what it touches", [COPIED, record(130, 0, 1)], "1663/20002 source-changed"],
  [
    "a copy's copy outlives it",
    [COPIED, copy([STORE, BASE], [OTHER, BASE]), drop(STORE, BASE)],
    "1663/20003 source-dropped",
  ],
];

const SOUND: readonly (readonly [string, readonly SyntheticRecord[]])[] = [
  ["the source lives on, untouched", [COPIED, insert(STORE), insert(OTHER), record(2, 0x10, BASE, STORE, 1, 0)]],
  ["the source was changed before", [insert(SHOP), drop(SHOP, ELSEWHERE), COPIED]],
  ["the source was changed in another tablespace, where nothing was copied", [COPIED, insert(SHOP, ELSEWHERE)]],
  ["the copy was dropped again", [COPIED, drop(STORE, BASE), insert(SHOP), drop(SHOP, BASE)]],
  ["a move was undone", [MOVED, drop(SHOP, ELSEWHERE)]],
  ["pages were written to the WAL instead", [logged(STORE), insert(STORE), insert(SHOP), drop(SHOP, BASE)]],
  ["nobody who dropped a database is under way", [COPIED, deleteShared(9), drop(OTHER, BASE), commit(9)]],
  ["a transaction that deleted from a shared catalog ends behind the image", [COPIED, deleteShared(9), END, commit(9)]],
  ["the source is changed behind the image", [COPIED, END, insert(SHOP), MOVED]],
  ["there is no copy", [deleteShared(9), insert(SHOP), drop(SHOP, BASE)]],
];

for (const [name, script, wanted] of UNSOUND) {
  test(`a copy by files is unsound: ${name}`, async () => assert.equal(await unsoundIn(script), wanted));
}

test("a copy by files is sound where its source is in the image as it was", async () => {
  for (const [name, script] of SOUND) assert.equal(await unsoundIn(script), undefined, name);
});

test("whatever a record holds there is an answer", async () => {
  const records = fc.record({
    rmgr: fc.constantFrom(0, 1, 2, 4, 7, 10, 130),
    info: fc.constantFrom(0x00, 0x10, 0x20, 0x30, 0x80),
    xid: fc.nat(3),
    mainData: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.nat(3), { maxLength: 8 }).map((all) => numbers(...all)),
    ),
    blocks: fc.oneof(fc.constant(new Uint8Array()), fc.uint8Array({ maxLength: 60 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(records, { minLength: 1, maxLength: 12 }), async (script) => {
      await unsoundIn([COPIED, ...script]);
    }),
    { numRuns: 200 },
  );
});
