/** Reads an event report that a daemon before this one wrote. docs/formats/daemon.md lists the fields. Pure. */
import { z } from "zod";
import { COST_CODES } from "../failover/costs.ts";
import { type EventReport, REPORT_VERSION } from "./report.ts";

const position = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const count = z.number().nullable();

const reportSchema = z.strictObject({
  format: z.literal("lifeboat-event-report"),
  version: z.literal(REPORT_VERSION),
  stack: z.string(),
  kind: z.string().regex(/^[a-z-]{1,40}$/),
  epoch: z.int().min(0).nullable(),
  from: z.string(),
  to: z.string(),
  beganAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  parts: z.strictObject({ detect: count, decide: count, fence: count, promote: count, route: count, prove: count }),
  outageMs: z.number(),
  decision: z.unknown().transform((value) => value ?? null),
  positions: z.array(
    z.strictObject({
      of: z.string(),
      timeline: z.number(),
      flushed: position,
      whole: position.nullable(),
      seenAgoMs: z.number(),
    }),
  ),
  gap: z.strictObject({ promotedAt: position, highestKnown: position, of: z.string(), bytes: z.number() }).nullable(),
  lost: z.strictObject({
    acknowledged: count,
    basis: z.enum(["proven", "counted", "unknown"]),
    commitsBeyond: count,
    bytesBeyond: count,
  }),
  clients: z
    .strictObject({
      errors: z.array(
        z.strictObject({ reason: z.string(), outcome: z.enum(["failed", "unknown"]), count: z.number() }),
      ),
      failed: z.number(),
      unknown: z.number(),
      complete: z.boolean(),
    })
    .nullable(),
  costs: z
    .strictObject({
      seenAgoMs: count,
      found: z.array(
        z.strictObject({ code: z.enum(COST_CODES), of: z.string(), says: z.string(), remedy: z.string() }),
      ),
    })
    .nullable(),
  steps: z.array(z.strictObject({ step: z.string(), ms: z.number(), failed: z.string().nullable() })),
  shortcomings: z.array(z.string()),
  journalHead: z.string(),
});

/** The report; undefined for what is none of this version. */
export function parseEventReport(text: string): EventReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Reports are not synced: a power cut may leave anything.
    return undefined;
  }
  return reportSchema.safeParse(value).data;
}
