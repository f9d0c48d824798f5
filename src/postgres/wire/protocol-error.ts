/**
 * The error of a server that does not keep to the protocol.
 */
import { LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";

/** `postgres.protocol`: what arrived and what was expected. Not retryable on the same connection. */
export function protocolError(message: string, cause?: unknown): LifeboatError {
  return new LifeboatError("postgres.protocol", {
    message,
    remedy: "Check that host and port are those of a PostgreSQL server of version 15 to 18; if so, report this text.",
    cause,
  });
}

/** Of a way to log in that we do not have. `who` names server and role. */
export function methodRefused(who: string, method: number | string): LifeboatError {
  return new LifeboatError("postgres.login-refused", {
    message: `login ${who} is not possible: the server asks for authentication method ${method}`,
    remedy: "Let this role log in with scram-sha-256 in pg_hba.conf.",
  });
}

/** What node-postgres throws at what it does not know. */
export function unreadable(thrown: unknown, peer: { readonly name: string; readonly user: string }): LifeboatError {
  const text = errorText(thrown);
  const method = /^Unknown authenticationOk message type (-?\d+)$/.exec(text)?.[1];
  return method === undefined
    ? protocolError(`what ${peer.name} says is not understood: ${text}`, thrown)
    : methodRefused(`to ${peer.name} as ${peer.user}`, method);
}
