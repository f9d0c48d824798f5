/**
 * One PostgreSQL server, asked and told over SQL: what failover sees of it, and what it may order.
 *
 * Nouns: a *probe* asks what the node is and, of a primary, writes; a session *watches* for two seconds, in which probes ask over
 * it what they would ask over a new one; an *order* carries an epoch; what is *kept* of sessions is in kept-sessions.ts.
 * Invariants: a session that watches can say one thing: that all is well. Whatever else it says, and where it is late, the same
 * probe asks anew, and no session from before that is asked again: a frozen postmaster lets old sessions live, and one session may
 * hang by itself. So no trouble is told later than over a new session, but that nobody can log in: within two seconds. An order's
 * session is asked for longer, and one that fails is replaced by a new one at once. A probe's write has its sync and waits for no
 * confirmer, so that missing confirmers never look like a dead primary; it writes into no table. An order's epoch is durable before
 * it has an effect, an order is answered when the server has loaded what it says, and what holds already is not written again.
 * Statements name only constants, checked identifiers and parameters.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { troubleOf } from "../failover/observation.ts";
import type { Call, Done, Epoch, NodePort, NodeProbe, NodeView, Order, StaleEpoch } from "../failover/ports.ts";
import { abortedError, type Clock, type Monotonic, throwIfAborted } from "../platform/clock.ts";
import { startTimer } from "../platform/timer.ts";
import { seesCommitWait } from "../postgres/commit-wait.ts";
import { formatLsn, type Lsn } from "../postgres/lsn.ts";
import { openQuery, type QueryConnection, type QueryRow } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { admitSession } from "./admission.ts";
import { CAPACITY_SQL, capacitySchema, DELAY_SQL, lacksOf } from "./hindrances.ts";
import { type KeptSession, KeptSessions } from "./kept-sessions.ts";
import { readNodeView, viewSql, WRITE } from "./view.ts";

/** How a node is reached and known. */
export type NodePlace = {
  readonly name: string;
  /** Of a superuser, over a way that stays open when the server is full. */
  readonly address: ConnectOptions;
  /** How this node would stream from another: primary_conninfo and primary_slot_name. */
  readonly connectionTo: (upstream: string) => { readonly conninfo: string; readonly slot: string };
  readonly freeBytes: () => Promise<number>;
  /** Being made from a backup: not a node yet. */
  readonly cloning: () => boolean;
};

/** A session for one order or one probe. `marked`: the epoch that it was admitted under, if any. */
type Session = {
  readonly run: (sql: string, parameters?: readonly unknown[], name?: string) => Promise<readonly QueryRow[]>;
  marked: Epoch | undefined;
};

/** What a candidate is set to, so that its promotion waits for nobody (rule B7). */
const CANDIDATE_SETTINGS = { primary_conninfo: "", wal_retrieve_retry_interval: "100ms" } as const;

/**
 * And where it has WAL to replay that a query may be in conflict with (rule B13), or that is to be replayed later: each setting costs
 * several syncs.
 */
const HURRIED_SETTINGS = {
  max_standby_streaming_delay: "0",
  max_standby_archive_delay: "0",
  recovery_min_apply_delay: "0",
} as const;

/** Whether replay stands still, and why: paused, told to be late, or in conflict with a query. */
const STANDS_SQL = `SELECT pg_get_wal_replay_pause_state() <> 'not paused' AS paused,
    ${DELAY_SQL} <> '0' OR EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup'
      AND (wait_event LIKE 'RecoveryConflict%' OR wait_event_type IN ('Lock', 'BufferPin'))) AS held
  WHERE pg_is_in_recovery()`;

/** Between two looks whether a reload has arrived: the signal takes well under a millisecond, the postmaster a few. */
const RELOAD_LOOK_MS = 2;

/** As a session has them, and as the files do: the last mention there wins. */
const VALUES_SQL = `SELECT name, current_setting(name) AS loaded,
    (SELECT f.setting FROM pg_file_settings f WHERE f.name = s.name ORDER BY f.seqno DESC LIMIT 1) AS written
  FROM pg_settings s WHERE name = ANY($1)`;

