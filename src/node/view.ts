/** What a node says of itself, in one statement, and how its answer is read. Pure. */
import { z } from "zod";
import { errorText } from "../errors/error-text.ts";
import type { ConfirmerView, NodeReceiverView, NodeView } from "../failover/ports.ts";
import { type Lsn, lsnMax, parseLsn, type SystemId, type Timeline, timelineOfSegment } from "../postgres/lsn.ts";
import { protocolError } from "../postgres/wire/protocol-error.ts";
import {
  ALTERS_SQL,
  CAPACITY_SQL,
  capacitySchema,
  DELAY_SQL,
  hindrancesOf,
  lacksOf,
  PAUSED_SQL,
} from "./hindrances.ts";

/**
 * A commit with its sync that touches no table: a logical message in a transaction of its own. In one string, so that the
 * setting costs no round trip.
 */
export const WRITE =
  "SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'lifeboat', '')";

/** What is set for some sessions only: for a role, a database, or all roles. */
const settingOf = (whose: string): string =>
  `SELECT split_part(option, '=', 2) FROM pg_db_role_setting, unnest(setconfig) AS option
    WHERE option LIKE 'synchronous_commit=%' AND ${whose} LIMIT 1`;

/**
 * That of a session which has none of its own. Ours is one such, unless our role or database has: then what all roles have, or the files.
 * pg_settings would tell where ours comes from, and takes the server longer than all the rest of this statement (measured: twice as long).
 */
const SYNCHRONOUS_COMMIT = `CASE
    WHEN EXISTS (${settingOf(
      "(setrole <> 0 OR setdatabase <> 0) AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user)) AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
    )})
    THEN coalesce((${settingOf("setrole = 0 AND setdatabase = 0")}),
      (SELECT setting FROM pg_file_settings WHERE name = 'synchronous_commit' ORDER BY seqno DESC LIMIT 1), 'on')
    ELSE current_setting('synchronous_commit') END`;

/** Waits of a startup process that has replayed all that it can read. Source: PostgreSQL manual, "Wait Event Activity". */
const IDLE_WAITS = "'RecoveryWalStream', 'RecoveryRetrieveRetryInterval'";

/** The number of the segment with the last byte that was replayed. */
const LAST_REPLAYED = "div(greatest(pg_wal_lsn_diff(replayed, '0/0') - 1, 0), segment_bytes)";
/** The last sixteen characters of its name, whatever its timeline: which segment of four GiB, and which four GiB. */
const HIGH_HALF = hexSql("div(last.number, div(4294967296, segment_bytes))");
const LOW_HALF = hexSql("mod(last.number, div(4294967296, segment_bytes))");

/**
 * The statement. Whether the server is a standby is asked once: a promotion in the middle of the answer would leave it without
 * either part. What is asked of a standby can be asked of a server that just was one. A standby's timeline is the greatest of three: of its receiver, of the control file, and of the segments that
 * hold what it has replayed, since the first is gone with the receiver and the second is written late. Of pg_wal only names are read:
 * a slot may keep thousands of segments, of which pg_ls_waldir asks the size and time, 15 ms for each thousand in each look.
 */
export function viewSql(): string {
  return `WITH asked AS MATERIALIZED (SELECT pg_is_in_recovery() AS standby, coalesce(pg_last_wal_replay_lsn(), '0/0') AS replayed,
      (SELECT bytes_per_wal_segment FROM pg_control_init())::numeric AS segment_bytes)
    SELECT standby,
    (SELECT system_identifier::text FROM pg_control_system()) AS system,
    current_setting('synchronous_standby_names') AS names,
    ${ALTERS_SQL} AS alters,
    CASE WHEN NOT standby THEN json_build_object(
      'timeline', substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8),
      'flushed', pg_current_wal_flush_lsn()::text,
      'history', (SELECT pg_read_file('pg_wal/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '.history', 0, 8388608, true)),
      'confirmers', (SELECT coalesce(json_agg(json_build_object('name', application_name, 'state', state, 'flushed', coalesce(flush_lsn, '0/0')::text)), '[]')
                       FROM pg_stat_replication),
      'synchronousCommit', ${SYNCHRONOUS_COMMIT}
    )::text END AS primary_,
    CASE WHEN standby THEN json_build_object(
      'controlTimeline', (SELECT greatest(min_recovery_end_timeline, 0) FROM pg_control_recovery()),
      'checkpointTimeline', (SELECT timeline_id FROM pg_control_checkpoint()),
      'receiverTimeline', (SELECT received_tli FROM pg_stat_wal_receiver),
      'segments', (SELECT coalesce(json_agg(name), '[]') FROM ${LAST_REPLAYED} AS last(number), pg_ls_dir('pg_wal') AS name
                    WHERE name LIKE '________' || ${HIGH_HALF} || ${LOW_HALF}),
      'received', coalesce(pg_last_wal_receive_lsn(), '0/0')::text,
      'replayed', replayed::text,
      'idle', EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event IN (${IDLE_WAITS})),
      'receives', EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver'),
      'streams', (SELECT status = 'streaming' FROM pg_stat_wal_receiver),
      'agoMs', (SELECT extract(epoch FROM clock_timestamp() - last_msg_receipt_time) * 1000 FROM pg_stat_wal_receiver),
      'upstream', current_setting('primary_conninfo') <> '',
      'capacity', ${CAPACITY_SQL}, 'delay', ${DELAY_SQL}, 'paused', ${PAUSED_SQL}
    )::text END AS standby_ FROM asked`;
}

