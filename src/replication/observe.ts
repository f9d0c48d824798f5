/**
 * Asks the nodes how replication goes, each on a new session and within a time: a frozen node answers no new session, while
 * an old one may work on (incident I10).
 *
 * The primary is asked first and gets a heartbeat: a WAL record by pg_logical_emit_message, outside any transaction. It
 * takes no transaction id, writes into no table, waits for no confirmer, and moves an idle primary's WAL on by some 64
 * bytes, so that a confirmer that stands still can be told from one that has nothing to do.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import { formatLsn, LSN_NONE, type Lsn, lsnMax, parseLsn, type Timeline } from "../postgres/lsn.ts";
import { openQuery, type QueryRow } from "../postgres/query-connection.ts";
import type { CallOptions, ConnectOptions } from "../postgres/replication.ts";
import type { NodeLook, PrimaryLook, Reception, ReplicaLook, ReplicationLook, Sender, Slot } from "./facts.ts";
import type { LagSamples } from "./samples.ts";

/** A node, and how to log in to it: a role with pg_monitor suffices. */
export type WatchedNode = { readonly name: string; readonly address: ConnectOptions };

/** A node that works answers in milliseconds; longer, and a live display would freeze with it. */
const ANSWER_TIMEOUT_MS = 2_000;
/** Between two looks at a replica that is waited for. */
const LOOK_INTERVAL_MS = 20;

type Run = (sql: string, parameters?: readonly unknown[]) => Promise<readonly QueryRow[]>;

/** What is looked at. */
export type LookRequest = {
  readonly nodes: readonly WatchedNode[];
  /** Gets this look's sample. */
  readonly samples: LagSamples;
  /**
   * Wait so long for this look's heartbeat to arrive: without samples of earlier looks, that is what tells a replica that
   * replays from one that stands still.
   */
  readonly settleMs: number;
};

/** Looks. Rejects only with `platform.aborted`, or for our own bugs: a node that cannot be asked is part of what is seen. */
export async function lookAtReplication(
  { clock }: { readonly clock: Clock },
  { nodes, samples, settleMs }: LookRequest,
  options: CallOptions,
): Promise<ReplicationLook> {
  // Replicas answer once the sample is there: positions from before it would always seem behind.
  const asked = nodes.map(() => Promise.withResolvers<Lsn | undefined>());
  const sampled = Promise.all(asked.map(({ promise }) => promise)).then((ends) =>
    ends.find((end) => end !== undefined),
  );
  const looks = nodes.map(async (node, index): Promise<NodeLook> => {
    try {
      return await withSession(node, options, async (run) => {
        const [row] = await run("SELECT pg_is_in_recovery() AS standby");
        if (row?.["standby"] !== true) {
          const beat = await heartbeat(run);
          samples.add(`${node.name}/${beat.timeline}`, clock.monotonic(), beat.end);
          asked[index]?.resolve(beat.end);
          await settle(ALL_FLUSHED_SQL, { run, clock, end: beat.end, settleMs }, options);
          return await lookAtPrimary(run, node.name, beat);
        }
        asked[index]?.resolve(undefined);
        const end = await sampled;
        if (end !== undefined) await settle(REPLAYED_SQL, { run, clock, end, settleMs }, options);
        return await lookAtReplica(run, node.name);
      });
    } catch (error) {
      if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error) || error.kind === "bug") throw error;
      return { kind: "unreachable", name: node.name, code: error.code, message: error.message };
    } finally {
      asked[index]?.resolve(undefined);
    }
  });
  return { nodes: await Promise.all(looks), at: clock.now() };
}

async function withSession<T>(node: WatchedNode, options: CallOptions, work: (run: Run) => Promise<T>): Promise<T> {
  const session = await openQuery({ ...node.address, connectTimeoutMs: ANSWER_TIMEOUT_MS }, options);
  try {
    return await work((sql, parameters = []) =>
      session.query(sql, parameters, { ...options, timeoutMs: ANSWER_TIMEOUT_MS }),
    );
  } finally {
    await session.close();
  }
}

type Heartbeat = { readonly end: Lsn; readonly timeline: Timeline };

async function heartbeat(run: Run): Promise<Heartbeat> {
  // The end of our own record: where the next one begins may lie behind a page's header that no confirmer has yet.
  const [row = {}] = await run(HEARTBEAT_SQL);
  const timeline = Number.parseInt(String(row["file"]).slice(0, TIMELINE_DIGITS), 16) as Timeline;
  return { end: lsnOf(row["lsn"]) ?? LSN_NONE, timeline };
}

async function lookAtPrimary(run: Run, name: string, beat: Heartbeat): Promise<PrimaryLook> {
  return {
    kind: "primary",
    name,
    ...beat,
    senders: (await run(SENDERS_SQL)).map(senderOf),
    slots: (await run(SLOTS_SQL)).map(slotOf),
  };
}

type Settling = { readonly run: Run; readonly clock: Clock; readonly end: Lsn; readonly settleMs: number };

