/**
 * How an operation ended, decided from the server's answer. PostgreSQL's answers are read by SQLSTATE and never by their
 * words, which may be translated; those of the pooler in src/pooler/pooler-answers.ts.
 */
import pg from "pg";
import { isLifeboatError } from "../errors/error.ts";
import { readPoolerAnswer } from "../pooler/pooler-answers.ts";

/**
 * `ok`: acknowledged by the server and, of a write, in the ledger. `failed`: certainly not committed, because it was never
 * sent or was refused before its commit; a read without an answer has failed too. `unknown`: a write that was sent, and
 * nobody told us that it holds. `reason` is one of REASONS or of the tables here and in src/pooler/pooler-answers.ts, or a SQLSTATE.
 */
export type Outcome =
  | { readonly kind: "ok" }
  | { readonly kind: "failed"; readonly reason: string; readonly sent: boolean }
  | { readonly kind: "unknown"; readonly reason: string };

/** Reasons of our own. */
export const REASONS = {
  /** No connection became free in time; never sent. */
  queueDeadline: "deadline-in-pool-queue",
  /** More operations were waiting than we keep; never sent. */
  overload: "too-many-waiting",
  /** Sent, and no answer in time. */
  answerDeadline: "deadline-after-send",
  /** Sent, and the connection broke without a word. */
  connectionLost: "connection-lost",
  /** Acknowledged by the server, but the ledger could not be synced. */
  ledger: "ledger-failed",
} as const;

/** Names of the states one meets in a failover. Source: PostgreSQL manual, "PostgreSQL Error Codes". */
const NAMES: Readonly<Record<string, string>> = {
  "25006": "read-only-primary",
  "53300": "too-many-connections",
  "57014": "cancelled",
  "57P01": "admin-shutdown",
  "57P02": "crash-shutdown",
  "57P03": "starting-up",
};

/** Refusals of a login, which a pooler hands on to the statement that waited for it: nothing was executed. */
const LOGIN_REFUSALS: ReadonlySet<string> = new Set(["53300", "57P03", "28000", "28P01", "3D000"]);

/** The outcome of a write that was sent and not acknowledged. */
export function outcomeOfFailure(cause: unknown): Outcome {
  if (!(cause instanceof pg.DatabaseError)) return { kind: "unknown", reason: REASONS.connectionLost };
  if (isFromPooler(cause)) {
    const { reason, executed } = readPoolerAnswer(cause.message);
    return executed === "no" ? { kind: "failed", reason, sent: true } : { kind: "unknown", reason };
  }
  const sqlstate = cause.code ?? "XX000";
  const reason = NAMES[sqlstate] ?? sqlstate;
  // An ERROR rolls the statement back. A FATAL may come between the commit and its answer, so it proves nothing.
  if (cause.severity === "ERROR" || LOGIN_REFUSALS.has(sqlstate)) return { kind: "failed", reason, sent: true };
  return { kind: "unknown", reason };
}

/** Whether the session goes on after a failure: the server has only refused the statement. */
export function isSessionUsable(cause: unknown): boolean {
  return cause instanceof pg.DatabaseError && cause.severity === "ERROR" && !isFromPooler(cause);
}

/** Whether an error is PgBouncer's own: PostgreSQL always names the routine that raised one, PgBouncer never does. */
function isFromPooler(error: Pick<pg.DatabaseError, "routine">): boolean {
  return error.routine === undefined;
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

/** A read changes nothing: without an answer it has failed, whatever became of it on the server. */
export function outcomeOfRead(outcome: Outcome): Outcome {
  return outcome.kind === "unknown" ? { kind: "failed", reason: outcome.reason, sent: true } : outcome;
}

/** Names a failure to connect by SQLSTATE, by our code, by what the pooler said, or by the name of the socket error. */
export function reasonOf(cause: unknown): string {
  if (isLifeboatError(cause)) return cause.code;
  if (cause instanceof pg.DatabaseError) {
    const outcome = outcomeOfFailure(cause);
    return outcome.kind === "ok" ? REASONS.connectionLost : outcome.reason;
  }
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return REASONS.connectionLost;
}
