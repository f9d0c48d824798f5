/**
 * Lifeboat as npm installs it: a clone takes longer to start, because Node.js strips types and finds more files.
 *
 * Invariants: a benchmark has a copy of its own in its run folder, so that neither an edit of the sources nor another
 * benchmark changes what it measures.
 */
import { cp, mkdir, readdir, rm, stat, symlink } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Lock, systemLocks } from "../../src/platform/lock.ts";
import { must, Stop } from "../machine.ts";
import type { Place } from "../workload.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** What the package holds of a clone: see `files` of package.json. */
const PACKED = ["bin", "dist", "package.json"];
/** A build takes a second or two. */
const LOCK_TIMEOUT_MS = 60_000;
const LOOK_MS = 50;

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
  const lock = await lockBuild(call);
  try {
    if (!(await isBuilt())) {
      await must({ command: process.execPath, args: [path.join(ROOT, "tools/build.ts")], folder: ROOT }, call);
    }
    for (const each of PACKED) await cp(path.join(ROOT, each), path.join(folder, each), { recursive: true });
  } finally {
    lock.release();
  }
  await symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
  return (await must({ command: "sh", args: [launcherIn(place), "--version"] }, call)).trim();
}

/** What a build is made from. */
const SOURCES = ["src", "tools/build.ts", "package.json", "package-lock.json"];
/** What a build writes last. */
const BUILT_LAST = "dist/restore-program.ts";

/** Whether the last build is younger than everything that it is made from. */
async function isBuilt(): Promise<boolean> {
  const builtAt = await stat(path.join(ROOT, BUILT_LAST)).catch(() => undefined);
  if (builtAt === undefined) return false;
  const inside = await readdir(path.join(ROOT, "src"), { recursive: true });
  for (const each of [...SOURCES, ...inside.map((name) => path.join("src", name))]) {
    if ((await stat(path.join(ROOT, each))).mtimeMs >= builtAt.mtimeMs) return false;
  }
  return true;
}

/** The build removes what was built before: one at a time. */
async function lockBuild(call: Call): Promise<Lock> {
  await mkdir(path.join(ROOT, ".lifeboat"), { recursive: true });
  const file = path.join(ROOT, ".lifeboat", "bench-build.lock");
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    const lock = systemLocks.tryAcquire(file);
    if (lock !== undefined) return lock;
    if (performance.now() > deadline)
      throw new Stop(`another benchmark is building Lifeboat and does not end: ${file}`);
    await sleep(LOOK_MS, undefined, { signal: call.signal });
  }
}
