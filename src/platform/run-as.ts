/**
 * Which unprivileged user runs servers when we are root, and whether it can reach what it shall execute.
 *
 * PostgreSQL refuses to run as root. Started by root, Lifeboat runs every server as one system user; started by anybody
 * else it runs them as that user, and there is nothing to decide.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "./files.ts";
import type { Processes, ProcessUser } from "./processes.ts";

/** The system user that Lifeboat makes for its servers where there is none. */
export const SERVER_USER = "lifeboat";

// Looking up or making a user asks NSS, which may ask the network; far more than either needs locally.
const USER_TIMEOUT_MS = 15_000;

// 60 MB are copied, on a slow disk.
const COPY_TIMEOUT_MS = 120_000;

/** The user id of this process. */
export function currentUid(): number {
  return process.getuid?.() ?? -1;
}

/**
 * The user that servers run as, or undefined when we are not root (they then run as we do). `name` wins; else the user
 * `lifeboat`, else `postgres`, else `lifeboat` is made with useradd. Rejects with `platform.user-missing` when the named
 * user does not exist, is root, or none can be made.
 */
export async function findServerUser(
  processes: Processes,
  request: { readonly uid: number; readonly name?: string | undefined; readonly signal?: AbortSignal | undefined },
): Promise<ProcessUser | undefined> {
  if (request.uid !== 0) return undefined;
  if (request.name !== undefined) {
    const named = await lookUp(processes, request.name, request.signal);
    if (named !== undefined && named.uid !== 0) return named;
    throw userError(`the user ${request.name} ${named === undefined ? "does not exist" : "is root"}`);
  }
  for (const name of [SERVER_USER, "postgres"]) {
    const user = await lookUp(processes, name, request.signal);
    if (user !== undefined && user.uid !== 0) return user;
  }
  return makeUser(processes, request.signal);
}

async function makeUser(processes: Processes, signal: AbortSignal | undefined): Promise<ProcessUser> {
  const args = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"];
  let reason = "";
  try {
    const made = await processes.run({
      command: "useradd",
      args: [...args, "--shell", "/usr/sbin/nologin", SERVER_USER],
      timeoutMs: USER_TIMEOUT_MS,
      signal,
    });
    reason = made.stderr.trim();
  } catch (cause) {
    if (!isLifeboatError(cause, "platform.process-not-started")) throw cause;
    reason = "there is no useradd";
  }
  // Looked up rather than trusted: another process may have made it first, and then useradd fails.
  const user = await lookUp(processes, SERVER_USER, signal);
  if (user !== undefined) return user;
  throw userError(`no unprivileged user to run servers, and making ${SERVER_USER} failed: ${reason}`);
}

function userError(message: string): LifeboatError {
  return new LifeboatError("platform.user-missing", {
    message,
    remedy: "Make a user without privileges (useradd --system lifeboat), or run Lifeboat as a user other than root.",
  });
}

async function lookUp(
  processes: Processes,
  name: string,
  signal: AbortSignal | undefined,
): Promise<ProcessUser | undefined> {
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (flag) => {
      const answer = await processes.run({
        command: "id",
        args: [flag, "--", name],
        timeoutMs: USER_TIMEOUT_MS,
        signal,
      });
      const ok = answer.exit.kind === "exited" && answer.exit.status === 0 && /^\d+\s*$/.test(answer.stdout);
      return ok ? Number(answer.stdout) : undefined;
    }),
  );
  return uid === undefined || gid === undefined ? undefined : { name, uid, gid };
}

/** What `ensureReachable` looks at: a folder with a program in it that prints its version. */
export type ReachableRequest = {
  /** The folder that is copied whole when need be. */
  readonly folder: string;
  /** A program inside, relative to `folder`, that answers `--version` with status 0. */
  readonly program: string;
  readonly user: ProcessUser | undefined;
  /** Copies live here, in folders named after the content of the program; readable by everybody. */
  readonly cacheFolder: string;
  /** Makes the name of the unfinished copy unique. */
  readonly unique: string;
  readonly signal?: AbortSignal | undefined;
};

/**
 * The folder, or a copy of it that the user can execute. A clone below /root (mode 0700) holds programs that no other user
 * can reach; they are then copied once. Trying is the only sure test: modes, ACLs and mount options all have a say.
 * Rejects with `platform.not-reachable` when the copy cannot be executed either.
 */
export async function ensureReachable(
  ports: { readonly files: Files; readonly processes: Processes },
  request: ReachableRequest,
): Promise<string> {
  if (await canExecute(ports.processes, request.folder, request)) return request.folder;
  const { files } = ports;
  const digest = createHash("sha256").update(await files.readFile(path.join(request.folder, request.program)));
  const copy = path.join(request.cacheFolder, digest.digest("hex").slice(0, 16));
  if ((await files.stat(copy)) === undefined) await copyOnce(ports, request, copy);
  if (await canExecute(ports.processes, copy, request)) return copy;
  throw new LifeboatError("platform.not-reachable", {
    message: `user ${request.user?.name ?? "of this process"} can execute neither ${path.join(request.folder, request.program)} nor its copy below ${copy}`,
    remedy:
      "Install Lifeboat in a folder that every user can enter, for example /opt, on a file system that allows programs.",
  });
}

async function canExecute(processes: Processes, folder: string, request: ReachableRequest): Promise<boolean> {
  const program = path.join(folder, request.program);
  try {
    const tried = await processes.run({
      command: program,
      args: ["--version"],
      folder: "/",
      user: request.user,
      timeoutMs: USER_TIMEOUT_MS,
      signal: request.signal,
    });
    return tried.exit.kind === "exited" && tried.exit.status === 0;
  } catch (cause) {
    if (isLifeboatError(cause, "platform.process-not-started")) return false;
    throw cause;
  }
}

async function copyOnce(
  ports: { readonly files: Files; readonly processes: Processes },
  request: ReachableRequest,
  copy: string,
): Promise<void> {
  const { files, processes } = ports;
  await files.makeFolder(request.cacheFolder, 0o755);
  const unfinished = path.join(request.cacheFolder, `.${path.basename(copy)}.${request.unique}.tmp`);
  try {
    await mustRun(processes, { command: "cp", args: ["-a", "--", request.folder, unfinished] }, request.signal);
    await mustRun(processes, { command: "chmod", args: ["-R", "a+rX,go-w", "--", unfinished] }, request.signal);
    try {
      await files.rename(unfinished, copy);
    } catch (cause) {
      // Another process finished the same copy first: a folder that is not empty is never replaced.
      if ((await files.stat(copy)) === undefined) throw cause;
    }
  } finally {
    await files.removeTree(unfinished);
  }
}

async function mustRun(
  processes: Processes,
  command: { readonly command: string; readonly args: readonly string[] },
  signal: AbortSignal | undefined,
): Promise<void> {
  const done = await processes.run({ ...command, timeoutMs: COPY_TIMEOUT_MS, signal });
  if (done.exit.kind === "exited" && done.exit.status === 0) return;
  throw new LifeboatError("platform.process-failed", {
    message: `${command.command} ${command.args.join(" ")} failed: ${done.stderr.trim()}`,
    remedy: "Mend what the program complains of, then run the same command again.",
  });
}
