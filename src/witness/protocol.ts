/** What a witness is asked and answers: one line of JSON each. docs/formats/witness.md is the specification. */
import { z } from "zod";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { ERROR_REGISTRY, type ErrorCode } from "../errors/registry.ts";
import { formatLsn, type SystemId } from "../postgres/lsn.ts";
import { epochSchema, type MandateRecord, positionJson, TERMS_SCHEMA, termsJson, termsOf } from "../wal/mandate.ts";
import { reportSchema } from "../wal/report.ts";
import { lsnSchema, timelineSchema } from "../wal/wal-json.ts";
import type { Withdrawal, WitnessStatus } from "./witness.ts";

/** Most bytes that one answer carries: as base64 they fit into what exchange.ts takes. */
export const READ_BYTES_MAX = 512 * 1024;

const stretch = { epoch: epochSchema, timeline: timelineSchema, from: lsnSchema, to: lsnSchema };

const requestSchema = z.discriminatedUnion("call", [
  z.strictObject({ call: z.literal("status") }),
  z.strictObject({ call: z.literal("withdraw"), epoch: epochSchema }),
  z.strictObject({ call: z.literal("follow"), reign: epochSchema, ...TERMS_SCHEMA }),
  z.strictObject({
    call: z.literal("grant"),
    epoch: epochSchema,
    reign: epochSchema,
    duration: z.strictObject({ ms: z.number().min(0), ticket: z.string() }).nullable(),
    contiguousWith: lsnSchema.nullable(),
  }),
  z.strictObject({ call: z.literal("read"), ...stretch }),
  z.strictObject({ call: z.literal("digest"), ...stretch }),
]);

/** A question. */
export type WitnessRequest = z.output<typeof requestSchema>;
/** A question as it is sent. */
export type WitnessQuestion = z.input<typeof requestSchema>;

const failureSchema = z.strictObject({
  error: z.strictObject({
    code: z.string(),
    message: z.string(),
    remedy: z.string(),
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  }),
});

const mandateSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("withdrawn"), epoch: z.int().min(1), contiguousWith: lsnSchema.nullable() }),
  z.strictObject({
    kind: z.literal("following"),
    epoch: z.int().min(0),
    contiguousWith: lsnSchema.nullable(),
    reign: z.int().min(0),
    ...TERMS_SCHEMA,
    lasting: z.boolean(),
  }),
]);

const statusSchema = z.strictObject({
  mandate: mandateSchema,
  mayConfirm: z.boolean(),
  ticket: z.string(),
  rangeFrom: lsnSchema.nullable(),
  heardAgoMs: z.number().nullable(),
  receiver: reportSchema,
});

const withdrawalSchema = z.strictObject({
  epoch: epochSchema,
  held: z
    .strictObject({
      systemId: z.string().transform((value) => value as SystemId),
      timeline: timelineSchema,
      history: z.string(),
      walSegmentBytes: z.int(),
      rangeFrom: lsnSchema.nullable(),
      flushedLsn: lsnSchema,
      recordEndLsn: lsnSchema.nullable(),
    })
    .nullable(),
});

const bytesSchema = z.strictObject({ base64: z.string() });
const digestSchema = z.strictObject({ sha256: z.string() });

/** Reads a question. Throws `wal.bad-question`. */
export function parseRequest(line: string): WitnessRequest {
  try {
    return requestSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new LifeboatError("wal.bad-question", {
      message: `the receiver is asked what it does not understand: ${errorText(cause)}`,
      remedy: REMEDY,
      cause,
    });
  }
}

/** Writes a question. */
export function questionLine(question: WitnessQuestion): string {
  return `${JSON.stringify(question)}\n`;
}

/** Writes a status. */
export function statusLine({ mandate, rangeFrom, heardAgoMs, ...rest }: WitnessStatus): string {
  const { kind, epoch } = mandate;
  const shared = { kind, epoch, contiguousWith: positionJson(mandate.contiguousWith) };
  const sent = kind === "withdrawn" ? shared : { ...shared, ...termsJson(mandate), lasting: mandate.lasting };
  return line({ mandate: sent, ...rest, rangeFrom: positionJson(rangeFrom), heardAgoMs: heardAgoMs ?? null });
}

/** Reads a status. Throws what the witness failed with, or `platform.no-answer` for what cannot be read. */
export function parseStatus(text: string): WitnessStatus {
  const { mandate, rangeFrom, heardAgoMs, ...rest } = parse(statusSchema, text);
  return {
    ...rest,
    mandate: mandateOf(mandate),
    rangeFrom: rangeFrom ?? undefined,
    heardAgoMs: heardAgoMs ?? undefined,
  };
}

function mandateOf(sent: z.output<typeof mandateSchema>): MandateRecord {
  const shared = { epoch: sent.epoch, contiguousWith: sent.contiguousWith ?? undefined };
  if (sent.kind === "withdrawn") return { kind: sent.kind, ...shared };
  return { kind: sent.kind, ...shared, ...termsOf(sent), lasting: sent.lasting };
}

/** Writes the answer to a withdrawal. */
export function withdrawalLine({ epoch, held }: Withdrawal): string {
  if (held === undefined) return line({ epoch, held: null });
  const positions = {
    rangeFrom: positionJson(held.rangeFrom),
    flushedLsn: formatLsn(held.flushedLsn),
    recordEndLsn: positionJson(held.recordEndLsn),
  };
  return line({ epoch, held: { ...held, ...positions } });
}

/** Reads it. Throws as `parseStatus`. */
export function parseWithdrawal(text: string): Withdrawal {
  const { epoch, held } = parse(withdrawalSchema, text);
  if (held === null) return { epoch, held: undefined };
  const { rangeFrom, recordEndLsn } = held;
  return { epoch, held: { ...held, rangeFrom: rangeFrom ?? undefined, recordEndLsn: recordEndLsn ?? undefined } };
}

/** Writes bytes. */
export function bytesLine(bytes: Buffer): string {
  return line({ base64: bytes.toString("base64") });
}

/** Reads them. Throws as `parseStatus`. */
export function parseBytes(text: string): Buffer {
  return Buffer.from(parse(bytesSchema, text).base64, "base64");
}

/** Writes a digest. */
export function digestLine(sha256: string): string {
  return line({ sha256 });
}

/** Reads it. Throws as `parseStatus`. */
export function parseDigest(text: string): string {
  return parse(digestSchema, text).sha256;
}

/** Writes a failure. */
export function failureLine(error: unknown): string {
  if (error instanceof LifeboatError) {
    const { code, message, remedy, details } = error;
    return line({ error: { code, message, remedy, details } });
  }
  const message = `the receiver could not do what it was asked: ${errorText(error)}`;
  return line({ error: { code: "wal.bad-question", message, remedy: REMEDY, details: {} } });
}

const REMEDY = "It may be of another version of Lifeboat: run the same version everywhere.";

function line(answer: object): string {
  return `${JSON.stringify(answer)}\n`;
}

function parse<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  try {
    const answer: unknown = JSON.parse(text);
    const failure = failureSchema.safeParse(answer);
    if (failure.success) {
      const { code, message, remedy, details } = failure.data.error;
      throw new LifeboatError(isKnown(code) ? code : "wal.bad-question", { message, remedy, details });
    }
    return schema.parse(answer);
  } catch (cause) {
    if (cause instanceof LifeboatError) throw cause;
    throw new LifeboatError("platform.no-answer", {
      message: `the receiver answered what cannot be read: ${text.slice(0, 200)}`,
      remedy: REMEDY,
      cause,
    });
  }
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_REGISTRY, code);
}
