/**
 * The folder of one proof: everything it makes lies inside, so that nothing else is ever touched or removed.
 *
 * A folder bears a marker and, as long as its proof lives, a lock that the kernel gives up with the process. A marker whose
 * lock is free was left behind by a proof that was killed: the next one ends what still runs there and removes it. The
 * format is described in docs/formats/sandbox.md.
 */
import path from "node:path";
import { assert, isLifeboatError } from "../errors/error.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { Processes } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import { parsePidFile } from "../postgres/pid-file.ts";
import { SOCKET_PATH_BYTES_MAX } from "../postgres/server.ts";
import { isServerOf } from "../postgres/server-process.ts";

const FOLDER_NAME = /^proof-[0-9a-f]{8}$/;
const MARKER_FILE = "lifeboat-sandbox.json";
const LOCK_FILE = "lock";
/** What is there before the marker is. */
const FIRST_NAMES: ReadonlySet<string> = new Set([LOCK_FILE, `${LOCK_FILE}-journal`]);
/** The server's user must be able to pass; the data directory has its own mode. */
const OPEN_MODE = 0o755;
/** The port that names the socket; nothing listens on TCP. */
export const SANDBOX_PORT = 5432;

/** SIGKILL takes effect at once, except for a process that waits for a disk. */
const KILL_TIMEOUT_MS = 10_000;
const LOOK_INTERVAL_MS = 5;
/** A proof locks and marks its folder within milliseconds of making it. */
const MAKING_MS_MAX = 60_000;

/** What a sandbox needs of the machine. */
export type SandboxPorts = {
  readonly files: Files;
  readonly locks: Locks;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly random: RandomSource;
};

/** Where a proof keeps its things. All paths are absolute. */
export type Sandbox = {
  readonly folder: string;
  readonly dataFolder: string;
  readonly tablespaces: string;
  readonly socketFolder: string;
  readonly logFile: string;
};

/**
 * Runs `work` with a sandbox below `parent`, which is removed whatever happens. `work` ends its server itself; what is
 * left running all the same is killed.
 */
export async function withSandbox<T>(
  ports: SandboxPorts,
  parent: string,
  work: (sandbox: Sandbox) => Promise<T>,
): Promise<T> {
  const { files } = ports;
  await makeOpenFolder(files, parent);
  const folder = path.join(parent, `proof-${ports.random(4).toString("hex")}`);
  await makeOpenFolder(files, folder);
  const lock = ports.locks.tryAcquire(path.join(folder, LOCK_FILE));
  assert(lock !== undefined, "nobody else knows a folder that was just made");
  try {
    const marker = { format: "lifeboat-sandbox", version: 1, startedAt: formatInstant(ports.clock.now()) };
    await writeDurable(files, {
      file: path.join(folder, MARKER_FILE),
      parts: [Buffer.from(`${JSON.stringify(marker)}\n`)],
      over: "new",
      unique: "lifeboat",
    });
    return await work(placesIn(folder));
  } finally {
    await clear(ports, folder);
    lock.release();
  }
}

/** Ends and removes what proofs that were killed left in `parent`; returns their folders. */
export async function removeLeftSandboxes(ports: SandboxPorts, parent: string): Promise<readonly string[]> {
  const { files } = ports;
  const removed: string[] = [];
  if ((await files.stat(parent)) === undefined) return removed;
  for (const { name, kind } of await files.list(parent)) {
    const folder = path.join(parent, name);
    if (kind !== "folder" || !FOLDER_NAME.test(name) || !(await isOurs(ports, folder))) continue;
    const lock = ports.locks.tryAcquire(path.join(folder, LOCK_FILE));
    if (lock === undefined) continue;
    try {
      await clear(ports, folder);
    } finally {
      lock.release();
    }
    removed.push(folder);
  }
  return removed;
}

function placesIn(folder: string): Sandbox {
  const inside = path.join(folder, "run");
  const longest = Buffer.byteLength(path.join(inside, `.s.PGSQL.${SANDBOX_PORT}.lock`));
  return {
    folder,
    dataFolder: path.join(folder, "data"),
    tablespaces: path.join(folder, "tablespaces"),
    socketFolder: longest <= SOCKET_PATH_BYTES_MAX ? inside : socketBeside(folder),
    logFile: path.join(folder, "server.log"),
  };
}

/** Where the path of a sandbox is too long for a socket. */
function socketBeside(folder: string): string {
  return path.join("/tmp", `lifeboat-${path.basename(folder)}`);
}

/** Ends the server and removes the folder; marker and lock go last, so that one that is cut short is finished by the next. */
async function clear(ports: SandboxPorts, folder: string): Promise<void> {
  const { files, processes } = ports;
  const { dataFolder } = placesIn(folder);
  const pid = await postmasterOf(files, dataFolder);
  if (pid !== undefined && (await isServerOf(processes, { pid, dataFolder }))) await killAndWait(ports, pid);
  for (const { name } of await files.list(folder)) {
    if (name !== MARKER_FILE && !FIRST_NAMES.has(name)) await files.removeTree(path.join(folder, name));
  }
  await files.removeTree(socketBeside(folder));
  await files.removeTree(folder);
}

/** Returns when nothing of the server writes any more: what it writes cannot be removed. */
async function killAndWait({ processes, clock }: SandboxPorts, pid: number): Promise<void> {
  const killed = await processes.killTree(pid);
  const deadlineMs = clock.monotonic() + KILL_TIMEOUT_MS;
  for (const each of killed) {
    while ((await processes.isAlive(each)) && clock.monotonic() < deadlineMs) await clock.sleep(LOOK_INTERVAL_MS, {});
  }
}

/** A folder with our marker, or one that was cut short before it got one; not one that its proof removes, or is just making. */
async function isOurs({ files, clock }: SandboxPorts, folder: string): Promise<boolean> {
  const facts = await files.stat(folder);
  const names = (await listIfThere(files, folder))?.map(({ name }) => name);
  if (facts === undefined || names === undefined) return false;
  if (names.every((name) => FIRST_NAMES.has(name) || name === `.${MARKER_FILE}.lifeboat.tmp`))
    return clock.now() - facts.modifiedMs > MAKING_MS_MAX;
  if (!names.includes(MARKER_FILE)) return false;
  const text = (await files.readFile(path.join(folder, MARKER_FILE))).toString("utf8");
  return text.includes('"lifeboat-sandbox"');
}

async function listIfThere(files: Files, folder: string): Promise<Awaited<ReturnType<Files["list"]>> | undefined> {
  try {
    return await files.list(folder);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
}

async function postmasterOf(files: Files, dataFolder: string): Promise<number | undefined> {
  try {
    const text = (await files.readFile(path.join(dataFolder, "postmaster.pid"))).toString("utf8");
    return parsePidFile(text)?.pid;
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
}

async function makeOpenFolder(files: Files, folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; (await files.stat(at)) === undefined; at = path.dirname(at)) missing.unshift(at);
  for (const each of missing) {
    await files.makeFolder(each, OPEN_MODE);
    await files.changeMode(each, OPEN_MODE);
  }
}
