/**
 * Opens a session: reaches the server, proves who we are, waits until it is ready.
 *
 * Invariants: a password goes out in the clear only over TLS or a Unix socket; a server that asked for SCRAM must finish
 * it before it may say that the login is done. Source: PostgreSQL manual, "Message Flow", "SASL Authentication".
 */
import { createHash } from "node:crypto";
import tls from "node:tls";
import { LifeboatError } from "../../errors/error.ts";
import { systemRandom } from "../../platform/random.ts";
import type { CallOptions, ConnectOptions } from "../replication.ts";
import type { Peer } from "../server-error.ts";
import { versionNumber } from "./answers.ts";
import { TYPE, unexpected, WireConnection } from "./connection.ts";
import { dial, isUnixSocket, peerOf, withinConnectTime } from "./dial.ts";
import { password, saslInitial, saslResponse, startup } from "./outgoing.ts";
import { methodRefused, protocolError } from "./protocol-error.ts";
import { ReadBuffers } from "./read-buffers.ts";
import { answerScram, beginScram, certificateBinding, verifyScram } from "./scram.ts";

/** Older servers spell BASE_BACKUP otherwise. */
const VERSION_MIN = 150000;

/** A session that is ready for commands. */
export type Session = {
  readonly wire: WireConnection;
  readonly serverVersion: number;
  readonly backendPid: number;
};

/**
 * Logs in with these startup parameters; all of it takes at most `connectTimeoutMs`. Rejects with `postgres.unreachable`,
 * `.tls-failed`, `.login-refused`, `.not-permitted`, `.too-many-connections`, `.shutting-down`, `.connection-lost`,
 * `.version-unsupported`, `.protocol` or `platform.aborted`; nothing stays open then.
 */
export async function openSession(
  options: ConnectOptions,
  parameters: Readonly<Record<string, string>>,
  call: CallOptions,
): Promise<Session> {
  const { wire, backendPid, version } = await openAnySession(options, parameters, call);
  try {
    const serverVersion = versionNumber(version);
    if (serverVersion < VERSION_MIN) throw tooOld(wire.peer, version);
    return { wire, serverVersion, backendPid };
  } catch (error) {
    wire.destroy();
    throw error;
  }
}

/** A session with whatever speaks the protocol, a pooler's console for example; `version` is what it says of itself. */
export type AnySession = { readonly wire: WireConnection; readonly version: string; readonly backendPid: number };

/** As `openSession`, and the version is not judged. */
export async function openAnySession(
  options: ConnectOptions,
  parameters: Readonly<Record<string, string>>,
  call: CallOptions,
): Promise<AnySession> {
  return await withinConnectTime(options, call, (signal) => attemptSession(options, parameters, signal));
}

async function attemptSession(
  options: ConnectOptions,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<AnySession> {
  const reads = new ReadBuffers();
  const socket = await dial(options, signal, reads);
  const peer = peerOf(options, { socket, database: parameters["database"] });
  const wire = new WireConnection(socket, peer, peer.encrypted ? undefined : reads);
  const binding = certificateBinding(socket instanceof tls.TLSSocket ? socket.getPeerX509Certificate() : undefined);
  const step = `logging in to ${peer.name} as ${options.user}`;
  try {
    return await wire.command({ step, signal }, async () => {
      wire.send(startup({ user: options.user, ...parameters }));
      await authenticate(wire, options, binding);
      const backendPid = await untilReady(wire);
      return { wire, version: wire.parameters.get("server_version") ?? "", backendPid };
    });
  } catch (error) {
    wire.destroy();
    throw error;
  }
}

async function authenticate(
  wire: WireConnection,
  options: ConnectOptions,
  binding: ReturnType<typeof certificateBinding>,
): Promise<void> {
  const request = await authentication(wire);
  switch (request.kind) {
    case AUTH.ok:
      return;
    case AUTH.cleartext:
      if (!wire.peer.encrypted && !isUnixSocket(options)) throw passwordWouldLeak(wire.peer);
      wire.send(password(passwordOf(wire.peer, options)));
      break;
    case AUTH.md5:
      wire.send(password(md5Answer(passwordOf(wire.peer, options), options.user, request.data)));
      break;
    case AUTH.sasl:
      await scram(wire, passwordOf(wire.peer, options), binding, request.data);
      break;
    default:
      throw methodRefused(`to ${wire.peer.name} as ${options.user}`, request.kind);
  }
  const done = await authentication(wire);
  if (done.kind !== AUTH.ok)
    throw protocolError(`the server went on with authentication step ${done.kind}, expected its end`);
}

async function scram(
  wire: WireConnection,
  secret: string,
  binding: ReturnType<typeof certificateBinding>,
  mechanisms: Buffer,
): Promise<void> {
  const nonce = systemRandom(18).toString("base64");
  const start = beginScram({ offered: mechanisms.toString("latin1").split("\0").filter(Boolean), binding, nonce });
  wire.send(saslInitial(start.mechanism, start.initial));
  const challenge = await authentication(wire);
  if (challenge.kind !== AUTH.saslContinue) throw protocolError("the server left the SCRAM exchange");
  const answer = await answerScram(start, { password: secret, challenge: challenge.data.toString("utf8") });
  wire.send(saslResponse(answer.response));
  const last = await authentication(wire);
  if (last.kind !== AUTH.saslFinal) throw protocolError("the server left the SCRAM exchange");
  verifyScram(answer.serverSignature, last.data.toString("utf8"));
}

async function authentication(wire: WireConnection): Promise<{ readonly kind: number; readonly data: Buffer }> {
  const { body } = await wire.expect(TYPE.authentication, "a request for authentication");
  if (body.byteLength < 4) throw protocolError("the server's request for authentication is too short");
  return { kind: body.readInt32BE(0), data: body.subarray(4) };
}

async function untilReady(wire: WireConnection): Promise<number> {
  let backendPid = 0;
  for (;;) {
    const message = await wire.read();
    if (message.type === TYPE.ready) return backendPid;
    if (message.type !== TYPE.backendKey || message.body.byteLength < 4)
      throw unexpected(message, "the end of the login");
    backendPid = message.body.readInt32BE(0);
  }
}

function md5Answer(secret: string, user: string, salt: Buffer): string {
  const inner = createHash("md5")
    .update(secret + user)
    .digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}

function passwordOf(peer: Peer, options: ConnectOptions): string {
  if (options.password !== undefined && options.password !== "") return options.password;
  throw passwordMissing(peer);
}

/** The server asks for a password and we have none. */
export function passwordMissing(peer: Peer, cause?: unknown): LifeboatError {
  return new LifeboatError("postgres.login-refused", {
    message: `the server ${peer.name} asks for the password of ${peer.user}, and none was given`,
    remedy: "Give the password of this role by file or environment, as the configuration reference shows.",
    cause,
  });
}

/** The server asks for the password itself, and anybody on the way could read it. */
export function passwordWouldLeak(peer: Peer): LifeboatError {
  return new LifeboatError("postgres.login-refused", {
    message: `the server ${peer.name} asks for the password of ${peer.user} in the clear, over a connection that is not encrypted`,
    remedy: "Use TLS for this server, or let this role log in with scram-sha-256 in pg_hba.conf.",
  });
}

function tooOld(peer: Peer, version: string): LifeboatError {
  return new LifeboatError("postgres.version-unsupported", {
    message: `the server ${peer.name} runs PostgreSQL ${version}, expected 15 or newer`,
    remedy: "Upgrade the server; Lifeboat supports PostgreSQL 15 to 18.",
  });
}

/** Kinds of authentication messages. */
const AUTH = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;
