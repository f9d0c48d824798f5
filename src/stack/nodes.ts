/** Asks the nodes of a stack, and tells them. Statements here name only constants and checked identifiers. */
import path from "node:path";
import { modeOfNames, synchronousStandbyNames } from "../durability/names.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import { openQuery, type QueryConnection, type QueryOptions, type QueryRow } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { type NodeName, nodePort } from "./node-settings.ts";
import type { NodeData, PrimaryFacts } from "./plan.ts";
import { scramSecretOf } from "./scram-secrets.ts";
import { type StackSecrets, secretFile } from "./secrets.ts";
import { CONFIRMERS, confirmersOf, ROLES, replicaOf, type StackDescription } from "./stack.ts";
import type { CallOptions } from "./tools.ts";

/** A local server answers in milliseconds; one that writes a checkpoint on a busy disk, in seconds. */
const QUERY_TIMEOUT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 2_000;

/**
 * The table that a start-up proves itself with; it holds one row. The application owns it, and can put a view in its place: only
 * the application's own role reads it.
 */
export const PROOF_TABLE = "public.lifeboat_stack_proof";

/** What is in a node's data folder. */
export async function nodeDataOf(files: Files, folder: string): Promise<NodeData> {
  if ((await files.stat(folder)) === undefined || (await files.list(folder)).length === 0) return "absent";
  if ((await files.stat(path.join(folder, CONTROL_FILE_PATH))) === undefined) return "unfinished";
  return (await files.stat(path.join(folder, "standby.signal"))) === undefined ? "primary" : "standby";
}

/** How to log in to a node over its Unix socket as the superuser. */
export function nodeAddress(stack: StackDescription, secrets: StackSecrets, node: NodeName): ConnectOptions {
  return {
    host: stack.place.sockets,
    port: nodePort(stack, node),
    user: ROLES.superuser,
    password: secrets.superuser,
    database: "postgres",
    tls: { mode: "disable" },
    applicationName: "lifeboat_stack",
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
}

/** The same as the application, in its database. */
export function applicationAddress(stack: StackDescription, secrets: StackSecrets, node: NodeName): ConnectOptions {
  const { applicationRole: user, database } = stack;
  return { ...nodeAddress(stack, secrets, node), user, password: secrets.application, database };
}

/** A session that never waits for confirmers, and runs statements one by one. */
export type NodeSession = {
  readonly run: (sql: string, parameters?: readonly unknown[]) => Promise<readonly QueryRow[]>;
};

/** Runs `work` in a session. Rejects as `openQuery` and its queries do. */
export async function withNode<T>(
  address: QueryOptions,
  options: CallOptions,
  work: (session: NodeSession) => Promise<T>,
): Promise<T> {
  const connection: QueryConnection = await openQuery(address, options);
  const run = (sql: string, parameters: readonly unknown[] = []): Promise<readonly QueryRow[]> =>
    connection.query(sql, parameters, { ...options, timeoutMs: QUERY_TIMEOUT_MS });
  try {
    // Our own statements must not hang while the confirmers are being started.
    await run("SET synchronous_commit = local");
    return await work({ run });
  } finally {
    await connection.close();
  }
}

/** What the primary says; undefined when it cannot be asked yet. Rejects with `stack.login-refused`. */
export async function askPrimary(
  stack: StackDescription,
  secrets: StackSecrets,
  options: CallOptions,
): Promise<PrimaryFacts | undefined> {
  try {
    return await withNode(nodeAddress(stack, secrets, stack.primary), options, async ({ run }) => {
      const [row] = await run(FACTS, [
        stack.applicationRole,
        stack.database,
        [ROLES.replication, ROLES.lifeboat],
        CONFIRMERS.receiver,
        replicaOf(stack),
        ...passwordSecrets(stack, secrets),
      ]);
      const durability = textOf(row?.["durability"]);
      const isPrepared = row?.["prepared"] === true;
      const proof = isPrepared ? await ownerOfProof(stack, secrets, options) : undefined;
      return {
        prepared: proof !== undefined,
        rolesFit: row?.["opens"] === true && (proof === undefined || proof === stack.applicationRole),
        databaseOwner: textOf(row?.["owner"]),
        durability: durability === undefined ? "unset" : modeOfNames(durability),
        receiverStreams: row?.["receiver"] === true,
        replicaStreams: row?.["replica"] === true,
      };
    });
  } catch (error) {
    if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error)) throw error;
    // That lasts, and whoever took it for "not yet" would say of a server that works that it does not.
    if (isLifeboatError(error, "postgres.login-refused")) throw superuserRefused(stack, error);
    // Not there, not yet, or not ours: the step that starts it says what is wrong.
    return undefined;
  }
}

