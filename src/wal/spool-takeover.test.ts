import assert from "node:assert/strict";
import { test } from "node:test";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { writeAgain } from "./spool-takeover.ts";

const MIB = 1024 * 1024;
const PLACE = { start: BigInt(64 * MIB) as Lsn, walSegmentBytes: 8 * MIB };
const PARTIAL = { ...PLACE, timeline: 1 as Timeline };
/** Records over one page, over many, and over several of the pieces in which a file is read. */
const LENGTHS = [...Array.from({ length: 300 }, (_, at) => (at * 977) % 20_000), 2.4 * MIB, 100, 9000, 50];
const { bytes: WAL, records: RECORDS } = writeSyntheticWal(
  PLACE,
  LENGTHS.map((length) => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, 255) })),
);
const FILLED = RECORDS.at(-1)?.end ?? Number.NaN;

/** A file in memory that says how much was asked of it at once. */
function fileOf(bytes: Buffer) {
  const asked = { readBytesMax: 0 };
  const read = async ({ position, length }: { readonly position: number; readonly length: number }) => {
    asked.readBytesMax = Math.max(asked.readBytesMax, length);
    return Buffer.from(bytes.subarray(position, position + length));
  };
  const write = async (piece: Uint8Array, position: number): Promise<void> => bytes.set(piece, position);
  return { asked, read, write };
}

test("a long partial is taken over in small pieces, and others have turns meanwhile", async () => {
  assert.ok(FILLED > 5 * MIB);
  const file = fileOf(Buffer.from(WAL));
  let turns = 0;
  let over = false;
  const taking = (): void => {
    turns += 1;
    if (!over) setImmediate(taking);
  };
  setImmediate(taking);
  assert.equal(await writeAgain(file, PARTIAL, FILLED), undefined);
  over = true;
  assert.ok(turns >= 20, `${turns} turns`);
  assert.ok(file.asked.readBytesMax <= MIB, `${file.asked.readBytesMax} bytes`);
});

test("a lost sector in any piece of a partial is told by the record that it lies in, and zeros to the end are none, nor is a record's rest elsewhere", async () => {
  for (const at of [4096, MIB - 512, MIB, MIB + 512, 3 * MIB, 4 * MIB, FILLED - 600]) {
    const lost = Buffer.from(WAL).fill(0, at, at + 512);
    const within = RECORDS.find(({ end }) => end > at);
    const damaged = await writeAgain(fileOf(lost), PARTIAL, FILLED);
    assert.ok(damaged !== undefined, `${at}`);
    const offset = Number(damaged - PLACE.start);
    // Where the head of a page is lost, no record begins before the page is read.
    assert.ok(offset >= (within?.start ?? 0) && offset <= at, `${at}: ${offset}`);
  }
  const full = [...LENGTHS, 4 * MIB].map((length) => ({
    rmgr: 10,
    info: 0,
    xid: 5,
    mainData: Buffer.alloc(length, 255),
  }));
  const { bytes } = writeSyntheticWal(PLACE, full);
  assert.equal(
    await writeAgain(fileOf(bytes), PARTIAL, 8 * MIB),
    undefined,
    "its last record goes on in the next segment",
  );
  const last = RECORDS.at(-3)?.end ?? Number.NaN;
  assert.equal(await writeAgain(fileOf(Buffer.from(WAL).fill(0, last)), PARTIAL, FILLED), undefined);
});