/** The oldest transactions of clients: who, since when, what it waits for, and how its last statement began, but no value in it. */
const OPEN_SQL = `SELECT concat('process ', pid, ' of ', usename,
    ', begun ', round(extract(epoch FROM clock_timestamp() - xact_start)::numeric, 1), ' s before, ', state,
    CASE WHEN wait_event IS NOT NULL THEN concat(', waits for ', wait_event_type, ' ', wait_event) END,
    ': ', regexp_replace(substring(query FROM '^[^''"$0-9]{0,80}'), '\\s+', ' ', 'g')) AS line
  FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
  ORDER BY xact_start LIMIT 5`;

/**
 * For so long a session watches. A login costs a server and us some ten milliseconds of a processor, a question over a session
 * that is there one (docs/decisions/0052-sessions-that-watch.md); what only a login tells is known so much later.
 */
const WATCHES_MS = 2_000;

/** A session that watches and has not answered by then is not waited for alone: most of a probe's time is left for a new one. */
const LATE_MS = 100;

/** An action orders again within this, or has ended. */
const WARM_MS = 3_000;

/** What becomes of a session when a call has ended well. */
type Afterwards = "close" | "keep" | "keep-warm";

/** A node. */
export class SqlNode implements NodePort {
  readonly name: string;
  readonly #clock: Clock;
  readonly #place: NodePlace;
  readonly #kept = new KeptSessions();
  /** No session that was opened before watches: something was wrong then. */
  #watchedSince = Number.NEGATIVE_INFINITY;
  #measuring: Promise<number> | undefined;

  constructor(clock: Clock, place: NodePlace) {
    this.#clock = clock;
    this.#place = place;
    this.name = place.name;
  }

  async probe(call: Call): Promise<NodeProbe> {
    const acted = this.#kept.take(({ warmUntil }) => this.#isWarm(warmUntil));
    const watching = acted === undefined ? this.#takeWatching() : undefined;
    const probe = await (watching === undefined ? this.#probeBy(call, acted) : this.#probeWatched(call, watching));
    if (!isWell(probe)) this.#watchedSince = this.#clock.monotonic();
    return probe;
  }

  async #probeBy(call: Call, kept: KeptSession | undefined): Promise<NodeProbe> {
    const { probe, ended } = await this.#probeOnce(call, kept);
    // It ended while it was asked: what it is now, a second look tells at once.
    return ended ? (await this.#probeOnce(call, undefined)).probe : probe;
  }

  async #probeWatched(call: Call, watching: KeptSession): Promise<NodeProbe> {
    throwIfAborted(call.signal, `probing ${this.name}`);
    const deadline = this.#clock.monotonic() + call.timeoutMs;
    const over = new AbortController();
    const stop = (): void => over.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", stop, { once: true });
    const { signal } = over;
    const late = Promise.withResolvers<undefined>();
    const cancel = startTimer(LATE_MS, () => late.resolve(undefined));
    const good = this.#probeOnce({ ...call, signal }, watching).then(({ probe }) =>
      isWell(probe) ? probe : undefined,
    );
    // Whichever loses is ended, and says so to nobody.
    good.catch(() => undefined);
    try {
      const soon = await Promise.race([good, late.promise]);
      if (soon !== undefined) return soon;
      const timeoutMs = Math.max(1, deadline - this.#clock.monotonic());
      const anew = this.#probeBy({ timeoutMs, signal }, undefined);
      anew.catch(() => undefined);
      return await Promise.race([anew, good.then((probe) => probe ?? anew)]);
    } finally {
      cancel();
      call.signal?.removeEventListener("abort", stop);
      over.abort();
    }
  }