/** The primary is there, and does not let its superuser in. */
function superuserRefused({ name, place, primary }: StackDescription, cause: LifeboatError): LifeboatError {
  const file = secretFile(place, "superuser");
  const isPassword = cause.details["sqlstate"] === "28P01";
  return new LifeboatError("stack.login-refused", {
    message: `${primary}, the primary of stack ${name}, works and refuses the login of ${ROLES.superuser} with the password in ${file}: nobody can look at it, nor act on it`,
    remedy: isPassword
      ? `Put the password that the server has back into ${file}, and run lifeboat up. Where stack.applicationRole was ${ROLES.superuser} for a while, that is the line of ${secretFile(place, "application")}.`
      : cause.remedy,
    cause,
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

// A setting that is in postgresql.auto.conf was decided by somebody, also when it was decided to be empty.
const FACTS = `SELECT
  (SELECT count(*) = 2 FROM pg_roles WHERE rolname = ANY($3) AND rolreplication)
    AND EXISTS (SELECT FROM pg_roles WHERE rolname = $1)
    AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
                 WHERE r.rolname = '${ROLES.lifeboat}' AND m.roleid = 'pg_monitor'::regrole)
    AND EXISTS (SELECT FROM pg_database WHERE datname = $2)
    AND EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $5) AS prepared,
  (SELECT count(*) = 3 FROM pg_authid WHERE (rolname, rolpassword) IN
    (($1, $6), ('${ROLES.replication}', $7), ('${ROLES.lifeboat}', $8))) AS opens,
  (SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = $2) AS owner,
  (SELECT current_setting(name) FROM pg_settings
    WHERE name = 'synchronous_standby_names' AND sourcefile LIKE '%postgresql.auto.conf') AS durability,
  EXISTS (SELECT FROM pg_stat_replication WHERE application_name ~ ('^' || $4 || '(_e[0-9]+)?$')
    AND state = 'streaming') AS receiver,
  EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $5 AND state = 'streaming') AS replica`;

/** Whose the table of the proof is; undefined: there is none. */
async function ownerOfProof(
  stack: StackDescription,
  secrets: StackSecrets,
  options: CallOptions,
): Promise<string | undefined> {
  try {
    return await withNode(
      { ...nodeAddress(stack, secrets, stack.primary), database: stack.database },
      options,
      async ({ run }) => {
        const sql = "SELECT pg_get_userbyid(relowner)::text AS owner FROM pg_class WHERE oid = to_regclass($1)";
        return textOf((await run(sql, [PROOF_TABLE]))[0]?.["owner"]);
      },
    );
  } catch (error) {
    if (isLifeboatError(error, "postgres.login-refused")) return undefined;
    throw error;
  }
}

/** Makes what the primary lacks of roles, grants, database, slots and the table of the proof. Repeatable. */
export async function prepareDatabase(
  stack: StackDescription,
  secrets: StackSecrets,
  options: CallOptions,
): Promise<void> {
  const { replication, lifeboat } = ROLES;
  await withNode(nodeAddress(stack, secrets, stack.primary), options, async ({ run }) => {
    const lacks = async (sql: string, parameter: string): Promise<boolean> =>
      (await run(sql, [parameter])).length === 0;
    // The application's is what the pooler has, and logs in by.
    const [application, forReplication, forBackup] = passwordSecrets(stack, secrets);
    for (const [role, options_, secret] of [
      [stack.applicationRole, "LOGIN", application],
      [replication, "LOGIN REPLICATION", forReplication],
      [lifeboat, "LOGIN REPLICATION", forBackup],
    ] as const) {
      if (await lacks("SELECT FROM pg_roles WHERE rolname = $1", role)) await run(`CREATE ROLE "${role}"`);
      // Never the password: with log_statement, or an extension that notes statements, its text stays on the server.
      await run(`ALTER ROLE "${role}" WITH ${options_} PASSWORD '${secret}'`);
    }
    await run(`GRANT pg_monitor TO ${lifeboat}`);
    if (await lacks("SELECT FROM pg_database WHERE datname = $1", stack.database)) {
      await run(`CREATE DATABASE "${stack.database}" OWNER "${stack.applicationRole}"`);
    }
    // With WAL reserved from now on: what follows the first backup must be there for the replica. The receiver makes its own.
    if (await lacks("SELECT FROM pg_replication_slots WHERE slot_name = $1", replicaOf(stack))) {
      await run("SELECT pg_create_physical_replication_slot($1, true)", [replicaOf(stack)]);
    }
  });
  await withNode(
    { ...nodeAddress(stack, secrets, stack.primary), database: stack.database },
    options,
    async ({ run }) => {
      await run(
        `CREATE TABLE IF NOT EXISTS ${PROOF_TABLE} (id int PRIMARY KEY, token text NOT NULL, at timestamptz NOT NULL)`,
      );
      await run(`ALTER TABLE ${PROOF_TABLE} OWNER TO "${stack.applicationRole}"`);
    },
  );
}

/** What the server keeps of the passwords of the application's role, of the replicas' and of ours. */
function passwordSecrets(
  { applicationRole }: StackDescription,
  secrets: StackSecrets,
): readonly [string, string, string] {
  return [
    scramSecretOf(secrets, { role: applicationRole, password: "application" }),
    scramSecretOf(secrets, { role: ROLES.replication, password: "replication" }),
    scramSecretOf(secrets, { role: ROLES.lifeboat, password: "backup" }),
  ];
}

/** Makes commits of the described primary wait as described. Whether they do is to be looked at. */
export async function setDurability(
  stack: StackDescription,
  { secrets, receiver }: { readonly secrets: StackSecrets; readonly receiver: string },
  options: CallOptions,
): Promise<void> {
  const names = synchronousStandbyNames(stack.durability, confirmersOf(stack.primary, receiver));
  await withNode(nodeAddress(stack, secrets, stack.primary), options, async ({ run }) => {
    await run(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
    await run("SELECT pg_reload_conf()");
  });
}
