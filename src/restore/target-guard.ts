/**
 * Says whether a folder may be restored into. The only folders that may: one that is not there, an empty one, and what an
 * earlier restore of ours left unfinished.
 *
 * Nouns: a restore has *roots*, the data directory (its *main* root) and a folder for each tablespace; each bears a
 * *marker* with the restore's id from its first moment on.
 * Invariant: a root is unfinished only as long as its restore is: while the main root bears a marker of the same id and no
 * control file. A tablespace never has a control file of its own, so its marker alone proves nothing.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";

/** Lies in every root of a restore from its first moment until the control file is written. */
export const UNFINISHED_MARKER = "lifeboat-restore-unfinished";

/** What a restore locks in every root, so that no second one writes there. */
export const RESTORE_LOCK = "lifeboat-restore-lock";

/** The lock's files: SQLite keeps a journal beside its own. */
export const LOCK_NAMES: readonly string[] = [RESTORE_LOCK, `${RESTORE_LOCK}-journal`];

/** Makes the marker's temporary name, which has to be known when it is left behind. */
const MARKER_UNIQUE = "lifeboat";
const MARKER_TEMPORARY = `.${UNFINISHED_MARKER}.${MARKER_UNIQUE}.tmp`;

/** What may be done with a target. */
export type TargetState = "absent" | "empty" | "unfinished";

/** What a marker says: which restore, and where its data directory lies. */
type Marker = { readonly restoreId: string; readonly main: string };

/**
 * Looks at a root. Throws `restore.target-in-use` when a server's lock file lies in it, and `restore.target-not-empty`
 * when it holds anything that an unfinished restore did not leave.
 */
export async function guardTarget(files: Files, folder: string): Promise<TargetState> {
  const facts = await files.stat(folder);
  if (facts === undefined) return "absent";
  if (facts.kind !== "folder") {
    throw new LifeboatError("restore.target-not-empty", {
      message: `${folder} is a ${facts.kind}, not a folder`,
      remedy: "Name a folder that is empty or not there yet.",
    });
  }
  const names = (await files.list(folder)).map((entry) => entry.name);
  if (names.length === 0) return "empty";
  if (names.includes("postmaster.pid")) {
    throw new LifeboatError("restore.target-in-use", {
      message: `${folder} holds postmaster.pid: a server runs on it, or ran until it was killed`,
      remedy: "Restore into an empty folder beside it, then stop the server and change its data directory.",
    });
  }
  // Cut before the marker was written: nothing else is here yet.
  if (names.every((name) => name === MARKER_TEMPORARY || LOCK_NAMES.includes(name))) return "unfinished";
  if ((await unfinishedId(files, folder)) !== undefined) return "unfinished";
  throw new LifeboatError("restore.target-not-empty", {
    message: `${folder} is not empty: it holds ${describe(names)}`,
    remedy: names.includes("PG_VERSION")
      ? "It looks like a data directory, perhaps the only copy. Restore into an empty folder beside it."
      : "Restore into a folder that is empty or not there yet.",
  });
}

/** Empties the roots that an earlier restore left unfinished, but for the lock; `roots` begin with the main one. Throws like `guardTarget`. */
export async function clearUnfinished(files: Files, roots: readonly string[]): Promise<void> {
  // The main root goes last: the markers of the others count only as long as its own is there.
  for (const folder of roots.toReversed()) {
    if ((await guardTarget(files, folder)) !== "unfinished") continue;
    for (const entry of await files.list(folder)) {
      // The marker goes last: a clearing that is cut short must not leave a folder nobody dares to touch.
      if (entry.name === UNFINISHED_MARKER || LOCK_NAMES.includes(entry.name)) continue;
      await files.removeTree(path.join(folder, entry.name));
    }
    await files.syncFolder(folder);
    await removeMarker(files, folder);
  }
}

/** Marks a root as being restored into. `main` is the data directory. */
export async function markUnfinished(files: Files, folder: string, marker: Marker): Promise<void> {
  const text = `A restore is being written here. Nothing in this folder is anybody's data yet.\n${JSON.stringify(marker)}\n`;
  const file = path.join(folder, UNFINISHED_MARKER);
  await writeDurable(files, { file, parts: [Buffer.from(text)], over: "replace", unique: MARKER_UNIQUE });
}

/** Takes the mark away, and the lock's file with it. */
export async function removeMarks(files: Files, folder: string): Promise<void> {
  for (const name of [UNFINISHED_MARKER, ...LOCK_NAMES]) await files.remove(path.join(folder, name));
  await files.syncFolder(folder);
}

async function removeMarker(files: Files, folder: string): Promise<void> {
  await files.remove(path.join(folder, UNFINISHED_MARKER));
  await files.syncFolder(folder);
}

/** The id of the restore of ours that left a root before its end; undefined for any other folder. */
export async function unfinishedId(files: Files, folder: string): Promise<string | undefined> {
  const own = await readMarker(files, folder);
  if (own === undefined) return undefined;
  for (const each of [folder, own.main]) {
    if ((await files.stat(path.join(each, CONTROL_FILE_PATH))) !== undefined) return undefined;
  }
  return (await readMarker(files, own.main))?.restoreId === own.restoreId ? own.restoreId : undefined;
}

async function readMarker(files: Files, folder: string): Promise<Marker | undefined> {
  try {
    const text = (await files.readFile(path.join(folder, UNFINISHED_MARKER))).toString("utf8");
    const parsed: unknown = JSON.parse(text.split("\n")[1] ?? "");
    if (typeof parsed !== "object" || parsed === null || !("restoreId" in parsed) || !("main" in parsed))
      return undefined;
    const { restoreId, main } = parsed;
    // A path from here would be looked up wherever this program happens to be.
    const names = typeof restoreId === "string" && typeof main === "string" && path.isAbsolute(main);
    return names ? { restoreId, main } : undefined;
  } catch (error) {
    // No marker of ours: whatever it is, it gives no leave to remove anything.
    if (error instanceof SyntaxError || isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
}

/** How many names an error shows. */
const NAMES_SHOWN_MAX = 3;

function describe(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(", ");
  return names.length > NAMES_SHOWN_MAX ? `${shown} and ${names.length - NAMES_SHOWN_MAX} more` : shown;
}
