/**
 * The error of a server that does not keep to the protocol.
 */
import { LifeboatError } from "../../errors/error.ts";

/** `postgres.protocol`: what arrived and what was expected. Not retryable on the same connection. */
export function protocolError(message: string, cause?: unknown): LifeboatError {
  return new LifeboatError("postgres.protocol", {
    message,
    remedy: "Check that host and port are those of a PostgreSQL server of version 15 to 18; if so, report this text.",
    cause,
  });
}
