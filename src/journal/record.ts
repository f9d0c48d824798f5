/** A journal's lines: how they are made and read. docs/formats/journal.md is the specification. Pure. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { formatLsn, type Lsn } from "../postgres/lsn.ts";

/** The name of the file in a journal's folder. */
export const JOURNAL_FILE = "journal.log";

/** What comes before the first record of the first journal. */
export const FIRST_HASH = "0".repeat(64);

/** What is told. `facts` hold what JSON can, and LSNs, which are written as PostgreSQL prints them. */
export type JournalEntry = {
  /** Under which something is done. */
  readonly epoch: number | undefined;
  /** `intent` before an act, `outcome` after it. */
  readonly kind: "decision" | "intent" | "outcome" | "note";
  /** Which step, or what happened. */
  readonly name: string;
  readonly facts: Readonly<Record<string, unknown>>;
};

/** An entry as it stands in the file. */
export type JournalRecord = {
  /** From 1 in each file. */
  readonly number: number;
  /** ISO 8601, by the wall clock. */
  readonly at: string;
  readonly epoch: number | undefined;
  readonly kind: JournalEntry["kind"];
  readonly name: string;
  /** As it was read from JSON: what was undefined is not there. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly hash: string;
};

/** More facts than this in one record are a mistake of whoever tells them; the beginning is kept. */
const FACTS_BYTES_MAX = 256 * 1024;

const headerSchema = z.strictObject({
  format: z.literal("lifeboat-journal"),
  version: z.literal(1),
  previous: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.string(),
});

const recordSchema = z.strictObject({
  number: z.number().int().min(1),
  at: z.string(),
  epoch: z.number().int().optional(),
  kind: z.enum(["decision", "intent", "outcome", "note"]),
  name: z.string(),
  facts: z.record(z.string(), z.unknown()),
});

/** The first line of a file. `previous`: the head of the journal before it, FIRST_HASH where there is none. */
export function encodeHeader(header: { readonly previous: string; readonly at: string }): Buffer {
  return Buffer.from(`${JSON.stringify({ format: "lifeboat-journal", version: 1, ...header })}\n`);
}

/** Reads the first line; undefined when it is none. */
export function decodeHeader(line: string): { readonly previous: string } | undefined {
  return headerSchema.safeParse(parsed(line)).data;
}

/** A record and its line. */
export function encodeRecord(
  entry: JournalEntry & { readonly number: number; readonly at: Instant },
  previous: string,
): { readonly record: JournalRecord; readonly line: Buffer } {
  const { number, epoch, kind, name } = entry;
  const facts = plainFacts(entry.facts);
  const at = formatInstant(entry.at);
  const body = JSON.stringify({ number, at, epoch, kind, name, facts });
  const hash = hashOf(previous, body);
  return { record: { number, at, epoch, kind, name, facts, hash }, line: Buffer.from(`${hash} ${body}\n`) };
}

/** Reads a record's line; undefined when it is none, or its hash does not follow from `previous`. */
export function decodeRecord(line: string, previous: string): JournalRecord | undefined {
  const [, hash = "", body = ""] = /^([0-9a-f]{64}) (.*)$/s.exec(line) ?? [];
  if (hash === "" || hashOf(previous, body) !== hash) return undefined;
  const record = recordSchema.safeParse(parsed(body)).data;
  return record === undefined ? undefined : { ...record, epoch: record.epoch, hash };
}

function hashOf(previous: string, body: string): string {
  return createHash("sha256").update(previous).update(body).digest("hex");
}

function plainFacts(facts: JournalEntry["facts"]): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(facts, (_key, value: unknown) =>
    typeof value === "bigint" ? formatLsn(value as Lsn) : value,
  );
  if (text.length <= FACTS_BYTES_MAX) return JSON.parse(text) as Readonly<Record<string, unknown>>;
  return { cut: text.slice(0, FACTS_BYTES_MAX / 4), bytes: text.length };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
