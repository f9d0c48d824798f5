/**
 * The admin console of a PgBouncer: text commands by the simple query protocol, the only one it takes.
 *
 * Invariants: a session is kept open, so that a command takes as long as PgBouncer needs for it; one that was lost is opened
 * anew by the next command. Commands that come together are run one after the other. Commands here may be sent twice: a session
 * can be lost between the command and its answer. What a session that was given up had sent comes into force before any later
 * command, or never.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { abortedError, systemClock, throwIfAborted, untilAborted } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { startTimer } from "../platform/timer.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { readColumns, readRow } from "../postgres/wire/answers.ts";
import { TYPE, unexpected, type WireConnection } from "../postgres/wire/connection.ts";
import { openAnySession } from "../postgres/wire/login.ts";
import { type CallOptions, CONSOLE_DATABASE, type PoolerVersion } from "./pooler.ts";

/** A row of an answer, by the names of its columns: they differ from version to version. */
export type ConsoleRow = ReadonlyMap<string, string>;

/** What a command is given. */
export type CommandOptions = CallOptions & { readonly timeoutMs: number };

/** A console, as what drives a pooler sees it. */
export interface PoolerConsole {
  /** The version of the pooler, as it says at login. */
  version(options: CommandOptions): Promise<PoolerVersion>;
  /**
   * Runs one command. Rejects with `pooler.refused` (the pooler's words in `details.words`), with `pooler.unreachable` when it
   * cannot be reached or gives no answer in time, and with `platform.aborted`; whether the command has an effect is unknown
   * then.
   */
  run(command: string, options: CommandOptions): Promise<readonly ConsoleRow[]>;
  /**
   * Runs commands of which the pooler does nothing in between: they arrive together, and it works on nothing else before it has
   * seen the last. Rejects as `run` does, with the first refusal; those after it run all the same.
   */
  runAtOnce(commands: readonly string[], options: CommandOptions): Promise<void>;
  /** Closes the session; the next command opens another. Repeatable. */
  close(): Promise<void>;
}

/** The role that may pause, repoint and resume; it is known to poolers only. */
export const POOLER_CONSOLE_ROLE = "lifeboat_pooler";

/** SQLSTATE of every refusal of a command; PgBouncer tells them apart by words only, which it never translates. */
const REFUSED = { "08P01": "pooler.refused" } as const;

/** How to reach a console. `host` is a folder for a Unix socket. */
export type ConsoleAddress = {
  readonly host: string;
  readonly port: number;
  readonly password: string | undefined;
};

/** A console behind an address. Nothing is opened before the first command. */
export function consoleOf(address: ConsoleAddress): PoolerConsole {
  return new KeptConsole(address, new Set());
}

/** Two sessions with the same pooler, one for commands that answer late. What either gives up, both wait for the end of. */
export function consolesOf(address: ConsoleAddress): {
  readonly console: PoolerConsole;
  readonly waitingConsole: PoolerConsole;
} {
  const givenUp = new Set<string>();
  return { console: new KeptConsole(address, givenUp), waitingConsole: new KeptConsole(address, givenUp) };
}

/** Between two looks whether a session that was given up has ended: the pooler sees its end at its next turn. */
const END_LOOK_MS = 2;

type Session = { readonly wire: WireConnection; readonly version: PoolerVersion; readonly name: string };

class KeptConsole implements PoolerConsole {
  readonly #address: ConsoleAddress;
  /** Sessions that were dropped in the middle of a command, by their names. */
  readonly #givenUp: Set<string>;
  #session: Session | undefined;
  /** Settles when nobody uses the session. */
  #turn: Promise<void> = Promise.resolve();

  constructor(address: ConsoleAddress, givenUp: Set<string>) {
    this.#address = address;
    this.#givenUp = givenUp;
  }

