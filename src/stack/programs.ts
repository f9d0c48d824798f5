/** Finds the programs that a stack runs. */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { Processes, ProcessUser } from "../platform/processes.ts";
import { findInstallation, type Installation, type Major } from "../postgres/installation.ts";
import type { StackDescription } from "./stack.ts";
import type { CallOptions, StackPrograms } from "./tools.ts";

type Tools = { readonly files: Files; readonly processes: Processes };

/** Where systems keep the programs of services. */
export const SYSTEM_FOLDERS: readonly string[] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/** Loading a program of Lifeboat's size on a cold disk. */
const TRY_TIMEOUT_MS = 30_000;

/** What is looked for. */
export type ProgramsRequest = {
  readonly user: ProcessUser | undefined;
  /** Looked into in this order. */
  readonly folders: readonly string[];
  readonly lifeboat: StackPrograms["lifeboat"];
  readonly service: StackPrograms["service"];
  readonly unique: string;
};

/** The program of this name in the first of the folders that has it. */
export async function findProgram(files: Files, folders: readonly string[], name: string): Promise<string | undefined> {
  for (const folder of folders) {
    const program = path.join(folder, name);
    if ((await files.stat(program)) !== undefined) return program;
  }
  return undefined;
}

/** Finds all. Rejects with `stack.program-missing` for every one that is not there, or as `findInstallation`. */
export async function findPrograms(
  tools: Tools,
  stack: StackDescription,
  request: ProgramsRequest,
  options: CallOptions,
): Promise<StackPrograms> {
  const { folders } = request;
  const [redis, pgbouncer, haproxy] = await Promise.all(
    ["redis-server", "pgbouncer", "haproxy"].map((name) => findProgram(tools.files, folders, name)),
  );
  if (redis === undefined || pgbouncer === undefined || haproxy === undefined) {
    const missing = [
      redis === undefined ? "redis-server" : "",
      pgbouncer === undefined ? "pgbouncer" : "",
      haproxy === undefined ? "haproxy" : "",
    ].filter((name) => name !== "");
    throw programsMissing(missing, folders);
  }
  const { user, unique, lifeboat, service } = request;
  const locate = (wanted: { readonly binFolder: string } | { readonly major: Major }): Promise<Installation> =>
    findInstallation(tools, { wanted, user, unique, ...options });
  const named = stack.binDir === undefined ? undefined : await locate({ binFolder: stack.binDir });
  // The configured programs are for the operator's own servers too, and may be of another version.
  const postgres = named?.major === stack.major ? named : await locate({ major: stack.major });
  return {
    postgres,
    redis,
    pgbouncer,
    haproxy,
    lifeboat,
    service,
    lifeboatAsUser: await canRun(tools, request, options),
  };
}

/** Whether the unprivileged user can run Lifeboat itself: a clone below /root it cannot reach. */
async function canRun(
  { processes }: Tools,
  { user, lifeboat }: ProgramsRequest,
  options: CallOptions,
): Promise<boolean> {
  if (user === undefined) return true;
  try {
    const tried = await processes.run({
      command: lifeboat.command,
      args: [...lifeboat.args, "--version"],
      folder: "/",
      user,
      timeoutMs: TRY_TIMEOUT_MS,
      ...options,
    });
    return tried.exit.kind === "exited" && tried.exit.status === 0;
  } catch (error) {
    if (isLifeboatError(error, "platform.process-not-started")) return false;
    throw error;
  }
}

function programsMissing(missing: readonly string[], folders: readonly string[]): LifeboatError {
  return new LifeboatError("stack.program-missing", {
    message: `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} in none of ${folders.join(", ")}`,
    remedy: `Root on Debian: lifeboat up --install. By hand: apt-get install --no-install-recommends ${missing.join(" ")}, then stop and disable their services. Programs elsewhere: name their folder (stack.programsDir).`,
    // Debian's packages are named as the programs are.
    details: { packages: missing.join(" ") },
  });
}

/** A package mirror that answers slowly; apt waits five minutes for another apt alone. */
const INSTALL_TIMEOUT_MS = 1_800_000;

/** Installs Debian's packages with the script `installer`. Rejects with `stack.install-failed` and what apt-get said. */
export async function installPrograms(
  { processes }: Pick<Tools, "processes">,
  { installer, packages }: { readonly installer: string; readonly packages: readonly string[] },
  options: CallOptions,
): Promise<void> {
  const args = [installer, ...packages];
  const ran = await processes.run({ command: "/bin/sh", args, timeoutMs: INSTALL_TIMEOUT_MS, ...options });
  if (ran.exit.kind === "exited" && ran.exit.status === 0) return;
  throw new LifeboatError("stack.install-failed", {
    message: `installing ${packages.join(", ")} failed: ${ran.stderr.trim().split("\n").slice(-APT_LINES).join("; ")}`,
    remedy: `Mend that, or install by hand: apt-get install --no-install-recommends ${packages.join(" ")}.`,
    retryable: true,
  });
}

/** apt-get says last what went wrong. */
const APT_LINES = 4;
