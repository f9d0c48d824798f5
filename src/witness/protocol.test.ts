import assert from "node:assert/strict";
import { test } from "node:test";
import { STREAMING_REPORT } from "../../test/support/receiver-report.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { MandateRecord } from "../wal/mandate.ts";
import type { ReceiverReport } from "../wal/report.ts";
import {
  bytesLine,
  digestLine,
  failureLine,
  parseBytes,
  parseDigest,
  parseRequest,
  parseStatus,
  parseWithdrawal,
  questionLine,
  statusLine,
  withdrawalLine,
} from "./protocol.ts";

const receiver: ReceiverReport = {
  ...STREAMING_REPORT,
  mode: "withdrawn",
  systemId: "7000",
  epoch: 8,
  applicationName: "lifeboat_vault_e8",
  writtenLsn: "0/0",
  flushedLsn: "0/0",
  serverEndLsn: "0/0",
  lagBytes: null,
  spoolBytes: 0,
  spoolBytesMax: 1,
};

test("a status is read as it was written, whatever the mandate", () => {
  const none = { upstream: undefined, systemId: undefined, timeline: undefined, switchLsn: undefined };
  const records: readonly MandateRecord[] = [
    { kind: "withdrawn", epoch: 8, contiguousWith: 0x2000000n as Lsn },
    {
      kind: "following",
      epoch: 9,
      contiguousWith: 0x2000000n as Lsn,
      reign: 8,
      upstream: { host: "db", port: 1 },
      systemId: "7000" as SystemId,
      timeline: 2 as Timeline,
      switchLsn: 0x3000000n as Lsn,
      lasting: false,
    },
    { kind: "following", epoch: 0, contiguousWith: undefined, reign: 0, ...none, lasting: true },
  ];
  for (const mandate of records) {
    const status = { mandate, mayConfirm: false, ticket: "t", rangeFrom: undefined, heardAgoMs: undefined, receiver };
    assert.deepEqual(parseStatus(statusLine(status)), status);
    const more = { ...status, rangeFrom: 0x1000000n as Lsn, heardAgoMs: 3.5 };
    assert.deepEqual(parseStatus(statusLine(more)), more);
  }
});

test("a withdrawal is read as it was written", () => {
  const held = {
    systemId: "7000" as SystemId,
    timeline: 1 as Timeline,
    history: "",
    walSegmentBytes: 1024,
    rangeFrom: 0x4000000n as Lsn,
    flushedLsn: 0x5000123n as Lsn,
    recordEndLsn: 0x5000100n as Lsn,
  };
  for (const each of [undefined, held, { ...held, rangeFrom: undefined, recordEndLsn: undefined }]) {
    assert.deepEqual(parseWithdrawal(withdrawalLine({ epoch: 3, held: each })), { epoch: 3, held: each });
  }
});

test("bytes and digests are read as they were written", () => {
  assert.deepEqual(parseBytes(bytesLine(Buffer.from([0, 255, 10]))), Buffer.from([0, 255, 10]));
  assert.equal(parseDigest(digestLine("ab")), "ab");
});

test("positions of a question are read as positions", () => {
  const question = { call: "read", epoch: 1, timeline: 2, from: "1/0", to: "1/10" } as const;
  assert.deepEqual(parseRequest(questionLine(question)), { ...question, from: 0x100000000n, to: 0x100000010n });
});

test("a question of no known kind is refused, and a failure comes out with its code", () => {
  assert.throws(() => parseRequest('{"call":"withdraw"}'));
  assert.throws(() => parseRequest('{"call":"withdraw","epoch":0}'));
  assert.throws(() => parseRequest("hello"));
  const failure = failureLine(
    new LifeboatError("wal.epoch-stale", { message: "m", remedy: "r", details: { epoch: 9 } }),
  );
  assert.throws(
    () => parseStatus(failure),
    (error) => isLifeboatError(error, "wal.epoch-stale") && error.details["epoch"] === 9,
  );
  assert.throws(
    () => parseStatus(failureLine(new Error("x"))),
    (error) => isLifeboatError(error, "wal.bad-question"),
  );
  assert.throws(
    () => parseStatus("?"),
    (error) => isLifeboatError(error, "platform.no-answer"),
  );
});
