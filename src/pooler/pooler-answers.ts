/**
 * What PgBouncer's own errors say of the statement that they answer.
 *
 * Invariants: only an answer that is known to come before execution makes a write failed, everything else leaves it
 * unknown. KILL answers "database removed" to statements some of which have committed: measured with 1.18, rows were there.
 * PgBouncer has one SQLSTATE for nearly all of them and translates nothing, so its words have to be read.
 * Source: PgBouncer 1.18 to 1.24, client.c, objects.c, janitor.c, admin.c.
 */
/** What an answer says: why, and whether the statement can have been executed. */
export type PoolerAnswer = { readonly reason: string; readonly executed: "no" | "perhaps" };

type Answer = PoolerAnswer & { readonly words: string };

/** The first whose words are part of the message counts. */
const ANSWERS: readonly Answer[] = [
  // Before a server was assigned: the statement has waited in the pooler.
  { words: "server login has been failing", reason: "pgb-login-failing", executed: "no" },
  { words: "server_login_retry", reason: "pgb-login-failing", executed: "no" },
  { words: "server login failed", reason: "pgb-login-failing", executed: "no" },
  { words: "cannot connect to server", reason: "pgb-login-failing", executed: "no" },
  { words: "query_wait_timeout", reason: "pgb-query-wait-timeout", executed: "no" },
  { words: "pause mode", reason: "pgb-pause-mode", executed: "no" },
  { words: "no such database", reason: "pgb-no-database", executed: "no" },
  { words: "no more connections allowed", reason: "pgb-too-many-clients", executed: "no" },
  { words: "bouncer config error", reason: "pgb-config-error", executed: "no" },
  // While a server worked on it.
  { words: "server conn crashed", reason: "pgb-server-crashed", executed: "perhaps" },
  { words: "database removed", reason: "pgb-killed", executed: "perhaps" },
  { words: "database configuration changed", reason: "pgb-config-changed", executed: "perhaps" },
  { words: "query timeout", reason: "pgb-query-timeout", executed: "perhaps" },
  { words: "shut down", reason: "pgb-shutdown", executed: "perhaps" },
  { words: "shutting down", reason: "pgb-shutdown", executed: "perhaps" },
];

/** Enough of an unknown message to find it in the pooler's sources. */
const WORDS_SHOWN_MAX = 60;

/** Reads the message of an error of the pooler. One that is not known proves nothing. */
export function readPoolerAnswer(message: string): PoolerAnswer {
  const text = message.toLowerCase();
  const { reason, executed } = ANSWERS.find(({ words }) => text.includes(words)) ?? unknownAnswer(text);
  return { reason, executed };
}

function unknownAnswer(text: string): PoolerAnswer {
  return { reason: `pgb: ${text.replace(/\d+/g, "N").slice(0, WORDS_SHOWN_MAX)}`, executed: "perhaps" };
}
