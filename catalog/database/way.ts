/**
 * One way to a server: a pool of connections, and a look at what is at its end once a second.
 *
 * Nouns: a *way* is an address behind which a server is, not always the same one; its *view* is what the last look saw there: a
 * primary, a replica, or nothing that answers.
 * Invariants: no call waits longer than its limit; a connection that did not answer in time, or whose server is gone, is closed
 * and never lent again; when the server at the end changes its role, all connections are replaced, since one may stay with a
 * primary that is one no more for as long as nobody closes it.
 */
import pg from "pg";
import type { Clock } from "../../src/platform/clock.ts";
import { isServerGone } from "./gone.ts";
import type { TextColumn, TextRow } from "./json-rows.ts";
import { rowTypes } from "./row-types.ts";
import type { Row, Session } from "./session.ts";

/** Where a way leads, and how wide it is. */
export type WayAddress = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Connections at most. */
  readonly width: number;
  /** Whether a connection stays with one server, so that statements can be prepared on it: not behind a pooler of transactions. */
  readonly prepares?: boolean;
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

/** Rows of text and what their columns are. */
export type TextRows = { readonly columns: readonly TextColumn[]; readonly rows: readonly TextRow[] };

const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text };

/** A way. */
export class Way {
  readonly name: string;
  readonly #clock: Clock;
  readonly #address: WayAddress;
  readonly #ended = new AbortController();
  readonly #names = new Map<string, string>();
  #pool: pg.Pool;
  #view: WayView = "unknown";
  #looking: Promise<void> = Promise.resolve();
  #waiters: (() => void)[] = [];
  readonly #silenced = new Set<() => void>();
  #isSuspect = false;
  #answeredAt = Number.NEGATIVE_INFINITY;

  constructor(name: string, clock: Clock, address: WayAddress) {
    this.name = name;
    this.#clock = clock;
    this.#address = address;
    this.#pool = openPool(address);
  }

  /** What the last look, or the last call since, saw. */
  get view(): WayView {
    return this.#view;
  }

