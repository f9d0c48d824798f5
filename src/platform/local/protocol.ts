/** What a supervisor is asked and answers: one line of JSON each. docs/formats/supervisor.md is the specification. */
import { z } from "zod";
import { LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import { ERROR_REGISTRY, type ErrorCode } from "../../errors/registry.ts";
import type { Instant } from "../clock.ts";
import type { ComponentState, ExecResult, FenceAnswer } from "../components.ts";
import { specSchema } from "./record.ts";

const named = { name: z.string() };
const ordered = { epoch: z.number().int().min(1).optional() };

const requestSchema = z.discriminatedUnion("call", [
  z.strictObject({ call: z.literal("hello") }),
  z.strictObject({ call: z.literal("start"), spec: specSchema, ...ordered }),
  z.strictObject({ call: z.literal("stop"), ...named, ...ordered }),
  z.strictObject({ call: z.literal("kill"), ...named }),
  z.strictObject({ call: z.literal("freeze"), ...named }),
  z.strictObject({ call: z.literal("thaw"), ...named }),
  z.strictObject({ call: z.literal("restart"), ...named }),
  z.strictObject({ call: z.literal("fence"), ...named, ...ordered }),
  z.strictObject({ call: z.literal("unfence"), ...named, ...ordered }),
  z.strictObject({
    call: z.literal("exec"),
    ...named,
    program: z.string(),
    arguments: z.array(z.string()),
    timeoutMs: z.number(),
  }),
  z.strictObject({ call: z.literal("state") }),
  z.strictObject({ call: z.literal("end") }),
]);

/** A question. */
export type Request = z.output<typeof requestSchema>;

const instant = z.number().transform((value) => value as Instant);

const stateSchema = z.strictObject({
  name: z.string(),
  mode: z.enum(["running", "frozen", "backing-off", "ended", "gave-up", "stopped", "fenced"]),
  since: instant,
  adopted: z.boolean(),
  lastEnd: z.string().nullable(),
  restarts: z.number(),
  ports: z.array(z.strictObject({ name: z.string(), port: z.number() })),
});

const exitSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("exited"), status: z.number() }),
  z.strictObject({ kind: z.literal("signalled"), signal: z.string().transform((name) => name as NodeJS.Signals) }),
]);

const answerSchema = z.union([
  z.strictObject({
    error: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string(), seen: z.number().optional() }),
  }),
  z.strictObject({
    pid: z.number().optional(),
    killed: z.boolean().optional(),
    ran: z.boolean().optional(),
    at: instant.optional(),
    components: z.array(stateSchema).optional(),
    executed: z
      .strictObject({ exit: exitSchema, stdout: z.string(), stderr: z.string(), truncated: z.boolean() })
      .optional(),
  }),
]);

/** What was answered. */
export type Answer = {
  /** Of the supervisor. */
  readonly pid?: number | undefined;
  readonly killed?: boolean | undefined;
  readonly fence?: FenceAnswer | undefined;
  readonly components?: readonly ComponentState[] | undefined;
  readonly executed?: ExecResult | undefined;
};

/** Reads a question. Throws `platform.component-failed`. */
export function parseRequest(line: string): Request {
  try {
    return requestSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new LifeboatError("platform.component-failed", {
      message: `the supervisor was asked what it does not understand: ${errorText(cause)}`,
      remedy: OTHER_VERSION,
      cause,
    });
  }
}

/** Writes an answer. */
export function answerLine(answer: Answer): string {
  const { pid, killed, fence, components, executed } = answer;
  const sent = components?.map((each) => ({ ...each, lastEnd: each.lastEnd ?? null }));
  return `${JSON.stringify({ pid, killed, ran: fence?.ran, at: fence?.at, components: sent, executed })}\n`;
}

/** Writes a failure. */
export function failureLine(error: unknown): string {
  const known = error instanceof LifeboatError;
  const { code, message, remedy } = known
    ? error
    : { code: "platform.component-failed", message: errorText(error), remedy: "Look at the supervisor's log." };
  const seen = known ? error.details["seen"] : undefined;
  return `${JSON.stringify({ error: { code, message, remedy, seen } })}\n`;
}

const OTHER_VERSION =
  "It may be of another version of Lifeboat: `lifeboat down` with that version, then `lifeboat up` with this one.";

/** Reads an answer. Throws what the supervisor failed with, or `platform.no-answer` for one that cannot be read. */
export function parseAnswer(line: string): Answer {
  const parsed = readAnswer(line);
  if ("error" in parsed) {
    const { code, message, remedy, seen } = parsed.error;
    throw new LifeboatError(knownCode(code), { message, remedy, ...(seen === undefined ? {} : { details: { seen } }) });
  }
  const { pid, killed, ran, at, components, executed } = parsed;
  return {
    pid,
    killed,
    executed,
    fence: ran === undefined || at === undefined ? undefined : { ran, at },
    components: components?.map((each) => ({ ...each, lastEnd: each.lastEnd ?? undefined })),
  };
}

function readAnswer(line: string): z.output<typeof answerSchema> {
  try {
    return answerSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new LifeboatError("platform.no-answer", {
      message: `the supervisor answered what cannot be read: ${line.slice(0, 200)}`,
      remedy: OTHER_VERSION,
      cause,
    });
  }
}

function knownCode(code: string): ErrorCode {
  return isKnown(code) ? code : "platform.component-failed";
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_REGISTRY, code);
}
