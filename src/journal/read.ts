/** Reads a journal, whether or not somebody writes it, and says how far it can be believed. */
import { createHash } from "node:crypto";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { decodeHeader, decodeRecord, FIRST_HASH, type JournalRecord } from "./record.ts";

/** How a journal ends. */
export type JournalTail =
  | { readonly kind: "whole" }
  /** A crash cut off the records of its last write, or left a hole in them; or they are being written just now. */
  | { readonly kind: "torn"; readonly bytes: number; readonly digest: string }
  /** From this line on, counted from 1, it is not what was written. */
  | { readonly kind: "changed"; readonly line: number };

/** What a journal says. */
export type JournalReading = {
  /** Those that can be believed, in their order. */
  readonly records: readonly JournalRecord[];
  readonly tail: JournalTail;
  /** The hash of the last of them; compare it with one that was kept elsewhere. */
  readonly head: string;
  readonly sizeBytes: number;
  /** Up to the end of the last record. */
  readonly wholeBytes: number;
};

/** Reads it; undefined when there is none. Rejects as files do. */
export async function readJournal(files: Files, file: string): Promise<JournalReading | undefined> {
  try {
    return interpretJournal(await files.readFile(file));
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
}

/** What the bytes of a journal say. Pure. */
export function interpretJournal(bytes: Buffer): JournalReading {
  const records: JournalRecord[] = [];
  let head = FIRST_HASH;
  let position = 0;
  const reading = (tail: JournalTail): JournalReading => ({
    records,
    tail,
    head,
    sizeBytes: bytes.byteLength,
    wholeBytes: position,
  });
  for (let line = 1; position < bytes.byteLength; line += 1) {
    const end = bytes.indexOf(0x0a, position);
    const torn = (): JournalReading => {
      const rest = bytes.subarray(position);
      return reading({
        kind: "torn",
        bytes: rest.byteLength,
        digest: createHash("sha256").update(rest).digest("hex"),
      });
    };
    // The first line is written durably with its file: it is never torn.
    if (end < 0 && line > 1) return torn();
    const text = bytes.toString("utf8", position, end < 0 ? bytes.byteLength : end);
    if (line === 1) {
      const header = decodeHeader(text);
      if (header === undefined || end < 0) return reading({ kind: "changed", line });
      head = header.previous;
    } else {
      const record = decodeRecord(text, head);
      if (record === undefined || record.number !== line - 1) {
        const isTorn = hasHole(bytes, position, end) && isOneWrite(bytes.subarray(position));
        return isTorn ? torn() : reading({ kind: "changed", line });
      }
      records.push(record);
      head = record.hash;
    }
    position = end + 1;
  }
  return reading(bytes.byteLength === 0 ? { kind: "changed", line: 1 } : { kind: "whole" });
}

/** What a disk writes at once, at the least. */
const SECTOR_BYTES = 512;

/**
 * Whether a line was begun whose bytes did not all reach the disk. Records that go out by one sync reach it in any order: after
 * a power cut a part can be zeros, up to the end of a sector, and what follows can be there. No record has a zero in it.
 */
function hasHole(bytes: Buffer, from: number, to: number): boolean {
  const begin = bytes.subarray(from, to).indexOf(0);
  if (begin < 0) return false;
  let end = from + begin;
  while (end < to && bytes[end] === 0) end += 1;
  return end % SECTOR_BYTES === 0;
}

/** How far apart the times of records are that one write has: as long as a thousand of them take to be made, at the most. */
const WRITE_MS_MAX = 5_000;
const TIME_OF_RECORD = /^[0-9a-f]{64} \{"number":\d+,"at":"([^"]{1,40})"/;

/**
 * Whether these lines can be one write that a crash cut short. What was written later than others had waited for their sync: a hole
 * before it is a sector that the disk lost.
 */
function isOneWrite(lines: Buffer): boolean {
  const times: number[] = [];
  for (const line of lines.toString("latin1").split("\n")) {
    const [, at] = TIME_OF_RECORD.exec(line) ?? [];
    if (at !== undefined) times.push(Date.parse(at));
  }
  return times.length === 0 || Math.max(...times) - Math.min(...times) <= WRITE_MS_MAX;
}
