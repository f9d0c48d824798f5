/**
 * Lifeboat as npm installs it: a clone takes longer to start, because Node.js strips types and finds more files.
 *
 * Invariants: a benchmark has a copy of its own in its run folder, so that neither an edit of the sources nor another
 * benchmark changes what it measures.
 */
import { cp, mkdir, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { withBuiltPackage } from "../../tools/built-package.ts";
import { must } from "../machine.ts";
import type { Place } from "../workload.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** What the package holds of a clone: see `files` of package.json. */
const PACKED = ["bin", "dist", "package.json"];

type Call = { readonly signal: AbortSignal };

/** The command of the copy in the run folder. */
export function launcherIn(place: Place): string {
  return path.join(place.runFolder, "package", "bin", "lifeboat");
}

/** Builds the package, copies it into the run folder, and returns its version. */
export async function packLifeboat(place: Place, call: Call): Promise<string> {
  const folder = path.join(place.runFolder, "package");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await withBuiltPackage(call, async () => {
    for (const each of PACKED) await cp(path.join(ROOT, each), path.join(folder, each), { recursive: true });
  });
  await symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
  return (await must({ command: "sh", args: [launcherIn(place), "--version"] }, call)).trim();
}
