import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type SyntheticRecord, writeSyntheticWal } from "../../../test/support/synthetic-wal.ts";
import { type Lsn, segmentName, type Timeline } from "../../postgres/lsn.ts";
import type { WalSource } from "./reader.ts";
import { creationsIn, tablespacesIn } from "./tablespaces.ts";

const SEGMENT_BYTES = 1024 * 1024;
const START = BigInt(3 * SEGMENT_BYTES) as Lsn;
const PLACE = { start: START, walSegmentBytes: SEGMENT_BYTES };

function sourceOf(bytes: Buffer): WalSource {
  const segments = new Map<string, Buffer>();
  for (let at = 0; at < bytes.byteLength; at += SEGMENT_BYTES) {
    const name = segmentName({
      timeline: 1 as Timeline,
      lsn: (START + BigInt(at)) as Lsn,
      walSegmentBytes: SEGMENT_BYTES,
    });
    segments.set(name, bytes.subarray(at, at + SEGMENT_BYTES));
  }
  return {
    walSegmentBytes: SEGMENT_BYTES,
    timelineAt: () => 1 as Timeline,
    readSegment: async (name) => segments.get(name),
  };
}

/** Bytes of all segments, each looked at by itself, as a restore does. */
async function foundIn(bytes: Buffer) {
  const found = [];
  for (let at = 0; at < bytes.byteLength; at += SEGMENT_BYTES) {
    const segment = { start: (START + BigInt(at)) as Lsn, bytes: bytes.subarray(at, at + SEGMENT_BYTES) };
    for (const { oid, location } of await tablespacesIn(sourceOf(bytes), segment, {})) found.push({ oid, location });
  }
  return found;
}

function creation(oid: number, location: string): SyntheticRecord {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(oid);
  return { rmgr: 5, info: 0x00, xid: 7, mainData: Buffer.concat([head, Buffer.from(`${location}\0`)]) };
}

const filler = (length: number): SyntheticRecord => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, 5) });
const DROPPED: SyntheticRecord = { rmgr: 5, info: 0x10, xid: 7, mainData: Buffer.alloc(4, 1) };

test("each tablespace that the WAL creates outside is found, wherever its record lies; none else is", async () => {
  const records = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }).map(filler) },
      { weight: 2, arbitrary: fc.integer({ min: 7000, max: 9000 }).map(filler) },
      { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 1_200_000 }).map(filler) },
      { weight: 2, arbitrary: fc.nat(1000).map((oid) => creation(16384 + oid, `/srv/${"d".repeat(oid)}`)) },
      { weight: 1, arbitrary: fc.constant(creation(16500, "")) },
      { weight: 1, arbitrary: fc.constant(DROPPED) },
    ),
    { minLength: 1, maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(records, async (script) => {
      const { bytes } = writeSyntheticWal(PLACE, script);
      const wanted = script.flatMap(({ rmgr, info, mainData }) => {
        const data = Buffer.from(mainData);
        const location = data.subarray(4, -1).toString();
        return rmgr === 5 && info === 0 && location !== "" ? [{ oid: data.readUInt32LE(0), location }] : [];
      });
      assert.deepEqual(await foundIn(bytes), wanted);
    }),
    { numRuns: 25 },
  );
});

test("a record whose header crosses into the next page or the next segment is found", async () => {
  for (const border of [8192, SEGMENT_BYTES]) {
    for (const left of [8, 16, 24]) {
      const script: SyntheticRecord[] = [];
      const end = (): number => writeSyntheticWal(PLACE, script).records.at(-1)?.end ?? 0;
      script.push(filler(border === 8192 ? 100 : SEGMENT_BYTES - 20_000));
      while (border - left - end() > 300) script.push(filler(100));
      // A header and two bytes before the data, with which every record begins.
      script.push(filler(border - left - end() - 26), creation(20000, "/srv/split"));
      const { bytes, records } = writeSyntheticWal(PLACE, script);
      assert.equal(records.at(-1)?.start, border - left);
      assert.deepEqual(await foundIn(bytes), [{ oid: 20000, location: "/srv/split" }], `${left} before ${border}`);
    }
  }
});

test("whatever the bytes are there is an answer", () => {
  const { bytes } = writeSyntheticWal(PLACE, [filler(9000), creation(20000, "/srv/one"), filler(20_000)]);
  const changes = fc.array(fc.tuple(fc.nat(40_000), fc.nat(255)), { maxLength: 30 });
  fc.assert(
    fc.property(changes, fc.nat(40_000), (changed, length) => {
      const damaged = Buffer.from(bytes.subarray(0, length));
      for (const [at, value] of changed) if (at < length) damaged[at] = value;
      for (const at of creationsIn(damaged)) assert.ok(at >= -16 && at < length);
    }),
  );
});
