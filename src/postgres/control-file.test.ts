import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { CONTROL_FILE_BYTES, parseControlFile } from "./control-file.ts";
import { crc32c } from "./crc32c.ts";
import { formatLsn } from "./lsn.ts";

/** A control file of 17, valid unless changed. */
function controlFile(change: (bytes: Buffer) => void = () => {}): Buffer {
  const bytes = Buffer.alloc(CONTROL_FILE_BYTES);
  bytes.writeBigUInt64LE(7_711_133_137_031_313_307n, 0);
  bytes.writeUInt32LE(1700, 8);
  bytes.writeUInt32LE(202406281, 12);
  bytes.writeUInt32LE(6, 16);
  bytes.writeBigUInt64LE(0x1_0000_0028n, 32);
  bytes.writeUInt32LE(1, 172);
  bytes.writeUInt32LE(8, 204);
  bytes.writeDoubleLE(1234567, 208);
  bytes.writeUInt32LE(8192, 216);
  change(bytes);
  return sealed(bytes, 288);
}

function sealed(bytes: Buffer, crcOffset: number): Buffer {
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, crcOffset)), crcOffset);
  return bytes;
}

function refuses(bytes: Buffer, code: ErrorCode, words: RegExp): void {
  assert.throws(
    () => parseControlFile(bytes, "x/pg_control"),
    (error) => {
      assert.ok(isLifeboatError(error, code), String(error));
      assert.match(error.message, words);
      return true;
    },
  );
}

test("a control file is read", () => {
  const control = parseControlFile(controlFile());
  assert.equal(control.major, 17);
  assert.equal(control.systemId, "7711133137031313307");
  assert.equal(control.state, "in production");
  assert.equal(formatLsn(control.checkpoint.lsn), "1/28");
  assert.equal(control.walLevel, "replica");
  assert.equal(control.minRecovery.timeline, undefined);
  assert.equal(control.build.defaultCharSigned, undefined);
});

test("any changed bit in the fields is found", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 292 * 8 - 1 }), (bit) => {
      const bytes = controlFile();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => parseControlFile(bytes), isLifeboatError);
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("a short file and a wrong CRC are damage, both values named", () => {
  refuses(controlFile().subarray(0, 300), "postgres.control-file-damaged", /300 bytes, not 8192/);
  const bytes = controlFile();
  bytes[100] = 1;
  refuses(bytes, "postgres.control-file-damaged", /CRC is [0-9a-f]{8}, its bytes give [0-9a-f]{8}/);
});

test("values that no server writes are damage", () => {
  refuses(
    controlFile((bytes) => bytes.writeUInt32LE(7, 16)),
    "postgres.control-file-damaged",
    /state is 7/,
  );
  refuses(
    controlFile((bytes) => bytes.writeUInt32LE(3, 172)),
    "postgres.control-file-damaged",
    /wal_level is 3/,
  );
  refuses(
    controlFile((bytes) => bytes.writeUInt32LE(4, 204)),
    "postgres.control-file-damaged",
    /laid out/,
  );
});

test("a version that is not known is refused, also one that borrows a known number", () => {
  refuses(
    controlFile((bytes) => bytes.writeUInt32LE(1900, 8)),
    "postgres.version-unsupported",
    /1900/,
  );
  refuses(
    controlFile((bytes) => bytes.writeUInt32LE(202405161, 12)),
    "postgres.version-unsupported",
    /202405161/,
  );
  // 14 has the control version of 15 and 16.
  const fourteen = controlFile((bytes) => {
    bytes.writeUInt32LE(1300, 8);
    bytes.writeUInt32LE(202107181, 12);
  });
  refuses(fourteen, "postgres.version-unsupported", /1300.*202107181/);
  refuses(
    controlFile((bytes) => bytes.writeUInt32LE(202307071, 12)),
    "postgres.version-unsupported",
    /1700/,
  );
});

test("a big-endian file is refused by that name", () => {
  const bytes = Buffer.alloc(CONTROL_FILE_BYTES);
  bytes.writeUInt32BE(1700, 8);
  refuses(bytes, "postgres.byte-order-unsupported", /x\/pg_control was written on a big-endian machine/);
});

test("a block size other than 8192 is refused by that name", () => {
  const bytes = controlFile((each) => each.writeUInt32LE(16384, 216));
  refuses(bytes, "postgres.block-size-unsupported", /16384 bytes, Lifeboat takes 8192/);
});