  async version(options: CommandOptions): Promise<PoolerVersion> {
    return (await this.#within(options, "asking its version", (signal) => this.#open(signal, options))).version;
  }

  async run(command: string, options: CommandOptions): Promise<readonly ConsoleRow[]> {
    return await this.#within(options, command, async (signal) => {
      const kept = this.#session !== undefined;
      try {
        return await this.#ask([command], signal, options);
      } catch (error) {
        // A session that lay open: the pooler was started anew since, or somebody closed it.
        if (!kept || !isLifeboatError(error, "postgres.connection-lost")) throw error;
        return await this.#ask([command], signal, options);
      }
    });
  }

  async runAtOnce(commands: readonly string[], options: CommandOptions): Promise<void> {
    await this.#within(options, commands.join(" and "), (signal) => this.#ask(commands, signal, options));
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.wire.close();
  }

  async #ask(
    commands: readonly string[],
    signal: AbortSignal,
    options: CommandOptions,
  ): Promise<readonly ConsoleRow[]> {
    const { wire, name } = await this.#open(signal, options);
    try {
      await this.#untilGivenUpEnded(wire, signal);
      return await wire.command({ step: `running ${commands.join(" and ")}`, signal, codes: REFUSED }, async () => {
        wire.query(...commands);
        return await readAnswers(wire, commands.length);
      });
    } catch (error) {
      // After anything but a refusal nobody knows what the next answer would be to.
      if (!isLifeboatError(error, "pooler.refused") || !wire.ready) {
        this.#session = undefined;
        this.#givenUp.add(name);
        wire.destroy();
      }
      throw error;
    }
  }

  /**
   * Waits until the pooler has seen the end of every session that was given up. Before that it may not have read yet what was
   * sent by them: a PAUSE would come into force after the RESUME that was to take it back.
   */
  async #untilGivenUpEnded(wire: WireConnection, signal: AbortSignal): Promise<void> {
    while (this.#givenUp.size > 0) {
      const rows = await wire.command({ step: "running SHOW CLIENTS", signal, codes: REFUSED }, async () => {
        wire.query("SHOW CLIENTS");
        return await readAnswers(wire, 1);
      });
      const there = new Set(rows.map((row) => row.get("application_name") ?? ""));
      for (const name of this.#givenUp) if (!there.has(name)) this.#givenUp.delete(name);
      if (this.#givenUp.size > 0) await systemClock.sleep(END_LOOK_MS, { signal });
    }
  }

  async #open(signal: AbortSignal, { timeoutMs }: CommandOptions): Promise<Session> {
    if (this.#session !== undefined) return this.#session;
    const name = `lifeboat-${systemRandom(8).toString("hex")}`;
    const options: ConnectOptions = {
      ...this.#address,
      user: POOLER_CONSOLE_ROLE,
      tls: { mode: "disable" },
      applicationName: name,
      connectTimeoutMs: timeoutMs,
    };
    const parameters = { database: CONSOLE_DATABASE, application_name: name, client_encoding: "UTF8" };
    const { wire, version } = await openAnySession(options, parameters, { signal });
    this.#session = { wire, version: parseVersion(version, this.#name), name };
    return this.#session;
  }

  async #within<T>(options: CommandOptions, what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    throwIfAborted(options.signal, `running ${what} on the pooler ${this.#name}`);
    const attempt = new AbortController();
    const stop = (): void => attempt.abort(options.signal?.reason);
    options.signal?.addEventListener("abort", stop, { once: true });
    const cancel = startTimer(options.timeoutMs, () => attempt.abort());
    const done = Promise.withResolvers<void>();
    const before = this.#turn;
    this.#turn = before.then(() => done.promise);
    try {
      await Promise.race([before, untilAborted(attempt.signal)]);
      attempt.signal.throwIfAborted();
      return await work(attempt.signal);
    } catch (cause) {
      if (options.signal?.aborted === true) {
        throw abortedError(`running ${what} on the pooler ${this.#name}`, options.signal.reason);
      }
      if (attempt.signal.aborted) throw unreachable(this.#name, `${what}: no answer in ${options.timeoutMs} ms`, cause);
      throw poolerError(this.#name, what, cause);
    } finally {
      done.resolve();
      cancel();
      options.signal?.removeEventListener("abort", stop);
    }
  }

  get #name(): string {
    return `${this.#address.host}:${this.#address.port}`;
  }
}

