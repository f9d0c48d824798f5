import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type SyntheticPlace,
  type SyntheticRecord,
  type SyntheticWal,
  writeSyntheticWal,
} from "../../../test/support/synthetic-wal.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { type Lsn, segmentName, type Timeline } from "../../postgres/lsn.ts";
import { RecordCursor } from "./cursor.ts";
import type { WalEvent } from "./events.ts";
import { findEndOfWal, readEvents, readRecords, segmentSummary, type WalEnd, type WalSource } from "./reader.ts";

const SEGMENT_BYTES = 1024 * 1024;
/** Above 4 GiB, so that both halves of a position count; the second segment begins a new "xlog id". */
const START = (0x3_0000_0000n - BigInt(SEGMENT_BYTES)) as Lsn;
const PLACE: SyntheticPlace = { start: START, walSegmentBytes: SEGMENT_BYTES };

/** A source over WAL in one buffer; what lies behind `bytes` does not exist. */
function sourceOf(bytes: Buffer, place = PLACE): WalSource {
  const segments = new Map<string, Buffer>();
  for (let at = 0; at < bytes.byteLength; at += place.walSegmentBytes) {
    const lsn = (place.start + BigInt(at)) as Lsn;
    const { walSegmentBytes } = place;
    const name = segmentName({ timeline: 1 as Timeline, lsn, walSegmentBytes });
    segments.set(name, bytes.subarray(at, at + walSegmentBytes));
  }
  return {
    walSegmentBytes: place.walSegmentBytes,
    timelineAt: () => 1 as Timeline,
    readSegment: async (name) => segments.get(name),
  };
}

function filler(length: number): SyntheticRecord {
  return { rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, length & 0xff) };
}

function at(offset: number): Lsn {
  return (START + BigInt(offset)) as Lsn;
}

const scripts = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 0, max: 300 }) },
      { weight: 3, arbitrary: fc.integer({ min: 7000, max: 9000 }) },
      { weight: 1, arbitrary: fc.integer({ min: 30_000, max: 700_000 }) },
    ),
    { minLength: 1, maxLength: 60 },
  )
  .map((lengths) => lengths.map(filler));

async function endIn(bytes: Buffer): Promise<WalEnd> {
  return findEndOfWal(sourceOf(bytes), { from: START });
}

test("all records come back with their places and content, across pages and segments", async () => {
  await fc.assert(
    fc.asyncProperty(scripts, async (script) => {
      const wal = writeSyntheticWal(PLACE, script);
      const found = [];
      for await (const record of readRecords(sourceOf(wal.bytes), { from: START })) found.push(record);
      assert.deepEqual(
        found.map(({ lsn, end, xid, rmgr }) => ({ lsn, end, xid, rmgr })),
        wal.records.map(({ start, end }) => ({ lsn: at(start), end: at(end), xid: 5, rmgr: 10 })),
      );
      for (const [index, record] of found.entries()) {
        assert.ok(record.mainData?.equals(script[index]?.mainData ?? Buffer.alloc(1)));
      }
    }),
    { numRuns: 30 },
  );
});

test("WAL cut at any byte ends at the last whole record", async () => {
  await fc.assert(
    fc.asyncProperty(scripts, fc.nat(), async (script, choice) => {
      const wal = writeSyntheticWal(PLACE, script);
      const cut = choice % wal.bytes.byteLength;
      const whole = wal.records.filter(({ rawEnd }) => rawEnd <= cut);
      const end = await endIn(wal.bytes.subarray(0, cut));
      assert.equal(end.last?.end, whole.length === 0 ? undefined : at(whole.at(-1)?.end ?? 0));
      const open = wal.records[whole.length];
      if (end.openRecord !== undefined) assert.equal(end.openRecord, at(open?.start ?? 0));
    }),
    { numRuns: 60 },
  );
});

test("a flipped bit inside a record ends WAL before it, one in the padding does not matter", async () => {
  await fc.assert(
    fc.asyncProperty(scripts, fc.nat(), fc.nat(7), async (script, choice, bit) => {
      const wal = writeSyntheticWal(PLACE, script);
      const used = (wal.records.at(-1)?.end ?? 0) + 8;
      const flipAt = choice % used;
      wal.bytes[flipAt] = (wal.bytes[flipAt] ?? 0) ^ (1 << bit);
      const end = await endIn(wal.bytes);
      const hit = wal.records.findIndex(({ pieces }) =>
        pieces.some((piece) => piece.start <= flipAt && flipAt < piece.end),
      );
      if (hit >= 0) {
        assert.equal(end.last?.end, hit === 0 ? undefined : at(wal.records[hit - 1]?.end ?? 0));
      } else {
        // A page header, padding, or behind the end: whatever it does, WAL ends behind a record or has none.
        const ends = wal.records.map(({ end: recordEnd }) => at(recordEnd));
        assert.ok(end.last === undefined || ends.includes(end.last.end));
        const inHeader = flipAt % 8192 < (flipAt % SEGMENT_BYTES < 8192 ? 40 : 24);
        if (!inHeader) assert.equal(end.last?.end, ends.at(-1));
      }
    }),
    { numRuns: 150 },
  );
});

