/** Asks a node for what replication does not carry. On sessions of its own, beside whatever else is asked: nothing waits for it. */
import { LifeboatError } from "../errors/error.ts";
import type { Inventory } from "../failover/costs.ts";
import type { Call } from "../failover/ports.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { startTimer } from "../platform/timer.ts";
import { COLLATIONS_MAX, COLLATIONS_SQL, readCollations } from "../postgres/collations.ts";
import { LOGICAL_SLOTS_SQL, readLogicalSlots, SLOTS_MAX } from "../postgres/logical-slots.ts";
import { openQuery, type QueryConnection } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { serverName } from "../postgres/wire/dial.ts";
import { timelineStartIn } from "./view.ts";

const ROLE_SQL = `SELECT pg_is_in_recovery() AS standby, CASE WHEN NOT pg_is_in_recovery() THEN
    pg_read_file('pg_wal/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '.history', 0, 8388608, true)
  END AS history`;

/**
 * How a node is logged in to. In the protected database, which the application owns, nobody of ours needs to be a superuser; what only
 * one may read is asked in a database that is ours.
 */
export type InventoryPlace = {
  /** Of a superuser, in a database that nobody else owns. */
  readonly server: ConnectOptions;
  /** Of any role, in the protected database: where its collations are seen. */
  readonly database: ConnectOptions;
};

/**
 * Asks, within the call's time as a whole. Rejects as `openQuery` and its queries do; with `postgres.timeout` also where a server took
 * the login and froze, which a query of its own would wait longer for.
 */
export async function askInventory(place: InventoryPlace, { timeoutMs, signal }: Call): Promise<Inventory> {
  const step = `asking ${serverName(place.server)} for its slots and collations`;
  const limit = new AbortController();
  const cancel = startTimer(timeoutMs, () => limit.abort());
  const both = signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]);
  try {
    return await ask(place, { timeoutMs, signal: both });
  } catch (error) {
    throwIfAborted(signal, step);
    if (!limit.signal.aborted) throw error;
    throw new LifeboatError("postgres.timeout", {
      message: `${serverName(place.server)} did not tell its slots and collations within ${timeoutMs} ms`,
      remedy: "Check that the server and the network are alive, then run the same command again.",
      retryable: true,
      cause: error,
    });
  } finally {
    cancel();
  }
}

async function ask({ server, database }: InventoryPlace, call: Call): Promise<Inventory> {
  const [ofServer, collations] = await Promise.all([
    inSession(server, call, async (session) => {
      // First: who was a primary then has not become a standby while the rest is read.
      const [role] = await session.query(ROLE_SQL, [], call);
      const slots = readLogicalSlots(await session.query(LOGICAL_SLOTS_SQL, [], call));
      return { serverVersion: session.serverVersion, role, slots };
    }),
    inSession(database, call, async (session) => readCollations(await session.query(COLLATIONS_SQL, [], call))),
  ]);
  const { serverVersion, role, slots } = ofServer;
  const isCut = slots.length > SLOTS_MAX || collations.length > COLLATIONS_MAX;
  const history = role?.["history"];
  const timelineStart = timelineStartIn(typeof history === "string" ? history : null);
  return { serverVersion, isStandby: role?.["standby"] === true, timelineStart, slots, collations, isCut };
}

async function inSession<T>(
  address: ConnectOptions,
  call: Call,
  work: (session: QueryConnection) => Promise<T>,
): Promise<T> {
  const session = await openQuery({ ...address, connectTimeoutMs: call.timeoutMs }, call);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}
