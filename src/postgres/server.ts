/**
 * A PostgreSQL server on this machine: start, stop, kill, look.
 *
 * Nouns: the *postmaster* is the server's first process, parent of all others; its *state* is found by looking each time
 * (postmaster.pid, the process, the status that it keeps there), never remembered, since a person may start or stop the
 * server too; the *log* is what it writes to stdout and stderr.
 * Invariants: the server outlives us; it never runs as root; `start` resolves only after a real connection; `stop` and
 * `kill` resolve only when no process of the server is left; every wait is bounded.
 * Source: PostgreSQL manual, "Starting the Database Server", "Shutting Down the Server", "postmaster.pid" in "Database File Layout".
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Clock, throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { ProcessExit, Processes, ProcessUser } from "../platform/processes.ts";
import type { Settings } from "./cluster.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "./control-file.ts";
import type { Installation } from "./installation.ts";
import { type PidFile, parsePidFile } from "./pid-file.ts";
import { openQuery, type QueryConnection } from "./query-connection.ts";
import type { CallOptions, ConnectOptions } from "./replication.ts";
import { readLogTail, startError } from "./server-log.ts";
import { isServerOf } from "./server-process.ts";
import type { NamesOf } from "./session-settings.ts";

/** Everything that identifies a server of this machine. */
export type ServerSetup = {
  readonly installation: Installation;
  readonly dataFolder: string;
  /** Who runs it; undefined for ourselves. Must own the data folder. */
  readonly user: ProcessUser | undefined;
  /** Folder of the Unix socket; made with mode 0700 when it is not there. */
  readonly socketFolder: string;
  readonly port: number;
  /** Default: 127.0.0.1 only. Empty: Unix socket only. */
  readonly listenAddresses?: readonly string[] | undefined;
  readonly logFile: string;
  /** How we log in to look; over the Unix socket. */
  readonly superuser: { readonly name: string; readonly password?: string | undefined };
  /** Settings of the command line: they win over every file. */
  readonly settings?: Settings | undefined;
};

/** What a server needs of the machine. */
export type ServerPorts = { readonly files: Files; readonly processes: Processes; readonly clock: Clock };

/** The state of a server, by looking. */
export type ServerState =
  /** No postmaster.pid: it was stopped, or never ran. */
  | { readonly kind: "stopped" }
  /** postmaster.pid is there and its process is not: the next start recovers. */
  | { readonly kind: "crashed"; readonly pid: number }
  /**
   * It runs. `ready` accepts connections, also as a hot standby; `standby` recovers and accepts none, because hot_standby
   * is off; `starting` is not that far yet, or has not reached a consistent state.
   */
  | { readonly kind: "starting" | "ready" | "standby" | "stopping"; readonly pid: number };

/** Waits that can be cut short. */
export type WaitOptions = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined };

/** How to log in; what is left out is the superuser's, to the database postgres. */
export type LogIn = {
  readonly database?: string;
  readonly user?: string;
  readonly password?: string;
  /** Default: the Unix socket. */
  readonly over?: "socket" | "tcp";
  /** By which names the session finds what is named without its schema. Default: the server's own. */
  readonly namesOf?: NamesOf;
};

/** The longest path of a Unix socket that PostgreSQL and the kernel take, in bytes (sockaddr_un, less the final zero). */
export const SOCKET_PATH_BYTES_MAX = 107;

// How often a state is looked at while waiting: a start takes 100 ms at best, and a look costs well under 1 ms.
const LOOK_INTERVAL_MS = 10;

/** A process that is not waiting for a disk halts within a turn of the scheduler. */
const HALT_TIMEOUT_MS = 5_000;

// A server that takes longer to answer on a local socket is not accepting connections in any useful sense.
const PROBE_TIMEOUT_MS = 5000;

// SIGKILL takes effect at once, except for a process that waits for a disk.
const KILL_TIMEOUT_MS = 30_000;

const SIGNAL_OF_MODE = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** One server. Cheap to make; holds nothing but its setup. */
export class LocalServer {
  readonly setup: ServerSetup;
  readonly #ports: ServerPorts;

  constructor(ports: ServerPorts, setup: ServerSetup) {
    this.#ports = ports;
    this.setup = setup;
  }

