/**
 * What a probe's process and whoever started it say to each other: one JSON object a line, a request and its answer by number.
 */
import { z } from "zod";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { ProbeReport } from "./measurements.ts";

const address = { host: z.string().min(1), port: z.int().min(1).max(65_535) };

const connect = z.object({
  ...address,
  user: z.string().min(1),
  password: z.string().optional(),
  database: z.string().optional(),
  applicationName: z.string(),
  connectTimeoutMs: z.int().positive(),
});

const request = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("start"),
    id: z.int(),
    ledgerFile: z.string().min(1),
    probe: z.object({
      connect,
      clientId: z.string().regex(/^[0-9a-f]{32}$/),
      writesPerSecond: z.number().nonnegative(),
      readsPerSecond: z.number().nonnegative(),
      laneCount: z.int().positive(),
      queueDeadlineMs: z.int().positive(),
      answerDeadlineMs: z.int().positive(),
    }),
  }),
  z.object({ kind: z.literal("status"), id: z.int() }),
  z.object({ kind: z.literal("mark"), id: z.int(), label: z.string(), atMs: z.number().optional() }),
  z.object({ kind: z.literal("reconnect"), id: z.int(), ...address }),
  z.object({ kind: z.literal("stop"), id: z.int() }),
]);

/** What is asked of the probe. `start` comes first, `stop` last. */
export type ProbeRequest = z.infer<typeof request>;

/** The answer to the request of the same number. */
export type ProbeAnswer =
  | { readonly kind: "done"; readonly id: number; readonly report: ProbeReport }
  | { readonly kind: "refused"; readonly id: number; readonly code: string; readonly message: string };

/** Reads a request. Throws `probe.process-failed` for anything else, which names the field. */
export function parseRequest(line: string): ProbeRequest {
  return read(request, line);
}

const frame = z.union([
  z.looseObject({ kind: z.literal("done"), id: z.int(), report: z.looseObject({}) }),
  z.looseObject({ kind: z.literal("refused"), id: z.int(), code: z.string(), message: z.string() }),
]);

/** Reads an answer. The process is ours, so only its frame is checked. Throws as `parseRequest`. */
export function parseAnswer(line: string): ProbeAnswer {
  return read(frame, line) as unknown as ProbeAnswer;
}

function read<T extends z.ZodType>(schema: T, line: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw new LifeboatError("probe.process-failed", {
      message: `a probe and who started it do not understand each other: ${errorText(cause)}`,
      remedy: "Run it again; if it happens twice, report it with this text.",
      cause,
    });
  }
}
