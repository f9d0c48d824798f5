import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { Instant } from "../platform/clock.ts";
import { faultyFiles } from "../platform/faulty-files.ts";
import { systemFiles } from "../platform/files.ts";
import { LEDGER_RECORD_BYTES, type LedgerRecord, LedgerWriter, readLedger } from "./ledger.ts";
import { checksumOf, payloadOf } from "./write-table.ts";

const CLIENT_ID = "00112233445566778899aabbccddeeff";

/** Effects of `create`: open, write, sync, sync folder. */
const EFFECTS_OF_CREATE = 4;

function record(sequence: number): LedgerRecord {
  const key = { clientId: CLIENT_ID, sequence };
  const checksum = checksumOf({ ...key, payload: payloadOf(key) });
  return { sequence, acknowledgedAt: (1_776_500_000_000 + sequence) as Instant, checksum };
}

async function newFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-ledger-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, "ledger");
}

async function writeLedger(file: string, count: number): Promise<void> {
  const writer = await LedgerWriter.create(systemFiles, { file, clientId: CLIENT_ID });
  for (let sequence = 1; sequence <= count; sequence++) await writer.append(record(sequence));
  await writer.close();
}

test("a ledger is read as it was written", async (t) => {
  const file = await newFile(t);
  await writeLedger(file, 3);
  assert.deepEqual(await readLedger(systemFiles, file), {
    clientId: CLIENT_ID,
    records: [record(1), record(2), record(3)],
    tornBytes: 0,
  });
});

/** A ledger of version 1 with the record of write 1; see docs/formats/ledger.md. */
const GOLDEN_VERSION_1 = [
  "4c424c4544474552010000002800000000112233445566778899aabbccddeeff0000000089ae044c",
  "01000000000000000010506cfad97942f5954fc1a3c557e986db675b7678f5de000000005800805b",
].join("");

test("the ledger of format version 1 still reads, and is still written byte for byte", async (t) => {
  const file = await newFile(t);
  await writeFile(file, Buffer.from(GOLDEN_VERSION_1, "hex"));
  assert.deepEqual(await readLedger(systemFiles, file), { clientId: CLIENT_ID, records: [record(1)], tornBytes: 0 });
  const written = await newFile(t);
  await writeLedger(written, 1);
  assert.equal((await readFile(written)).toString("hex"), GOLDEN_VERSION_1);
});

test("appends that overlap share a sync, and each resolves only after it", async (t) => {
  const file = await newFile(t);
  const watched = faultyFiles(systemFiles);
  const writer = await LedgerWriter.create(watched.files, { file, clientId: CLIENT_ID });
  await Promise.all(Array.from({ length: 100 }, (_, index) => writer.append(record(index + 1))));
  await writer.close();
  const syncs = watched.effects.slice(EFFECTS_OF_CREATE).filter((effect) => effect.operation === "sync");
  assert.ok(syncs.length <= 2, `${syncs.length} syncs`);
  assert.equal((await readLedger(systemFiles, file)).records.length, 100);
});

test("wherever writing a record fails, it is not acknowledged, nor is any later one, and the earlier ones stay", async (t) => {
  for (const errno of ["ENOSPC", "EIO"] as const) {
    for (const [effect, when] of [
      [1, "before"],
      [1, "short"],
      [2, "before"],
      [2, "after"],
    ] as const) {
      const file = await newFile(t);
      // Two effects, write and sync, for the first record; then the fault in those of the second.
      const faulty = faultyFiles(systemFiles, { at: EFFECTS_OF_CREATE + 2 + effect, errno, when });
      const writer = await LedgerWriter.create(faulty.files, { file, clientId: CLIENT_ID });
      await writer.append(record(1));
      const code = errno === "ENOSPC" ? "platform.disk-full" : "platform.file-failed";
      await assert.rejects(writer.append(record(2)), { code });
      await assert.rejects(writer.append(record(3)), { code });
      await writer.close();
      faulty.assertFired();
      const { records } = await readLedger(systemFiles, file);
      assert.deepEqual(records[0], record(1));
    }
  }
});

test("a ledger that exists is not touched", async (t) => {
  const file = await newFile(t);
  await writeLedger(file, 1);
  await assert.rejects(LedgerWriter.create(systemFiles, { file, clientId: CLIENT_ID }), {
    code: "platform.file-exists",
  });
  assert.equal((await readLedger(systemFiles, file)).records.length, 1);
});

test("cut at any byte, the ledger gives the whole records before the cut", async (t) => {
  const file = await newFile(t);
  await writeLedger(file, 3);
  for (let length = 4 * LEDGER_RECORD_BYTES - 1; length >= LEDGER_RECORD_BYTES; length--) {
    await truncate(file, length);
    const ledger = await readLedger(systemFiles, file);
    assert.equal(ledger.records.length, Math.floor(length / LEDGER_RECORD_BYTES) - 1);
    assert.equal(ledger.tornBytes, length % LEDGER_RECORD_BYTES);
  }
});

test("a tail of zeros, as a crash leaves it, is no record", async (t) => {
  const file = await newFile(t);
  await writeLedger(file, 2);
  await appendFile(file, Buffer.alloc(5 * LEDGER_RECORD_BYTES + 7));
  const ledger = await readLedger(systemFiles, file);
  assert.equal(ledger.records.length, 2);
  assert.equal(ledger.tornBytes, 5 * LEDGER_RECORD_BYTES + 7);
});

test("any changed byte of header or middle record is damage; of the last record, a torn tail", async (t) => {
  const file = await newFile(t);
  await writeLedger(file, 3);
  const whole = await readFile(file);
  for (let position = 0; position < whole.length; position++) {
    const bytes = Buffer.from(whole);
    bytes.writeUInt8((bytes[position] ?? 0) ^ 0x10, position);
    await writeFile(file, bytes);
    if (position >= 3 * LEDGER_RECORD_BYTES) assert.equal((await readLedger(systemFiles, file)).records.length, 2);
    else await assert.rejects(readLedger(systemFiles, file), { code: "probe.ledger-damaged" });
  }
});

test("a file that is no ledger, and one of another version, are refused", async (t) => {
  const file = await newFile(t);
  for (const content of ["", "LBLEDGER", "x".repeat(100)]) {
    await writeFile(file, content);
    await assert.rejects(readLedger(systemFiles, file), { code: "probe.ledger-damaged" });
  }
  await assert.rejects(readLedger(systemFiles, `${file}-2`), { code: "platform.file-missing" });
});
