/**
 * A raw node-postgres session with a server of the demo, for what src/postgres/query-connection.ts does not offer: COPY
 * from us, and the notices that come with an answer.
 *
 * Invariants: every parameter is given here, nothing comes from PG* variables or a password file; an error between two
 * queries does not end our process. The servers of the demo run on this machine and speak no TLS.
 */
import pg from "pg";
import { assert, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { abortedError, throwIfAborted } from "../platform/clock.ts";
import { guardedSocket } from "../platform/guarded-socket.ts";
import type { ConnectOptions } from "./replication.ts";
import { connectionLost, serverError } from "./server-error.ts";
import { forgetEnvironment, type SessionSettings, startupOptions } from "./session-settings.ts";
import { unreadable } from "./wire/protocol-error.ts";

/** Makes a client that is not connected yet. `settings` are server parameters of the session. */
export function newSession(connect: ConnectOptions, settings: SessionSettings = {}): pg.Client {
  assert(connect.tls === undefined || connect.tls.mode === "disable", "sessions of the demo use no TLS");
  const client = new pg.Client({
    host: connect.host,
    port: connect.port,
    user: connect.user,
    database: connect.database ?? "postgres",
    // A function, because an absent or empty password would be looked for in the environment and in files.
    password: () => connect.password ?? "",
    application_name: connect.applicationName,
    client_encoding: "UTF8",
    ssl: false,
    stream: () => guardedSocket((thrown) => unreadable(thrown, { name: nameOf(connect), user: connect.user })),
    connectionTimeoutMillis: connect.connectTimeoutMs,
  });
  forgetEnvironment(client, { options: startupOptions(settings) });
  client.on("error", () => undefined);
  return client;
}

/** Breaks the connection off without a goodbye; a frozen server would not answer one. Repeatable. */
export function breakOff(client: pg.Client): void {
  client.connection.stream.destroy();
}

/** What a piece of work with a session needs. */
export type SessionWork<T> = {
  readonly connect: ConnectOptions;
  readonly settings?: SessionSettings | undefined;
  /** A participle, for errors: "loading the catalogue". */
  readonly step: string;
  readonly signal?: AbortSignal | undefined;
  readonly work: (client: pg.Client) => Promise<T>;
};

/**
 * Opens a session, runs the work, closes the session. A server's refusal becomes the error of
 * postgres/server-error.ts, a lost or refused connection `postgres.connection-lost` or `.unreachable`; an abort breaks
 * the session off and rejects with `platform.aborted`.
 */
export async function withSession<T>(request: SessionWork<T>): Promise<T> {
  const { signal, step } = request;
  throwIfAborted(signal, step);
  const client = newSession(request.connect, request.settings);
  const onAbort = () => breakOff(client);
  signal?.addEventListener("abort", onAbort, { once: true });
  let connected = false;
  try {
    await client.connect();
    connected = true;
    return await request.work(client);
  } catch (cause) {
    if (signal?.aborted === true) throw abortedError(step, signal.reason);
    throw sessionError(cause, { connect: request.connect, step, connected });
  } finally {
    signal?.removeEventListener("abort", onAbort);
    // The work is done or has failed: what is left is a goodbye, and a session already broken off has none to say.
    await client.end().catch(() => undefined);
  }
}

function sessionError(
  cause: unknown,
  context: { readonly connect: ConnectOptions; readonly step: string; readonly connected: boolean },
): LifeboatError {
  if (cause instanceof LifeboatError) return cause;
  const { connect, step } = context;
  const peer = {
    name: nameOf(connect),
    user: connect.user,
    database: connect.database ?? "postgres",
    clientAddress: undefined,
    encrypted: false,
  };
  if (cause instanceof pg.DatabaseError) {
    const { severity = "ERROR", code: sqlstate = "XX000", message, detail, hint } = cause;
    return serverError({ severity, sqlstate, message, detail, hint }, { peer, step });
  }
  if (context.connected) return connectionLost({ peer, step }, cause);
  return new LifeboatError("postgres.unreachable", {
    message: `cannot reach the server ${peer.name} for ${step}: ${errorText(cause)}`,
    remedy: "Check that the server runs and listens there, then run the same command again.",
    retryable: true,
    cause,
  });
}

function nameOf({ host, port }: ConnectOptions): string {
  return host.startsWith("/") ? host : `${host}:${port}`;
}
