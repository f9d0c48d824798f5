/**
 * One way to a server: a pool of connections, and a look at what is at its end once a second.
 *
 * Nouns: a *way* is an address behind which a server is, not always the same one; its *view* is what the last look saw there: a
 * primary, a replica, or nothing that answers.
 * Invariants: no call waits longer than its limit, and no read works longer than its own at the server; a connection that did not answer in time, or whose server is gone, is closed
 * and never lent again; when another server is at the end, or the same one in another role or after a silence, all connections are
 * replaced, since one may stay with a primary that is one no more for as long as nobody closes it. Who waits for a connection then
 * waits for a new one, and what was lent has LENT_GRACE_MS to end; at a server that is the same, which was busy or halted, it goes on. That a statement takes long says nothing of the server: only a look does.
 */
import pg from "pg";
import { errorText } from "../../src/errors/error-text.ts";
import type { Clock, Monotonic } from "../../src/platform/clock.ts";
import { guarded } from "../../src/platform/guarded-socket.ts";
import type { ChangingSecret } from "../settings/service-file.ts";
import type { PrimaryPositions, ReplicaLook } from "./behind.ts";
import { isLoginRefused, isServerGone, isTimeout } from "./gone.ts";
import type { RawRows } from "./json-rows.ts";
import { readLimited } from "./limited-query.ts";
import { type RawValue, readRaw } from "./raw-read.ts";
import { RawSocket } from "./raw-socket.ts";
import { ANSWER_MARGIN_MS, limitSession } from "./read-limit.ts";
import { rowTypes } from "./row-types.ts";
import type { LentSession, Row } from "./session.ts";

/** Where a way leads, and how wide it is. */
export type WayAddress = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** One that changes is taken over when a login with it succeeds. */
  readonly password: string | ChangingSecret;
  readonly database: string;
  /** Connections at most. */
  readonly width: number;
  /** Whether a connection stays with one server, so that statements can be prepared on it: not behind a pooler of transactions. */
  readonly prepares?: boolean;
  /** What is known of primaries' positions, by which a replica is judged: of all ways to servers of one stack. */
  readonly positions?: PrimaryPositions;
  /** Told when what is at the end changes, and why nothing answers. */
  readonly tell?: (what: string) => void;
};

/** A statement whose rows stay as the server sends them. */
export type RawAsked = {
  readonly text: string;
  readonly values: readonly RawValue[];
  /** Not prepared even where it could be: how it is best done depends on its values. */
  readonly isPlannedAnew: boolean;
};

/** A server that answered a look. */
type Answerer = {
  readonly role: "primary" | "replica";
  /** When it was started, to the microsecond: no other server says the same. */
  readonly startedAt: string;
  /** Where it is a replica. */
  readonly replica: ReplicaLook | undefined;
};

/** What is at the end of a way. */
export type WayView = "unknown" | "primary" | "replica" | "silent";

/**
 * A server on this machine or the next lets in within milliseconds, and so does a pooler whose server is gone. All of this is
 * waiting for one of the connections to be free.
 */
const CONNECT_TIMEOUT_MS = 4_000;
/** Statements that are prepared; each takes memory on the server, in every connection. */
const NAMES_MAX = 200;
const LOOK_EVERY_MS = 1_000;
/** While nothing answers, whoever waits wants to know soon. */
const LOOK_EVERY_SILENT_MS = 60;
const LOOK_TIMEOUT_MS = 400;
const LOOK = `select pg_catalog.pg_is_in_recovery() as in_recovery, pg_catalog.pg_postmaster_start_time()::text as started_at,
  pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
    else pg_catalog.pg_current_wal_lsn() end, '0/0')::text as position,
  extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::text as commit_age_s`;
/** So long what is under way may go on at a server that was replaced: it may be there still, for whom a look was wrong. */
const LENT_GRACE_MS = 1_000;
/** Pools that one call waits for: each was replaced because a server was lost meanwhile. */
const POOLS_MAX = 3;

