/** A real PgBouncer, driven over its console. What it promises is in pooler.ts. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { ProcessUser } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import type { ConsoleRow, PoolerConsole } from "./console.ts";
import { type DatabaseLine, readDatabases, recordEpoch } from "./databases-file.ts";
import { holdFileOf, readHold, writeHold } from "./hold-file.ts";
import { COMMAND_TIMEOUT_MS, type PausingTools, pauseAtOnce, pauseForGone, pauseQuietly } from "./pausing.ts";
import {
  type ActAnswer,
  type CallOptions,
  CONSOLE_DATABASE,
  type DropAnswer,
  isAtLeast,
  isSameServer,
  type PauseAnswer,
  type PauseRequest,
  type Pooler,
  type PoolerHold,
  type PoolerState,
  type ServerAddress,
  type StaleEpoch,
} from "./pooler.ts";
import { lockPooler } from "./pooler-lock.ts";
import { clientsOn, readPools, readRefusedPause, readShownDatabases, readStatePaused } from "./show.ts";

/** The machine, as a driver of a pooler needs it. */
export type PoolerTools = {
  readonly clock: Clock;
  readonly files: Files;
  readonly locks: Locks;
  readonly random: RandomSource;
};

/** An instance to drive. */
export type PoolerSetup = {
  /** The same for whoever drives or watches it: the hold is filed under it. */
  readonly name: string;
  /** Answers at once. */
  readonly console: PoolerConsole;
  /** A second session with the same console, for the commands that answer when what runs has ended. */
  readonly waitingConsole: PoolerConsole;
  /** What its pgbouncer.ini includes (databases-file.ts); the pooler's user must be able to read what `files` writes. */
  readonly databasesFile: string;
  /** To whom the lock belongs that other programs take; undefined: to us. */
  readonly owner?: ProcessUser | undefined;
};

/** For a server that is given up: a login to one that lives ends within this, one to a dead server not at all. */
const LOGIN_WAIT_MS = 100;
/** How long a pause that does not wait for what runs waits for the news that nothing does. */
const AT_ONCE_MS = 15;
/** A server that is gone keeps nothing waiting; its pooler answers when it has dealt with the clients that it lost. */
const GONE_DRAIN_MS = 300;
/** A timer of Node.js counts whole milliseconds, and may end within one of its time. */
const TIMER_EARLY_MS = 2;
/** The first version with SHOW STATE; and the first with KILL_CLIENT. */
const SHOWS_STATE = { major: 1, minor: 19 };
const KILLS_CLIENTS = { major: 1, minor: 24 };

/** Drives a PgBouncer. Nothing is opened before the first call. */
export class PgBouncer implements Pooler {
  readonly name: string;
  readonly #tools: PoolerTools;
  readonly #setup: PoolerSetup;
  #ending = false;

  constructor(tools: PoolerTools, setup: PoolerSetup) {
    this.name = setup.name;
    this.#tools = tools;
    this.#setup = setup;
  }

