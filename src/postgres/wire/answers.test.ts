import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../../errors/error.ts";
import { lsnAt, numberAt, readCString, readReport, readRow, timelineAt, versionNumber } from "./answers.ts";

const protocol = (error: unknown) => isLifeboatError(error, "postgres.protocol");

test("a row holds its columns and nulls", () => {
  const row = readRow(Buffer.from("0003" + "00000002" + "6869" + "ffffffff" + "00000000", "hex"));
  assert.deepEqual(row, [Buffer.from("hi"), null, Buffer.alloc(0)]);
});

test("a row whose lengths do not fit is a protocol error", () => {
  for (const hex of ["", "00", "0001", "00010000000568", "0001fffffffe", "000200000000"]) {
    assert.throws(() => readRow(Buffer.from(hex, "hex")), protocol, hex);
  }
});

test("a report is read by field, with the severity that is not translated", () => {
  const report = readReport(Buffer.from("SFEHLER\0VERROR\0C58P01\0Mweg\0Hnimm ein anderes\0RsendDir\0\0"));
  assert.deepEqual(report, {
    severity: "ERROR",
    sqlstate: "58P01",
    message: "weg",
    detail: undefined,
    hint: "nimm ein anderes",
    routine: "sendDir",
  });
  assert.throws(() => readReport(Buffer.from("Mno end")), protocol);
  assert.throws(() => readCString(Buffer.from("no end"), 0), protocol);
});

test("columns that are no position, timeline or number are protocol errors", () => {
  const row = [Buffer.from("x"), null, Buffer.from("0"), Buffer.from("99999999999999999999")];
  assert.throws(() => lsnAt(row, 0), protocol);
  assert.throws(() => lsnAt(row, 1), protocol);
  assert.throws(() => lsnAt(undefined, 1), protocol);
  assert.throws(() => timelineAt(row, 2), protocol);
  assert.throws(() => numberAt(row, { column: 3, what: "size" }), protocol);
});

test("the version number is that of server_version_num", () => {
  assert.equal(versionNumber("16.14 (Debian 16.14-1)"), 160014);
  assert.equal(versionNumber("18beta1"), 180000);
  assert.equal(versionNumber("9.6.24"), 90600);
  assert.throws(() => versionNumber("unknown"), protocol);
});