test("any bytes at all are answered with an end", async () => {
  const noise = fc.uint8Array({ minLength: 0, maxLength: 20_000 });
  await fc.assert(
    fc.asyncProperty(scripts, fc.nat(), noise, fc.nat(), async (script, choice, bytes, from) => {
      const wal = writeSyntheticWal(PLACE, script);
      wal.bytes.set(bytes.subarray(0, wal.bytes.byteLength), choice % (wal.bytes.byteLength - bytes.byteLength));
      const range = { from: at(from % (wal.bytes.byteLength + 9000)) };
      const end = await findEndOfWal(sourceOf(wal.bytes), range);
      assert.ok(end.at >= START);
      for await (const _ of readEvents(sourceOf(wal.bytes), range));
      segmentSummary(wal.bytes);
    }),
    { numRuns: 60 },
  );
});

test("reading from any position begins with the first record at or after it", async () => {
  await fc.assert(
    fc.asyncProperty(scripts, fc.nat(), async (script, choice) => {
      const wal = writeSyntheticWal(PLACE, script);
      const from = choice % wal.bytes.byteLength;
      const first = wal.records.find(({ start }) => start >= from);
      const { value, done } = await readRecords(sourceOf(wal.bytes), { from: at(from) }).next();
      assert.equal(done === true ? undefined : value.lsn, first === undefined ? undefined : at(first.start));
    }),
    { numRuns: 60 },
  );
});

test("a limit inside a record ends WAL before that record, one at its end behind it", async () => {
  const wal = writeSyntheticWal(PLACE, [filler(100), filler(20_000), filler(100)]);
  const asked: string[] = [];
  const source = sourceOf(wal.bytes);
  const [first, second] = wal.records;
  assert.ok(first !== undefined && second !== undefined);
  for (const [limit, last] of [
    [second.end - 1, first],
    [second.start + 8, first],
    [second.end, second],
    [second.end + 3, second],
  ] as const) {
    const end = await findEndOfWal(source, { from: START, limit: at(limit) });
    assert.deepEqual([end.last?.lsn, end.last?.end, end.reason], [at(last.start), at(last.end), "limit"]);
  }
  const counting: WalSource = {
    ...source,
    readSegment: (name, options) => {
      asked.push(name);
      return source.readSegment(name, options);
    },
  };
  const large = writeSyntheticWal(PLACE, [filler(2_000_000)]);
  assert.equal(large.bytes.byteLength, 2 * SEGMENT_BYTES);
  await findEndOfWal(
    { ...counting, ...sourceOf(large.bytes), readSegment: counting.readSegment },
    { from: START, limit: at(SEGMENT_BYTES) },
  );
  assert.equal(asked.length, 1, "nothing behind the limit is asked for");
});

test("the end says why: nothing written, no segment, no more bytes, a broken link, old pages of a recycled segment", async () => {
  const wal = writeSyntheticWal(PLACE, [filler(100), filler(9000), filler(100)]);
  const [first, second, third] = wal.records;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  assert.equal((await endIn(wal.bytes)).reason, "empty");
  assert.equal((await endIn(wal.bytes.subarray(0, second.rawEnd - 5))).reason, "no-more-bytes");
  assert.equal((await endIn(wal.bytes.subarray(0, second.rawEnd - 5))).openRecord, at(second.start));
  assert.equal((await endIn(Buffer.alloc(0))).reason, "no-segment");
  assert.equal((await endIn(damaged(wal, second.start + 8))).reason, "bad-link");
  assert.equal((await endIn(damaged(wal, third.start + 17, 10 ^ 50))).reason, "bad-resource-manager");
  assert.equal((await endIn(damaged(wal, third.start + 20))).reason, "bad-checksum");
  assert.equal((await endIn(damaged(wal, third.start + 3, 0x80))).reason, "bad-length");
  assert.equal((await endIn(damaged(wal, 8192 + 16))).reason, "bad-continuation");
  assert.equal((await endIn(damaged(wal, 8192 + 9))).reason, "bad-page");
  assert.equal((await endIn(damaged(wal, 8192 + 9))).openRecord, undefined);
});

test("segments of another cluster, of a later timeline or of another size end WAL", async () => {
  const script = [filler(600_000), filler(600_000), filler(100)];
  const wal = writeSyntheticWal(PLACE, script);
  for (const other of [{ systemId: 5n }, { timeline: 2 }, { walSegmentBytes: 2 * SEGMENT_BYTES }, { magic: 0xd116 }]) {
    const foreign = writeSyntheticWal({ ...PLACE, ...other }, script);
    const mixed = Buffer.concat([wal.bytes.subarray(0, SEGMENT_BYTES), foreign.bytes.subarray(SEGMENT_BYTES)]);
    const end = await endIn(mixed);
    assert.deepEqual(
      [end.last?.end, end.reason],
      [at(wal.records[0]?.end ?? 0), "bad-page"],
      JSON.stringify(other, (_, value) => String(value)),
    );
  }
});

