/**
 * Who may give orders to a server, kept where nobody can lose it: in the server.
 *
 * Nouns: the *epoch of a server* is the greatest that ever gave it an order, in its postgresql.auto.conf as `lifeboat.epoch`; a
 * session is *marked* with the epoch that it was admitted under, by a shared advisory lock; the *gate* is an advisory lock that one
 * session has at a time while it is admitted.
 * Invariants: behind the gate a session reads the epoch of the server, raises it durably where its own is greater, and ends every
 * session that is marked with a smaller one, before it does anything. So a session that is admitted and lives is of the greatest
 * epoch so far: whoever is halted between its admission and its order, for however long, finds its session ended, and is refused when
 * it asks for another one. All controllers share this memory, wherever they run; a server that is started again has it still.
 * Source: PostgreSQL manual, "Advisory Lock Functions", "pg_file_settings", "ALTER SYSTEM".
 */
import { assert, LifeboatError } from "../errors/error.ts";
import type { Epoch, StaleEpoch } from "../failover/ports.ts";
import type { QueryRow } from "../postgres/query-connection.ts";

/** The setting that holds the epoch of a server. */
const EPOCH_SETTING = "lifeboat.epoch";

/** Of a server that nobody has ordered anything yet. */
const NONE = 0;
/** The first key of our advisory locks, which nobody else is likely to use in this database; the second is an epoch. */
const LOCK_CLASS = 0x11_feb0;
/** The second key of the gate: no epoch. */
const GATE = 0;
/** Second keys are of 32 bits. */
const EPOCH_MAX = 2 ** 31 - 1;
/** A session that is told to end does so at its next interrupt: in well under a millisecond, unless its disk hangs. */
const ENDS_MS = 1_000;

type Run = (sql: string, parameters?: readonly unknown[]) => Promise<readonly QueryRow[]>;

/** The last mention counts. It is read from the files: what is loaded is older until the server has been told to look. */
const SEEN_SQL = `SELECT max(setting) AS seen FROM
  (SELECT setting FROM pg_file_settings WHERE name = '${EPOCH_SETTING}' ORDER BY seqno DESC LIMIT 1) AS last`;

/**
 * Ends those of smaller epochs; the rows that are left would not end. In two parts: of conditions in one place the planner chooses
 * the order, and it ended sessions before it had looked at what they held, so also those that had only such a number in another lock.
 */
const END_OLDER_SQL = `WITH older AS MATERIALIZED (SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND classid = ${LOCK_CLASS} AND objsubid = 2 AND objid <> ${GATE} AND objid < $1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid())
  SELECT pid FROM older WHERE NOT pg_terminate_backend(pid, ${ENDS_MS})`;

/**
 * Admits a session that was marked with `marked` before, or not yet. Undefined: it is admitted and marked for as long as it lives;
 * what it does from now on is done under this epoch or not at all. Rejects as queries do, and with `failover.session-stays`.
 */
export async function admitSession(
  run: Run,
  { epoch, marked }: { readonly epoch: Epoch; readonly marked: Epoch | undefined },
): Promise<StaleEpoch | undefined> {
  if (marked === epoch) return undefined;
  assert(epoch > GATE && epoch <= EPOCH_MAX, "an epoch is the key of a lock");
  if (marked !== undefined) await run("SELECT pg_advisory_unlock_all()");
  await run("SELECT pg_advisory_lock_shared($1::int, $2::int)", [LOCK_CLASS, epoch]);
  // Whoever is halted with the gate in its hand holds up nobody.
  await endOlder(run, epoch);
  await run("SELECT pg_advisory_lock($1::int, $2::int)", [LOCK_CLASS, GATE]);
  const [row] = await run(SEEN_SQL);
  const seen = epochOf(row?.["seen"]) as Epoch;
  if (seen > epoch) {
    await run("SELECT pg_advisory_unlock_all()");
    return { kind: "stale-epoch", seen };
  }
  if (seen < epoch) {
    // Before version 17 only a setting that the session knows can be written.
    await run(`SET ${EPOCH_SETTING} = '${epoch}'`);
    await run(`ALTER SYSTEM SET ${EPOCH_SETTING} = '${epoch}'`);
  }
  // Those that came through the gate before us; whoever comes after us is refused.
  await endOlder(run, epoch);
  await run("SELECT pg_advisory_unlock($1::int, $2::int)", [LOCK_CLASS, GATE]);
  return undefined;
}

/** An epoch as it stands in a setting. Throws `postgres.protocol`: with one that is not known nobody is admitted. */
function epochOf(setting: unknown): number {
  const text = String(setting ?? NONE);
  if (/^\d{1,10}$/.test(text) && Number(text) <= EPOCH_MAX) return Number(text);
  throw new LifeboatError("postgres.protocol", {
    message: `the server's ${EPOCH_SETTING} is ${JSON.stringify(text.slice(0, 40))}, expected a whole number up to ${EPOCH_MAX}`,
    remedy: `See who wrote it into postgresql.auto.conf, and put the epoch there that \`lifeboat failover --check-only\` shows.`,
  });
}

async function endOlder(run: Run, epoch: Epoch): Promise<void> {
  const staying = await run(END_OLDER_SQL, [epoch]);
  if (staying.length === 0) return;
  throw new LifeboatError("failover.session-stays", {
    message: `${staying.length} sessions of earlier epochs did not end within ${ENDS_MS} ms: epoch ${epoch} may not act beside them`,
    remedy: "Look at pg_stat_activity of that server: its disk may hang. The order is given again.",
    retryable: true,
  });
}

/** postgresql.auto.conf of a server that is down, with this epoch as its own unless it knows of a greater one. Pure. */
export function withEpoch(settings: string, epoch: Epoch): string {
  const mentions = /^[ \t]*lifeboat\.epoch[ \t]*=?[ \t]*'?(\d+)'?.*\n?/gim;
  const seen = epochOf([...settings.matchAll(mentions)].at(-1)?.[1]);
  const others = settings.replaceAll(mentions, "");
  const end = others === "" || others.endsWith("\n") ? "" : "\n";
  return `${others}${end}${EPOCH_SETTING} = '${Math.max(seen, epoch)}'\n`;
}
