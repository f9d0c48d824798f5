/**
 * The server of a sandbox: booted, logged in to, written to.
 *
 * Invariant: it is harmless (sandbox-settings.ts), and its socket lies in a folder that only its own user can enter.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { Processes, ProcessUser } from "../platform/processes.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import type { Installation } from "../postgres/installation.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";
import { LocalServer, ownDataFolder } from "../postgres/server.ts";
import type { NamesOf } from "../postgres/session-settings.ts";
import { bootRestored, type Reached } from "../restore/boot.ts";
import type { RestorePlan } from "../restore/plan.ts";
import type { RestoreWal } from "../restore/restore-wal.ts";
import type { ProofFinding } from "../vault/proofs.ts";
import { SANDBOX_PORT, type Sandbox } from "./sandbox.ts";
import { SANDBOX_ACCESS, SANDBOX_LOCALES, sandboxSettings } from "./sandbox-settings.ts";
import { readServerEnd } from "./server-end.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Roles that a cluster often has, tried after the configured one, to ask which role is a superuser. */
const USUAL_ROLES = ["postgres"];
/** Databases that a cluster usually has; one of them is enough to ask for the others. */
const USUAL_DATABASES = ["postgres", "template1"];
/** The superuser that is made where none can log in. */
const OWN_ROLE = "lifeboat_sandbox";
/** Where everything that a proof makes in a database lies. */
export const SANDBOX_SCHEMA = "lifeboat_sandbox";

/** A small statement on an idle server. */
const STATEMENT_TIMEOUT_MS = 120_000;
/** A checkpoint writes what recovery left dirty: at most the sandbox's shared buffers. */
const CHECKPOINT_TIMEOUT_MS = 600_000;
/** A stop without a checkpoint; more only with a stuck disk. */
const STOP_TIMEOUT_MS = 30_000;
/** A postmaster reaps within milliseconds, unless the machine is very busy. */
const END_TOLD_TIMEOUT_MS = 5_000;
const LOOK_INTERVAL_MS = 20;

/** What the server needs of the machine. */
export type ServerTools = {
  readonly files: Files;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly wal: RestoreWal;
  /** For WAL that is fed. */
  readonly locks: Locks;
};

/** Who and what runs it. */
export type ServerRequest = {
  readonly installation: Installation;
  readonly user: ProcessUser | undefined;
  /** The role that the configuration names. */
  readonly role: string;
  readonly bootTimeoutMs: number;
};

/** A booted sandbox. */
export class SandboxServer {
  readonly reached: Reached;
  readonly #tools: ServerTools;
  readonly #server: LocalServer;
  readonly #superuser: string;
  readonly #database: string;

  private constructor(
    tools: ServerTools,
    server: LocalServer,
    as: { readonly reached: Reached; readonly user: string; readonly database: string },
  ) {
    this.#tools = tools;
    this.#server = server;
    this.reached = as.reached;
    this.#superuser = as.user;
    this.#database = as.database;
  }

  /** Starts the server on a restored folder, and waits until it has recovered to the end of the plan. Throws as `bootRestored`. */
  static async boot(
    tools: ServerTools,
    place: { readonly sandbox: Sandbox; readonly plan: RestorePlan },
    request: ServerRequest,
    options: CallOptions,
  ): Promise<SandboxServer> {
    const server = await prepare(tools, place.sandbox, request);
    const timeouts = { timeoutMs: request.bootTimeoutMs, ...options };
    const reached = await bootRestored({ ...tools, server }, place.plan, timeouts);
    const found =
      (await findSuperuser(server, request.role, options)) ?? (await makeSuperuser(tools, server, timeouts));
    return new SandboxServer(tools, server, { reached, ...found });
  }

  /** A session of the superuser; close it. By default it finds what is named without its schema among the server's own. */
  async connect(
    database: string | undefined,
    { namesOf = "server", ...options }: CallOptions & { readonly namesOf?: NamesOf },
  ): Promise<QueryConnection> {
    const session = await this.#server.connect(
      { database: database ?? this.#database, user: this.#superuser, namesOf },
      options,
    );
    const limits = { timeoutMs: STATEMENT_TIMEOUT_MS, ...options };
    // A database or a role may say otherwise, and settings of theirs win over the command line.
    await session.query("SET session_replication_role = replica", [], limits);
    return session;
  }

