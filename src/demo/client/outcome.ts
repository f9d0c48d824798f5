/**
 * How a write ended, decided from the server's answer and never from its words, which may be translated.
 */
import pg from "pg";
import { isLifeboatError } from "../../errors/error.ts";

/**
 * `ok`: acknowledged by the server, and the ledger holds it. `failed`: certainly not committed, because it was never sent
 * or was refused before its commit. `unknown`: sent, and nobody told us that it holds. `reason` is a SQLSTATE, the name of
 * a socket error, or one of REASONS.
 */
export type Outcome =
  | { readonly kind: "ok" }
  | { readonly kind: "failed"; readonly reason: string; readonly sent: boolean }
  | { readonly kind: "unknown"; readonly reason: string };

/** Reasons of our own. */
export const REASONS = {
  /** No connection became free in time. */
  queueDeadline: "queue-deadline",
  /** More writes were waiting than we keep. */
  overload: "too-many-waiting",
  /** Sent, and no answer in time. */
  answerDeadline: "answer-deadline",
  /** Sent, and the connection ended without an error that names itself. */
  connectionLost: "connection-lost",
  /** Acknowledged by the server, but the ledger could not be synced. */
  ledger: "ledger-failed",
} as const;

/** The outcome of a write that was sent and not acknowledged. */
export function outcomeOfFailure(cause: unknown): Outcome {
  // An ERROR rolls the statement back. A FATAL may come between the commit and its answer, so it proves nothing.
  if (cause instanceof pg.DatabaseError && cause.severity === "ERROR") {
    return { kind: "failed", reason: cause.code ?? "XX000", sent: true };
  }
  return { kind: "unknown", reason: reasonOf(cause) };
}

/**
 * The outcome of a write whose answer was preceded by a warning. A plain INSERT gives none of its own: the one that
 * matters says that the wait for the synchronous standby was cancelled, so the commit is on the primary alone (rule B11).
 * Its SQLSTATE is the general 01000 when a user cancelled the wait and 57P01 when the session was ended, so any warning
 * counts. Source: PostgreSQL manual, "Synchronous Replication"; SyncRepWaitForLSN in PostgreSQL 15 to 18.
 */
export function outcomeOfWarning(sqlstate: string | undefined): Outcome {
  return { kind: "unknown", reason: `warning-${sqlstate ?? "01000"}` };
}

/** Names a failure by SQLSTATE, by our code, or by the name of the socket error. */
export function reasonOf(cause: unknown): string {
  if (isLifeboatError(cause)) return cause.code;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return REASONS.connectionLost;
}
