import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isLifeboatError } from "../errors/error.ts";
import { formatBackupLabel, formatTablespaceMap, parseBackupLabel, parseTablespaceMap } from "./backup-label.ts";
import type { Lsn, Timeline } from "./lsn.ts";

// As our parsers make objects; deepEqual tells the difference.
const PLAIN = { noNullPrototype: true } as const;

const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }).map((value) => value as Lsn);
const timeline = fc.integer({ min: 1, max: 0xffff_ffff }).map((value) => value as Timeline);
const line = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\n"));

test("a label that is written is read back the same", () => {
  const label = fc.record(
    {
      startLsn: lsn,
      startSegment: fc.string({ minLength: 24, maxLength: 24, unit: fc.constantFrom(..."0123456789ABCDEF") }),
      checkpointLsn: lsn,
      method: line,
      from: fc.constantFrom("primary", "standby"),
      startTime: line,
      label: fc.oneof(line, fc.constant("two\nlines"), fc.constant("x\nSTART TIMELINE: 7")),
      timeline,
      incrementalFrom: fc.option(fc.record({ lsn, timeline }, PLAIN), { nil: undefined }),
    },
    PLAIN,
  );
  fc.assert(
    fc.property(label, (each) => {
      assert.deepEqual(parseBackupLabel(Buffer.from(formatBackupLabel(each))), each);
    }),
    { seed: 1 },
  );
});

test("a label that is cut short, or of another form, is refused", () => {
  const text = [
    "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)",
    "CHECKPOINT LOCATION: 0/2000060",
    "BACKUP METHOD: streamed",
    "BACKUP FROM: primary",
    "START TIME: 2026-11-22 22:54:52 UTC",
    "LABEL: nightly",
    "START TIMELINE: 1",
    "",
  ].join("\n");
  assert.equal(parseBackupLabel(Buffer.from(text)).label, "nightly");
  for (let length = 0; length < text.length; length += 1) {
    assert.throws(
      () => parseBackupLabel(Buffer.from(text.slice(0, length))),
      (error) => isLifeboatError(error, "postgres.backup-label-damaged"),
    );
  }
  assert.throws(() => parseBackupLabel(Buffer.from(text.padEnd(9000, "x"))), isLifeboatError);
  assert.throws(() => parseBackupLabel(Buffer.from(text.replace("primary", "elsewhere"))), isLifeboatError);
});

test("a tablespace map that is written is read back the same, whatever its folders are called", () => {
  const location = fc.string({ minLength: 1, unit: fc.constantFrom("/", "a", " ", "\\", "\n", "\r", "ü") });
  fc.assert(
    fc.property(fc.array(fc.record({ oid: fc.integer({ min: 1, max: 0xffff_ffff }), location }, PLAIN)), (map) => {
      assert.deepEqual(parseTablespaceMap(Buffer.from(formatTablespaceMap(map))), map);
    }),
    { seed: 1 },
  );
});

test("a map with a line of another form is refused", () => {
  for (const text of ["16385", "16385 /a", "16385 /a\nx /b\n", "16385 /a\\\n"]) {
    assert.throws(
      () => parseTablespaceMap(Buffer.from(text)),
      (error) => isLifeboatError(error, "postgres.backup-label-damaged"),
      text,
    );
  }
});
