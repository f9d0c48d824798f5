/**
 * Reaches a server: TCP or Unix socket, and TLS where it is asked for.
 *
 * Invariant: with `require` and `verify-full` nothing but the question for TLS is sent before the channel is encrypted, and
 * bytes that came with the answer are refused (they would be taken for encrypted ones).
 */
import net from "node:net";
import path from "node:path";
import tls from "node:tls";
import { LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import { throwIfAborted } from "../../platform/clock.ts";
import { systemFiles } from "../../platform/files.ts";
import { startTimer } from "../../platform/timer.ts";
import type { CallOptions, ConnectOptions } from "../replication.ts";
import type { Peer } from "../server-error.ts";
import { sslRequest } from "./outgoing.ts";
import { protocolError } from "./protocol-error.ts";
import type { ReadBuffers } from "./read-buffers.ts";

/** Silence after which the kernel asks whether the other side still lives. */
const KEEPALIVE_DELAY_MS = 30_000;

/** Where the options point, as people write it: `db:5432`, or the path of the socket. */
export function serverName(options: ConnectOptions): string {
  if (isUnixSocket(options)) return socketPath(options);
  return options.host.includes(":") ? `[${options.host}]:${options.port}` : `${options.host}:${options.port}`;
}

/** True when the options name the folder of a Unix socket. Such a connection is never encrypted, as in libpq. */
export function isUnixSocket(options: ConnectOptions): boolean {
  return options.host.startsWith("/");
}

/** True when the connection will be encrypted. */
function wantsTls(options: ConnectOptions): boolean {
  return !isUnixSocket(options) && options.tls !== undefined && options.tls.mode !== "disable";
}

/** The peer behind a socket of these options. */
export function peerOf(
  options: ConnectOptions,
  facts: { readonly socket: net.Socket; readonly database: string | undefined },
): Peer {
  return {
    name: serverName(options),
    user: options.user,
    database: facts.database,
    clientAddress: isUnixSocket(options) ? undefined : facts.socket.localAddress,
    encrypted: wantsTls(options),
  };
}

/**
 * Runs all of a login under one signal, which the caller's abort and the passing of `connectTimeoutMs` both abort: rejects
 * with `platform.aborted` or `postgres.unreachable` then. `work` must leave nothing open when it rejects.
 */
export async function withinConnectTime<T>(
  options: ConnectOptions,
  { signal }: CallOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const step = `connecting to ${serverName(options)}`;
  throwIfAborted(signal, step);
  const attempt = new AbortController();
  const stop = () => attempt.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  const cancel = startTimer(options.connectTimeoutMs, () => attempt.abort());
  try {
    return await work(attempt.signal);
  } catch (error) {
    throwIfAborted(signal, step);
    if (attempt.signal.aborted) {
      throw unreachable(options, new Error(`no answer within ${options.connectTimeoutMs} ms`));
    }
    throw error;
  } finally {
    cancel();
    signal?.removeEventListener("abort", stop);
  }
}

/** Options of node:tls for these connect options; undefined without TLS. Reads the file of certificates. */
async function tlsOptions(options: ConnectOptions): Promise<tls.ConnectionOptions | undefined> {
  if (!wantsTls(options) || options.tls === undefined) return undefined;
  // `host` is what the certificate is checked against; a server name indication must not be an address (RFC 6066).
  const name = net.isIP(options.host) === 0 ? { servername: options.host } : {};
  const base = { host: options.host, ...name };
  if (options.tls.mode !== "verify-full") return { ...base, rejectUnauthorized: false };
  const { caFile } = options.tls;
  const ca = caFile === undefined ? {} : { ca: await systemFiles.readFile(caFile) };
  return { ...base, ...ca, rejectUnauthorized: true };
}

/**
 * Opens a socket, encrypted where asked for. Rejects when the signal aborts (with its reason) or the server cannot be reached.
 * With `reads` a socket in the clear is read into those buffers and has no `data` events; an encrypted one leaves them unused.
 */
export async function dial(options: ConnectOptions, signal: AbortSignal, reads?: ReadBuffers): Promise<net.Socket> {
  const secure = await tlsOptions(options);
  signal.throwIfAborted();
  const socket = openSocket(options, secure === undefined ? reads : undefined);
  await socketEvent(socket, "connect", signal, (cause) => unreachable(options, cause));
  if (secure === undefined) return socket;
  await askForTls(socket, options, signal);
  const encrypted = tls.connect({ ...secure, socket });
  await socketEvent(encrypted, "secureConnect", signal, (cause) => {
    socket.destroy();
    return tlsFailed(options, `the TLS handshake failed: ${cause.message}`, cause);
  });
  return encrypted;
}

/** Starts to connect; the caller waits for `connect`. */
function openSocket(options: ConnectOptions, reads: ReadBuffers | undefined): net.Socket {
  const onread = reads === undefined ? {} : { onread: reads.onread };
  const socket = isUnixSocket(options)
    ? net.connect({ path: socketPath(options), ...onread })
    : net.connect({ host: options.host, port: options.port, ...onread });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEPALIVE_DELAY_MS);
  return socket;
}

/** `postgres.unreachable`: nobody answers there, or not in time. */
export function unreachable(options: ConnectOptions, cause: unknown): LifeboatError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  return new LifeboatError("postgres.unreachable", {
    message: `cannot reach the server at ${serverName(options)}: ${code ?? errorText(cause)}`,
    remedy:
      "Check that the server runs, that host and port are right, and that listen_addresses and firewalls let us through.",
    retryable: true,
    cause,
    details: { server: serverName(options) },
  });
}

/** `postgres.tls-failed`. */
export function tlsFailed(options: ConnectOptions, why: string, cause?: unknown): LifeboatError {
  return new LifeboatError("postgres.tls-failed", {
    message: `no encrypted connection to ${serverName(options)}: ${why}`,
    remedy:
      "Turn on ssl on the server, and with verify-full give the file of the authority that signed its certificate; the certificate must name this host.",
    cause,
    details: { server: serverName(options) },
  });
}

function socketPath(options: ConnectOptions): string {
  return path.join(options.host, `.s.PGSQL.${options.port}`);
}

async function askForTls(socket: net.Socket, options: ConnectOptions, signal: AbortSignal): Promise<void> {
  socket.write(sslRequest());
  const answer = await socketEvent(socket, "data", signal, (cause) => unreachable(options, cause));
  const text = Buffer.isBuffer(answer) ? answer.toString("latin1") : "";
  if (text === "S") return;
  socket.destroy();
  if (text === "N") throw tlsFailed(options, "the server offers no TLS");
  throw protocolError(`the server answered the question for TLS with ${text.length} bytes, expected one`);
}

/** Waits for one event of a socket. On failure, end or abort the socket is destroyed. */
function socketEvent(
  socket: net.Socket,
  event: "connect" | "data" | "secureConnect",
  signal: AbortSignal,
  failed: (cause: Error) => Error,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      socket.off(event, onEvent).off("error", onError).off("close", onClose);
      signal.removeEventListener("abort", onAbort);
      act();
    };
    const onEvent = (value: unknown) => settle(() => resolve(value));
    const fail = (error: unknown) =>
      settle(() => {
        // Somebody must listen: a late error of a destroyed socket would end the process.
        socket.on("error", () => undefined);
        socket.destroy();
        reject(error);
      });
    const onError = (cause: Error) => fail(failed(cause));
    const onClose = () => fail(failed(new Error("the server closed the connection")));
    const onAbort = () => fail(signal.reason);
    socket.once(event, onEvent).once("error", onError).once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