  /** Looks at role and timeline, writes a row and reads it back, and has all of it on disk. */
  async tryWrite(options: CallOptions): Promise<readonly ProofFinding[]> {
    const session = await this.connect(undefined, options);
    const limits = { timeoutMs: STATEMENT_TIMEOUT_MS, ...options };
    try {
      const [role] = await session.query(
        "SELECT pg_is_in_recovery() AS recovering, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline",
        [],
        limits,
      );
      const timeline = Number.parseInt(String(role?.["timeline"]), 16);
      if (role?.["recovering"] !== false || timeline !== this.reached.timeline) {
        return [
          finding(
            "role",
            `the server is on timeline ${timeline} and ${role?.["recovering"] === false ? "writable" : "in recovery"}, it recovered to timeline ${this.reached.timeline}`,
          ),
        ];
      }
      await session.query(`CREATE SCHEMA ${SANDBOX_SCHEMA}`, [], limits);
      await session.query(`CREATE TABLE ${SANDBOX_SCHEMA}.written (what text)`, [], limits);
      await session.query(`INSERT INTO ${SANDBOX_SCHEMA}.written VALUES ('proof')`, [], limits);
      const rows = await session.query(`SELECT what FROM ${SANDBOX_SCHEMA}.written`, [], limits);
      if (rows.length !== 1 || rows[0]?.["what"] !== "proof") {
        return [finding("write", `a row that was written was read back as ${JSON.stringify(rows)}`)];
      }
      await session.query("CHECKPOINT", [], checkpointLimits(options));
      return [];
    } catch (error) {
      const refused = refusalOf(error, "the restored server");
      if (refused === undefined) throw error;
      return [refused];
    } finally {
      await session.close();
    }
  }

  /** Has on disk what sessions wrote; a refusal is a finding. */
  async flush(options: CallOptions): Promise<readonly ProofFinding[]> {
    try {
      const session = await this.connect(undefined, options);
      try {
        await session.query("CHECKPOINT", [], checkpointLimits(options));
        return [];
      } finally {
        await session.close();
      }
    } catch (error) {
      const refused = refusalOf(error, "the restored server");
      if (refused === undefined) throw error;
      return [refused];
    }
  }

  /**
   * For a server that ended a session: throws `platform.disk-full` or `proof.machine-failed` when it was this machine's doing.
   * The postmaster tells of a process that ended a moment after its sessions do.
   */
  async requireOwnEnd(options: CallOptions): Promise<void> {
    const { clock } = this.#tools;
    const deadlineMs = clock.monotonic() + END_TOLD_TIMEOUT_MS;
    for (;;) {
      const log = await this.#server.logTail();
      const end = readServerEnd(log);
      if (end.kind === "machine") throw end.why === "disk-full" ? diskFull(end.line) : machineFailed(end.line);
      const state = await this.#server.state();
      // It removes its postmaster.pid itself however it ends, unless it is killed.
      if (state.kind === "crashed") throw machineFailed("its PostgreSQL server was killed");
      if (end.kind === "damage" || state.kind === "stopped" || clock.monotonic() > deadlineMs) return;
      await clock.sleep(LOOK_INTERVAL_MS, options);
    }
  }

  /** Ends the server; nothing of it is kept. */
  async end(): Promise<void> {
    try {
      await this.#server.stop({ mode: "immediate", timeoutMs: STOP_TIMEOUT_MS });
    } catch (error) {
      if (!isLifeboatError(error, "postgres.stop-timeout")) throw error;
      await this.#server.kill();
    }
  }
}

function checkpointLimits(options: CallOptions): CallOptions & { readonly timeoutMs: number } {
  return { timeoutMs: CHECKPOINT_TIMEOUT_MS, ...options };
}

/**
 * The finding that a failed statement is: what the server said of its own data. Undefined for anything else. Throws
 * `proof.library-missing`, `platform.disk-full` or `proof.machine-failed` when it is this machine that lacks something.
 */
export function refusalOf(error: unknown, object: string): ProofFinding | undefined {
  if (!isLifeboatError(error)) return undefined;
  if (error.code === "postgres.connection-lost" || error.code === "postgres.shutting-down") {
    return { object, code: "server-ended", message: `the server ended the session: ${error.message}` };
  }
  if (error.code !== "postgres.query-failed") return undefined;
  const sqlstate = error.details["sqlstate"];
  // Undefined file, as the server says of a library; a relation's own file has the same state and another message.
  const noLibrary = sqlstate === "58P01" && /could not access file|could not load library/i.test(error.message);
  if (noLibrary || LACKING.test(error.message)) {
    throw new LifeboatError("proof.library-missing", {
      message: `${object} needs a library${noLibrary ? "" : " or a locale"} that the PostgreSQL programs here do not have: ${error.message}`,
      remedy: noLibrary
        ? "Install the extension's package for this PostgreSQL, or name other programs with --postgres-bin-dir."
        : "Install on this machine what the message names, or name other programs with --postgres-bin-dir.",
      cause: error,
    });
  }
  if (sqlstate === "53100") throw diskFull(error.message, error);
  if (typeof sqlstate === "string" && MACHINE_STATES.test(sqlstate)) throw machineFailed(error.message, error);
  return { object, code: "server", message: error.message };
}

