/**
 * A PgBouncer in memory, for tests: its console, and knobs for what its clients and its server do.
 *
 * Invariant: it answers as PgBouncer 1.18 or 1.24 does, word for word where the driver reads words.
 */
import { assert, LifeboatError } from "../../errors/error.ts";
import type { Clock } from "../../platform/clock.ts";
import type { CommandOptions, ConsoleRow, PoolerConsole } from "../console.ts";
import { parseDatabases } from "../databases-file.ts";
import { CONSOLE_DATABASE, type PooledDatabase, type PoolerVersion, type ServerAddress } from "../pooler.ts";

/** A client and the connection its statement is on. */
type ActiveClient = { readonly id: number; readonly server: ServerAddress };

const LOOK_INTERVAL_MS = 1;

/** The pooler. */
export class MemoryPgBouncer {
  readonly version: PoolerVersion;
  /** Every command, in the order in which they came. */
  readonly commands: string[] = [];
  paused = false;
  suspended = false;
  pausedDatabases: readonly string[] = [];
  loginsInFlight = 0;
  clientsWaiting = 0;
  shuttingDown = false;
  /** Configuration that it cannot read: RELOAD changes nothing, and before 1.25 says nothing. */
  reloadFails = false;
  /** True: it hangs, and answers nothing. */
  silent = false;
  active: readonly ActiveClient[] = [];
  databases: readonly PooledDatabase[];
  readonly #clock: Clock;
  readonly #readFile: () => Promise<string>;

  constructor(
    clock: Clock,
    of: {
      readonly version: PoolerVersion;
      readonly databases: readonly PooledDatabase[];
      /** The file that its pgbouncer.ini includes. */
      readonly readFile: () => Promise<string>;
    },
  ) {
    this.#clock = clock;
    this.version = of.version;
    this.databases = of.databases;
    this.#readFile = of.readFile;
  }

  /** A session with its console. */
  console(): PoolerConsole {
    return {
      version: async (options) => {
        await this.#answers("login", options);
        return this.version;
      },
      run: async (command, options) => {
        this.commands.push(command);
        await this.#answers(command, options);
        return await this.#run(command, options);
      },
      runAtOnce: async (commands, options) => {
        for (const command of commands) this.commands.push(command);
        await this.#answers(commands.join(), options);
        for (const command of commands) await this.#run(command, options);
      },
      close: async () => undefined,
    };
  }

  async #answers(command: string, { timeoutMs, signal }: CommandOptions): Promise<void> {
    if (!this.silent) return;
    await this.#clock.sleep(timeoutMs, { signal });
    throw noAnswer(command);
  }

  async #run(command: string, options: CommandOptions): Promise<readonly ConsoleRow[]> {
    const [verb = "", argument] = command.split(" ");
    switch (verb) {
      case "SHOW":
        return this.#show(argument ?? "");
      case "PAUSE":
        if (this.paused || this.suspended) throw refused("already suspended/paused");
        if (argument === CONSOLE_DATABASE) throw refused(`cannot pause admin db: ${CONSOLE_DATABASE}`);
        this.paused = true;
        this.loginsInFlight = 0;
        return await this.#untilIdle(command, options);
      case "SUSPEND":
        if (this.paused || this.suspended) throw refused("already suspended/paused");
        if (this.pausedDatabases.length > 0) throw refused("cannot suspend with paused databases");
        return await this.#suspend(options);
      case "RESUME":
        if (this.shuttingDown) throw refused("pooler is shutting down");
        if (!this.paused && !this.suspended) throw refused("pooler is not paused/suspended");
        this.paused = false;
        this.suspended = false;
        return [];
      case "RELOAD":
        if (!this.reloadFails) await this.#reload();
        return [];
      case "WAIT_CLOSE":
        return await this.#untilIdle(command, options);
      case "KILL_CLIENT":
        if (this.version.minor < 24) throw refused("invalid command");
        if (!this.active.some(({ id }) => String(id) === argument)) throw refused("client not found");
        this.active = this.active.filter(({ id }) => String(id) !== argument);
        return [];
      default:
        throw refused(`invalid command '${command}'`);
    }
  }

  #show(what: string): readonly ConsoleRow[] {
    switch (what) {
      case "VERSION":
        return [row({ version: "PgBouncer" })];
      case "POOLS":
        return [
          pool({ database: CONSOLE_DATABASE }),
          pool({
            database: this.databases[0]?.name ?? "",
            cl_waiting: this.clientsWaiting,
            sv_active: this.active.length,
            sv_login: this.loginsInFlight,
          }),
        ];
      case "DATABASES":
        return this.databases.map(({ name, server: { host, port } }) =>
          row({ name, host, port, paused: this.pausedDatabases.includes(name) ? 1 : 0 }),
        );
      case "STATE":
        if (this.version.minor < 19) throw refused("unsupported SHOW");
        return [row({ key: "active", value: this.paused ? "no" : "yes" }), paused(this.paused)];
      case "SERVERS":
        return this.active.map(({ id, server }) => row({ addr: server.host, port: server.port, link: `0x${id}` }));
      case "CLIENTS":
        return this.active.map(({ id }) => row({ ptr: `0x${id}`, ...(this.version.minor < 24 ? {} : { id }) }));
      default:
        throw refused("unsupported SHOW");
    }
  }

  async #reload(): Promise<void> {
    const read = parseDatabases(await this.#readFile());
    assert(read !== undefined, "the file that is included is one of ours");
    this.databases = read.databases;
  }

  async #suspend({ timeoutMs, signal }: CommandOptions): Promise<readonly ConsoleRow[]> {
    this.suspended = true;
    const deadline = this.#clock.monotonic() + timeoutMs;
    while (this.clientsWaiting > 0) {
      if (this.#clock.monotonic() >= deadline) {
        // The session is given up, and with it the suspension.
        this.suspended = false;
        throw noAnswer("SUSPEND");
      }
      await this.#clock.sleep(LOOK_INTERVAL_MS, { signal });
    }
    return [];
  }

  async #untilIdle(command: string, { timeoutMs, signal }: CommandOptions): Promise<readonly ConsoleRow[]> {
    const deadline = this.#clock.monotonic() + timeoutMs;
    while (this.active.length > 0) {
      if (this.#clock.monotonic() >= deadline) throw noAnswer(command);
      await this.#clock.sleep(LOOK_INTERVAL_MS, { signal });
    }
    return [];
  }
}

function row(columns: Readonly<Record<string, string | number>>): ConsoleRow {
  return new Map(Object.entries(columns).map(([name, value]) => [name, String(value)]));
}

function pool(columns: Readonly<Record<string, string | number>>): ConsoleRow {
  const none = { cl_waiting: 0, sv_active: 0, sv_tested: 0, sv_idle: 0, sv_used: 0, sv_login: 0 };
  return row({ ...none, maxwait: 0, maxwait_us: 0, ...columns });
}

function paused(value: boolean): ConsoleRow {
  return row({ key: "paused", value: value ? "yes" : "no" });
}

function refused(words: string): LifeboatError {
  return new LifeboatError("pooler.refused", {
    message: `the pooler refuses: ${words}`,
    remedy: "This one lives in memory.",
    details: { words },
  });
}

function noAnswer(command: string): LifeboatError {
  return new LifeboatError("pooler.unreachable", {
    message: `no answer to ${command}`,
    remedy: "This one lives in memory.",
    retryable: true,
  });
}
