/**
 * The pooler: what clients log in to instead of a server, and what makes them wait while the server behind it is changed.
 *
 * Nouns: an *instance* is one PgBouncer process with a console of its own; *pausing* makes clients wait, new ones too, while
 * what runs ends; a pooler is *drained* when nothing of it runs on a server any more; *repointing* makes it lead to another
 * server; the *guard* waits, before pausing, until no login of the pooler to its server is in flight; a *hold* says who has
 * it paused and for how long without a word; the *watchdog* resumes what is paused beyond its hold.
 * Invariants: a pause is the global one, under which nothing dials. It begins only when no login is in flight (one that is
 * cut short counts as failed, after which PgBouncer refuses clients), or knowingly despite one. Every act carries an epoch,
 * which is durable beside the pooler (databases-file.ts) before the act has an effect; a smaller one is refused. A pause
 * outlives its console session and its controller: the hold (hold-file.ts) is there before it. What several instances are
 * told is told to all, and all failures are gathered: done is what all confirm.
 * Source: PgBouncer 1.18 to 1.25, "usage" and "config"; what is not in them was measured (docs/measurements.md).
 */

/** The console of an instance is a database of this name, which its answers list beside ours. */
export const CONSOLE_DATABASE = "pgbouncer";

/** A call that can be cut short. */
export type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Where a server listens. */
export type ServerAddress = { readonly host: string; readonly port: number };

/** A version of PgBouncer. */
export type PoolerVersion = { readonly major: number; readonly minor: number; readonly patch: number };

/** Somebody with a greater epoch has acted: nothing was done. */
export type StaleEpoch = { readonly kind: "stale-epoch"; readonly seen: number };

/** How a pause is asked for. */
export type PauseRequest = {
  readonly epoch: number;
  /**
   * True, for a switch that can wait: a login in flight or a statement that runs on for too long has clients go on where they
   * were. False, for a server that is being given up: paused all the same, and what runs is left to end or to die.
   */
  readonly drain: boolean;
  /** Without `drain`: nobody listens at the server any more, so that a login in flight fails whether or not it is cut. */
  readonly gone?: boolean | undefined;
  /**
   * Without `drain`: the server is only suspected, and may go on. A login in flight is not cut, and nobody is paused where there
   * is one: its clients wait for it as they would for the resume, and are refused by nobody when the server goes on.
   */
  readonly sparing?: boolean | undefined;
  /** How long what runs may take to end. */
  readonly drainMs: number;
  /** The hold: without another pause or a resume for so long, the watchdog resumes. */
  readonly holdMsMax: number;
};

/** What came of a pause. */
export type PauseAnswer =
  | StaleEpoch
  | {
      readonly kind: "done";
      /** False: something may still run on a server. */
      readonly drained: boolean;
      /** True: a login was in flight and was cut; after the resume clients are refused until the next one has succeeded. */
      readonly cutLogin: boolean;
    }
  /** Clients go on. */
  | { readonly kind: "not-drained"; readonly because: "login-in-flight" | "statements-run" };

/** What became of clients whose statements are with a dead server. */
export type DropAnswer =
  | StaleEpoch
  /** Their sessions were closed; they do not know what became of their statements. */
  | { readonly kind: "dropped"; readonly clients: number }
  /**
   * Before 1.24 no command ends only those: KILL drops every client that waits, too. They end by their own time limits, or
   * when the kernel of the pooler's machine learns that the server is gone.
   */
  | { readonly kind: "left"; readonly clients: number };

/** What came of an act that can only be done or come too late. */
export type ActAnswer = StaleEpoch | { readonly kind: "done" };

/** What an instance is doing. */
export type PoolerState = {
  readonly version: PoolerVersion;
  /** The greatest epoch that has acted; 0 before the first. */
  readonly epoch: number;
  /** `ending`: it shuts down and refuses to resume; its clients come back when it was started again. */
  readonly mode: "serving" | "paused" | "ending";
  /** Since when it is paused and by which hold; undefined when it is not paused, or by somebody who is none of us. */
  readonly hold: PoolerHold | undefined;
  /** Databases paused by themselves, by somebody's hand: we never do. */
  readonly pausedDatabases: readonly string[];
  readonly clientsWaiting: number;
  /** How long the client that waits longest has waited. */
  readonly waitMs: number;
  /** Connections to servers: those that serve a client, those nobody uses, and logins in flight. */
  readonly serversActive: number;
  readonly serversIdle: number;
  readonly serversLoggingIn: number;
  /** Where each database leads. */
  readonly databases: readonly PooledDatabase[];
};

/** A hold, as it is written. */
export type PoolerHold = {
  readonly epoch: number;
  /** Grows with every renewal. */
  readonly turn: number;
  readonly holdMs: number;
  /** When the pause began, milliseconds since 1970: for people. */
  readonly pausedAt: number;
};

/** A database of a pooler. */
export type PooledDatabase = { readonly name: string; readonly server: ServerAddress };

/** One instance. Calls reject with `pooler.unreachable`, `pooler.refused`, `pooler.file-damaged` or `platform.aborted`. */
export interface Pooler {
  readonly name: string;
  state(options: CallOptions): Promise<PoolerState>;
  /** Pauses, guarded. Repeated it renews the hold. */
  pause(request: PauseRequest, options: CallOptions): Promise<PauseAnswer>;
  /** Lets clients go on, paused or not; repeatable. */
  resume(order: { readonly epoch: number }, options: CallOptions): Promise<ActAnswer>;
  /** Makes every database lead to `server`, durably, and sees that it does. Rejects with `pooler.not-repointed` too. */
  repoint(order: { readonly epoch: number; readonly server: ServerAddress }, options: CallOptions): Promise<ActAnswer>;
  /** Ends the clients whose statements are with a dead server, where that can be done without ending others. */
  dropDead(
    order: { readonly epoch: number; readonly server: ServerAddress },
    options: CallOptions,
  ): Promise<DropAnswer>;
  /** True when no connection is left to where a database led before it was repointed; false when the time is over. */
  waitForClose(request: { readonly timeoutMs: number }, options: CallOptions): Promise<boolean>;
  /** Closes its sessions; the pooler stays as it is. Legal at any time, repeatable. */
  close(): Promise<void>;
}

/** True when the version is at least this one. */
export function isAtLeast(version: PoolerVersion, least: { readonly major: number; readonly minor: number }): boolean {
  return version.major > least.major || (version.major === least.major && version.minor >= least.minor);
}

/** True for the same place. */
export function isSameServer(a: ServerAddress, b: ServerAddress): boolean {
  return a.port === b.port && a.host === b.host;
}
