/**
 * What the demo and its client process say to each other: one JSON object a line, a request and its answer by number.
 */
import { z } from "zod";
import type { ClientReport } from "./measurements.ts";

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
    client: z.object({
      connect,
      clientId: z.string().regex(/^[0-9a-f]{32}$/),
      ratePerSecond: z.number().positive(),
      laneCount: z.int().positive(),
      queueDeadlineMs: z.int().positive(),
      answerDeadlineMs: z.int().positive(),
    }),
  }),
  z.object({ kind: z.literal("status"), id: z.int() }),
  z.object({ kind: z.literal("mark"), id: z.int() }),
  z.object({ kind: z.literal("reconnect"), id: z.int(), ...address }),
  z.object({ kind: z.literal("stop"), id: z.int() }),
]);

/** What the demo asks of the client. `start` comes first, `stop` last. */
export type ClientRequest = z.infer<typeof request>;

/** The answer to the request of the same number. */
export type ClientAnswer =
  | { readonly kind: "done"; readonly id: number; readonly report: ClientReport }
  | { readonly kind: "refused"; readonly id: number; readonly code: string; readonly message: string };

/** Reads a request; rejects anything else with an error that names the field. */
export function parseRequest(line: string): ClientRequest {
  return request.parse(JSON.parse(line));
}

/** Reads an answer. The client process is ours, so only its frame is checked. */
export function parseAnswer(line: string): ClientAnswer {
  const value: unknown = JSON.parse(line);
  const frame = z.object({ kind: z.enum(["done", "refused"]), id: z.int() });
  frame.parse(value);
  return value as ClientAnswer;
}
