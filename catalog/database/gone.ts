/** Tells "the server is gone" from what a server that is there has to say. Pure. */

/**
 * The connection is no use any more, and another server may answer: shutting down, starting, read-only, out of connections, and
 * every kind of broken connection. 25006 is a primary that is one no more, 28P01 one whose password was changed: a look finds the
 * new one within a second. Source: PostgreSQL, "Error codes"; PgBouncer says
 * 08P01 for a server that crashed or cannot be reached.
 */
const SQLSTATES_OF_GONE = new Set(["25006", "57P01", "57P02", "57P03", "57P05", "53300", "28P01"]);

const ERRNOS_OF_GONE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOENT",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "ENOTFOUND",
]);

/** What node-postgres says without a code: it lost its connection, or waited in vain. */
const WORDS_OF_GONE =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client has encountered|Client was closed|Cannot use a pool after)/;

/** A server that was asked has not answered in time: it may be gone, or at work. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === "Query read timeout";
}

/** The server gave up a statement that took as long as we allow: nothing of its transaction is there. */
export function isGivenUp(error: unknown): boolean {
  return codeOf(error) === "57014";
}

/** A statement that was prepared would answer with columns of other types than when it was. */
export function isPlannedOtherwise(error: unknown): boolean {
  return codeOf(error) === "0A000";
}

/** Refused for a conflict with another transaction: the same one may succeed at once. */
const SQLSTATES_OF_CONFLICT = new Set(["40001", "40P01"]);

/** Whether the server is gone, or is no primary any more, rather than of another opinion. */
export function isServerGone(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return SQLSTATES_OF_GONE.has(code) || code.startsWith("08") || ERRNOS_OF_GONE.has(code);
  return error instanceof Error && WORDS_OF_GONE.test(error.message);
}

/** The password was not the right one; a pooler says it with a code of its own. */
export function isLoginRefused(error: unknown): boolean {
  return codeOf(error) === "28P01" || (error instanceof Error && /authentication failed/.test(error.message));
}

/**
 * The server has no room: a full disk (53100), no memory (53200), a limit (53400), a file that it cannot write (58030). Nothing of
 * the transaction is there, it is not our mistake, and it may go through once somebody has made room.
 */
export function isServerFull(error: unknown): boolean {
  return ["53100", "53200", "53400", "58030"].includes(codeOf(error) ?? "");
}

/** Whether the same transaction may succeed when it is tried again. */
export function isConflict(error: unknown): boolean {
  return SQLSTATES_OF_CONFLICT.has(codeOf(error) ?? "");
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