  async #probeOnce(
    call: Call,
    kept: KeptSession | undefined,
  ): Promise<{ readonly probe: NodeProbe; readonly ended: boolean }> {
    let seen: NodeView | undefined;
    try {
      await this.#within(call, kept, async (session, signal) => {
        // To plan it takes the server six times as long as to answer it.
        const [row] = await session.run(viewSql(), [], "view");
        // A disk that hangs does not answer this either, and must not hold the probe.
        const freeBytes = await unlessAborted(this.#freeBytes(), signal);
        const facts = { freeBytes, cloning: this.#place.cloning() };
        seen = readNodeView(row ?? {}, facts);
        if (seen.role.kind !== "primary") return "keep";
        // Stuck until it is shown not to be.
        const view = { ...seen, role: { ...seen.role, write: { kind: "stuck" } as const } };
        seen = view;
        const write = await tryWrite(session);
        seen = { ...view, role: { ...view.role, write } };
        return write.kind === "written" ? "keep" : "close";
      });
    } catch (error) {
      if (call.signal?.aborted === true) throw abortedError(`probing ${this.name}`, call.signal.reason);
      const ended = isEnding(error);
      return { ended, probe: seen === undefined || ended ? failedProbe(error) : { kind: "answered", view: seen } };
    }
    return { ended: false, probe: seen === undefined ? { kind: "silent" } : { kind: "answered", view: seen } };
  }

  /**
   * One call at a time, which a later probe waits for too: each that hangs takes one of the few threads that read files, and the next
   * looks would take all of them.
   */
  #freeBytes(): Promise<number> {
    this.#measuring ??= this.#place.freeBytes().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async setSynchronousNames(order: Order<{ readonly names: string }>, call: Call): Promise<Done | StaleEpoch> {
    return await this.#order(order, call, async (session) => {
      await this.#set(session, { synchronous_standby_names: order.names });
    });
  }

  async commitsWait(call: Call): Promise<boolean> {
    throwIfAborted(call.signal, `asking ${this.name}`);
    const deadline = (this.#clock.monotonic() + call.timeoutMs) as Monotonic;
    const address = this.#addressFor(call);
    return await seesCommitWait({ clock: this.#clock }, { address, deadline }, { signal: call.signal });
  }

  async stopReceiving(order: Order, call: Call): Promise<Done | StaleEpoch> {
    return await this.#order(order, call, async (session) => {
      await this.#set(session, CANDIDATE_SETTINGS);
      // Replay ends the receiver, at the end of what there is: one that stands still has it confirm for as long, to a primary that lives too.
      const [stands] = await session.run(STANDS_SQL);
      if (stands?.["paused"] === true || stands?.["held"] === true) await this.#hurry(session);
    });
  }

  async hurryReplay(order: Order, call: Call): Promise<Done | StaleEpoch> {
    return await this.#order(order, call, (session) => this.#hurry(session));
  }

  /** Somebody may have paused replay and gone: what is to be promoted would never be through. */
  async #hurry(session: Session): Promise<void> {
    // In this order: what it paused for stands in the control file before it pauses.
    const [stands] = await session.run(STANDS_SQL);
    const isPaused = stands?.["paused"] === true;
    const lacks = isPaused ? await this.#lacks(session) : undefined;
    if (lacks !== undefined) throw tooSmall(this.name, lacks);
    await this.#set(session, HURRIED_SETTINGS);
    // Only where it was paused: it may pause by itself meanwhile, and to go on from there would end the server.
    if (isPaused) await session.run("SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()");
  }

  async #lacks(session: Session): Promise<string | undefined> {
    const [row] = await session.run(`SELECT ${CAPACITY_SQL} AS capacity`);
    return lacksOf(capacitySchema.parse(row?.["capacity"]));
  }

  async receiveFrom(order: Order<{ readonly upstream: string }>, call: Call): Promise<Done | StaleEpoch> {
    const { conninfo, slot } = this.#place.connectionTo(order.upstream);
    return await this.#order(order, call, async (session) => {
      await this.#set(session, { primary_slot_name: slot, primary_conninfo: conninfo });
      for (const name of Object.keys(HURRIED_SETTINGS)) {
        await session.run(`ALTER SYSTEM RESET ${name}`);
      }
      await session.run("SELECT pg_reload_conf()");
    });
  }

  async makeSlots(order: Order<{ readonly slots: readonly string[] }>, call: Call): Promise<Done | StaleEpoch> {
    return await this.#order(order, call, async (session) => {
      // What it kept is gone: nobody could follow from it.
      await session.run(
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
          WHERE slot_name = ANY($1) AND wal_status = 'lost' AND NOT active`,
        [order.slots],
      );
      await session.run(
        `SELECT pg_create_physical_replication_slot(wanted, true) FROM unnest($1::text[]) AS wanted
          WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = wanted)`,
        [order.slots],
      );
    });
  }

  async checkpoint(call: Call): Promise<void> {
    await this.#within(call, undefined, async (session) => {
      await session.run("CHECKPOINT");
      return "keep-warm";
    });
  }

  async openTransactions(call: Call): Promise<readonly string[]> {
    let lines: readonly string[] = [];
    await this.#within(call, undefined, async (session) => {
      lines = (await session.run(OPEN_SQL)).map(({ line }) => String(line));
      return "close";
    });
    return lines;
  }

  async hasWalSince(from: Lsn, call: Call): Promise<boolean> {
    let isThere = false;
    await this.#within(call, undefined, async (session) => {
      // Of the byte after: where one segment ends, versions differ in whose name they tell.
      const [row] = await session.run(
        "SELECT (pg_stat_file('pg_wal/' || pg_walfile_name($1::pg_lsn + 1), true)).size IS NOT NULL AS there",
        [formatLsn(from)],
      );
      isThere = row?.["there"] === true;
      return "close";
    });
    return isThere;
  }

  async promote(order: Order, call: Call): Promise<Done | StaleEpoch> {
    return await this.#order(order, call, async (session) => {
      // Not waited for: whether it did is to be seen.
      await session.run("SELECT pg_promote(false) WHERE pg_is_in_recovery()");
    });
  }

  /**
   * Has the server hear of an epoch before it orders anything: the first order has less to write. Rejects as an order; whoever
   * was not reached hears of it by that.
   */
  async hear(epoch: Epoch, call: Call): Promise<Done | StaleEpoch> {
    return await this.#order({ epoch }, call, async () => undefined);
  }

  async #order({ epoch }: Order, call: Call, work: (session: Session) => Promise<void>): Promise<Done | StaleEpoch> {
    let stale: StaleEpoch | undefined;
    const done = async (session: Session): Promise<Afterwards> => {
      stale = await admitSession(session.run, { epoch, marked: session.marked });
      session.marked = stale === undefined ? epoch : undefined;
      if (stale === undefined) await work(session);
      return "keep-warm";
    };
    const kept = this.#takeFor(epoch);
    try {
      await this.#within(call, kept, done);
    } catch (error) {
      // The server was started again since, or somebody with a greater epoch ended it: the next one tells. An order can be repeated.
      if (kept === undefined || !isEnding(error)) throw error;
      await this.#within(call, undefined, done);
    }
    return stale ?? { kind: "done" };
  }

  /** One that is admitted already, else any. */
  #takeFor(epoch: Epoch): KeptSession | undefined {
    return this.#kept.take(({ marked }) => marked === epoch) ?? this.#kept.take(() => true);
  }

  /** A session for somebody who acts on this node in another way; to be closed, which keeps it here. Rejects as `openQuery`. */
  async lend(call: Call): Promise<QueryConnection> {
    const kept = this.#kept.take(() => true);
    const connection = kept?.connection ?? (await openQuery(this.#addressFor(call), call));
    const openedAt = kept?.openedAt ?? this.#clock.monotonic();
    const marked = kept?.marked;
    return {
      serverVersion: connection.serverVersion,
      query: (...query) => connection.query(...query),
      close: async () => this.#kept.keep({ connection, openedAt, marked, warmUntil: this.#warmUntil() }),
    };
  }

  /**
   * Writes what differs, reloads, and returns when the server says so. What is in force and not in the files differs too:
   * somebody was cut between writing and loading, and the next reload, whoever asks for it, would load that.
   */
  async #set(session: Session, settings: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.keys(settings);
    const differing = async (): Promise<readonly string[]> => {
      const rows = await session.run(VALUES_SQL, [names]);
      return rows
        .filter(({ name, loaded, written }) => {
          const wanted = settings[String(name)] ?? "";
          return !isSame(String(loaded), wanted) || (typeof written === "string" && !isSame(written, wanted));
        })
        .map(({ name }) => String(name));
    };
    const changes = await differing();
    if (changes.length === 0) return;
    for (const name of changes) await session.run(`ALTER SYSTEM SET ${name} = '${quoted(settings[name] ?? "")}'`);
    await session.run("SELECT pg_reload_conf()");
    while ((await differing()).length > 0) await this.#clock.sleep(RELOAD_LOOK_MS, {});
  }

  /** One that was kept where there is one, else a new one that lives as long as the call at most, unless it is to be kept. */
  async #within(
    call: Call,
    kept: KeptSession | undefined,
    work: (session: Session, signal: AbortSignal) => Promise<Afterwards>,
  ): Promise<void> {
    throwIfAborted(call.signal, `asking ${this.name}`);
    const ending = new AbortController();
    const stop = (): void => ending.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", stop, { once: true });
    const cancel = startTimer(call.timeoutMs, stop);
    const { signal } = ending;
    let connection: QueryConnection | undefined = kept?.connection;
    try {
      connection ??= await openQuery(this.#addressFor(call), { signal });
      const open = connection;
      const openedAt = kept?.openedAt ?? this.#clock.monotonic();
      // The same limit for all of them: another one costs a round trip. The end of the call ends them in any case.
      const timeoutMs = Math.max(1, Math.ceil(call.timeoutMs));
      const run: Session["run"] = (sql, parameters = [], name) =>
        open.query(sql, parameters, { timeoutMs, signal, name });
      const session: Session = { run, marked: kept?.marked };
      const afterwards = await work(session, signal);
      const warmUntil = afterwards === "keep-warm" ? this.#warmUntil() : kept?.warmUntil;
      if (afterwards !== "close" || this.#isWarm(warmUntil)) {
        this.#kept.keep({ connection: open, openedAt, marked: session.marked, warmUntil });
        connection = undefined;
      }
    } finally {
      cancel();
      call.signal?.removeEventListener("abort", stop);
      // What is left is a goodbye, which a frozen server does not hear.
      void connection?.close();
    }
  }

  #takeWatching(): KeptSession | undefined {
    const since = Math.max(this.#watchedSince, this.#clock.monotonic() - WATCHES_MS);
    return this.#kept.take(({ openedAt }) => openedAt >= since);
  }

  /** Not from the last use on: looks come all the time, and an action ends. */
  #warmUntil(): Monotonic {
    return (this.#clock.monotonic() + WARM_MS) as Monotonic;
  }

  #isWarm(until: Monotonic | undefined): boolean {
    return until !== undefined && this.#clock.monotonic() < until;
  }

  #addressFor({ timeoutMs }: Call): ConnectOptions {
    return { ...this.#place.address, connectTimeoutMs: timeoutMs };
  }
}

/** Leaves what does not end to itself. Rejects with `platform.aborted`. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(abortedError("looking at a disk", signal.reason));
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
    // Nobody waits for it where the work won.
    aborted.promise.catch(() => undefined);
  }
}

function isWell(probe: NodeProbe): boolean {
  return troubleOf(probe) === undefined;
}

/** A write that fails is an answer; one that does not end is told by the time of the probe. */
async function tryWrite({ run }: Session): Promise<Extract<NodeView["role"], { kind: "primary" }>["write"]> {
  try {
    await run(WRITE);
    return { kind: "written" };
  } catch (error) {
    // It ends while it is asked: not a write that fails, a server that goes.
    if (isEnding(error)) throw error;
    const sqlstate = isLifeboatError(error) ? error.details["sqlstate"] : undefined;
    // Cancelled by the limit of the probe, or no answer at all.
    if (typeof sqlstate !== "string" || sqlstate === "57014") return { kind: "stuck" };
    if (sqlstate.startsWith("57P")) throw error;
    return { kind: "failed", sqlstate };
  }
}

/** Said by a server that is being stopped, and by the sessions of one whose postmaster was killed. */
const ENDING = new Set<unknown>(["57P01", "57P02"]);

/** The session was ended by the server, with or without a word. */
function isEnding(error: unknown): boolean {
  if (!isLifeboatError(error)) return false;
  return error.code === "postgres.connection-lost" || ENDING.has(error.details["sqlstate"]);
}

/** Nobody behind the port, or behind the socket's name. */
const NOBODY = new Set(["ECONNREFUSED", "ENOENT"]);

function failedProbe(error: unknown): NodeProbe {
  if (!isLifeboatError(error)) throw error;
  const sqlstate = error.details["sqlstate"];
  if (typeof sqlstate === "string") return { kind: "error", sqlstate };
  return NOBODY.has(errnoOf(error) ?? "") ? { kind: "nobody-listens" } : { kind: "silent" };
}

function errnoOf(error: LifeboatError): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string" && /^E[A-Z]+$/.test(cause.code)) return cause.code;
  }
  return undefined;
}

/** Resumed, it would end itself, and not start again with these settings. */
function tooSmall(node: string, lacks: string): LifeboatError {
  return new LifeboatError("failover.parameters-too-small", {
    message: `${node} has paused its replay for want of ${lacks}: it cannot be promoted, and would end if it went on`,
    remedy: `Set these on ${node} as they are on its primary, or greater, and restart it.`,
  });
}

/** `0` and `0ms`, `100ms` and `100ms`: the server adds a unit to a bare zero. */
function isSame(loaded: string, wanted: string): boolean {
  return loaded === wanted || (wanted === "0" && /^0(ms|s|min)?$/.test(loaded));
}

function quoted(text: string): string {
  return text.replaceAll("'", "''");
}
