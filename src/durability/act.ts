/** Changes how many confirmers commits wait for, and believes it only when the server says so to a new session. */
import { LifeboatError } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import { seesCommitWait } from "../postgres/commit-wait.ts";
import { openQuery } from "../postgres/query-connection.ts";
import type { CallOptions, ConnectOptions } from "../postgres/replication.ts";
import type { ServerDurability } from "./facts.ts";
import { type Confirmers, confirmerNames, parseSyncNames, sameName, sameSyncNames } from "./names.ts";
import { observeDurability } from "./observe.ts";

/** A reload shows within milliseconds; a machine out of breath takes seconds. */
const TAKEN_TIMEOUT_MS = 10_000;
const LOOK_INTERVAL_MS = 10;
const QUERY_TIMEOUT_MS = 10_000;

/** What is to be set. */
export type NamesToSet = {
  /** From `synchronousStandbyNames`. */
  readonly names: string;
  readonly confirmers: Confirmers;
};

/**
 * Sets synchronous_standby_names on a server, as a superuser, and resolves with what a new session saw when it was in
 * force, for the server's WAL senders too, and a commit was seen to wait. Rejects with `durability.not-taken` when it is not within 10 s, or as
 * `openQuery` and its queries do. Repeatable. Cut in between, the server may do either.
 */
export async function setSyncNames(
  tools: { readonly clock: Clock },
  at: { readonly address: ConnectOptions; readonly wanted: NamesToSet },
  options: CallOptions,
): Promise<ServerDurability> {
  await tell(at.address, at.wanted.names, options);
  return await untilInForce(tools, at, options);
}

/** The same for names that somebody else has set. */
export async function untilInForce(
  { clock }: { readonly clock: Clock },
  at: { readonly address: ConnectOptions; readonly wanted: NamesToSet },
  options: CallOptions,
): Promise<ServerDurability> {
  const { address, wanted } = at;
  const deadline = (clock.monotonic() + TAKEN_TIMEOUT_MS) as Monotonic;
  for (;;) {
    const seen = await observeDurability(address, options);
    if (isInForce(seen, wanted)) {
      const isWaited =
        parseSyncNames(wanted.names)?.kind !== "wait" ||
        (await seesCommitWait({ clock }, { address, deadline }, options));
      if (isWaited) return seen;
      throw notTaken(seen, wanted.names, "commits still wait for nobody, its checkpointer has not read it");
    }
    if (clock.monotonic() > deadline) throw notTaken(seen, wanted.names);
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}

/** Waits until no commit waits any more, or for `timeoutMs`; resolves with how many still do. */
export async function waitersReleased(
  { clock }: { readonly clock: Clock },
  at: { readonly address: ConnectOptions; readonly timeoutMs: number },
  options: CallOptions,
): Promise<number> {
  const deadline = clock.monotonic() + at.timeoutMs;
  for (;;) {
    const { waiting } = await observeDurability(at.address, options);
    if (waiting.count === 0 || clock.monotonic() > deadline) return waiting.count;
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}

/** Whether sessions, files and WAL senders agree. What each WAL sender counts as shows that it has read the names too. */
export function isInForce(seen: ServerDurability, { names, confirmers }: NamesToSet): boolean {
  const both = sameSyncNames(seen.effectiveNames, names) && sameSyncNames(seen.setNames ?? "", names);
  if (!both) return false;
  const read = parseSyncNames(names);
  const listed = read?.kind === "wait" ? read.names : [];
  return seen.confirmers
    .filter(
      ({ name, state }) => state === "streaming" && confirmerNames(confirmers).some((each) => sameName(each, name)),
    )
    .every(({ name, syncState }) => (syncState === "async") !== listed.some((each) => sameName(each, name)));
}

async function tell(address: ConnectOptions, names: string, options: CallOptions): Promise<void> {
  const session = await openQuery(address, options);
  const run = (sql: string): Promise<unknown> => session.query(sql, [], { ...options, timeoutMs: QUERY_TIMEOUT_MS });
  try {
    // ALTER SYSTEM takes no parameters. It writes a file and no WAL: it does not wait for confirmers.
    await run(`ALTER SYSTEM SET synchronous_standby_names = '${names.replaceAll("'", "''")}'`);
    await run("SELECT pg_reload_conf()");
  } finally {
    await session.close();
  }
}

function notTaken(seen: ServerDurability, names: string, cause = seen.setError): LifeboatError {
  const why = cause === undefined ? "" : ` (${cause})`;
  const counted = seen.confirmers.map(({ name, syncState }) => `${name} ${syncState}`).join(", ");
  return new LifeboatError("durability.not-taken", {
    message: `the server was told "${names}" and does "${seen.effectiveNames}"${why} after ${TAKEN_TIMEOUT_MS / 1000} s; connected: ${counted === "" ? "nobody" : counted}`,
    remedy: "Look at the server's log for what it says about its configuration, then run the same command again.",
    retryable: true,
  });
}
