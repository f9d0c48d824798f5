/**
 * The ledger: which writes the server acknowledged, kept where the server's disasters do not reach.
 *
 * Nouns: a *record* is one acknowledged write (sequence number, time of the answer, checksum of the row); a *torn tail* is
 * what a power cut leaves of the last records. The format is described in docs/formats/ledger.md.
 * Invariants: a record counts once it is synced, and only then (`append` resolves); records are never changed; a torn tail
 * is at the very end, so a bad record with a good one behind it is damage, and then nothing is read.
 */

import path from "node:path";
import { crc32 } from "node:zlib";
import { assert, LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import type { FileHandle, Files } from "../platform/files.ts";
import { CHECKSUM_BYTES } from "./write-table.ts";

/** One acknowledged write. */
export type LedgerRecord = {
  readonly sequence: number;
  /** When the server's answer arrived. */
  readonly acknowledgedAt: Instant;
  /** Of the row, see `checksumOf`. */
  readonly checksum: Buffer;
};

/** A ledger as read from its file. */
export type Ledger = {
  readonly clientId: string;
  readonly records: readonly LedgerRecord[];
  /** Bytes of the torn tail; 0 when the file ends with a whole record. */
  readonly tornBytes: number;
};

const MAGIC = "LBLEDGER";
const FORMAT_VERSION = 1;
/** Header and records have one size, so that a record's place follows from its number. */
export const LEDGER_RECORD_BYTES = 40;
const CLIENT_ID_BYTES = 16;

/** Writes a ledger. Appends may overlap: all that wait at the same time share one sync. */
export class LedgerWriter {
  readonly #handle: FileHandle;
  #waiting: Waiting[] = [];
  #position = LEDGER_RECORD_BYTES;
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Makes the file with its header, synced. Rejects with `platform.file-exists` rather than touch an older ledger. */
  static async create(
    files: Files,
    target: { readonly file: string; readonly clientId: string },
  ): Promise<LedgerWriter> {
    const handle = await files.open(target.file, "create");
    try {
      await handle.write(encodeHeader(target.clientId), 0);
      await handle.sync();
      await files.syncFolder(path.dirname(target.file));
      return new LedgerWriter(handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Resolves once the record is on stable storage. After a failure every later append rejects with it as well. */
  append(record: LedgerRecord): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes: encodeRecord(record), resolve, reject });
    this.#writing ??= this.#writeAll();
    return promise;
  }

  /** Waits for the appends under way and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#handle.close();
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        // A failed sync is final: what the disk holds is no longer known, so nothing more may count.
        if (this.#failure !== undefined) throw this.#failure;
        const bytes = Buffer.concat(group.map((each) => each.bytes));
        await this.#handle.write(bytes, this.#position);
        await this.#handle.sync();
        this.#position += bytes.length;
        for (const each of group) each.resolve();
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error));
        this.#failure = failure;
        for (const each of group) each.reject(failure);
      }
    }
    this.#writing = undefined;
  }
}

type Waiting = { readonly bytes: Buffer; resolve(): void; reject(cause: Error): void };

/** Reads a ledger, without its torn tail. Rejects with `probe.ledger-damaged` when more than the tail is wrong. */
export async function readLedger(files: Files, file: string): Promise<Ledger> {
  const bytes = await files.readFile(file);
  const clientId = decodeHeader(bytes, file);
  const records: LedgerRecord[] = [];
  let position = LEDGER_RECORD_BYTES;
  for (; position < bytes.length; position += LEDGER_RECORD_BYTES) {
    const record = decodeRecord(bytes.subarray(position, position + LEDGER_RECORD_BYTES));
    if (record === undefined) break;
    records.push(record);
  }
  refuseHole(bytes, { file, from: position });
  return { clientId, records, tornBytes: Math.max(0, bytes.length - position) };
}

function refuseHole(bytes: Buffer, bad: { readonly file: string; readonly from: number }): void {
  for (let position = bad.from + LEDGER_RECORD_BYTES; position < bytes.length; position += LEDGER_RECORD_BYTES) {
    if (decodeRecord(bytes.subarray(position, position + LEDGER_RECORD_BYTES)) === undefined) continue;
    throw damaged(
      `the record at byte ${bad.from} of the ledger ${bad.file} is damaged, the one at ${position} is whole`,
    );
  }
}

function encodeHeader(clientId: string): Buffer {
  const id = Buffer.from(clientId, "hex");
  assert(id.length === CLIENT_ID_BYTES, `a client id is ${CLIENT_ID_BYTES} bytes in hexadecimal, not ${clientId}`);
  const header = Buffer.alloc(LEDGER_RECORD_BYTES);
  header.write(MAGIC, 0, "latin1");
  header.writeUInt32LE(FORMAT_VERSION, 8);
  header.writeUInt32LE(LEDGER_RECORD_BYTES, 12);
  id.copy(header, 16);
  return sealed(header);
}

function decodeHeader(bytes: Buffer, file: string): string {
  const header = bytes.subarray(0, LEDGER_RECORD_BYTES);
  if (header.length < LEDGER_RECORD_BYTES || header.toString("latin1", 0, 8) !== MAGIC) {
    throw damaged(`${file} does not begin like a ledger of acknowledged writes`);
  }
  const version = header.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    throw damaged(`the ledger ${file} has format version ${version}, this program reads ${FORMAT_VERSION}`);
  }
  if (!isSealed(header)) throw damaged(`the header of the ledger ${file} is damaged`);
  return header.toString("hex", 16, 16 + CLIENT_ID_BYTES);
}

function encodeRecord(record: LedgerRecord): Buffer {
  assert(Number.isSafeInteger(record.sequence) && record.sequence >= 0, "a sequence number is a whole number");
  assert(record.checksum.length === CHECKSUM_BYTES, `a checksum has ${CHECKSUM_BYTES} bytes`);
  const bytes = Buffer.alloc(LEDGER_RECORD_BYTES);
  bytes.writeBigUInt64LE(BigInt(record.sequence), 0);
  bytes.writeDoubleLE(record.acknowledgedAt, 8);
  record.checksum.copy(bytes, 16);
  return sealed(bytes);
}

function decodeRecord(bytes: Buffer): LedgerRecord | undefined {
  if (bytes.length < LEDGER_RECORD_BYTES || !isSealed(bytes)) return undefined;
  return {
    sequence: Number(bytes.readBigUInt64LE(0)),
    acknowledgedAt: bytes.readDoubleLE(8) as Instant,
    checksum: Buffer.from(bytes.subarray(16, 16 + CHECKSUM_BYTES)),
  };
}

const CRC_OFFSET = LEDGER_RECORD_BYTES - 4;

/** Not the plain CRC: that of 36 zero bytes must not be right for a stretch of zeros that a crash left behind. */
const CRC_START = 0x4c42;

function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(0, CRC_OFFSET), CRC_START), CRC_OFFSET);
  return bytes;
}

function isSealed(bytes: Buffer): boolean {
  return bytes.readUInt32LE(CRC_OFFSET) === crc32(bytes.subarray(0, CRC_OFFSET), CRC_START);
}

function damaged(message: string): LifeboatError {
  return new LifeboatError("probe.ledger-damaged", {
    message,
    remedy: "Run again with a new ledger; from this one the number of lost writes cannot be told.",
  });
}