/** A way. */
export class Way {
  readonly name: string;
  readonly #clock: Clock;
  readonly #address: WayAddress;
  readonly #ended = new AbortController();
  readonly #names = new Map<string, string>();
  #pool: pg.Pool;
  #view: WayView = "unknown";
  /** Which the connections of the pool lead to, as far as looks tell. */
  #answerer: Answerer | undefined;
  #looking: Promise<void> = Promise.resolve();
  readonly #waiters = new Set<() => void>();
  /** Calls that wait for a connection, each by what sends it to the next pool. */
  readonly #queued = new Set<() => void>();
  #lent = new Set<pg.PoolClient>();
  /** Lent before the last silence of a server that is the same. */
  #lentBefore = new Set<pg.PoolClient>();
  readonly #silenced = new Set<() => void>();
  #isSuspect = false;
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** With which the pool logs in. */
  #password: string;
  /** What was told last. */
  #told = "";

  constructor(name: string, clock: Clock, address: WayAddress) {
    this.name = name;
    this.#clock = clock;
    this.#address = address;
    this.#password = typeof address.password === "string" ? address.password : address.password.first;
    this.#pool = this.#openPool();
  }

  /** What the last look, or the last call since, saw. */
  get view(): WayView {
    return this.#view;
  }

  /** By how much a replica that is at the end is behind the newest that is known of its primary; 0 of a primary. */
  get behindMs(): number {
    const replica = this.#answerer?.replica;
    return replica === undefined ? 0 : (this.#address.positions?.behindMs(replica) ?? 0);
  }

  /** Connections that are lent, calls that wait for one, and calls that wait for a primary. */
  get load(): { readonly lent: number; readonly waiting: number; readonly untilPrimary: number } {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return { lent: totalCount - idleCount, waiting: waitingCount, untilPrimary: this.#waiters.size };
  }

  /** Begins to look. */
  start(): void {
    this.#looking = this.#lookOn();
  }

  /** Statements of reads are few: one that is prepared is planned once a connection and not for every request. */
  #nameOf(text: string): string | undefined {
    if (this.#address.prepares !== true) return undefined;
    const known = this.#names.get(text);
    // A filter more is another statement; there are not many, but for who looks for a way to fill our memory.
    if (known !== undefined || this.#names.size >= NAMES_MAX) return known;
    const name = `read_${this.#names.size}`;
    this.#names.set(text, name);
    return name;
  }

  /** Ends looking and closes all connections; calls under way end first. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#looking;
    await this.#pool.end();
  }

  /**
   * Rows of one statement that writes nothing; the server itself gives it up after `limitMs`, and a server that does not is waited
   * for a little longer. Rejects as node-postgres does.
   */
  async rows(
    text: string,
    values: readonly unknown[],
    { limitMs }: { readonly limitMs: number },
  ): Promise<readonly Row[]> {
    const timeoutMs = limitMs + ANSWER_MARGIN_MS;
    return await this.#withClient(async (client) => await readLimited(client, { text, values, limitMs, timeoutMs }));
  }

  /** The same, as the server sent them: nothing is made of a value until somebody knows for what. */
  async rawRows(
    { text, values, isPlannedAnew }: RawAsked,
    { limitMs }: { readonly limitMs: number },
  ): Promise<RawRows> {
    const name = isPlannedAnew ? undefined : this.#nameOf(text);
    const timeoutMs = limitMs + ANSWER_MARGIN_MS;
    return await this.#withClient(async (client) => {
      // One query more, once a connection, where most reads of an instance are then without one.
      const isSet = this.#address.prepares === true && (await limitSession(client, limitMs));
      return await readRaw(client, { text, name, values, limitMs: isSet ? undefined : limitMs, timeoutMs });
    });
  }

  /** Lends a connection to `work`; each of its statements has the time that is given when it begins. */
  async lend<T>(
    work: (session: LentSession) => Promise<T>,
    { timeoutMs }: { readonly timeoutMs: () => number },
  ): Promise<T> {
    return await this.#withClient(async (client) => await work(sessionOf(client, timeoutMs)));
  }

  async #withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    const pool = this.#pool;
    const lent = this.#lent;
    lent.add(client);
    try {
      const result = await work(client);
      client.release();
      if (pool === this.#pool) this.#answeredAt = this.#clock.monotonic();
      return result;
    } catch (error) {
      const gone = isServerGone(error);
      client.release(gone);
      // What a server says that was replaced says nothing of the one that is there now.
      if (gone && pool === this.#pool) {
        if (isTimeout(error)) this.suspect();
        else this.#silent();
      }
      throw error;
    } finally {
      lent.delete(client);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    for (let pools = 1; ; pools += 1) {
      const pool = this.#pool;
      try {
        return await this.#queueAt(pool);
      } catch (error) {
        if (pool !== this.#pool && pools < POOLS_MAX) continue;
        // Who waits for one of our own connections waits for us, not for the server.
        if (pool === this.#pool && isServerGone(error) && pool.totalCount < this.#address.width) this.#silent();
        throw error;
      }
    }
  }

  /** A pool that was ended serves nobody who waits for it, and says so to nobody. */
  async #queueAt(pool: pg.Pool): Promise<pg.PoolClient> {
    return await new Promise((resolve, reject) => {
      const leave = (): void => reject(new Replaced());
      this.#queued.add(leave);
      pool.connect().then(
        (client) => {
          if (this.#queued.delete(leave)) resolve(client);
          else client.release();
        },
        (error: unknown) => {
          this.#queued.delete(leave);
          reject(error);
        },
      );
    });
  }

  /** Resolves when a primary is at the end, and false when there was none in time. */
  async untilPrimary(timeoutMs: number): Promise<boolean> {
    if (this.#view === "primary") return true;
    const over = new AbortController();
    let tell: () => void = () => undefined;
    const primary = new Promise<boolean>((resolve) => {
      tell = () => resolve(true);
      this.#waiters.add(tell);
    });
    const late = this.#clock.sleep(Math.max(0, timeoutMs), { signal: over.signal }).then(
      () => false,
      () => false,
    );
    const found = await Promise.race([primary, late]);
    over.abort();
    this.#waiters.delete(tell);
    return found;
  }

  /** Calls `tell` as soon as nothing answers at the end, now or later, unless the returned function is called first. */
  onSilence(tell: () => void): () => void {
    if (this.#view === "silent") {
      tell();
      return () => undefined;
    }
    this.#silenced.add(tell);
    return () => this.#silenced.delete(tell);
  }

  /** Somebody waits longer than usual: the next look is at once. */
  suspect(): void {
    this.#isSuspect = true;
  }

  async #lookOn(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await this.#look();
      const pause = this.#view === "primary" || this.#view === "replica" ? LOOK_EVERY_MS : LOOK_EVERY_SILENT_MS;
      // A call that found the server gone shortens the pause: the loop comes round to see.
      const until = this.#clock.monotonic() + pause;
      while (!signal.aborted && this.#clock.monotonic() < until) {
        await this.#clock.sleep(LOOK_EVERY_SILENT_MS, { signal }).catch(() => undefined);
        if (this.#view === "silent" || this.#isSuspect) break;
      }
    }
  }

  async #look(): Promise<void> {
    this.#isSuspect = false;
    const { password } = this.#address;
    const now = typeof password === "string" ? password : await password.now();
    try {
      const seen = await this.#lookWith(now).catch(async (error: unknown) => {
        // One that was written and not given to the server yet: what it has let in so far it lets in still.
        if (now === this.#password || !isLoginRefused(error)) throw error;
        return await this.#lookWith(this.#password);
      });
      this.#seen(seen);
      this.#tell(`a ${seen.role} answers`);
    } catch (error) {
      // Whoever was answered just now knows better: a processor that is busy makes a new login late, not the server silent.
      if (this.#clock.monotonic() - this.#answeredAt < LOOK_TIMEOUT_MS) this.#isSuspect = true;
      else {
        this.#silent();
        this.#tell(`nothing answers: ${errorText(error)}`);
      }
    }
  }

  /** Each change once: while nothing answers it is looked many times a second. */
  #tell(what: string): void {
    if (what === this.#told) return;
    this.#told = what;
    const { host, port, tell } = this.#address;
    tell?.(`${this.name} at ${host}:${port}: ${what}`);
  }

  async #lookWith(password: string): Promise<Answerer> {
    // A connection of its own: those of the pool may be all lent, or lead to a server that is not there any more.
    const client = new pg.Client({
      ...clientConfig(this.#address),
      password,
      query_timeout: LOOK_TIMEOUT_MS,
      connectionTimeoutMillis: LOOK_TIMEOUT_MS,
    });
    client.on("error", () => undefined);
    try {
      await client.connect();
      this.#password = password;
      const at = this.#clock.monotonic();
      const { rows } = await client.query<Row>(LOOK);
      return this.#answererOf(rows[0] ?? {}, at);
    } finally {
      // Not awaited: a server that hangs says no goodbye.
      void client.end().catch(() => undefined);
    }
  }

  #answererOf(row: Row, at: Monotonic): Answerer {
    const startedAt = String(row["started_at"]);
    // None where a server that was restored has replayed nothing yet.
    const position = BigInt(String(row["position"] ?? 0));
    if (row["in_recovery"] !== true) {
      this.#address.positions?.saw({ at, position });
      return { role: "primary", startedAt, replica: undefined };
    }
    const commitAge = row["commit_age_s"];
    const commitAgeMs = typeof commitAge === "string" ? Number(commitAge) * 1_000 : undefined;
    return { role: "replica", startedAt, replica: { at, position, commitAgeMs } };
  }

  #openPool(): pg.Pool {
    return openPool(this.#address, () => this.#password);
  }

  #silent(): void {
    this.#view = "silent";
    for (const tell of this.#silenced) tell();
    this.#silenced.clear();
  }

  #seen(answerer: Answerer): void {
    const before = this.#answerer;
    const isSame = before?.role === answerer.role && before.startedAt === answerer.startedAt;
    const wentOn = isSame && this.#view === answerer.role;
    this.#answerer = answerer;
    this.#view = answerer.role;
    if (answerer.role === "primary") {
      for (const tell of this.#waiters) tell();
      this.#waiters.clear();
    }
    if (before === undefined || wentOn) return;
    // Also after a silence: connections from before it may have been lost on the way, and say nothing.
    const old = this.#pool;
    this.#pool = this.#openPool();
    void old.end().catch(() => undefined);
    // What the same server is at work on it goes on with, once: else each silence would leave connections to it.
    void this.#endSoon(this.#lentBefore);
    if (!isSame) void this.#endSoon(this.#lent);
    this.#lentBefore = isSame ? this.#lent : new Set();
    this.#lent = new Set();
    const queued = [...this.#queued];
    this.#queued.clear();
    for (const leave of queued) leave();
  }

  async #endSoon(lent: ReadonlySet<pg.PoolClient>): Promise<void> {
    await this.#clock.sleep(LENT_GRACE_MS, { signal: this.#ended.signal }).then(
      () => endAll(lent),
      () => undefined,
    );
  }
}