  async state(options: CallOptions): Promise<PoolerState> {
    const version = await this.#setup.console.version({ ...options, timeoutMs: COMMAND_TIMEOUT_MS });
    const paused = await this.#isPaused(options);
    const pools = readPools(await this.#run("SHOW POOLS", options));
    const shown = readShownDatabases(await this.#run("SHOW DATABASES", options));
    const { epoch } = await readDatabases(this.#tools, this.#setup.databasesFile);
    const hold = await this.#holdIfReadable();
    return {
      version,
      epoch,
      mode: !paused ? "serving" : this.#ending ? "ending" : "paused",
      hold: paused ? hold : undefined,
      pausedDatabases: shown.paused,
      ...pools,
      databases: shown.databases,
    };
  }

  /** Opens its sessions where they are not open: one that is busy later lets nobody in quickly. Rejects as `state`. */
  async warmUp(options: CallOptions): Promise<void> {
    const limits = { ...options, timeoutMs: COMMAND_TIMEOUT_MS };
    await Promise.all([this.#setup.console.version(limits), this.#setup.waitingConsole.version(limits)]);
  }

  /** Remembers an epoch that may act, before it does: a later act under it has less to write. Repeatable. */
  async hear(epoch: number, options: CallOptions): Promise<ActAnswer> {
    return await this.#under({ epoch }, options, async () => ({ kind: "done" }));
  }

  async pause(request: PauseRequest, options: CallOptions): Promise<PauseAnswer> {
    const stale = await this.#locked(options, () => this.#begin(request, options));
    if (stale !== undefined) return stale;
    const paused = await (request.drain ? this.#pauseQuietly(request, options) : this.#pauseAtOnce(request, options));
    if (paused.kind !== "done") return paused;
    const { epoch: seen } = await readDatabases(this.#tools, this.#setup.databasesFile);
    return seen > request.epoch ? { kind: "stale-epoch", seen } : paused;
  }

  async resume({ epoch }: { readonly epoch: number }, options: CallOptions): Promise<ActAnswer> {
    return await this.#under({ epoch }, options, async () => {
      await this.#resume(options);
      await this.#tools.files.remove(this.#holdFile);
      return { kind: "done" };
    });
  }

  async repoint(
    order: { readonly epoch: number; readonly server: ServerAddress },
    options: CallOptions,
  ): Promise<ActAnswer> {
    return await this.#under(order, options, async (databases) => {
      await this.#run("RELOAD", options);
      await this.#mustLead(databases, options);
      return { kind: "done" };
    });
  }

  async dropDead(
    { epoch, server }: { readonly epoch: number; readonly server: ServerAddress },
    options: CallOptions,
  ): Promise<DropAnswer> {
    return await this.#under<DropAnswer>({ epoch }, options, async () => {
      const version = await this.#setup.console.version({ ...options, timeoutMs: COMMAND_TIMEOUT_MS });
      const servers = await this.#run("SHOW SERVERS", options);
      const clients = clientsOn(server, { servers, clients: await this.#run("SHOW CLIENTS", options) });
      if (!isAtLeast(version, KILLS_CLIENTS)) return { kind: "left", clients: clients.length };
      for (const { id } of clients) {
        // One that went by itself since is as good; which of them is said in words only.
        if (id !== undefined) await this.#run(`KILL_CLIENT ${id}`, options).catch(unlessRefused);
      }
      return { kind: "dropped", clients: clients.length };
    });
  }

  async waitForClose({ timeoutMs }: { readonly timeoutMs: number }, options: CallOptions): Promise<boolean> {
    const deadline = this.#in(timeoutMs);
    try {
      await this.#setup.waitingConsole.run("WAIT_CLOSE", { ...options, timeoutMs });
      return true;
    } catch (error) {
      if (isLifeboatError(error, "pooler.unreachable") && this.#isOver(deadline)) return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#setup.console.close();
    await this.#setup.waitingConsole.close();
  }

  /** What must be durable before the pause: the epoch, and the hold. */
  async #begin(request: PauseRequest, options: CallOptions): Promise<StaleEpoch | undefined> {
    const recorded = await recordEpoch(this.#tools, this.#setup.databasesFile, { epoch: request.epoch }, options);
    if (recorded.kind === "stale-epoch") return recorded;
    const before = await this.#holdIfReadable();
    await writeHold(this.#tools, this.#holdFile, {
      epoch: request.epoch,
      turn: (before?.turn ?? 0) + 1,
      holdMs: request.holdMsMax,
      pausedAt: before?.pausedAt ?? this.#tools.clock.now(),
    });
    return undefined;
  }

  /** One that cannot be read hinders nobody: the next pause replaces it, and the watchdog tells of it. */
  async #holdIfReadable(): Promise<PoolerHold | undefined> {
    try {
      return await readHold(this.#tools.files, this.#holdFile);
    } catch (error) {
      if (isLifeboatError(error, "pooler.file-damaged")) return undefined;
      throw error;
    }
  }

  async #pauseQuietly(request: PauseRequest, options: CallOptions): Promise<PauseAnswer> {
    const paused = await pauseQuietly(this.#pausing, this.#in(request.drainMs), options);
    if (paused.kind === "login-in-flight") return await this.#giveUp(request, paused.kind, options);
    if (!paused.drained) return await this.#giveUp(request, "statements-run", options);
    return { kind: "done", drained: true, cutLogin: false };
  }

  async #pauseAtOnce(request: PauseRequest, options: CallOptions): Promise<PauseAnswer> {
    const { gone, sparing = false } = request;
    if (gone === true) {
      return { kind: "done", ...(await pauseForGone(this.#pausing, this.#in(GONE_DRAIN_MS), options)) };
    }
    const how = { loginUntil: this.#in(LOGIN_WAIT_MS), drainMs: AT_ONCE_MS, sparing };
    const paused = await pauseAtOnce(this.#pausing, how, options);
    return paused === "login-in-flight" ? await this.#giveUp(request, paused, options) : { kind: "done", ...paused };
  }

  get #pausing(): PausingTools {
    const { console, waitingConsole } = this.#setup;
    const { clock } = this.#tools;
    return { clock, console, waitingConsole, isPaused: (options) => this.#isPaused(options) };
  }

  async #giveUp(
    { epoch }: PauseRequest,
    because: "login-in-flight" | "statements-run",
    options: CallOptions,
  ): Promise<PauseAnswer> {
    const resumed = await this.resume({ epoch }, options);
    return resumed.kind === "stale-epoch" ? resumed : { kind: "not-drained", because };
  }

  async #resume(options: CallOptions): Promise<void> {
    try {
      await this.#run("RESUME", options);
    } catch (error) {
      if (!isLifeboatError(error, "pooler.refused")) throw error;
      this.#ending = await this.#isPaused(options);
      // Refused because it is not paused, or because it shuts down.
      if (this.#ending) throw error;
    }
  }

  async #mustLead(databases: readonly DatabaseLine[], options: CallOptions): Promise<void> {
    const shown = readShownDatabases(await this.#run("SHOW DATABASES", options)).databases;
    const wrong = databases.find(({ name, server }) => {
      const found = shown.find((each) => each.name === name);
      return found === undefined || !isSameServer(found.server, server);
    });
    if (wrong === undefined) return;
    const found = shown.find(({ name }) => name === wrong.name)?.server;
    const leads = found === undefined ? "is not there" : `leads to ${found.host}:${found.port}`;
    throw new LifeboatError("pooler.not-repointed", {
      message: `database ${wrong.name} of the pooler ${this.name} ${leads}, expected ${wrong.server.host}:${wrong.server.port}`,
      remedy: `Look at the pooler's log: it could not read its configuration. It includes ${this.#setup.databasesFile}.`,
      retryable: true,
    });
  }

  async #isPaused(options: CallOptions): Promise<boolean> {
    const version = await this.#setup.console.version({ ...options, timeoutMs: COMMAND_TIMEOUT_MS });
    if (isAtLeast(version, SHOWS_STATE)) return readStatePaused(await this.#run("SHOW STATE", options));
    try {
      await this.#run(`PAUSE ${CONSOLE_DATABASE}`, options);
    } catch (error) {
      if (!isLifeboatError(error, "pooler.refused")) throw error;
      return readRefusedPause(String(error.details["words"]));
    }
    throw new LifeboatError("pooler.refused", {
      message: `the pooler ${this.name} paused its own console, which no version known does`,
      remedy: `Resume it (RESUME ${CONSOLE_DATABASE}), and see which version it is.`,
    });
  }

  async #run(command: string, options: CallOptions): Promise<readonly ConsoleRow[]> {
    return await this.#setup.console.run(command, { ...options, timeoutMs: COMMAND_TIMEOUT_MS });
  }

  /** Runs `act` under the lock once the epoch is on record, and only then. */
  async #under<T extends { readonly kind: string }>(
    order: { readonly epoch: number; readonly server?: ServerAddress },
    options: CallOptions,
    act: (databases: readonly DatabaseLine[]) => Promise<T>,
  ): Promise<T | StaleEpoch> {
    return await this.#locked(options, async () => {
      const recorded = await recordEpoch(this.#tools, this.#setup.databasesFile, order, options);
      return recorded.kind === "stale-epoch" ? recorded : await act(recorded.databases);
    });
  }

  async #locked<T>(options: CallOptions, work: () => Promise<T>): Promise<T> {
    const { databasesFile, owner } = this.#setup;
    return await lockPooler(this.#tools, { databasesFile, owner }, options, work);
  }

  get #holdFile(): string {
    return holdFileOf(this.#setup);
  }

  #in(durationMs: number): Monotonic {
    return (this.#tools.clock.monotonic() + durationMs) as Monotonic;
  }

  #isOver(deadline: Monotonic): boolean {
    return this.#tools.clock.monotonic() >= deadline - TIMER_EARLY_MS;
  }
}

function unlessRefused(error: unknown): void {
  if (!isLifeboatError(error, "pooler.refused")) throw error;
}
