/**
 * Ordinary SQL on one session, a thin layer over node-postgres: time limits, cancelling and our errors.
 *
 * Invariants: every query has a limit, kept by the server (`statement_timeout`) and, should the server not answer at all,
 * by us; nothing is taken from PG* environment variables or a password file; what the session finds by name is the server's
 * own (session-settings.ts); nothing is retried.
 */
import type { Socket } from "node:net";
import pg from "pg";
import { assert, LifeboatError } from "../errors/error.ts";
import { abortedError, throwIfAborted } from "../platform/clock.ts";
import { guarded } from "../platform/guarded-socket.ts";
import { startTimer } from "../platform/timer.ts";
import type { CallOptions, ConnectOptions } from "./replication.ts";
import { type CodesOfCommand, connectionLost, type Peer, serverError } from "./server-error.ts";
import { forgetEnvironment, type NamesOf, ownOptions, TRANSACTION_LIMIT_OFF } from "./session-settings.ts";
import { versionNumber } from "./wire/answers.ts";
import { dial, isUnixSocket, peerOf, withinConnectTime } from "./wire/dial.ts";
import { passwordMissing, passwordWouldLeak } from "./wire/login.ts";
import { unreadable } from "./wire/protocol-error.ts";

/** The database when none is named: it is there in every cluster. */
const DATABASE_DEFAULT = "postgres";
/** How long after its own limit the server may be silent before we give up on it. */
const ANSWER_GRACE_MS = 2000;
/** A server that does not close its side within this time after our goodbye is left. */
const CLOSE_TIMEOUT_MS = 2000;

/** A row as node-postgres gives it: integers to 32 bits are numbers, int8 and numeric are strings, times are dates. */
export type QueryRow = Readonly<Record<string, unknown>>;

/** A session for SQL. Not for concurrent calls. */
export interface QueryConnection {
  /** server_version_num, for example 160014. */
  readonly serverVersion: number;
  /**
   * Runs one statement with `$1` parameters and returns its rows. Rejects with `postgres.timeout` after `timeoutMs`,
   * `postgres.query-failed` (SQLSTATE in `details.sqlstate`), `.not-permitted`, `.shutting-down`, `.connection-lost`,
   * or `platform.aborted` (the session is unusable then). A statement with a `name`, which is for one text only, is planned once in
   * the session.
   */
  query(
    sql: string,
    parameters: readonly unknown[],
    options: CallOptions & { readonly timeoutMs: number; readonly name?: string | undefined },
  ): Promise<readonly QueryRow[]>;
  /** Ends the session; legal at any time, repeatable. */
  close(): Promise<void>;
}

const OPENING = `SELECT pg_catalog.current_setting('server_version') AS server_version, ${TRANSACTION_LIMIT_OFF}`;

/** A database that is not there is told at login, like a role that is not. */
const LOGIN_CODES: CodesOfCommand = { "3D000": "postgres.login-refused" };

/** How to log in for SQL. */
export type QueryOptions = ConnectOptions & {
  /** Default `server`. With `database`, whoever owns that database decides what a bare name in a statement means. */
  readonly namesOf?: NamesOf | undefined;
};

/**
 * Logs in for SQL to a server, within `connectTimeoutMs`: the session is as session-settings.ts says. Rejects as `openReplication`
 * does. Closing is the caller's.
 */
export async function openQuery(options: QueryOptions, call: CallOptions): Promise<QueryConnection> {
  return await withinConnectTime(options, call, (signal) => logIn(options, signal));
}

async function logIn(options: QueryOptions, signal: AbortSignal): Promise<QueryConnection> {
  const socket = await dial(options, signal);
  const peer = peerOf(options, { socket, database: options.database ?? DATABASE_DEFAULT });
  const client = new pg.Client({
    host: options.host,
    port: options.port,
    user: options.user,
    database: peer.database,
    // A function, because an absent or empty password would be looked for in the environment and in files.
    password: () => options.password ?? "",
    application_name: options.applicationName,
    client_encoding: "UTF8",
    ssl: false,
    stream: () => connectedStream(guarded(socket, (thrown) => unreadable(thrown, peer))),
  });
  forgetEnvironment(client, { options: ownOptions(options.namesOf) });
  // An error between two queries shows at the next one; without a listener it would end the process.
  client.on("error", () => undefined);
  let leak = false;
  client.connection.on("authenticationCleartextPassword", () => {
    leak = !peer.encrypted && !isUnixSocket(options);
    // Comes before the client's own listener: what it writes to a destroyed socket goes nowhere.
    if (leak) socket.destroy();
  });
  const destroy = () => socket.destroy();
  signal.addEventListener("abort", destroy, { once: true });
  const step = `logging in to ${peer.name} as ${peer.user}`;
  try {
    await client.connect();
    const shown = await client.query<Record<string, unknown>>(OPENING);
    return new PgQueryConnection(client, socket, {
      peer,
      version: versionNumber(String(shown.rows[0]?.["server_version"])),
    });
  } catch (cause) {
    socket.destroy();
    if (leak) throw passwordWouldLeak(peer);
    if (isPasswordMissing(options, cause)) throw passwordMissing(peer, cause);
    throw queryError(cause, { peer, step, codes: LOGIN_CODES });
  } finally {
    signal.removeEventListener("abort", destroy);
  }
}