  /** Connections that are lent, and calls that wait for one. */
  get load(): { readonly lent: number; readonly waiting: number } {
    return { lent: this.#pool.totalCount - this.#pool.idleCount, waiting: this.#pool.waitingCount };
  }

  /** Begins to look. */
  start(): void {
    this.#looking = this.#lookOn();
  }

  /** Statements of reads are few: one that is prepared is planned once a connection and not for every request. */
  #named(text: string): { readonly text: string; readonly name?: string } {
    if (this.#address.prepares !== true) return { text };
    let name = this.#names.get(text);
    if (name === undefined) {
      // A filter more is another statement; there are not many, but for who looks for a way to fill our memory.
      if (this.#names.size >= NAMES_MAX) return { text };
      name = `read_${this.#names.size}`;
      this.#names.set(text, name);
    }
    return { text, name };
  }

  /** Ends looking and closes all connections; calls under way end first. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#looking;
    await this.#pool.end();
  }

  /** Rows of one statement, within the time. Rejects as node-postgres does. */
  async rows(
    text: string,
    values: readonly unknown[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<readonly Row[]> {
    return await this.lend(async (session) => (await session.query(text, values)).rows, { timeoutMs });
  }

  /** The same, as the server's own text: nothing is made of a value until somebody knows for what. */
  async textRows(
    text: string,
    values: readonly unknown[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<TextRows> {
    return await this.#withClient(async (client) => {
      const query = {
        ...this.#named(text),
        values: [...values],
        query_timeout: timeoutMs,
        rowMode: "array" as const,
        types: AS_TEXT,
      };
      const { fields, rows } = await client.query<(string | null)[]>(query);
      return { columns: fields.map(({ name, dataTypeID: typeId }) => ({ name, typeId })), rows };
    });
  }

  /** Lends a connection to `work`; each of its statements has the time given. */
  async lend<T>(work: (session: Session) => Promise<T>, { timeoutMs }: { readonly timeoutMs: number }): Promise<T> {
    return await this.#withClient(async (client) => await work(sessionOf(client, timeoutMs)));
  }

  async #connect(): Promise<pg.PoolClient> {
    for (;;) {
      const pool = this.#pool;
      try {
        return await pool.connect();
      } catch (error) {
        // Replaced while we waited.
        if (pool !== this.#pool) continue;
        // Who waits for one of our own connections waits for us, not for the server.
        if (isServerGone(error) && pool.totalCount < this.#address.width) this.#seen("silent");
        throw error;
      }
    }
  }

  async #withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    try {
      const result = await work(client);
      client.release();
      this.#answeredAt = this.#clock.monotonic();
      return result;
    } catch (error) {
      const gone = isServerGone(error);
      client.release(gone);
      if (gone) this.#seen("silent");
      throw error;
    }
  }

  /** Resolves when a primary is at the end, and false when there was none in time. */
  async untilPrimary(timeoutMs: number): Promise<boolean> {
    if (this.#view === "primary") return true;
    const over = new AbortController();
    const primary = new Promise<boolean>((resolve) => this.#waiters.push(() => resolve(true)));
    const late = this.#clock.sleep(Math.max(0, timeoutMs), { signal: over.signal }).then(
      () => false,
      () => false,
    );
    const found = await Promise.race([primary, late]);
    over.abort();
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
    // A connection of its own: those of the pool may be all lent, or lead to a server that is not there any more.
    const client = new pg.Client({
      ...clientConfig(this.#address),
      query_timeout: LOOK_TIMEOUT_MS,
      connectionTimeoutMillis: LOOK_TIMEOUT_MS,
    });
    client.on("error", () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ in_recovery: boolean }>("select pg_is_in_recovery() as in_recovery");
      this.#seen(rows[0]?.in_recovery === true ? "replica" : "primary");
    } catch {
      // Whoever was answered just now knows better: a processor that is busy makes a new login late, not the server silent.
      if (this.#clock.monotonic() - this.#answeredAt < LOOK_TIMEOUT_MS) this.#isSuspect = true;
      else this.#seen("silent");
    } finally {
      // Not awaited: a server that hangs says no goodbye.
      void client.end().catch(() => undefined);
    }
  }

  /** Ends a pool once nobody waits for a connection of it: one that is ended forgets who waits. */
  async #letGo(pool: pg.Pool): Promise<void> {
    while (pool.waitingCount > 0 && !this.#ended.signal.aborted) {
      await this.#clock.sleep(LOOK_EVERY_SILENT_MS, { signal: this.#ended.signal }).catch(() => undefined);
    }
    await pool.end().catch(() => undefined);
  }

  #seen(view: WayView): void {
    const before = this.#view;
    this.#view = view;
    if (view === "silent") {
      for (const tell of this.#silenced) tell();
      this.#silenced.clear();
    }
    if (view === "primary") {
      for (const tell of this.#waiters.splice(0)) tell();
    }
    // Also after a silence: what was lent before it may wait for a server that will never answer.
    if (before === view || before === "unknown" || view === "silent") return;
    const old = this.#pool;
    this.#pool = openPool(this.#address);
    void this.#letGo(old);
  }
}

function sessionOf(client: pg.PoolClient, timeoutMs: number): Session {
  return {
    query: async (text, values) => {
      // Its limit is an option of each query, which the types do not know.
      const query: pg.QueryConfig & { readonly query_timeout: number } = { text, query_timeout: timeoutMs };
      return await client.query<Row>(values === undefined ? query : { ...query, values: [...values] });
    },
  };
}

function clientConfig({ host, port, user, password, database }: WayAddress): pg.ClientConfig {
  return {
    host,
    port,
    user,
    password,
    database,
    ssl: false,
    keepAlive: true,
    keepAliveInitialDelayMillis: 1_000,
    types: rowTypes,
  };
}

function openPool(address: WayAddress): pg.Pool {
  const pool = new pg.Pool({
    ...clientConfig(address),
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