/** The pool was replaced while its connections were waited for. */
class Replaced extends Error {
  /** As of a connection that was lost: who is told of it looks for another server. */
  readonly code = "ECONNRESET";
}

/** Statements under way end as those of a lost connection do. */
function endAll(clients: ReadonlySet<pg.PoolClient>): void {
  // The type of what a pool lends has no end(), since it is given back; a hung one is not.
  for (const client of clients) void (client as unknown as pg.Client).end().catch(() => undefined);
}

function sessionOf(client: pg.PoolClient, timeoutMs: () => number): LentSession {
  const query: LentSession["query"] = async (text, values) => {
    // Its limit is an option of each query, which the types do not know.
    const asked: pg.QueryConfig & { readonly query_timeout: number } = { text, query_timeout: timeoutMs() };
    return await client.query<Row>(values === undefined ? asked : { ...asked, values: [...values] });
  };
  const commit: LentSession["commit"] = async () => {
    let isWarned = false;
    const onNotice = (): void => {
      isWarned = true;
    };
    client.on("notice", onNotice);
    try {
      await query("commit");
      return { isWarned };
    } finally {
      client.removeListener("notice", onNotice);
    }
  };
  return { query, commit };
}

function clientConfig({ host, port, user, database }: WayAddress): pg.ClientConfig {
  return {
    host,
    port,
    user,
    database,
    ssl: false,
    keepAlive: true,
    keepAliveInitialDelayMillis: 1_000,
    types: rowTypes,
    stream: () => guarded(new RawSocket()),
  };
}

function openPool(address: WayAddress, password: () => string): pg.Pool {
  const pool = new pg.Pool({
    ...clientConfig(address),
    password,
    max: address.width,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 30_000,
  });
  // An idle connection that breaks is replaced when it is needed; without a listener it would end the process.
  pool.on("error", () => undefined);
  // One that is lent says it twice: to the query, and by this event, to which the pool does not listen meanwhile.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}