class PgQueryConnection implements QueryConnection {
  readonly serverVersion: number;
  readonly #client: pg.Client;
  readonly #socket: Socket;
  readonly #peer: Peer;
  #limitMs = 0;
  #busy = false;

  constructor(client: pg.Client, socket: Socket, facts: { readonly peer: Peer; readonly version: number }) {
    this.#client = client;
    this.#socket = socket;
    this.#peer = facts.peer;
    this.serverVersion = facts.version;
  }

  async query(
    sql: string,
    parameters: readonly unknown[],
    { signal, timeoutMs, name }: CallOptions & { readonly timeoutMs: number; readonly name?: string | undefined },
  ): Promise<readonly QueryRow[]> {
    const step = `running a query on ${this.#peer.name}`;
    assert(!this.#busy, "one query at a time on a connection");
    assert(Number.isInteger(timeoutMs) && timeoutMs > 0, "a query's time limit is a whole number of milliseconds");
    throwIfAborted(signal, step);
    this.#busy = true;
    let silent = false;
    const onAbort = () => this.#socket.destroy();
    signal?.addEventListener("abort", onAbort, { once: true });
    const cancel = startTimer(timeoutMs + ANSWER_GRACE_MS, () => {
      silent = true;
      this.#socket.destroy();
    });
    try {
      await this.#limit(timeoutMs);
      const asked = { text: sql, values: [...parameters], ...(name === undefined ? {} : { name }) };
      return (await this.#client.query<Record<string, unknown>>(asked)).rows;
    } catch (cause) {
      if (signal?.aborted === true) throw abortedError(step, signal.reason);
      if (silent) throw noAnswer(this.#peer, timeoutMs, cause);
      throw queryError(cause, { peer: this.#peer, step });
    } finally {
      cancel();
      signal?.removeEventListener("abort", onAbort);
      this.#busy = false;
    }
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    const cancel = startTimer(CLOSE_TIMEOUT_MS, () => this.#socket.destroy());
    // Its promise settles with the session; a failure of a goodbye is of no use to anybody.
    this.#client.end().catch(() => undefined);
    await closed;
    cancel();
  }

  async #limit(timeoutMs: number): Promise<void> {
    if (timeoutMs === this.#limitMs) return;
    await this.#client.query(`SET statement_timeout = ${timeoutMs}`);
    this.#limitMs = timeoutMs;
  }
}

/** node-postgres connects the stream it is given; ours is connected and encrypted already, by the rules of dial.ts. */
function connectedStream(socket: Socket): Socket {
  return Object.assign(socket, {
    connect: () => {
      queueMicrotask(() => socket.emit("connect"));
      return socket;
    },
  });
}

function queryError(
  cause: unknown,
  context: { readonly peer: Peer; readonly step: string; readonly codes?: CodesOfCommand },
): LifeboatError {
  if (cause instanceof LifeboatError) return cause;
  if (!(cause instanceof pg.DatabaseError)) return connectionLost(context, cause);
  return serverError(
    {
      severity: cause.severity ?? "ERROR",
      sqlstate: cause.code ?? "XX000",
      message: cause.message,
      detail: cause.detail,
      hint: cause.hint,
    },
    context,
  );
}

/** node-postgres refuses to answer a challenge without a password by an error of its own, which no server reported. */
function isPasswordMissing(options: ConnectOptions, cause: unknown): boolean {
  const given = options.password !== undefined && options.password !== "";
  return !given && cause instanceof Error && !(cause instanceof pg.DatabaseError) && !("code" in cause);
}

function noAnswer(peer: Peer, timeoutMs: number, cause: unknown): LifeboatError {
  return new LifeboatError("postgres.timeout", {
    message: `the server ${peer.name} gave no answer to a query within ${timeoutMs} ms`,
    remedy: "Check that the server and the network are alive, then run the same command again.",
    retryable: true,
    cause,
    details: { server: peer.name },
  });
}
