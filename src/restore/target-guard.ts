/**
 * Says whether a folder may be restored into. The only folders that may: one that is not there, an empty one, and what an
 * earlier restore of ours left unfinished.
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";

/** Lies in a restore target from its first moment until the control file is written; says that nothing in it is anybody's data. */
export const UNFINISHED_MARKER = "lifeboat-restore-unfinished";

/** What may be done with a target. */
export type TargetState = "absent" | "empty" | "unfinished";

/**
 * Looks at a restore target. Throws `restore.target-in-use` when a server's lock file lies in it, and
 * `restore.target-not-empty` when it holds anything that an unfinished restore did not leave.
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
  const control = await files.stat(path.join(folder, "global", "pg_control"));
  if (names.includes(UNFINISHED_MARKER) && control === undefined) return "unfinished";
  throw new LifeboatError("restore.target-not-empty", {
    message: `${folder} is not empty: it holds ${describe(names)}`,
    remedy: names.includes("PG_VERSION")
      ? "It looks like a data directory, perhaps the only copy. Restore into an empty folder beside it."
      : "Restore into a folder that is empty or not there yet.",
  });
}

/** How many names an error shows. */
const NAMES_SHOWN_MAX = 3;

function describe(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(", ");
  return names.length > NAMES_SHOWN_MAX ? `${shown} and ${names.length - NAMES_SHOWN_MAX} more` : shown;
}