/** Waits until the statement says that `end` has arrived, or its time is over. */
async function settle(sql: string, { run, clock, end, settleMs }: Settling, options: CallOptions): Promise<void> {
  const deadline = clock.monotonic() + settleMs;
  while (clock.monotonic() < deadline) {
    const [row] = await run(sql, [formatLsn(end)]);
    if (row?.["arrived"] === true) return;
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}

const REPLAYED_SQL = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS arrived";
const ALL_FLUSHED_SQL = `SELECT coalesce(bool_and(flush_lsn >= $1::pg_lsn), true) AS arrived
  FROM pg_stat_replication WHERE state = 'streaming'`;

async function lookAtReplica(run: Run, name: string): Promise<ReplicaLook> {
  const [row = {}] = await run(REPLICA_SQL);
  const [received] = await run(RECEPTION_SQL);
  const conflicts = await run(CONFLICTS_SQL);
  const replay = lsnOf(row["replayed"]) ?? LSN_NONE;
  // A receiver that has just begun says the start of a segment, while more of it may be here and replayed.
  const flush = lsnMax(replay, lsnOf(received?.["flushed"]) ?? lsnOf(row["received"]) ?? LSN_NONE);
  const write = lsnMax(flush, lsnOf(received?.["written"]) ?? LSN_NONE);
  return {
    kind: "replica",
    name,
    at: { write, flush, replay },
    replayPaused: row["paused"] === true,
    reception: received === undefined ? undefined : receptionOf(received),
    conflicts: Object.fromEntries(conflicts.map((each) => [String(each["cause"]), Number(each["count"])])),
  };
}

/** Hexadecimal digits of the timeline in the name of a segment. */
const TIMELINE_DIGITS = 8;

const HEARTBEAT_SQL = `SELECT lsn::text, pg_walfile_name(lsn) AS file
  FROM (SELECT pg_logical_emit_message(false, 'lifeboat', '') AS lsn) AS heartbeat`;

const milliseconds = (interval: string): string => `(extract(epoch FROM ${interval}) * 1000)::float8`;

const SENDERS_SQL = `SELECT application_name AS name, pid, state, sync_state,
    write_lsn::text AS write, flush_lsn::text AS flush, replay_lsn::text AS replay,
    ${milliseconds("write_lag")} AS write_ms, ${milliseconds("flush_lag")} AS flush_ms,
    ${milliseconds("replay_lag")} AS replay_ms
  FROM pg_stat_replication WHERE state <> 'backup' ORDER BY 1, 2`;

const SLOTS_SQL = `SELECT slot_name::text AS name, active, active_pid AS pid, wal_status,
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 AS kept, safe_wal_size::float8 AS safe
  FROM pg_replication_slots WHERE slot_type = 'physical' ORDER BY 1`;

const REPLICA_SQL = `SELECT pg_last_wal_receive_lsn()::text AS received, pg_last_wal_replay_lsn()::text AS replayed,
  pg_is_wal_replay_paused() AS paused`;

const RECEPTION_SQL = `SELECT status, written_lsn::text AS written, flushed_lsn::text AS flushed,
    received_tli AS timeline, slot_name AS slot,
    ${milliseconds("clock_timestamp() - last_msg_receipt_time")} AS ago
  FROM pg_stat_wal_receiver`;

// The causes are columns, and later versions have more of them.
const CONFLICTS_SQL = `SELECT substr(key, length('confl_') + 1) AS cause, sum(value::bigint)::int AS count
  FROM pg_stat_database_conflicts AS conflicts, jsonb_each_text(to_jsonb(conflicts))
  WHERE key LIKE 'confl\\_%' GROUP BY 1 ORDER BY 1`;

function receptionOf(row: QueryRow): Reception {
  return {
    status: String(row["status"]),
    receivedAgoMs: numberOf(row["ago"]),
    timeline: numberOf(row["timeline"]) as Timeline | undefined,
    slot: textOf(row["slot"]),
  };
}

function senderOf(row: QueryRow): Sender {
  return {
    name: String(row["name"]),
    pid: Number(row["pid"]),
    state: String(row["state"]),
    syncState: String(row["sync_state"]),
    at: { write: lsnOf(row["write"]), flush: lsnOf(row["flush"]), replay: lsnOf(row["replay"]) },
    measuredMs: {
      write: numberOf(row["write_ms"]),
      flush: numberOf(row["flush_ms"]),
      replay: numberOf(row["replay_ms"]),
    },
  };
}

function slotOf(row: QueryRow): Slot {
  return {
    name: String(row["name"]),
    active: row["active"] === true,
    pid: numberOf(row["pid"]),
    walStatus: textOf(row["wal_status"]),
    keptBytes: numberOf(row["kept"]),
    safeBytes: numberOf(row["safe"]),
  };
}

function lsnOf(value: unknown): Lsn | undefined {
  return typeof value === "string" ? parseLsn(value) : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
