/**
 * Makes data directories and writes their configuration.
 *
 * Nouns: a *cluster* is one data directory with everything in it; its *settings* are kept in a file of ours,
 * `lifeboat.conf`, which postgresql.conf includes as its last line, so that they win over what stands there and lose
 * against ALTER SYSTEM; *access lines* are the lines of pg_hba.conf.
 * Invariant: files written into a data directory belong to the user that runs the server and are durable.
 * Source: PostgreSQL manual, "initdb", "Setting Parameters", "The pg_hba.conf File".
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Processes, ProcessUser } from "../platform/processes.ts";
import type { Installation } from "./installation.ts";

/** Settings by name. Numbers and booleans are written as such, strings are quoted. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** The file of ours in the data directory. */
export const SETTINGS_FILE = "lifeboat.conf";

/** How connections over the Unix socket prove who they are. `trust` only where the socket's folder is closed to others. */
export type SocketAuthentication = "trust" | "peer" | "scram-sha-256";

/** A cluster to be made. */
export type ClusterRequest = {
  readonly installation: Installation;
  /** Absent or empty; made with mode 0700. */
  readonly dataFolder: string;
  /** Who runs the server; undefined for ourselves. */
  readonly user: ProcessUser | undefined;
  readonly superuser: { readonly name: string; readonly password: string };
  readonly socketAuthentication: SocketAuthentication;
  /** Default true: a delta backup needs checksums or wal_log_hints (safety rule A1). */
  readonly dataChecksums?: boolean | undefined;
  /** A locale of the C library. Default C.UTF-8 where the machine has it, else C: both sort alike on every machine. */
  readonly locale?: string | undefined;
  readonly walSegmentBytes?: number | undefined;
  /** Where pg_wal shall lie when not inside the data directory. */
  readonly walFolder?: string | undefined;
  readonly settings?: Settings | undefined;
  /** False: a power cut now may lose the cluster. For tests. Default true. */
  readonly durable?: boolean | undefined;
  /** Makes temporary names unique. */
  readonly unique: string;
  readonly signal?: AbortSignal | undefined;
};

/** What making a cluster needs of the machine. */
export type ClusterPorts = { readonly files: Files; readonly processes: Processes };

// initdb takes 1 to 3 s here, a sync of 40 MB included; a busy machine with a slow disk may need a minute.
const INITDB_TIMEOUT_MS = 180_000;

const LOCALE_TIMEOUT_MS = 10_000;

/**
 * Runs initdb: UTF-8, data checksums, passwords by SCRAM over TCP. Rejects with `postgres.cluster-exists` when the folder
 * holds files and `postgres.initdb-failed` with what initdb said; nothing is left of the cluster then (initdb cleans up).
 */
export async function initCluster(ports: ClusterPorts, request: ClusterRequest): Promise<void> {
  await makeEmptyFolder(ports.files, request.dataFolder, request.user);
  const passwordFile = path.join(path.dirname(request.dataFolder), `.${request.unique}.password`);
  try {
    await writeOwned(ports.files, passwordFile, `${request.superuser.password}\n`, request);
    const done = await ports.processes.run({
      command: path.join(request.installation.binFolder, "initdb"),
      args: await initdbArguments(ports.processes, request, passwordFile),
      environment: { LC_ALL: "C" },
      user: request.user,
      timeoutMs: INITDB_TIMEOUT_MS,
      signal: request.signal,
    });
    if (done.exit.kind !== "exited" || done.exit.status !== 0) throw initdbError(request, done.stderr);
  } finally {
    await ports.files.remove(passwordFile);
  }
  await writeSettings(ports.files, { ...request, settings: request.settings ?? {} });
}

/**
 * Replaces our settings file and makes postgresql.conf include it. Takes effect at the next start or reload. Repeatable.
 * Throws `postgres.setting-invalid` for a name or value that no configuration file can hold.
 */
export async function writeSettings(
  files: Files,
  request: {
    readonly dataFolder: string;
    readonly user: ProcessUser | undefined;
    readonly settings: Settings;
    readonly unique: string;
  },
): Promise<void> {
  await writeOwned(files, path.join(request.dataFolder, SETTINGS_FILE), formatSettings(request.settings), request);
  const main = path.join(request.dataFolder, "postgresql.conf");
  const include = `include_if_exists = '${SETTINGS_FILE}'\n`;
  const text = (await files.stat(main)) === undefined ? "" : (await files.readFile(main)).toString("utf8");
  if (text.endsWith(include)) return;
  await writeOwned(files, main, `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${include}`, request);
}

