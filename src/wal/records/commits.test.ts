import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type SyntheticRecord, writeSyntheticWal } from "../../../test/support/synthetic-wal.ts";
import { type Lsn, segmentName, type Timeline } from "../../postgres/lsn.ts";
import { commitsIn } from "./commits.ts";
import { readEvents, type WalSource } from "./reader.ts";

const SEGMENT_BYTES = 1024 * 1024;
const START = BigInt(3 * SEGMENT_BYTES) as Lsn;
const PLACE = { start: START, walSegmentBytes: SEGMENT_BYTES };

const filler = (length: number): SyntheticRecord => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, 1) });

/** Of a transaction, with so many bytes behind its time. */
function end(info: number, micros: number, more: number): SyntheticRecord {
  const mainData = Buffer.alloc(8 + more, 1);
  mainData.writeBigInt64LE(BigInt(micros));
  return { rmgr: 1, info, xid: 7, mainData };
}

async function eventsOf(bytes: Buffer) {
  const at = (name: string): number =>
    [...Array(bytes.byteLength / SEGMENT_BYTES).keys()].find((index) => nameOf(index) === name) ?? -1;
  const source: WalSource = {
    walSegmentBytes: SEGMENT_BYTES,
    timelineAt: () => 1 as Timeline,
    readSegment: async (name) =>
      at(name) < 0 ? undefined : bytes.subarray(at(name) * SEGMENT_BYTES, (at(name) + 1) * SEGMENT_BYTES),
  };
  const found = [];
  for await (const event of readEvents(source, { from: START })) {
    if (event.kind === "commit") found.push({ lsn: event.lsn, time: event.time });
  }
  return found;
}

function nameOf(index: number): string {
  const lsn = (START + BigInt(index * SEGMENT_BYTES)) as Lsn;
  return segmentName({ timeline: 1 as Timeline, lsn, walSegmentBytes: SEGMENT_BYTES });
}

function commitsOf(bytes: Buffer) {
  const found = [];
  for (let at = 0; at < bytes.byteLength; at += SEGMENT_BYTES) {
    for (const { offset, time } of commitsIn(bytes.subarray(at, at + SEGMENT_BYTES))) {
      found.push({ lsn: (START + BigInt(at + offset)) as Lsn, time });
    }
  }
  return found;
}

test("the commits of a segment and their times are those that reading its records finds, but for one that crosses its end", async () => {
  const record = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }).map(filler) },
    { weight: 2, arbitrary: fc.integer({ min: 7000, max: 9000 }).map(filler) },
    { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 1_200_000 }).map(filler) },
    {
      weight: 6,
      // Commits and rollbacks, prepared or not, with and without more; a PREPARE; the invalidations of a command.
      arbitrary: fc
        .tuple(fc.constantFrom(0x00, 0x80, 0x30, 0xb0, 0x20, 0xa0, 0x40, 0x10, 0x60), fc.nat(2 ** 40), fc.nat(400))
        .map(([info, micros, more]) => end(info, micros, more)),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 60 }), async (script) => {
      const { bytes } = writeSyntheticWal(PLACE, script);
      const known = (await eventsOf(bytes)).filter(({ lsn }) => {
        const left = SEGMENT_BYTES - (Number(lsn) % SEGMENT_BYTES);
        return left >= 48;
      });
      assert.deepEqual(commitsOf(bytes), known);
    }),
    { numRuns: 40 },
  );
});

test("one whose time lies behind the end of a page is found", async () => {
  for (const left of [8, 16, 24, 32, 40]) {
    const script: SyntheticRecord[] = [filler(7000)];
    const reached = (): number => writeSyntheticWal(PLACE, script).records.at(-1)?.end ?? 0;
    // A header and two bytes before the data, with which every record begins.
    script.push(filler(8192 - left - reached() - 29), end(0, 1_000_000, 20));
    const { bytes, records } = writeSyntheticWal(PLACE, script);
    assert.equal(records.at(-1)?.start, 8192 - left);
    const [commit] = await eventsOf(bytes);
    assert.deepEqual(commitsOf(bytes), [commit]);
  }
});

test("whatever the bytes are there is an answer", () => {
  const { bytes } = writeSyntheticWal(PLACE, [filler(9000), end(0, 7, 0), filler(20_000), end(0x80, 8, 100)]);
  const changes = fc.array(fc.tuple(fc.nat(40_000), fc.nat(255)), { maxLength: 30 });
  fc.assert(
    fc.property(changes, fc.nat(40_000), (changed, length) => {
      const damaged = Buffer.from(bytes.subarray(0, length));
      for (const [at, value] of changed) if (at < length) damaged[at] = value;
      for (const { offset } of commitsIn(damaged)) assert.ok(offset < length);
    }),
  );
});
