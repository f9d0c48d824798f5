/** What all controllers agree on, in a register: how it is written and read. docs/formats/epoch.md is the specification. */
import { z } from "zod";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { ClusterRecord } from "../failover/ports.ts";
import type { Epoch } from "../lease/lease.ts";
import { formatLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { lsnSchema } from "../wal/wal-json.ts";

const whole = z.number().int().min(0);
const epoch = z
  .number()
  .int()
  .min(1)
  .transform((value) => value as Epoch);

const recordSchema = z.strictObject({
  systemId: z.string().transform((text) => text as SystemId),
  primary: z.string(),
  reign: epoch,
  timeline: whole.transform((value) => value as Timeline),
  durability: z.enum(["async", "quorum", "strict"]),
  waitsFor: whole.optional(),
  joined: z.array(z.string()),
  action: z
    .strictObject({
      kind: z.enum(["failover", "switchover"]),
      epoch,
      from: z.string(),
      to: z.string(),
      phase: z.enum(["preparing", "promoting"]),
      target: lsnSchema.nullable().transform((value) => value ?? undefined),
    })
    .nullable()
    .transform((value) => value ?? undefined),
  maintenance: z.boolean(),
});

/** A record as a register holds it. */
export function encodeClusterRecord(record: ClusterRecord): unknown {
  const { action } = record;
  return {
    ...record,
    action:
      action === undefined
        ? null
        : { ...action, target: action.target === undefined ? null : formatLsn(action.target) },
  };
}

/** Reads it. Throws `lease.record-damaged`. */
export function decodeClusterRecord(value: unknown): ClusterRecord {
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LifeboatError("lease.record-damaged", {
    message: `the record of the stack is none of this version: ${errorText(parsed.error)}`,
    remedy:
      "Use the version of Lifeboat that wrote it, or put its last content in the journal back (docs/formats/epoch.md).",
    cause: parsed.error,
  });
}
