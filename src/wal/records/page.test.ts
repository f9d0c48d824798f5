import assert from "node:assert/strict";
import { test } from "node:test";
import { writeSyntheticWal } from "../../../test/support/synthetic-wal.ts";
import type { Lsn, SystemId, Timeline } from "../../postgres/lsn.ts";
import { checkSegmentHeader, type SegmentExpectation } from "./page.ts";

const SEGMENT_BYTES = 16 * 1024 * 1024;
const START = BigInt(SEGMENT_BYTES * 300) as Lsn;
const EXPECTED = {
  start: START,
  systemId: "7000000000000000001" as SystemId,
  timeline: 3 as Timeline,
  walSegmentBytes: SEGMENT_BYTES,
  postgresMajor: 17,
} satisfies SegmentExpectation;

function header(): Buffer {
  const place = { start: START, walSegmentBytes: SEGMENT_BYTES, magic: 0xd116, timeline: 3 };
  return Buffer.from(
    writeSyntheticWal(place, [{ rmgr: 10, info: 0, xid: 1, mainData: Buffer.alloc(1) }]).bytes.subarray(0, 40),
  );
}

test("the header of the segment expected is good, also with nothing expected or an earlier timeline on its first page", () => {
  for (const expected of [EXPECTED, {}, { ...EXPECTED, timeline: 4 as Timeline }]) {
    const check = checkSegmentHeader(header(), expected);
    assert.ok(check.kind === "good");
    assert.deepEqual(
      [check.header.postgresMajor, check.header.timeline, check.header.systemId, check.header.walSegmentBytes],
      [17, 3, "7000000000000000001", SEGMENT_BYTES],
    );
  }
});

test("each thing that is not as expected is named, with what was found", () => {
  const cases: readonly [string, Partial<SegmentExpectation>, string][] = [
    ["address", { start: 0n as Lsn }, "1/2C000000"],
    ["system-id", { systemId: "8" as SystemId }, "7000000000000000001"],
    ["timeline", { timeline: 2 as Timeline }, "3"],
    ["segment-size", { walSegmentBytes: 1024 * 1024 }, "16777216 bytes"],
    ["magic", { postgresMajor: 18 }, "0xD116"],
  ];
  for (const [reason, expectation, found] of cases) {
    const check = checkSegmentHeader(header(), { ...EXPECTED, ...expectation });
    assert.ok(check.kind === "bad");
    assert.deepEqual([check.reason, check.found], [reason, found]);
  }
});

test("bytes that are no header of a segment are named, with nothing expected", () => {
  const cases: readonly [string, (bytes: Buffer) => Buffer][] = [
    ["too-short", (bytes) => bytes.subarray(0, 39)],
    ["magic", (bytes) => bytes.fill(0)],
    ["magic", (bytes) => write(bytes, 0, 0xd1)],
    ["flags", (bytes) => write(bytes, 2, 0)],
    ["flags", (bytes) => write(bytes, 2, 0x12)],
    ["timeline", (bytes) => write(bytes, 4, 0)],
    ["address", (bytes) => write(bytes, 9, 0x20)],
    ["address", (bytes) => write(bytes, 15, 0x20)],
    ["segment-size", (bytes) => write(bytes, 33, 1)],
    ["page-size", (bytes) => write(bytes, 37, 0x40)],
  ];
  for (const [reason, damage] of cases) {
    const check = checkSegmentHeader(damage(header()), {});
    assert.ok(check.kind === "bad");
    assert.equal(check.reason, reason);
  }
});

function write(bytes: Buffer, offset: number, value: number): Buffer {
  bytes[offset] = value;
  return bytes;
}
