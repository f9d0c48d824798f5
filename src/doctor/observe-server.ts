/** Looks at a server for doctor, with whatever rights the role has. */
import { LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import { CHANGED_COLLATIONS_SQL, readCollations } from "../postgres/collations.ts";
import { LOGICAL_SLOTS_SQL, readLogicalSlots } from "../postgres/logical-slots.ts";
import { openQuery, type QueryConnection, type QueryRow } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import { readSlots, SLOTS_SQL } from "../postgres/slots.ts";
import { OUTSIDE_TABLESPACES_SQL, readOutsideTablespaces } from "../postgres/tablespaces.ts";
import { COMMIT_OVERRIDES_SQL, readCommitOverrides } from "../postgres/waiting-commits.ts";
import type { Observed, RoleFacts, ServerFacts } from "./facts.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Catalogues and settings answer at once; a server that takes longer has a trouble of its own. */
const QUERY_TIMEOUT_MS = 10_000;

const SETTINGS = [
  "data_checksums",
  "wal_log_hints",
  "full_page_writes",
  "fsync",
  "wal_level",
  "wal_segment_size",
  "max_wal_senders",
  "max_slot_wal_keep_size",
  "synchronous_standby_names",
  "synchronous_commit",
  "allow_alter_system",
];

const ROLES = ["pg_monitor", "pg_read_all_settings", "pg_read_server_files"];

/** Looks. A failed observation becomes `unseen`; rejects only with `platform.aborted`, or for our own bugs. */
export async function observeServer(
  tools: { readonly clock: Clock },
  address: ConnectOptions,
  options: CallOptions,
): Promise<ServerFacts> {
  const replication = await observe(async () => {
    const connection = await openReplication(address, options);
    try {
      const { systemId } = await connection.identifySystem(options);
      return String(systemId);
    } finally {
      await connection.close();
    }
  });
  const opened = await observe(() => openQuery(address, options));
  if (opened.kind === "unseen") return nothingSeen(replication, opened);
  const session = opened.value;
  try {
    return { ...(await lookAround(session, tools, options)), replication };
  } finally {
    await session.close();
  }
}

async function lookAround(
  session: QueryConnection,
  tools: { readonly clock: Clock },
  options: CallOptions,
): Promise<Omit<ServerFacts, "replication">> {
  const rows = (sql: string, parameters: readonly unknown[] = []) =>
    session.query(sql, parameters, { ...options, timeoutMs: QUERY_TIMEOUT_MS });
  const one = async (sql: string, parameters: readonly unknown[] = []): Promise<QueryRow> =>
    (await rows(sql, parameters))[0] ?? {};
  const { clock } = tools;
  return {
    version: { kind: "seen", value: session.serverVersion },
    settings: await observe(async () => {
      const found = await rows("SELECT name, setting FROM pg_settings WHERE name = ANY ($1)", [SETTINGS]);
      return new Map(found.map((row) => [String(row["name"]), String(row["setting"])]));
    }),
    walSendersUsed: await observe(async () =>
      Number(
        (await one("SELECT count(*)::int AS used FROM pg_stat_activity WHERE backend_type = 'walsender'"))["used"],
      ),
    ),
    slots: await observe(async () => readSlots(await one(SLOTS_SQL))),
    commitOverrides: await observe(async () => readCommitOverrides(await rows(COMMIT_OVERRIDES_SQL))),
    logicalSlots: await observe(async () => readLogicalSlots(await rows(LOGICAL_SLOTS_SQL))),
    collations: await observe(async () => readCollations(await rows(CHANGED_COLLATIONS_SQL))),
    outsideTablespaces: await observe(async () => readOutsideTablespaces(await one(OUTSIDE_TABLESPACES_SQL))),
    role: await observe(async () => roleOf(await one(ROLE_SQL, [ROLES]))),
    clock: await observe(async () => {
      const before = clock.now();
      const row = await one("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now");
      const after = clock.now();
      return {
        aheadMs: Math.round(Number(row["now"]) - (before + after) / 2),
        uncertainMs: Math.ceil((after - before) / 2),
      };
    }),
    // Both null over a Unix socket; equal when the connection never left the machine.
    sameMachine: await observe(async () => {
      const row = await one("SELECT inet_server_addr() IS NOT DISTINCT FROM inet_client_addr() AS same");
      return row["same"] === true;
    }),
    walBytesPerHour: await observe(async () => {
      const row = await one(
        "SELECT (wal_bytes * 3600 / greatest(1, extract(epoch FROM now() - stats_reset)))::float8 AS rate FROM pg_stat_wal",
      );
      return Number(row["rate"]);
    }),
    sizeBytes: await observe(async () =>
      Number((await one("SELECT sum(pg_database_size(oid))::float8 AS size FROM pg_database"))["size"]),
    ),
  };
}

const ROLE_SQL = `SELECT rolsuper, rolreplication,
    ARRAY(SELECT name FROM unnest($1::text[]) AS name WHERE pg_has_role(current_user, name, 'USAGE')) AS member_of,
    has_function_privilege('pg_read_file(text)', 'EXECUTE') AS may_read
  FROM pg_roles WHERE rolname = current_user`;

function roleOf(row: QueryRow): RoleFacts {
  const roles = row["member_of"];
  return {
    superuser: row["rolsuper"] === true,
    replication: row["rolreplication"] === true,
    memberOf: Array.isArray(roles) ? roles.map(String) : [],
    mayReadFiles: row["may_read"] === true,
  };
}

/** Runs an observation; a failure becomes the reason why it was not seen. */
export async function observe<T>(look: () => Promise<T>): Promise<Observed<T>> {
  try {
    return { kind: "seen", value: await look() };
  } catch (error) {
    if (!(error instanceof LifeboatError) || error.kind === "bug" || error.code === "platform.aborted") {
      throw error;
    }
    return { kind: "unseen", why: `${error.message} (${error.code})`, remedy: error.remedy };
  }
}

function nothingSeen(
  replication: ServerFacts["replication"],
  unseen: Extract<Observed<never>, { kind: "unseen" }>,
): ServerFacts {
  const without = { ...unseen, why: "no ordinary connection to the server" };
  return {
    replication,
    version: unseen,
    settings: without,
    walSendersUsed: without,
    slots: without,
    commitOverrides: without,
    logicalSlots: without,
    collations: without,
    outsideTablespaces: without,
    role: without,
    clock: without,
    sameMachine: without,
    walBytesPerHour: without,
    sizeBytes: without,
  };
}