  /**
   * Starts the server and waits until it accepts connections (`accepting`; a standby does so in recovery) or until it has
   * also left recovery (`recovered`). Rejects with `postgres.already-running`, `postgres.port-busy`,
   * `postgres.socket-path-too-long`, `postgres.start-failed` with the tail of the log, `postgres.start-timeout` (the
   * server is then left running and may still come up), or `platform.aborted` (then it is killed).
   */
  async start(options: WaitOptions & { readonly until: "accepting" | "recovered" }): Promise<void> {
    const { setup } = this;
    throwIfAborted(options.signal, "starting a server");
    checkSocketPath(setup);
    const before = await this.state();
    if (before.kind !== "stopped" && before.kind !== "crashed") throw alreadyRunning(setup, before.pid);
    await this.#makeSocketFolder();
    const logged = await this.#ports.files.stat(setup.logFile);
    const running = await this.#ports.processes.start({
      command: path.join(setup.installation.binFolder, "postgres"),
      args: postgresArguments(setup),
      folder: "/",
      user: setup.user,
      output: { kind: "file", file: setup.logFile },
      input: "none",
      detached: true,
    });
    let exit: ProcessExit | undefined;
    void running.exited.then((how) => {
      exit = how;
    });
    const log = { file: setup.logFile, fromByte: logged?.sizeBytes ?? 0 };
    const isUp = async (): Promise<boolean> => {
      if (exit !== undefined) throw startError(setup, exit, await readLogTail(this.#ports.files, log));
      return this.#isUp(running.pid, options);
    };
    const late = async (): Promise<LifeboatError> =>
      new LifeboatError("postgres.start-timeout", {
        message: `the server in ${setup.dataFolder} was started but not ${options.until} within ${options.timeoutMs} ms; its log ends: ${await readLogTail(this.#ports.files, log)}`,
        remedy: `Look at ${setup.logFile}: recovery may need more time. The server was left running.`,
        retryable: true,
      });
    try {
      await this.#wait(options, isUp, late);
    } catch (error) {
      // Nobody waits for it any more, and before it has written postmaster.pid nobody could find it either.
      if (isLifeboatError(error, "platform.aborted")) await this.#ports.processes.killTree(running.pid);
      throw error;
    }
  }

  /**
   * Stops the server. `smart` waits for all clients to leave, `fast` ends their sessions, `immediate` ends without a
   * checkpoint (the next start recovers). A server that does not run is no error. Rejects with `postgres.stop-timeout`.
   */
  async stop(options: WaitOptions & { readonly mode: keyof typeof SIGNAL_OF_MODE }): Promise<void> {
    const state = await this.state();
    if (state.kind === "stopped" || state.kind === "crashed") return;
    const family = await this.#ports.processes.tree(state.pid);
    this.#ports.processes.signal(state.pid, SIGNAL_OF_MODE[options.mode]);
    await this.#waitUntilGone(
      family,
      options,
      () =>
        new LifeboatError("postgres.stop-timeout", {
          message: `the server in ${this.setup.dataFolder} (process ${state.pid}) did not end within ${options.timeoutMs} ms of a ${options.mode} stop`,
          remedy:
            options.mode === "smart"
              ? "Clients are still connected: end them, or stop it with mode fast."
              : "Look at its log; a replication connection that does not answer can hold it up. Stop it with mode immediate.",
          retryable: true,
        }),
    );
  }

  /**
   * Kills every process of the server at once, as a power cut does (but what the kernel caches is not lost). Returns when
   * all are gone and their System V shared memory is released; with dynamic_shared_memory_type posix, what lies in
   * /dev/shm stays until the next start on this data folder.
   */
  async kill(): Promise<void> {
    const state = await this.state();
    if (state.kind === "stopped" || state.kind === "crashed") return;
    const segment = (await this.#readPidFile())?.sharedMemoryId;
    const family = await this.#ports.processes.killTree(state.pid);
    await this.#waitUntilGone(
      family,
      { timeoutMs: KILL_TIMEOUT_MS },
      () =>
        new LifeboatError("postgres.stop-timeout", {
          message: `processes of the server in ${this.setup.dataFolder} are there ${KILL_TIMEOUT_MS} ms after SIGKILL`,
          remedy: "Look at the disk: a process that waits for it cannot be killed.",
        }),
    );
    if (segment !== undefined) await this.#releaseSharedMemory(segment);
  }

  /** Halts every process of the server (it neither answers nor closes its connections), as a machine that hangs. */
  async halt(): Promise<void> {
    const pids = await this.#signalAll("SIGSTOP");
    const { processes } = this.#ports;
    // The kernel stops a process some time after it was told to.
    await this.#wait(
      { timeoutMs: HALT_TIMEOUT_MS },
      async () => {
        const facts = await Promise.all(pids.map((pid) => processes.facts(pid)));
        return facts.every((each) => each === undefined || each.halted || each.zombie);
      },
      async () =>
        new LifeboatError("postgres.stop-timeout", {
          message: `processes of the server in ${this.setup.dataFolder} run ${HALT_TIMEOUT_MS} ms after SIGSTOP`,
          remedy: "Look at the disk: a process that waits for it cannot be halted.",
        }),
    );
  }

  /** Ends a halt. */
  async resume(): Promise<void> {
    await this.#signalAll("SIGCONT");
  }

  /** Has the server read its configuration files again; takes effect a moment later. False when it does not run. */
  async reload(): Promise<boolean> {
    const state = await this.state();
    if (state.kind === "stopped" || state.kind === "crashed") return false;
    return this.#ports.processes.signal(state.pid, "SIGHUP");
  }

  /** Looks. Rejects with `platform.file-denied` when the process may be a server that we may not look into. */
  async state(): Promise<ServerState> {
    const file = await this.#readPidFile();
    if (file === undefined) return { kind: "stopped" };
    const { processes } = this.#ports;
    const { dataFolder } = this.setup;
    const ours = (await processes.isAlive(file.pid)) && (await isServerOf(processes, { pid: file.pid, dataFolder }));
    if (!ours) return { kind: "crashed", pid: file.pid };
    return { kind: file.status, pid: file.pid };
  }

  /** How to reach the server. */
  address(logIn: LogIn = {}): ConnectOptions {
    const { setup } = this;
    const user = logIn.user ?? setup.superuser.name;
    const host = logIn.over === "tcp" ? (setup.listenAddresses?.[0] ?? "127.0.0.1") : setup.socketFolder;
    return {
      host,
      port: setup.port,
      user,
      password: logIn.password ?? (user === setup.superuser.name ? setup.superuser.password : undefined),
      database: logIn.database ?? "postgres",
      tls: { mode: "disable" },
      applicationName: "lifeboat",
      connectTimeoutMs: PROBE_TIMEOUT_MS,
    };
  }

  /** A session for SQL. Close it. Rejects as `openQuery` does. */
  connect(logIn: LogIn, options: CallOptions): Promise<QueryConnection> {
    return openQuery({ ...this.address(logIn), namesOf: logIn.namesOf }, options);
  }

  /** The end of the log: at most LOG_TAIL_BYTES of whole lines; empty when there is none. */
  logTail(): Promise<string> {
    return readLogTail(this.#ports.files, { file: this.setup.logFile, fromByte: 0 });
  }

  async #isUp(pid: number, options: CallOptions & { readonly until: "accepting" | "recovered" }): Promise<boolean> {
    // That one is ours and runs: nothing is to be seen of it, so that a start depends on no look into a process of another user.
    const file = await this.#readPidFile();
    if (file?.status !== "ready" || file.pid !== pid) return false;
    if (options.until === "recovered" && !(await this.#inProduction())) return false;
    return this.#accepts(options.signal);
  }

  /** With hot_standby on, "ready" comes as soon as people may read; only pg_control tells when recovery is over. */
  async #inProduction(): Promise<boolean> {
    try {
      const bytes = await this.#ports.files.readFile(path.join(this.setup.dataFolder, CONTROL_FILE_PATH));
      return parseControlFile(bytes).state === "in production";
    } catch (error) {
      // The server may be writing it at this moment: the next look is a better one.
      if (isLifeboatError(error)) return false;
      throw error;
    }
  }

  /** An answer that only a server that lets people in can give: a session, or a refusal of this very login. */
  async #accepts(signal: AbortSignal | undefined): Promise<boolean> {
    try {
      const session = await this.connect({}, { signal });
      await session.close();
      return true;
    } catch (error) {
      if (isLifeboatError(error, "platform.aborted")) throw error;
      return (
        isLifeboatError(error, "postgres.login-refused") || isLifeboatError(error, "postgres.too-many-connections")
      );
    }
  }

  async #signalAll(signal: NodeJS.Signals): Promise<readonly number[]> {
    const state = await this.state();
    if (state.kind === "stopped" || state.kind === "crashed") return [];
    const pids = await this.#ports.processes.tree(state.pid);
    for (const pid of pids) this.#ports.processes.signal(pid, signal);
    return pids;
  }

  /** The kernel has room for 4096 segments: a data folder that is never started again would hold one for ever. */
  async #releaseSharedMemory(id: string): Promise<void> {
    try {
      await this.#ports.processes.run({ command: "ipcrm", args: ["-m", id], timeoutMs: KILL_TIMEOUT_MS });
    } catch (error) {
      // A machine without ipcrm keeps 56 bytes until the next start on this data folder.
      if (!isLifeboatError(error, "platform.process-not-started")) throw error;
    }
  }

  async #makeSocketFolder(): Promise<void> {
    const { files } = this.#ports;
    const { socketFolder, user } = this.setup;
    if ((await files.stat(socketFolder)) !== undefined) return;
    await files.makeFolder(path.dirname(socketFolder), 0o755);
    await files.makeFolder(socketFolder, 0o700);
    if (user !== undefined) await files.changeOwner(socketFolder, user);
  }

  async #readPidFile(): Promise<PidFile | undefined> {
    try {
      const bytes = await this.#ports.files.readFile(path.join(this.setup.dataFolder, "postmaster.pid"));
      // Just made and still empty: it will be filled in a moment, as if it had not been there yet.
      return parsePidFile(bytes.toString("utf8"));
    } catch (error) {
      if (isLifeboatError(error, "platform.file-missing")) return undefined;
      throw error;
    }
  }

  async #waitUntilGone(pids: readonly number[], options: WaitOptions, late: () => LifeboatError): Promise<void> {
    const { processes } = this.#ports;
    await this.#wait(
      options,
      async () => {
        for (const pid of pids) {
          if ((await processes.isAlive(pid)) && (await processes.facts(pid))?.name === "postgres") return false;
        }
        return true;
      },
      async () => late(),
    );
  }

  async #wait(options: WaitOptions, done: () => Promise<boolean>, late: () => Promise<LifeboatError>): Promise<void> {
    const { clock } = this.#ports;
    const deadline = clock.monotonic() + options.timeoutMs;
    while (!(await done())) {
      if (clock.monotonic() > deadline) throw await late();
      await clock.sleep(LOOK_INTERVAL_MS, { signal: options.signal });
    }
  }
}

