/**
 * Says whether a folder that holds data may be brought to a backup's state in place.
 *
 * Nouns: a *delta restore* keeps the pages of a data directory that the backup has too, and overwrites the rest.
 * Invariants: only a stopped server's data directory of the backup's own system is touched, or what a delta restore of ours
 * left unfinished; a folder of a tablespace or of WAL only when the data directory leads to it and no other server's does: a
 * copy of a data directory has the links too. Nothing is written here.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { Processes } from "../platform/processes.ts";
import type { Seen } from "../platform/seen-processes.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { parsePidFile } from "../postgres/pid-file.ts";
import { mayBeServer, UNSEEN_REMEDY } from "../postgres/server-process.ts";
import { type Layout, TABLESPACES_FOLDER, type TablespaceChoice, WAL_FOLDER } from "./layout.ts";
import { LOCK_NAMES, unfinishedId } from "./target-guard.ts";

/** What must be asked of the machine's processes. */
export type DeltaProcesses = Pick<Processes, "isAlive" | "all" | "facts" | Looks>;

type Looks = "worksIn" | "hasOpenIn" | "hasOpenBelow" | "leadsTo";

type Tools = { readonly files: Files; readonly processes: DeltaProcesses };

/**
 * `fresh`: nothing is there, an ordinary restore will do. The stamp changes with every start of a server on the folder and
 * with every restore into it. `walFolder` is where its pg_wal leads, where that is a link.
 */
export type DeltaState =
  | { readonly kind: "fresh"; readonly walFolder?: undefined }
  | { readonly kind: "data" | "unfinished"; readonly stamp: string; readonly walFolder: string | undefined };

/**
 * Looks at all roots. Throws `restore.target-in-use` when a server runs on the data directory, or on what it leads to,
 * `restore.other-system` when it is of another one, `restore.wal-link-broken` when its pg_wal leads to no folder, and
 * `restore.target-not-empty` when a root holds anything else.
 */
export async function guardDelta(tools: Tools, layout: Layout, systemId: SystemId): Promise<DeltaState> {
  const [main = "", ...tablespaces] = layout.roots;
  const { files } = tools;
  const state = await mainState(tools, main, systemId);
  for (const root of tablespaces) {
    if (await isEmpty(files, root)) continue;
    if (root !== layout.walFolder) await refuseShared(tools, root);
    if ((await unfinishedId(files, root)) !== undefined) continue;
    const at = layout.links.find(({ target }) => target === root)?.at;
    if (root === state.walFolder) continue;
    if (at !== undefined && state.kind !== "fresh" && (await linkTarget(files, at)) === root) continue;
    throw new LifeboatError("restore.target-not-empty", {
      message: `${root} is not empty, and ${at ?? main} does not lead to it`,
      remedy: "Name an empty folder for this tablespace, or the one that the data directory uses.",
    });
  }
  return state;
}

/** Throws `restore.target-changed` when somebody was in the folder between two looks. */
export function assertUnchanged(folder: string, before: DeltaState, now: DeltaState): void {
  const same = before.kind !== "fresh" && now.kind === before.kind && now.stamp === before.stamp;
  if (same && now.walFolder === before.walFolder) return;
  throw new LifeboatError("restore.target-changed", {
    message: `${folder} is not what it was when it was compared with the backup`,
    remedy: "Make sure that nobody starts a server there, then run the same command again.",
  });
}

/** Where the tablespaces of a data directory lie now, for those that were given no other place. */
export async function presentTablespaces(
  files: Files,
  folder: string,
  choice: TablespaceChoice,
): Promise<TablespaceChoice> {
  const byOid = new Map(choice.byOid);
  const links = path.join(path.resolve(folder), TABLESPACES_FOLDER);
  if ((await files.stat(links))?.kind !== "folder") return choice;
  for (const entry of await files.list(links)) {
    if (entry.kind !== "link" || !/^\d+$/.test(entry.name) || byOid.has(Number(entry.name))) continue;
    byOid.set(Number(entry.name), await files.readLink(path.join(links, entry.name)));
  }
  return { ...choice, byOid };
}

async function mainState(tools: Tools, main: string, systemId: SystemId): Promise<DeltaState> {
  const { files } = tools;
  if (await isEmpty(files, main)) return { kind: "fresh" };
  const walFolder = await linkedWalFolder(files, main);
  await refuseRunning(tools, main, walFolder);
  await refuseLinkedControl(files, main);
  const control = await readIfThere(files, path.join(main, CONTROL_FILE_PATH));
  if (control === undefined) {
    const restoreId = await unfinishedId(files, main);
    if (restoreId !== undefined) return { kind: "unfinished", stamp: restoreId, walFolder };
    throw new LifeboatError("restore.target-not-empty", {
      message: `${main} is not empty and no data directory: it has no ${CONTROL_FILE_PATH}`,
      remedy: "Name the data directory of a stopped server, or a folder that is empty or not there yet.",
    });
  }
  const found = parseControlFile(control).systemId;
  if (found === systemId) return { kind: "data", stamp: control.toString("base64"), walFolder };
  throw new LifeboatError("restore.other-system", {
    message: `${main} is the data directory of system ${found}, the backup is of ${systemId}`,
    remedy: "Name the data directory that belongs to this vault's system, or restore into an empty folder.",
  });
}

