/**
 * What holds in a session of ours, whatever role, database, cluster and PGOPTIONS say: startup options win over all of them.
 *
 * Invariants: a name in a statement of ours means the server's own function, operator or view. A database's owner can make a
 * `public.pg_read_file(text, int, int, boolean)` that matches a call better than the server's own, and set the search path of the
 * database; what he makes would run with our rights, which are a superuser's. So statements name tables with their schema.
 * A session that may be a pooler's is given no options: PgBouncer refuses a login with a setting that it does not track.
 * Source: PostgreSQL manual, "Writing SECURITY DEFINER Functions Safely", "Schemas", "Client Connection Defaults", "Message Formats".
 */
import type pg from "pg";

/** Server parameters by name. */
export type SessionSettings = Readonly<Record<string, string>>;

/** Temporary objects last: they come first where nobody says where. */
const OWN_NAMES: SessionSettings = { search_path: "pg_catalog,pg_temp" };

/**
 * A hot standby refuses every statement under SERIALIZABLE, and a limit that is meant for clients would end what is in order. All
 * of them are known to every supported version: a login that names an unknown one is refused.
 */
const OWN_TRANSACTIONS: SessionSettings = {
  default_transaction_isolation: "read committed",
  default_transaction_read_only: "off",
  default_transaction_deferrable: "off",
  standard_conforming_strings: "on",
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
};

/** By which names a session finds what is not named with its schema: the server's own only, or as its database says. */
export type NamesOf = "server" | "database";

/** What a session with a server is given, for its startup message. */
export function ownOptions(names: NamesOf = "server"): string {
  return startupOptions({ ...(names === "server" ? OWN_NAMES : {}), ...OWN_TRANSACTIONS });
}

/** Settings as the startup message carries them: split at spaces, unless a backslash is before them. */
export function startupOptions(settings: SessionSettings): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, "\\$&")}`)
    .join(" ");
}

/** The limit on transactions came with 17. In one statement with what is asked after a login anyway. */
export const TRANSACTION_LIMIT_OFF = `CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 170000
  THEN pg_catalog.set_config('transaction_timeout', '0', false) END`;

/** node-postgres fills what it was not given from PGOPTIONS and PGREPLICATION: takes that away again. */
export function forgetEnvironment(client: pg.Client, given: { readonly options: string }): void {
  const { connectionParameters } = client as pg.Client & {
    readonly connectionParameters: { options: string | undefined; replication: string | undefined };
  };
  connectionParameters.options = given.options === "" ? undefined : given.options;
  connectionParameters.replication = undefined;
}
