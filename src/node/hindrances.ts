/** What in a server's settings or its replay looks well until a failover needs it: how it is asked for, and read. Pure. */
import { z } from "zod";
import type { Hindrance } from "../failover/ports.ts";
import { CAPACITY_SETTINGS, CONTROL_FIELDS_BYTES, capacityIn } from "../postgres/control-file.ts";

const OWN_SQL = Object.entries(CAPACITY_SETTINGS)
  .map(([field, setting]) => `'${field}', current_setting('${setting}')::int`)
  .join(", ");

/** A standby's own, and what its control file says of the primary: written before it pauses for want of them. */
export const CAPACITY_SQL = `json_build_object(${OWN_SQL},
  'control', encode(pg_read_binary_file('global/pg_control', 0, ${CONTROL_FIELDS_BYTES}), 'hex'))`;

const count = z.int().min(0);
/** The answer to CAPACITY_SQL. */
export const capacitySchema = z.object({
  ...{ maxConnections: count, maxWorkerProcesses: count, maxWalSenders: count },
  ...{ maxPreparedTransactions: count, maxLocksPerTransaction: count },
  control: z.string(),
});

/** Of which settings a standby has less than its primary had, for a person; undefined where of none, or where that is not to be told now. */
export function lacksOf({ control, ...own }: z.output<typeof capacitySchema>): string | undefined {
  const needed = capacityIn(Buffer.from(control, "hex"));
  if (needed === undefined) return undefined;
  const lacks = (Object.keys(CAPACITY_SETTINGS) as (keyof typeof CAPACITY_SETTINGS)[])
    .filter((field) => own[field] < needed[field])
    .map((field) => `${CAPACITY_SETTINGS[field]} ${own[field]} of ${needed[field]}`);
  return lacks.length === 0 ? undefined : lacks.join(", ");
}

/** Not there before 17: it cannot be off. */
export const ALTERS_SQL = "coalesce(current_setting('allow_alter_system', true), 'on') = 'on'";
/** That by itself: a bare zero, whatever the unit. */
export const DELAY_SQL = "current_setting('recovery_min_apply_delay')";
/** Asked of the startup process: the function for it fails on a server that was just promoted. */
export const PAUSED_SQL =
  "EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryPause')";

/** Of a standby, or of a primary, of which only `alters` is asked. */
export function hindrancesOf(said: {
  readonly alters: boolean;
  readonly standby?: { readonly lacks: string | undefined; readonly delay: string; readonly paused: boolean };
}): readonly Hindrance[] {
  const found: Hindrance[] = said.alters ? [] : [{ kind: "no-alter-system" }];
  const { lacks, delay = "0", paused = false } = said.standby ?? {};
  if (lacks !== undefined) found.push({ kind: "parameters-too-small", lacks });
  if (delay !== "0") found.push({ kind: "replay-delayed", delay });
  // It pauses by itself where it lacks something.
  if (paused && lacks === undefined) found.push({ kind: "replay-paused" });
  return found;
}
