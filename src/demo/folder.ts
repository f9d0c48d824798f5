/**
 * The folder of one demo: everything it makes lies inside, so that nothing else is ever touched or removed.
 *
 * A folder bears a marker and, as long as its demo lives, a lock that the kernel gives up with the process. A marker whose
 * lock is free was left behind by a demo that was killed: the next demo ends what still runs there and removes it, unless
 * it was to be kept. The format is described in docs/formats/demo-folder.md.
 */
import path from "node:path";
import { z } from "zod";
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Lock, Locks } from "../platform/lock.ts";
import type { Processes } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import { currentUid } from "../platform/run-as.ts";
import { parsePidFile } from "../postgres/pid-file.ts";
import { SOCKET_PATH_BYTES_MAX } from "../postgres/server.ts";
import { isServerOf } from "../postgres/server-process.ts";
import { readReceiverStatus } from "../wal/report.ts";

const MARKER_FILE = "lifeboat-demo.json";
const LOCK_FILE = "lock";
const FOLDER_PREFIX = "demo-";
/** Every user may pass through, the server's user must; what is secret has its own mode. */
const OPEN_MODE = 0o755;

/** Where a demo keeps its things. All paths are absolute. */
export type DemoFolder = {
  readonly folder: string;
  readonly primary: string;
  readonly restored: string;
  readonly beforeDelete: string;
  readonly vault: string;
  readonly spool: string;
  /** Of the Unix sockets; beside the folder when its path would be too long for a socket. */
  readonly sockets: string;
  readonly passphraseFile: string;
  readonly passwordFile: string;
  readonly configFile: string;
  readonly ledgerFile: string;
  readonly receiverLog: string;
  readonly removeScript: string;
  readonly lock: Lock;
};

/** What the folder needs of the machine. */
export type FolderPorts = {
  readonly files: Files;
  readonly locks: Locks;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly random: RandomSource;
};

const markerSchema = z.object({
  format: z.literal("lifeboat-demo"),
  version: z.literal(1),
  startedAt: z.string(),
  keep: z.boolean(),
  sockets: z.string(),
});

/** Makes the folder of a new demo below `sandbox`, which is made too. */
export async function makeDemoFolder(
  ports: FolderPorts,
  request: { readonly sandbox: string; readonly keep: boolean },
): Promise<DemoFolder> {
  const { files, random, clock } = ports;
  await makeOpenFolder(files, request.sandbox);
  const name = `${FOLDER_PREFIX}${random(4).toString("hex")}`;
  const folder = path.join(request.sandbox, name);
  await makeOpenFolder(files, folder);
  const lock = ports.locks.tryAcquire(path.join(folder, LOCK_FILE));
  assert(lock !== undefined, "nobody else knows a folder that was just made");
  const place = placesIn(folder, lock);
  const marker = { format: "lifeboat-demo", version: 1, startedAt: formatInstant(clock.now()) };
  const text = `${JSON.stringify({ ...marker, keep: request.keep, sockets: place.sockets }, undefined, 2)}\n`;
  await writeDurable(files, {
    file: path.join(folder, MARKER_FILE),
    parts: [Buffer.from(text)],
    over: "new",
    unique: name,
  });
  return place;
}

function placesIn(folder: string, lock: Lock): DemoFolder {
  const inside = (name: string) => path.join(folder, name);
  // The longest name of a socket: .s.PGSQL.65535.lock
  const fits = Buffer.byteLength(inside("run/.s.PGSQL.65535.lock")) <= SOCKET_PATH_BYTES_MAX;
  return {
    folder,
    primary: inside("primary"),
    restored: inside("restored"),
    beforeDelete: inside("before-delete"),
    vault: inside("vault"),
    spool: inside("spool"),
    sockets: fits ? inside("run") : socketsBeside(folder),
    passphraseFile: inside("passphrase"),
    passwordFile: inside("password"),
    configFile: inside("lifeboat.yaml"),
    ledgerFile: inside("ledger"),
    receiverLog: inside("receiver.log"),
    removeScript: inside("remove.sh"),
    lock,
  };
}

/** Where the sockets of a demo are whose folder has too long a path for them. */
function socketsBeside(folder: string): string {
  return path.join("/tmp", `lifeboat-${path.basename(folder)}`);
}

