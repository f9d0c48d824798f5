/** Whether commits wait for a confirmer's disk: the server's default, and what roles and databases have instead. */
import type { QueryRow } from "./query-connection.ts";

/** Values of synchronous_commit with which a commit is on stable storage at its confirmers before it is acknowledged. */
const WAITING_COMMITS: ReadonlySet<string> = new Set(["on", "remote_apply"]);

/** A role, or a database, whose sessions have a synchronous_commit of their own; all roles where both are left out. */
export type CommitOverride = { readonly role: string | undefined; readonly database: string | undefined } & {
  readonly value: string;
};

/** Whether commits wait with this value of synchronous_commit. */
export function commitsWait(value: string): boolean {
  return WAITING_COMMITS.has(value);
}

/** Values of synchronous_commit with which a commit waits for no confirmer at all, as files and the server spell them. */
const ALONE: ReadonlySet<string> = new Set(["off", "local", "false", "no", "0"]);

/** Whether commits wait for nobody with this value, whatever synchronous_standby_names says. */
export function commitsAlone(value: string): boolean {
  return ALONE.has(value.toLowerCase());
}

/** What to do about a server whose default is not to wait. */
export const RESET_COMMITS = "ALTER SYSTEM RESET synchronous_commit; SELECT pg_reload_conf();";

/** All that have one; any role may see them. Its rows are read by `readCommitOverrides`. */
export const COMMIT_OVERRIDES_SQL = `SELECT r.rolname AS role, d.datname AS database, split_part(option, '=', 2) AS value
  FROM pg_db_role_setting s
  LEFT JOIN pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_database d ON d.oid = s.setdatabase,
  unnest(s.setconfig) AS option
  WHERE option LIKE 'synchronous_commit=%' ORDER BY 1, 2`;

/** Reads them. */
export function readCommitOverrides(rows: readonly QueryRow[]): readonly CommitOverride[] {
  return rows.map((row) => ({
    role: textOf(row["role"]),
    database: textOf(row["database"]),
    value: String(row["value"]),
  }));
}

/** What is wrong with one; undefined of one whose commits wait. */
export function overrideRisk({
  role,
  database,
  value,
}: CommitOverride): { readonly message: string; readonly remedy: string } | undefined {
  if (commitsWait(value)) return undefined;
  const names = [role === undefined ? [] : `role ${role}`, database === undefined ? [] : `database ${database}`].flat();
  const whose = names.length === 0 ? "all roles" : names.join(" in ");
  const place = database === undefined ? "" : ` IN DATABASE ${quoted(database)}`;
  const target =
    role === undefined && database !== undefined
      ? `DATABASE ${quoted(database)}`
      : `ROLE ${role === undefined ? "ALL" : quoted(role)}${place}`;
  return {
    message: `synchronous_commit is ${value} for ${whose}: its commits wait for no confirmer's disk`,
    remedy: `Unless that is meant: ALTER ${target} RESET synchronous_commit;`,
  };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