/** Insufficient resources, and an error of the disk. Source: PostgreSQL manual, "PostgreSQL Error Codes". */
const MACHINE_STATES = /^(53...|58030)$/;
/** These have no state of their own. */
const LACKING = /locale is incompatible with operating system|not supported (in|by) this build|to be built with/;

function diskFull(message: string, cause?: unknown): LifeboatError {
  return new LifeboatError("platform.disk-full", {
    message: `the proof ended, for the sandbox's disk is full: ${message}`,
    remedy: "Free space where the sandbox lies, or name another place with --sandbox, then prove again.",
    retryable: true,
    cause,
  });
}

function machineFailed(message: string, cause?: unknown): LifeboatError {
  return new LifeboatError("proof.machine-failed", {
    message: `the proof ended, for this machine could not go on with it: ${message}`,
    remedy:
      "Give this machine what the message names (memory, a sound disk, PostgreSQL programs like the server's), then prove again.",
    retryable: true,
    cause,
  });
}

function finding(code: string, message: string): ProofFinding {
  return { object: "the restored server", code, message };
}

async function prepare(tools: ServerTools, sandbox: Sandbox, request: ServerRequest): Promise<LocalServer> {
  const { files } = tools;
  const control = parseControlFile(await files.readFile(path.join(sandbox.dataFolder, CONTROL_FILE_PATH)));
  const accessFile = path.join(sandbox.folder, "pg_hba.conf");
  const identFile = path.join(sandbox.folder, "pg_ident.conf");
  for (const [file, text] of [
    [accessFile, SANDBOX_ACCESS],
    [identFile, ""],
  ] as const) {
    await writeDurable(files, { file, parts: [Buffer.from(text)], over: "new", unique: "lifeboat" });
    if (request.user !== undefined) await files.changeOwner(file, request.user);
  }
  // There since the restore, and nothing that has to survive anything.
  const last = await files.open(path.join(sandbox.dataFolder, "postgresql.auto.conf"), "update");
  try {
    await last.write(Buffer.from(SANDBOX_LOCALES), (await last.stat()).sizeBytes);
  } finally {
    await last.close();
  }
  return new LocalServer(tools, {
    installation: request.installation,
    dataFolder: sandbox.dataFolder,
    user: request.user,
    socketFolder: sandbox.socketFolder,
    port: SANDBOX_PORT,
    listenAddresses: [],
    logFile: sandbox.logFile,
    superuser: { name: request.role },
    settings: sandboxSettings({ capacity: control.capacity, accessFile, identFile }),
  });
}

type Found = { readonly user: string; readonly database: string };

/** Logs in as whoever is there and asks for a superuser who can log in. */
async function findSuperuser(server: LocalServer, role: string, options: CallOptions): Promise<Found | undefined> {
  for (const database of USUAL_DATABASES) {
    for (const user of new Set([role, ...USUAL_ROLES])) {
      try {
        const session = await server.connect({ database, user }, options);
        try {
          const sql = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND rolcanlogin ORDER BY oid LIMIT 1";
          const rows = await session.query(sql, [], { timeoutMs: STATEMENT_TIMEOUT_MS, ...options });
          const name = rows[0]?.["rolname"];
          if (typeof name === "string") return { user: name, database };
        } finally {
          await session.close();
        }
      } catch (error) {
        if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
      }
    }
  }
  return undefined;
}

/** In single-user mode nobody has to log in. Source: PostgreSQL manual, "postgres", "Single-User Mode". */
async function makeSuperuser(
  tools: ServerTools,
  server: LocalServer,
  options: CallOptions & { readonly timeoutMs: number },
): Promise<Found> {
  const { setup } = server;
  const database = "template1";
  const settings = Object.entries({ ...setup.settings, ...ownDataFolder(setup.dataFolder) }).flatMap(
    ([name, value]) => ["-c", `${name}=${String(value)}`],
  );
  await server.stop({ mode: "fast", ...options });
  const done = await tools.processes.run({
    command: path.join(setup.installation.binFolder, "postgres"),
    args: ["--single", "-D", setup.dataFolder, ...settings, database],
    input: `CREATE ROLE ${OWN_ROLE} SUPERUSER LOGIN\n`,
    folder: "/",
    user: setup.user,
    timeoutMs: options.timeoutMs,
    signal: options.signal,
  });
  await server.start({ until: "accepting", ...options });
  const session = await server.connect({ database, user: OWN_ROLE }, options).catch((cause: unknown) => {
    throw new LifeboatError("postgres.start-failed", {
      message: `no superuser can log in to the restored server, and none could be made: ${done.stderr.trim()}`,
      remedy: "Look at what the server said; name a superuser of the cluster with --server-user.",
      cause,
      details: { logTail: done.stderr },
    });
  });
  await session.close();
  return { user: OWN_ROLE, database };
}
