/**
 * Whether commits wait for standbys: seen, not concluded from settings.
 *
 * After a change of synchronous_standby_names from none to some, commits wait for nobody until the server's checkpointer has read
 * it (SyncRepUpdateSyncStandbysDefined in PostgreSQL's source), whatever sessions and WAL senders say: a moment later as a rule,
 * as late as the end of a checkpoint that is being hurried or synced. No view shows that moment; a commit that waits does. And a
 * WAL sender of a physical stream counts by the names that it has read: one that has waited for something to do since they were changed looks at
 * them before it counts anything else.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import { openQuery, type QueryRow } from "./query-connection.ts";
import type { CallOptions, ConnectOptions } from "./replication.ts";

/** Runs a statement on a session. */
type Run = (sql: string, parameters?: readonly unknown[]) => Promise<readonly QueryRow[]>;

/** Between two looks, and two commits of which none was seen to wait. */
const AGAIN_MS = 2;
/** Between two commits once so much was written: a disk may be what is behind. */
const LATE_MS = 250;
const SOON_BYTES_MAX = 64 * 1024 * 1024;
/** Each commit has more to send than the one before, and waits longer, from this to that. */
const BYTES_FIRST = 1024;
const BYTES_MAX = 1024 * 1024;

/** A commit that waits where commits do, and touches no table: a logical message in a transaction of its own. */
const COMMIT =
  "SELECT set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, 'lifeboat', repeat('.', $1))";

/**
 * Whether any commit waits, ours or another's, and how the WAL senders are that stream. Source: PostgreSQL manual, "Wait Event".
 */
const LOOK = `SELECT
    EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'IPC' AND wait_event = 'SyncRep') AS waits,
    ARRAY(SELECT r.pid FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
           WHERE r.state = 'streaming' AND s.slot_type IS DISTINCT FROM 'logical') AS senders,
    ARRAY(SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event = 'WalSenderMain') AS idle`;

/**
 * Commits, as a superuser, until one was seen to wait, and every WAL sender to have had nothing to do; false when that was not
 * seen by the deadline. The names must be in force for new sessions already. A commit that nobody confirms is left committed.
 * Rejects as `openQuery` and its queries do.
 */
export async function seesCommitWait(
  { clock }: { readonly clock: Clock },
  { address, deadline }: { readonly address: ConnectOptions; readonly deadline: Monotonic },
  options: CallOptions,
): Promise<boolean> {
  const timeoutMs = Math.max(1, Math.ceil(deadline - clock.monotonic()));
  const opened = await Promise.allSettled([openQuery(address, options), openQuery(address, options)]);
  const sessions = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  try {
    const [committing, looking] = sessions;
    if (committing === undefined || looking === undefined) {
      throw opened.find((each) => each.status === "rejected")?.reason;
    }
    const commit: Run = (sql, parameters = []) => committing.query(sql, parameters, { ...options, timeoutMs });
    const look: Run = (sql, parameters = []) => looking.query(sql, parameters, { ...options, timeoutMs });
    return await commitUntilSeen(clock, { commit, look, deadline }, options);
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

async function commitUntilSeen(
  clock: Clock,
  { commit, look, deadline }: { readonly commit: Run; readonly look: Run; readonly deadline: Monotonic },
  options: CallOptions,
): Promise<boolean> {
  const [own] = await commit("SELECT pg_backend_pid() AS pid");
  const pid = own?.["pid"];
  const rested = new Set<unknown>();
  const seen = { waited: false, allRested: false };
  const see = async (): Promise<void> => {
    const [now] = await look(LOOK);
    seen.waited ||= now?.["waits"] === true;
    for (const each of listOf(now?.["idle"])) rested.add(each);
    seen.allRested = listOf(now?.["senders"]).every((each) => rested.has(each));
  };
  const isOver = (): boolean => (seen.waited && seen.allRested) || clock.monotonic() >= deadline;
  let bytes = 0;
  let writtenBytes = 0;
  let commitAt = clock.monotonic();
  for (;;) {
    await see();
    if (!seen.waited && clock.monotonic() >= commitAt) {
      let open = true;
      const committing = commit(COMMIT, [bytes]).finally(() => {
        open = false;
      });
      // Awaited below; a look that fails first would leave it to nobody.
      committing.catch(() => undefined);
      do await see();
      while (open && !isOver());
      // Perhaps nobody is there to confirm it. Where it has ended by itself there is nothing to cancel.
      if (open) await look("SELECT pg_cancel_backend($1)", [pid]);
      await committing.catch(unlessCancelled);
      writtenBytes += bytes;
      commitAt = (clock.monotonic() + (writtenBytes < SOON_BYTES_MAX ? 0 : LATE_MS)) as Monotonic;
      bytes = Math.min(Math.max(BYTES_FIRST, bytes * 2), BYTES_MAX);
    }
    if (isOver()) return seen.waited && seen.allRested;
    await clock.sleep(AGAIN_MS, options);
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** It was cancelled before it waited: its statement had not ended. */
function unlessCancelled(error: unknown): void {
  if (!isLifeboatError(error, "postgres.timeout")) throw error;
}
