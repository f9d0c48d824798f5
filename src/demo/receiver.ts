/**
 * `lifeboat wal receive` as a process of its own, as an operator runs it: a configuration file, and nothing shared with us
 * but the folders.
 */
import { LifeboatError } from "../errors/error.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Processes, RunningProcess } from "../platform/processes.ts";
import type { LocalServer } from "../postgres/server.ts";
import { readLogTail } from "../postgres/server-log.ts";
import { RECEIVER_NODE_ARGUMENTS } from "../wal/receiver-heap.ts";

/** The name that synchronous_standby_names lists. */
export const STANDBY_NAME = "lifeboat_vault";

/** How this program is started again. */
export type ProgramPaths = {
  readonly node: string;
  readonly nodeArguments: readonly string[];
  /** The entry of the command line, and that of the probe. */
  readonly cli: string;
  readonly probe: string;
  /** What a person types to start it. */
  readonly command: string;
};

type Ports = { readonly files: Files; readonly processes: Processes; readonly clock: Clock };
type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A receiver is up within a second; a machine that is busy with other things may take far longer. */
const STANDBY_TIMEOUT_MS = 60_000;
/** What the delayed receiver of the async demo lags behind after a large DELETE. */
const CATCH_UP_TIMEOUT_MS = 120_000;
const QUERY_TIMEOUT_MS = 15_000;
/** SIGKILL takes effect at once, except for a process that waits for a disk. */
const KILL_TIMEOUT_MS = 30_000;
const LOOK_INTERVAL_MS = 20;
const REMEDY = "Run the demo again with --keep, and look at receiver.log in its folder.";

/** The receiver process. */
export class ReceiverProcess {
  readonly #ports: Ports;
  readonly #process: RunningProcess;
  readonly #logFile: string;
  #ended: string | undefined;

  private constructor(ports: Ports, process: RunningProcess, logFile: string) {
    this.#ports = ports;
    this.#process = process;
    this.#logFile = logFile;
    void process.exited.then((exit) => {
      this.#ended = exit.kind === "exited" ? `ended with status ${exit.status}` : `was ended by ${exit.signal}`;
    });
  }

  /** Starts the process in `folder`; whether it receives is another question. */
  static async start(
    ports: Ports,
    request: {
      readonly program: ProgramPaths;
      readonly configFile: string;
      readonly folder: string;
      readonly logFile: string;
    },
  ): Promise<ReceiverProcess> {
    const { program } = request;
    const process = await ports.processes.start({
      command: program.node,
      args: [
        ...RECEIVER_NODE_ARGUMENTS,
        ...program.nodeArguments,
        program.cli,
        "--config",
        request.configFile,
        "wal",
        "receive",
      ],
      folder: request.folder,
      output: { kind: "file", file: request.logFile },
      input: "none",
      // Of its own: an interrupt at the terminal must reach it through us, or commits would wait for it meanwhile.
      detached: true,
    });
    return new ReceiverProcess(ports, process, request.logFile);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when the server streams to it, and counts it as a quorum standby if it is to. Rejects with `demo.receiver-failed`. */
  async untilStandby(server: LocalServer, mode: "async" | "quorum", options: CallOptions): Promise<void> {
    const sql =
      "SELECT sync_state FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming' AND sync_state = $2";
    await this.#until(server, { sql, parameters: [STANDBY_NAME, mode], timeoutMs: STANDBY_TIMEOUT_MS }, options);
  }

  /** Resolves when the receiver has confirmed what the server has written so far. Rejects with `demo.receiver-failed`. */
  async untilCaughtUp(server: LocalServer, options: CallOptions): Promise<void> {
    const session = await server.connect({}, options);
    let lsn: unknown;
    try {
      const limits = { ...options, timeoutMs: QUERY_TIMEOUT_MS };
      [lsn] = (await session.query("SELECT pg_current_wal_insert_lsn()::text AS lsn", [], limits)).map(
        (row) => row["lsn"],
      );
    } finally {
      await session.close();
    }
    const sql = "SELECT flush_lsn FROM pg_stat_replication WHERE application_name = $1 AND flush_lsn >= $2::pg_lsn";
    await this.#until(server, { sql, parameters: [STANDBY_NAME, lsn], timeoutMs: CATCH_UP_TIMEOUT_MS }, options);
  }

  /** The error of whoever needs the receiver and finds it gone. */
  gone(): LifeboatError {
    return new LifeboatError("demo.receiver-failed", {
      message: `the receiver (process ${this.pid}) ${this.#ended ?? "no longer holds its spool"}`,
      remedy: REMEDY,
    });
  }

  /** Ends the process at once. What it confirmed is in spool or vault all the same. Repeatable. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    // Looked at rather than waited for: a detached process does not keep ours alive, which would end here with nothing done.
    const { processes, clock } = this.#ports;
    const deadline = clock.monotonic() + KILL_TIMEOUT_MS;
    while (await processes.isAlive(this.pid)) {
      if (clock.monotonic() > deadline) throw await this.#failure(`is there ${KILL_TIMEOUT_MS} ms after SIGKILL`);
      await clock.sleep(LOOK_INTERVAL_MS, {});
    }
  }

  async #until(
    server: LocalServer,
    look: { readonly sql: string; readonly parameters: readonly unknown[]; readonly timeoutMs: number },
    options: CallOptions,
  ): Promise<void> {
    const { clock } = this.#ports;
    const deadline = clock.monotonic() + look.timeoutMs;
    const session = await server.connect({}, options);
    try {
      const limits = { ...options, timeoutMs: QUERY_TIMEOUT_MS };
      while ((await session.query(look.sql, look.parameters, limits)).length === 0) {
        if (this.#ended !== undefined) throw await this.#failure(this.#ended);
        if (clock.monotonic() > deadline) {
          throw await this.#failure(
            `had not confirmed enough after ${look.timeoutMs} ms, at ${formatInstant(clock.now())}`,
          );
        }
        await clock.sleep(LOOK_INTERVAL_MS, options);
      }
    } finally {
      await session.close();
    }
  }

  async #failure(what: string): Promise<LifeboatError> {
    const log = await readLogTail(this.#ports.files, { file: this.#logFile, fromByte: 0 });
    return new LifeboatError("demo.receiver-failed", {
      message: `the receiver (process ${this.pid}) ${what}; it last said: ${log.split("\n").slice(-3).join("; ") || "nothing"}`,
      remedy: REMEDY,
    });
  }
}