/** The text of a settings file, one setting a line, in the given order. */
export function formatSettings(settings: Settings): string {
  const lines = Object.entries(settings).map(([name, value]) => {
    if (!/^[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)?$/.test(name)) throw settingError(name, "is not a setting's name");
    return `${name} = ${formatValue(name, value)}\n`;
  });
  return `# Written by Lifeboat; changes made here are lost. Use ALTER SYSTEM for your own.\n${lines.join("")}`;
}

/** Replaces pg_hba.conf by these lines, in this order; the server takes the first that matches. */
export async function writeAccess(
  files: Files,
  request: {
    readonly dataFolder: string;
    readonly user: ProcessUser | undefined;
    readonly lines: readonly string[];
    readonly unique: string;
  },
): Promise<void> {
  await writeOwned(files, path.join(request.dataFolder, "pg_hba.conf"), formatAccess(request.lines), request);
}

/** The text of a pg_hba.conf of these lines. */
export function formatAccess(lines: readonly string[]): string {
  return `# Written by Lifeboat; changes made here are lost.\n${lines.map((line) => `${line}\n`).join("")}`;
}

function formatValue(name: string, value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw settingError(name, `cannot be ${value}`);
    return String(value);
  }
  if (/[\n\r\0]/.test(value)) throw settingError(name, "has a value of more than one line");
  // A backslash begins an escape inside quotes, and a doubled quote is a quote (guc-file.l).
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

function settingError(name: string, what: string): LifeboatError {
  return new LifeboatError("postgres.setting-invalid", {
    message: `the setting ${JSON.stringify(name)} ${what}`,
    remedy: "Correct this setting.",
  });
}

async function makeEmptyFolder(files: Files, folder: string, user: ProcessUser | undefined): Promise<void> {
  // Parents that are not there yet must let the server's user through.
  await files.makeFolder(path.dirname(folder), 0o755);
  await files.makeFolder(folder, 0o700);
  const entries = await files.list(folder);
  if (entries.length > 0) {
    throw new LifeboatError("postgres.cluster-exists", {
      message: `${folder} already holds ${entries.length} files, among them ${entries[0]?.name}`,
      remedy: "Choose another folder, or remove this one if nothing in it is needed.",
    });
  }
  if (user !== undefined) await files.changeOwner(folder, user);
  await files.changeMode(folder, 0o700);
}

async function writeOwned(
  files: Files,
  file: string,
  text: string,
  by: { readonly user: ProcessUser | undefined; readonly unique: string },
): Promise<void> {
  await writeDurable(files, { file, parts: [Buffer.from(text)], over: "replace", unique: by.unique });
  if (by.user !== undefined) await files.changeOwner(file, by.user);
}

async function initdbArguments(processes: Processes, request: ClusterRequest, passwordFile: string): Promise<string[]> {
  const locale = request.locale ?? (await portableLocale(processes, request.signal));
  const args = [
    `--pgdata=${request.dataFolder}`,
    `--username=${request.superuser.name}`,
    `--pwfile=${passwordFile}`,
    "--auth-host=scram-sha-256",
    `--auth-local=${request.socketAuthentication}`,
    "--encoding=UTF8",
    `--locale=${locale}`,
    "--locale-provider=libc",
  ];
  const dataChecksums = request.dataChecksums ?? true;
  if (dataChecksums) args.push("--data-checksums");
  else if (request.installation.major >= 18) args.push("--no-data-checksums");
  // initdb takes megabytes.
  if (request.walSegmentBytes !== undefined) args.push(`--wal-segsize=${request.walSegmentBytes / (1024 * 1024)}`);
  if (request.walFolder !== undefined) args.push(`--waldir=${request.walFolder}`);
  if (request.durable === false) args.push("--no-sync");
  return args;
}

async function portableLocale(processes: Processes, signal: AbortSignal | undefined): Promise<string> {
  const known = await processes.run({ command: "locale", args: ["-a"], timeoutMs: LOCALE_TIMEOUT_MS, signal });
  return /^C\.utf-?8$/im.test(known.stdout) ? "C.UTF-8" : "C";
}

function initdbError(request: ClusterRequest, stderr: string): LifeboatError {
  const said = stderr.split("\n").filter((line) => /error|fatal|could not|invalid/i.test(line));
  return new LifeboatError("postgres.initdb-failed", {
    message: `initdb of PostgreSQL ${request.installation.version} could not make ${request.dataFolder}: ${said.join("; ") || stderr.trim()}`,
    remedy: /permission denied/i.test(stderr)
      ? `Let the user ${request.user?.name ?? "of this process"} enter every folder above ${request.dataFolder}.`
      : "Mend what initdb complains of, then run the same command again.",
  });
}