/** Whether a console has not let us in: its password, or who may log in, is not what we have. */
export function isLoginRefused(error: unknown): boolean {
  if (!isLifeboatError(error, "pooler.refused") || !isLifeboatError(error.cause)) return false;
  // What is refused after the login is REFUSED, whatever it is.
  const { code } = error.cause;
  return code === "postgres.login-refused" || code === "postgres.not-permitted" || code === "postgres.query-failed";
}

/** The rows of the last answer. The first refusal is raised once all have been read. */
async function readAnswers(wire: WireConnection, count: number): Promise<readonly ConsoleRow[]> {
  let rows: readonly ConsoleRow[] = [];
  let refusal: LifeboatError | undefined;
  for (let read = 0; read < count; read += 1) {
    try {
      rows = await readAnswer(wire);
    } catch (error) {
      if (!isLifeboatError(error, "pooler.refused")) throw error;
      refusal ??= error;
    }
  }
  if (refusal !== undefined) throw refusal;
  return rows;
}

async function readAnswer(wire: WireConnection): Promise<readonly ConsoleRow[]> {
  let columns: readonly string[] = [];
  const rows: ConsoleRow[] = [];
  for (;;) {
    const message = await wire.read();
    switch (message.type) {
      case TYPE.rowDescription:
        columns = readColumns(message.body);
        break;
      case TYPE.dataRow: {
        const values = readRow(message.body);
        rows.push(new Map(columns.map((name, index) => [name, values[index]?.toString("utf8") ?? ""])));
        break;
      }
      case TYPE.commandComplete:
        break;
      case TYPE.ready:
        return rows;
      default:
        throw unexpected(message, "an answer of the pooler's console");
    }
  }
}

/** `1.18.0/bouncer`. */
function parseVersion(text: string, name: string): PoolerVersion {
  const match = /^(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?/.exec(text);
  if (match === null || !text.includes("bouncer")) {
    throw new LifeboatError("pooler.refused", {
      message: `what answers at ${name} says that it is ${JSON.stringify(text)}, expected a PgBouncer`,
      remedy: "Check the address of the pooler's console.",
    });
  }
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

function poolerError(name: string, what: string, cause: unknown): unknown {
  if (!isLifeboatError(cause) || cause.code.startsWith("pooler.")) {
    if (isLifeboatError(cause, "pooler.refused") && cause.cause instanceof Error) return refused(name, what, cause);
    return cause;
  }
  switch (cause.code) {
    case "postgres.unreachable":
    case "postgres.connection-lost":
    case "postgres.shutting-down":
    case "postgres.too-many-connections":
      return unreachable(name, cause.message, cause);
    case "postgres.login-refused":
    case "postgres.not-permitted":
    case "postgres.query-failed":
    case "postgres.protocol":
      return refused(name, what, cause);
    default:
      return cause;
  }
}

function refused(name: string, what: string, cause: LifeboatError): LifeboatError {
  const words = cause.cause instanceof Error ? cause.cause.message.replace(/^[A-Z]+: /, "") : cause.message;
  return new LifeboatError("pooler.refused", {
    message: `the pooler ${name} refuses ${what}: ${words}`,
    remedy: "Look at the pooler's log; its user for the console must be one of admin_users.",
    cause,
    details: { words },
  });
}

function unreachable(name: string, why: string, cause: unknown): LifeboatError {
  return new LifeboatError("pooler.unreachable", {
    message: `the console of the pooler ${name} is out of reach: ${why}`,
    remedy:
      "Check that the pooler runs and that its address is right; clients of a pooler that is gone wait for nothing.",
    retryable: true,
    cause,
  });
}
