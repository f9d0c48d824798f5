/** The service of a stack: its file, its programs, and whether they do their work. What they do is none of the stack's business. */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Endpoint, exchange } from "../platform/exchange.ts";
import type { ComponentName } from "./component-names.ts";
import { apiSocketOf } from "./instances.ts";
import { secretFile } from "./secrets.ts";
import type { StackDescription } from "./stack.ts";
import type { CallOptions, StackTools } from "./tools.ts";

/** An instance answers from memory, also while it waits for a database. */
const ANSWER_TIMEOUT_MS = 2_000;
/** An index of some ten million offers. The server goes on with a larger one, and who asks again waits for that. */
const MIGRATION_TIMEOUT_MS = 600_000;
const LAST_LINES = 5;

/** The service's file of a component: each has its own, all alike. docs/formats/service.md is the specification. */
export function serviceFileOf({ place }: Pick<StackDescription, "place">, component: ComponentName): string {
  return path.join(place.configOf(component), SERVICE_FILE);
}

/** Its name. */
export const SERVICE_FILE = "service.json";

/** Its text. It names the secrets' files and holds no secret. */
export function renderServiceFile(stack: StackDescription): string {
  const { place, ports } = stack;
  const host = "127.0.0.1";
  const front = `http://${host}:${ports.front}`;
  const service = {
    format: "lifeboat-catalog-service",
    version: 1,
    release: stack.release,
    database: {
      host,
      port: ports.pgbouncer,
      name: stack.database,
      user: stack.applicationRole,
      passwordFile: secretFile(place, "application"),
    },
    // A connection of the read port stays with its server.
    reads: { host, port: ports.reads, prepares: true },
    redis: { host, port: ports.redis, passwordFile: secretFile(place, "redis") },
    operatorKeyFile: secretFile(place, "operator"),
    trustedProxies: stack.trustedProxies,
    privateWebhooks: stack.privateWebhooks,
    scraper: { api: front, feedsFolder: place.feeds, generated: stack.feeds === "made-up" },
    mcp: { api: front, publicUrl: `http://${host}:${ports.mcp}/mcp`, keyFile: secretFile(place, "mcp") },
  };
  return `${JSON.stringify(service, undefined, 2)}\n`;
}

/** Resolves when an instance can serve. Rejects with `platform.no-answer` or `stack.service-not-ready`. */
export async function askApi(stack: StackDescription, instance: string, options: CallOptions): Promise<void> {
  await askService(instance, { socket: apiSocketOf(stack, instance) }, options);
}

/** The same of any program of the service. */
export async function askService(name: string, to: Endpoint, options: CallOptions): Promise<void> {
  const answer = await get(to, "/health/ready", options);
  const [status = ""] = answer.split("\r\n");
  if (status.startsWith("HTTP/1.1 200 ")) return;
  throw new LifeboatError("stack.service-not-ready", {
    message: `${name} at ${"socket" in to ? to.socket : to.port} answers ${JSON.stringify(status)} when it is asked whether it can serve`,
    remedy: `Look at its log (lifeboat logs ${name}): it needs the database, by PgBouncer or by the balancer's read port.`,
    retryable: true,
  });
}

/** Whether a database answers an instance, by either way. Rejects with `platform.no-answer`. */
export async function canServeAnew(stack: StackDescription, instance: string, options: CallOptions): Promise<boolean> {
  const answer = await get({ socket: apiSocketOf(stack, instance) }, "/health", options);
  return !answer.includes('"can_read":false');
}

/** Whether an instance says that the database's schema is older than its own; false where it says nothing. */
export async function awaitsSchema(stack: StackDescription, instance: string, options: CallOptions): Promise<boolean> {
  try {
    const answer = await get({ socket: apiSocketOf(stack, instance) }, "/health", options);
    return answer.includes('"schema":"older"');
  } catch (error) {
    if (isLifeboatError(error, "platform.no-answer")) return false;
    throw error;
  }
}

async function get(to: Endpoint, page: string, options: CallOptions): Promise<string> {
  return await exchange({
    to,
    send: `GET ${page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    whole: () => false,
    timeoutMs: ANSWER_TIMEOUT_MS,
    ...options,
  });
}

/** What bringing the database to the newest schema needs. */
export type MigrationTools = Pick<StackTools, "processes" | "user" | "programs">;

/** Brings the database to the newest schema; does nothing where it has it. Rejects with `stack.schema-failed`. */
export async function migrateDatabase(
  { processes, user, programs }: MigrationTools,
  stack: StackDescription,
  options: CallOptions,
): Promise<void> {
  const { command, args, schema } = programs.service;
  const ran = await processes
    .run({
      command,
      args: [...args, schema, serviceFileOf(stack, "api")],
      folder: stack.place.folder,
      user: programs.lifeboatAsUser ? user : undefined,
      timeoutMs: MIGRATION_TIMEOUT_MS,
      ...options,
    })
    .catch((error: unknown) => {
      throw isLifeboatError(error, "platform.process-timeout") ? takesLong(stack, error) : error;
    });
  if (ran.exit.kind === "exited" && ran.exit.status === 0) return;
  const said = ran.stderr.trim().split("\n").slice(-LAST_LINES).join("; ");
  throw new LifeboatError("stack.schema-failed", {
    message: `bringing the database ${stack.database} to the newest schema failed: ${said === "" ? "it said nothing" : said}`,
    remedy: said.includes("authentication failed")
      ? `The line in ${secretFile(stack.place, "application")} is not the password of ${stack.applicationRole}: run \`lifeboat up\`, which gives the role and the pooler that line.`
      : "Mend what it says and run `lifeboat up` again; what was applied stays, and the rest is as it was.",
    retryable: true,
  });
}

function takesLong({ database }: StackDescription, cause: unknown): LifeboatError {
  return new LifeboatError("stack.schema-failed", {
    message: `bringing the database ${database} to the newest schema takes longer than ${MIGRATION_TIMEOUT_MS / 60_000} minutes`,
    remedy:
      "An index of very many offers is built: the server goes on with it (pg_stat_progress_create_index says how far it is). Run `lifeboat up` again, which waits for it and does the rest.",
    retryable: true,
    cause,
  });
}
