/** Shows that a stack does its work: a write through the pooler, read back on the replica. */
import pg from "pg";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { abortedError, throwIfAborted } from "../platform/clock.ts";
import { guardedSocket } from "../platform/guarded-socket.ts";
import { forgetEnvironment } from "../postgres/session-settings.ts";
import { poolerSocketFolder } from "./instances.ts";
import { nodePort } from "./node-settings.ts";
import { applicationAddress, PROOF_TABLE, withNode } from "./nodes.ts";
import type { StackSecrets } from "./secrets.ts";
import { replicaOf, type StackDescription } from "./stack.ts";
import type { CallOptions, StackTools } from "./tools.ts";

/** A write that waits for a confirmer on a busy disk. */
const ANSWER_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** A replica that streams replays a single row in milliseconds. */
const REPLAY_TIMEOUT_MS = 10_000;
const LOOK_INTERVAL_MS = 10;

/** Resolves when a pooler lets the application in over its own socket. Rejects with `stack.proof-failed`. */
export async function askPooler(
  stack: StackDescription,
  secrets: StackSecrets,
  options: CallOptions & { readonly instance: string },
): Promise<void> {
  await throughPooler(stack, secrets, "SELECT 1", { ...options, host: poolerSocketFolder(stack, options.instance) });
}

/**
 * Whether what the application sends through a pooler runs on the recorded primary, and not on a node that only reads. Rejects as
 * `askPooler`.
 */
export async function leadsToPrimary(
  stack: StackDescription,
  secrets: StackSecrets,
  options: CallOptions & { readonly instance: string },
): Promise<boolean> {
  const sql = "SELECT pg_is_in_recovery() AS reads_only, inet_server_port() AS port";
  const host = poolerSocketFolder(stack, options.instance);
  const [row] = await throughPooler(stack, secrets, sql, { ...options, host });
  return row?.["reads_only"] === false && row["port"] === nodePort(stack, stack.primary);
}

/** True when a write through the pooler showed on the replica. Rejects with `stack.proof-failed` when the write fails. */
export async function proveStack(
  { clock, random }: Pick<StackTools, "clock" | "random">,
  { stack, secrets }: { readonly stack: StackDescription; readonly secrets: StackSecrets },
  options: CallOptions,
): Promise<boolean> {
  const token = random(16).toString("hex");
  await throughPooler(
    stack,
    secrets,
    `INSERT INTO ${PROOF_TABLE} VALUES (1, '${token}', now())
       ON CONFLICT (id) DO UPDATE SET token = excluded.token, at = excluded.at`,
    options,
  );
  const deadline = clock.monotonic() + REPLAY_TIMEOUT_MS;
  const address = applicationAddress(stack, secrets, replicaOf(stack));
  return await withNode(address, options, async ({ run }) => {
    for (;;) {
      const [row] = await run(`SELECT token FROM ${PROOF_TABLE} WHERE id = 1`);
      if (row?.["token"] === token) return true;
      if (clock.monotonic() > deadline) return false;
      await clock.sleep(LOOK_INTERVAL_MS, options);
    }
  });
}

/**
 * One statement as the application, by the simple protocol: a pooler in transaction mode may give every statement another
 * server connection, and nothing must be left set on it.
 */
async function throughPooler(
  stack: StackDescription,
  secrets: StackSecrets,
  sql: string,
  options: CallOptions & { readonly host?: string },
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const { host = "127.0.0.1" } = options;
  const step = `asking the pooler on port ${stack.ports.pgbouncer}`;
  throwIfAborted(options.signal, step);
  const client = new pg.Client({
    host,
    port: stack.ports.pgbouncer,
    user: stack.applicationRole,
    database: stack.database,
    password: () => secrets.application,
    application_name: "lifeboat_stack",
    client_encoding: "UTF8",
    ssl: false,
    stream: () => guardedSocket(),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
  });
  forgetEnvironment(client, { options: "" });
  client.on("error", () => undefined);
  const onAbort = (): void => {
    client.connection.stream.destroy();
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } catch (cause) {
    if (options.signal?.aborted === true) throw abortedError(step, options.signal.reason);
    throw poolerError(stack, host, cause);
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    // What is left is a goodbye, and a session already broken off has none to say.
    await client.end().catch(() => undefined);
  }
}

function poolerError(stack: StackDescription, host: string, cause: unknown): LifeboatError {
  return new LifeboatError("stack.proof-failed", {
    message: `the pooler of stack ${stack.name} at ${host} on port ${stack.ports.pgbouncer} does not serve ${stack.applicationRole}: ${errorText(cause)}`,
    remedy: `Look at the logs of pgbouncer and db in ${stack.place.logs}.`,
    retryable: true,
    cause,
  });
}