async function isEmpty(files: Files, folder: string): Promise<boolean> {
  const facts = await files.stat(folder);
  if (facts === undefined) return true;
  return facts.kind === "folder" && (await files.list(folder)).every(({ name }) => LOCK_NAMES.includes(name));
}

/** A lock file that a killed server left is no hindrance; a process that works in the folder is, whoever it is. */
async function refuseRunning({ files, processes }: Tools, main: string, walFolder: string | undefined): Promise<void> {
  const pid = await lockingPid(files, main);
  if (pid !== undefined && (await processes.isAlive(pid))) throw running(main, pid);
  // Backends outlive a killed postmaster for a moment, and every process of PostgreSQL works in its data directory.
  for (const each of await processes.all()) {
    const works = await processes.worksIn(each, main);
    if (await isThere(processes, { pid: each, folder: main }, works)) throw running(main, each);
    // A copy of a data directory has the link too: the WAL is that of the server that was copied.
    if (walFolder === undefined) continue;
    const opens = await processes.hasOpenIn(each, walFolder, SEGMENT_NAME);
    if (await isThere(processes, { pid: each, folder: walFolder }, opens)) throw shared(walFolder, each);
    const leads = await processes.leadsTo(each, walFolder, WAL_FOLDER);
    if (await isThere(processes, { pid: each, folder: walFolder }, leads)) throw shared(walFolder, each);
  }
}

/** As with WAL. No process works in `main`, so who works where a link leads here is another server's: it need have nothing open. */
async function refuseShared({ processes }: Tools, tablespace: string): Promise<void> {
  for (const each of await processes.all()) {
    const opens = await processes.hasOpenBelow(each, tablespace, RELATION_NAME);
    if (await isThere(processes, { pid: each, folder: tablespace }, opens)) throw shared(tablespace, each);
    const leads = await processes.leadsTo(each, tablespace, TABLESPACES_FOLDER);
    if (await isThere(processes, { pid: each, folder: tablespace }, leads)) throw shared(tablespace, each);
  }
}

/** What may be a server, and we may not look into, is refused as one: nobody can say that it does not use the folder. */
async function isThere(
  processes: DeltaProcesses,
  { pid, folder }: { readonly pid: number; readonly folder: string },
  seen: Seen,
): Promise<boolean> {
  if (seen !== "unknown" || !(await mayBeServer(processes, pid))) return seen === "yes";
  throw new LifeboatError("restore.target-in-use", {
    message: `cannot tell whether process ${pid} uses ${folder}: it may be a server, and this user may not see what it works in`,
    remedy: UNSEEN_REMEDY,
    details: { pid },
  });
}

/** Of tables, temporary ones too, and of what a query spills. */
const RELATION_NAME = /^(?:t?\d|pgsql_tmp)/;

/** By way of such a link the control file of another directory would be removed. */
async function refuseLinkedControl(files: Files, main: string): Promise<void> {
  const folder = path.join(main, path.dirname(CONTROL_FILE_PATH));
  if ((await files.stat(folder))?.kind !== "link") return;
  throw new LifeboatError("restore.target-not-empty", {
    message: `${folder} is a link to ${await files.readLink(folder)}: the control file there may be another server's`,
    remedy: "Put the folder itself in place of the link, or restore into an empty folder.",
  });
}

/** Also one that was removed while it was open. */
const SEGMENT_NAME = /^[0-9A-F]{24}\b/;

/** As many links one behind the other as Linux follows. */
const LINKS_MAX = 40;

/** Where the link leads that a data directory has for pg_wal, by way of others, too; undefined where it has none. */
async function linkedWalFolder(files: Files, main: string): Promise<string | undefined> {
  let target = await linkTarget(files, path.join(main, WAL_FOLDER));
  if (target === undefined) return undefined;
  for (let count = 1; count < LINKS_MAX; count += 1) {
    const next = await linkTarget(files, target);
    if (next === undefined) break;
    target = next;
  }
  if ((await files.stat(target))?.kind === "folder") return target;
  throw new LifeboatError("restore.wal-link-broken", {
    message: `${path.join(main, WAL_FOLDER)} leads to ${target}, which is no folder`,
    remedy: "Mount or make the folder it leads to, or remove the link: then WAL goes into the data directory.",
  });
}

async function lockingPid(files: Files, main: string): Promise<number | undefined> {
  const text = await readIfThere(files, path.join(main, "postmaster.pid"));
  return text === undefined ? undefined : parsePidFile(text.toString("utf8"))?.pid;
}

async function readIfThere(files: Files, file: string): Promise<Buffer | undefined> {
  try {
    return await files.readFile(file);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
}

async function linkTarget(files: Files, at: string): Promise<string | undefined> {
  return (await files.stat(at))?.kind === "link" ? path.resolve(path.dirname(at), await files.readLink(at)) : undefined;
}

function running(main: string, pid: number): LifeboatError {
  return new LifeboatError("restore.target-in-use", {
    message: `process ${pid} works in ${main}: a server runs on it`,
    remedy: "Stop the server first.",
    details: { pid },
  });
}

function shared(folder: string, pid: number): LifeboatError {
  return new LifeboatError("restore.target-in-use", {
    message: `process ${pid} has files of ${folder} open, or works in a data directory that leads there: another server runs on it`,
    remedy:
      "If the target is a copy, its links still lead to what the other server uses: name a folder for each tablespace (--tablespace OID=FOLDER), remove the link of pg_wal. Else stop that server first.",
    details: { pid },
  });
}