/** Reads the answer. Throws `postgres.protocol` for one that no server gives. */
export function readNodeView(
  row: Readonly<Record<string, unknown>>,
  facts: { readonly freeBytes: number; readonly cloning: boolean },
): NodeView {
  const { system, names, standby, alters } = asked(rowSchema, row);
  const common = { systemId: system as SystemId, synchronousNames: names, ...facts };
  if (standby) {
    const said = asked(standbySchema, jsonOf(row["standby_"]));
    const replayed = parseLsn(said.replayed);
    const role = {
      kind: "standby",
      flushed: lsnMax(parseLsn(said.received), replayed),
      replayed,
      replayIdle: said.idle,
      receiver: receiverOf(said),
      upstream: said.upstream,
    } as const;
    const { delay, paused } = said;
    const hindrances = hindrancesOf({ alters, standby: { lacks: lacksOf(said.capacity), delay, paused } });
    return { ...common, timeline: standbyTimeline(said), role, hindrances };
  }
  const said = asked(primarySchema, jsonOf(row["primary_"]));
  const role = {
    kind: "primary",
    flushed: parseLsn(said.flushed),
    timelineStart: timelineStartIn(said.history),
    write: { kind: "stuck" },
    confirmers: said.confirmers.map(confirmerOf),
    synchronousCommit: said.synchronousCommit,
  } as const;
  const hindrances = hindrancesOf({ alters });
  return { ...common, timeline: Number.parseInt(said.timeline, 16) as Timeline, role, hindrances };
}

const rowSchema = z.object({
  system: z.string().regex(/^\d{1,20}$/),
  names: z.string(),
  standby: z.boolean(),
  alters: z.boolean(),
});

/** Null to a role that may not look. */
const told = z
  .string()
  .nullable()
  .transform((text) => text ?? "");

const primarySchema = z.object({
  timeline: z.string().regex(/^[0-9A-F]{8}$/),
  flushed: z.string(),
  history: z.string().nullable(),
  confirmers: z.array(z.object({ name: told, state: told, flushed: z.string() })),
  synchronousCommit: z.string(),
});

const timelineSchema = z.int().min(0).max(0xffff_ffff);

const standbySchema = z.object({
  controlTimeline: timelineSchema,
  checkpointTimeline: timelineSchema,
  receiverTimeline: timelineSchema.nullable(),
  /** Those that hold the last byte that was replayed, one of each timeline that has it. */
  segments: z.array(z.string()),
  received: z.string(),
  replayed: z.string(),
  idle: z.boolean(),
  receives: z.boolean(),
  streams: z.boolean().nullable(),
  agoMs: z.number().nullable(),
  upstream: z.boolean(),
  capacity: capacitySchema,
  delay: z.string(),
  paused: z.boolean(),
});

type PrimaryAnswer = z.output<typeof primarySchema>;
type StandbyAnswer = z.output<typeof standbySchema>;

function jsonOf(value: unknown): unknown {
  try {
    return JSON.parse(String(value));
  } catch (cause) {
    throw protocolError(`a server tells of itself what is no JSON: ${errorText(cause)}`);
  }
}

function asked<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  throw protocolError(`a server tells of itself what is not understood: ${errorText(read.error)}`);
}

function receiverOf({ receives, streams, agoMs }: StandbyAnswer): NodeReceiverView {
  if (!receives) return { kind: "none" };
  return streams === true && agoMs !== null ? { kind: "streaming", receivedAgoMs: agoMs } : { kind: "connecting" };
}

const SEGMENT_NAME = /^[0-9A-F]{24}$/;

function standbyTimeline(said: StandbyAnswer): Timeline {
  const { controlTimeline, checkpointTimeline, receiverTimeline, segments } = said;
  // Whatever else somebody has laid there is no segment.
  const inNames = segments.filter((name) => SEGMENT_NAME.test(name)).map(timelineOfSegment);
  return Math.max(controlTimeline, checkpointTimeline, receiverTimeline ?? 0, ...inNames) as Timeline;
}

function hexSql(number: string): string {
  return `lpad(upper(to_hex((${number})::bigint)), 8, '0')`;
}

/** Where a timeline began: the last line of its history. Undefined of the first, which has none. */
export function timelineStartIn(history: string | null): Lsn | undefined {
  const lines = (history ?? "")
    .split("\n")
    .flatMap((line) => /^\s*\d+\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line)?.[1] ?? []);
  const last = lines.at(-1);
  return last === undefined ? undefined : parseLsn(last);
}

function confirmerOf({ name, state, flushed }: PrimaryAnswer["confirmers"][number]): ConfirmerView {
  return { applicationName: name, streaming: state === "streaming", flushed: parseLsn(flushed) };
}
