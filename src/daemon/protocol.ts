/**
 * What a daemon is asked over its Unix socket, and answers: lines of JSON. docs/formats/daemon.md is the specification.
 *
 * A question is one line. An answer is any number of lines with `part`, then one with `result` or `error`.
 */
import { z } from "zod";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { ERROR_REGISTRY, type ErrorCode } from "../errors/registry.ts";

const node = z.string().min(1).max(63);

const requestSchema = z.discriminatedUnion("call", [
  z.strictObject({ call: z.literal("hello") }),
  /** The decision of now; with `follow` also every other one from now on. */
  z.strictObject({ call: z.literal("check"), follow: z.boolean() }),
  /** `acceptLoss`: what may be missing, as it was typed; absent: nothing may. */
  z.strictObject({ call: z.literal("promote"), acceptLoss: z.string().optional() }),
  /** `node`: of two primaries the one that stays. */
  z.strictObject({ call: z.literal("adopt"), node }),
  /** `accept`: what it may cost, as it was typed; absent: nothing. */
  z.strictObject({ call: z.literal("switchover"), to: node, dryRun: z.boolean(), accept: z.string().optional() }),
  z.strictObject({ call: z.literal("rebuild"), node }),
  z.strictObject({ call: z.literal("pause"), reason: z.string() }),
  z.strictObject({ call: z.literal("resume") }),
  /** `to`: the mode; absent: which one is recorded. `force`: also where nobody has what was acknowledged before. */
  z.strictObject({
    call: z.literal("durability"),
    to: z.enum(["async", "quorum", "strict"]).optional(),
    force: z.boolean(),
  }),
]);

/** A question. */
export type DaemonRequest = z.output<typeof requestSchema>;

const lineSchema = z.union([
  z.strictObject({ part: z.unknown() }),
  z.strictObject({ result: z.unknown() }),
  z.strictObject({
    error: z.strictObject({
      code: z.string(),
      message: z.string(),
      remedy: z.string(),
      details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
    }),
  }),
]);

/** A line of an answer. */
export type AnswerLine =
  | { readonly kind: "part"; readonly value: unknown }
  | { readonly kind: "result"; readonly value: unknown };

/** Reads a question. Throws `daemon.request-unknown`. */
export function parseRequest(line: string): DaemonRequest {
  try {
    return requestSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new LifeboatError("daemon.request-unknown", {
      message: `the daemon was asked what it does not understand: ${line.slice(0, 200)}`,
      remedy: "Command and daemon may be of two versions: `lifeboat restart daemon` starts the one that is installed.",
      cause,
    });
  }
}

/** Writes a part of an answer, or the end of it. */
export function answerLine(line: AnswerLine): string {
  return `${JSON.stringify(line.kind === "part" ? { part: line.value ?? null } : { result: line.value ?? null })}\n`;
}

/** Writes a failure. */
export function failureLine(error: unknown): string {
  if (error instanceof LifeboatError) {
    const { code, message, remedy, details } = error;
    return `${JSON.stringify({ error: { code, message, remedy, details } })}\n`;
  }
  const message = errorText(error);
  return `${JSON.stringify({ error: { code: "daemon.failed", message, remedy: "Look at the daemon's log: `lifeboat logs daemon`." } })}\n`;
}

/** Reads a line of an answer. Throws what the daemon failed with, or `daemon.no-answer` for one that cannot be read. */
export function parseAnswerLine(text: string): AnswerLine {
  const line = readLine(text);
  if ("error" in line) {
    const { code, message, remedy, details } = line.error;
    throw new LifeboatError(isKnown(code) ? code : "daemon.failed", {
      message,
      remedy,
      ...(details === undefined ? {} : { details }),
    });
  }
  return "part" in line ? { kind: "part", value: line.part } : { kind: "result", value: line.result };
}

function readLine(text: string): z.output<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw unreadableAnswer(text.slice(0, 200), cause);
  }
}

/** The error of an answer, or of a part of it, that no daemon of this version gives. */
export function unreadableAnswer(what: string, cause: unknown): LifeboatError {
  return new LifeboatError("daemon.no-answer", {
    message: `the daemon answered what cannot be read: ${what}`,
    remedy: "It may be of another version: `lifeboat restart daemon` starts the one that is installed.",
    cause,
  });
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_REGISTRY, code);
}