test("a cursor that ran out of bytes goes on when it is fed more of the same segment", () => {
  const wal = writeSyntheticWal(PLACE, [10, 8000, 40_000, 5, 900_000, 300_000, 8].map(filler));
  for (const step of [8, 1000, 8192, 70_000]) {
    const cursor = new RecordCursor({ from: Number(START), walSegmentBytes: SEGMENT_BYTES });
    const found: number[] = [];
    let known = 0;
    while (known < wal.bytes.byteLength) {
      const outcome = cursor.advance();
      if (outcome === "record") {
        found.push(cursor.lsn - Number(START));
        assert.ok(cursor.slice(24, cursor.length)?.byteLength === cursor.length - 24);
        continue;
      }
      if (outcome === "end" && cursor.endReason !== "no-more-bytes") break;
      known = Math.min(
        wal.bytes.byteLength,
        known + (outcome === "segment" && known > cursor.neededSegment - Number(START) ? 0 : step),
      );
      const offset = cursor.neededSegment - Number(START);
      cursor.feed(wal.bytes.subarray(offset, Math.max(offset, Math.min(known, offset + SEGMENT_BYTES))), 1);
    }
    assert.deepEqual(
      found,
      wal.records.map(({ start }) => start),
      `fed ${step} bytes at a time`,
    );
  }
});

test("events whose content is too short are none", async () => {
  const script = [0x00, 0x10, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xd0].flatMap((info) =>
    [0, 1].map((rmgr) => ({
      rmgr,
      info: info === 0x40 && rmgr === 0 ? 0x60 : info,
      xid: 1,
      mainData: Buffer.alloc(5),
    })),
  );
  const huge = Buffer.alloc(16, 0xff);
  const wal = writeSyntheticWal(PLACE, [...script, { rmgr: 1, info: 0x80, xid: 9, mainData: huge }]);
  const events: WalEvent[] = [];
  for await (const event of readEvents(sourceOf(wal.bytes), { from: START })) events.push(event);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["commit"],
  );
});

test("a summary tells what a segment holds by itself", () => {
  const commit = Buffer.alloc(8);
  const script = [1000, 3000, 2000].map((micros) => {
    commit.writeBigInt64LE(BigInt(micros));
    return { rmgr: 1, info: 0, xid: 1, mainData: Buffer.from(commit) };
  });
  const wal = writeSyntheticWal(PLACE, [...script, filler(1_500_000), filler(10)]);
  const summary = segmentSummary(wal.bytes);
  assert.ok(summary.kind === "good");
  assert.deepEqual(
    [summary.commitCount, summary.recordCount, summary.end.reason, summary.end.last?.end, summary.end.openRecord],
    [3, 3, "no-segment", at(wal.records[2]?.end ?? 0), at(wal.records[3]?.start ?? 0)],
  );
  const epoch = 946_684_800_000_000;
  assert.deepEqual([summary.firstCommitTime, summary.lastCommitTime], [epoch + 1000, epoch + 3000]);
  const second = segmentSummary(wal.bytes.subarray(SEGMENT_BYTES));
  assert.ok(second.kind === "good");
  assert.deepEqual(
    [second.start, second.recordCount, second.end.last?.lsn],
    [at(SEGMENT_BYTES), 1, at(wal.records[4]?.start ?? 0)],
  );
  assert.equal(segmentSummary(Buffer.alloc(100)).kind, "bad");
});

test("reading stops on request between two segments, and pauses are taken", async () => {
  const wal = writeSyntheticWal(
    PLACE,
    Array.from({ length: 400 }, () => filler(8000)),
  );
  const stop = new AbortController();
  let pauses = 0;
  const reading = findEndOfWal(
    sourceOf(wal.bytes),
    { from: START },
    {
      signal: stop.signal,
      pause: async () => {
        pauses += 1;
        if (pauses === 2) stop.abort();
      },
    },
  );
  await assert.rejects(reading, (error) => isLifeboatError(error, "platform.aborted"));
  assert.equal(pauses, 2);
});

test("what a source raises passes through", async () => {
  const source: WalSource = {
    ...sourceOf(Buffer.alloc(0)),
    readSegment: async () => {
      throw new RangeError("the disk is on fire");
    },
  };
  await assert.rejects(findEndOfWal(source, { from: START }), RangeError);
});

function damaged(wal: SyntheticWal, offset: number, mask = 1): Buffer {
  const bytes = Buffer.from(wal.bytes);
  bytes[offset] = (bytes[offset] ?? 0) ^ mask;
  return bytes;
}
