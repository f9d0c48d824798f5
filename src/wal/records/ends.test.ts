import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { writeSyntheticWal } from "../../../test/support/synthetic-wal.ts";
import type { Lsn } from "../../postgres/lsn.ts";
import { RMGR_XLOG, XLOG_SWITCH } from "./cursor.ts";
import { RecordEnds } from "./ends.ts";

const SEGMENT_BYTES = 1024 * 1024;
const PLACE = { start: BigInt(5 * SEGMENT_BYTES) as Lsn, walSegmentBytes: SEGMENT_BYTES };
const plain = (length: number) => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, 255) });

const scripts = fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 7000, max: 20_000 })), {
  minLength: 1,
  maxLength: 40,
});

test("wherever groups are cut, only an end of a record is taken for one", () => {
  fc.assert(
    fc.property(scripts, fc.array(fc.nat()), (lengths, others) => {
      const { bytes, records } = writeSyntheticWal(PLACE, lengths.map(plain));
      const recordEnds = new Set(records.map(({ end }) => end));
      const last = records.at(-1)?.end ?? 0;
      const cuts = [...recordEnds, ...others.map((each) => (each % last) & ~7)].sort((a, b) => a - b);
      const ends = new RecordEnds();
      let offset = 0;
      for (const cut of cuts) {
        ends.pass(bytes.subarray(offset, cut), offset);
        if (ends.atEnd) assert.ok(recordEnds.has(cut), `${cut} is no end`);
        offset = cut;
      }
    }),
  );
});

test("each end of a record is known where groups end with records", () => {
  fc.assert(
    fc.property(scripts, (lengths) => {
      const { bytes, records } = writeSyntheticWal(PLACE, lengths.map(plain));
      const ends = new RecordEnds();
      let offset = 0;
      for (const { end } of records) {
        ends.pass(bytes.subarray(offset, end), offset);
        assert.ok(ends.atEnd, `${end} is an end`);
        offset = end;
      }
    }),
  );
});

test("a record that switches to the next segment ends nothing, and whatever the bytes are there is an answer", () => {
  const { bytes, records } = writeSyntheticWal(PLACE, [
    plain(100),
    { rmgr: RMGR_XLOG, info: XLOG_SWITCH, xid: 0, mainData: Buffer.alloc(0) },
  ]);
  const ends = new RecordEnds();
  ends.pass(bytes.subarray(0, records[1]?.end), 0);
  assert.equal(ends.atEnd, false);
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20_000 })), (pieces) => {
      const any = new RecordEnds();
      let offset = 0;
      for (const piece of pieces) {
        any.pass(Buffer.from(piece), offset);
        offset += piece.byteLength;
      }
    }),
  );
});