/**
 * A server that is told `-D` reads its configuration there, and then works where that says: a copy of a cluster whose
 * postgresql.conf names its own folder would work in the original's. The command line wins over every file.
 * Source: PostgreSQL manual, "File Locations".
 */
export function ownDataFolder(dataFolder: string): { readonly data_directory: string } {
  return { data_directory: dataFolder };
}

function postgresArguments(setup: ServerSetup): string[] {
  const settings: Settings = {
    ...setup.settings,
    ...ownDataFolder(setup.dataFolder),
    port: setup.port,
    unix_socket_directories: setup.socketFolder,
    listen_addresses: (setup.listenAddresses ?? ["127.0.0.1"]).join(","),
  };
  const args = ["-D", setup.dataFolder];
  for (const [name, value] of Object.entries(settings)) {
    args.push("-c", `${name}=${typeof value === "boolean" ? (value ? "on" : "off") : value}`);
  }
  return args;
}

function checkSocketPath(setup: ServerSetup): void {
  const socket = path.join(setup.socketFolder, `.s.PGSQL.${setup.port}`);
  const lengthBytes = Buffer.byteLength(socket);
  if (lengthBytes <= SOCKET_PATH_BYTES_MAX && path.isAbsolute(socket)) return;
  throw new LifeboatError("postgres.socket-path-too-long", {
    message: `the Unix socket ${socket} would have a path of ${lengthBytes} bytes, the most is ${SOCKET_PATH_BYTES_MAX}, and it must be absolute`,
    remedy: "Choose a folder with a shorter path for the socket, for example below /run or /tmp.",
  });
}

function alreadyRunning(setup: ServerSetup, pid: number): LifeboatError {
  return new LifeboatError("postgres.already-running", {
    message: `a server already runs in ${setup.dataFolder}: process ${pid}`,
    remedy: "Stop it first, or use it as it is.",
    details: { pid },
  });
}