/** Removes the folder of a demo whose processes have ended. Refuses a folder without a marker of ours. */
export async function removeDemoFolder(files: Files, place: { readonly folder: string }): Promise<void> {
  const marker = await readMarker(files, place.folder);
  assert(marker !== undefined, `${place.folder} is a demo's folder`);
  // The marker goes last of all: a removal that is cut short is finished by the next demo.
  for (const entry of await files.list(place.folder)) {
    if (entry.name !== MARKER_FILE) await files.removeTree(path.join(place.folder, entry.name));
  }
  // What the marker names is no reason to remove anything else.
  if (marker.sockets === socketsBeside(place.folder)) await files.removeTree(marker.sockets);
  await files.removeTree(place.folder);
}

/**
 * Ends and removes what demos that were killed left in `sandbox`; returns their folders. Demos that run, and those that
 * were to be kept, are left alone, and so is what another user made: in a sandbox like /tmp anybody can write a marker.
 */
export async function removeLeftovers(ports: FolderPorts, sandbox: string): Promise<readonly string[]> {
  const { files } = ports;
  const removed: string[] = [];
  if ((await files.stat(sandbox)) === undefined) return removed;
  for (const { name, kind } of await files.list(sandbox)) {
    const folder = path.join(sandbox, name);
    if (kind !== "folder" || !name.startsWith(FOLDER_PREFIX)) continue;
    if ((await files.stat(folder))?.uid !== currentUid()) continue;
    const marker = await readMarker(files, folder);
    if (marker === undefined || marker.keep) continue;
    const lock = ports.locks.tryAcquire(path.join(folder, LOCK_FILE));
    if (lock === undefined) continue;
    try {
      await endProcesses(ports, folder);
      await removeDemoFolder(files, { folder });
    } finally {
      lock.release();
    }
    removed.push(folder);
  }
  return removed;
}

/** The receiver and the servers of a demo; the client ended with its demo. */
async function endProcesses(ports: FolderPorts, folder: string): Promise<void> {
  const { files, processes } = ports;
  const receiver = await readReceiverStatus(ports, path.join(folder, "spool"));
  // A pid may have been given to another process since: ours work in the folders of the demo.
  if (receiver.kind === "running" && (await processes.worksIn(receiver.report.pid, folder)) === "yes") {
    await processes.killTree(receiver.report.pid);
  }
  for (const name of ["primary", "restored", "before-delete"]) {
    const data = path.join(folder, name);
    const pid = await postmasterOf(files, data);
    if (pid !== undefined && (await isServerOf(processes, { pid, dataFolder: data }))) await processes.killTree(pid);
  }
}

async function postmasterOf(files: Files, dataFolder: string): Promise<number | undefined> {
  const file = path.join(dataFolder, "postmaster.pid");
  if ((await files.stat(file)) === undefined) return undefined;
  return parsePidFile((await files.readFile(file)).toString("utf8"))?.pid;
}

async function readMarker(files: Files, folder: string): Promise<z.infer<typeof markerSchema> | undefined> {
  try {
    const text = (await files.readFile(path.join(folder, MARKER_FILE))).toString("utf8");
    return markerSchema.parse(JSON.parse(text));
  } catch (error) {
    // No marker that we wrote: whatever the folder is, nothing gives leave to remove it.
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** Makes a folder and the parents it lacks; the server's user must be able to pass, whatever the umask is. */
async function makeOpenFolder(files: Files, folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; (await files.stat(at)) === undefined; at = path.dirname(at)) missing.unshift(at);
  for (const each of missing) {
    await files.makeFolder(each, OPEN_MODE);
    await files.changeMode(each, OPEN_MODE);
  }
}

/** The database comes up to three times (twice restored, and packed), and WAL and fresh clusters take their part. */
const COPIES_MAX = 3;
const BASE_BYTES = 1024 ** 3;

/** Throws `demo.no-space` when the file system of `folder` cannot hold a demo of this size. */
export async function checkDemoSpace(files: Files, folder: string, sizeBytes: number): Promise<void> {
  const neededBytes = sizeBytes * COPIES_MAX + BASE_BYTES;
  const { freeBytes } = await files.space(folder);
  if (freeBytes >= neededBytes) return;
  throw new LifeboatError("demo.no-space", {
    message: `the file system of ${folder} has ${freeBytes} bytes free, a demo of ${sizeBytes} bytes needs about ${neededBytes}`,
    remedy: "Choose a smaller --size, or name a folder on a larger disk with --folders-sandbox.",
    details: { freeBytes, neededBytes },
  });
}
