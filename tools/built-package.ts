/**
 * The package as npm installs it, built when the sources are newer.
 *
 * Invariants: one build at a time, since it removes what was built before; what was built stays while it is used.
 */
import { execFile } from "node:child_process";
import { mkdir, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Lock, systemLocks } from "../src/platform/lock.ts";

const ROOT = path.resolve(import.meta.dirname, "..");
/** A build takes a second or two. */
const LOCK_TIMEOUT_MS = 60_000;
const LOOK_MS = 50;
/** What a build is made from. */
const SOURCES = ["src", "tools/build.ts", "package.json", "package-lock.json"];
/** What a build writes last. */
const BUILT_LAST = "dist/restore-program.ts";

type Call = { readonly signal: AbortSignal };

/** Builds the package when it is not there or older than its sources, and keeps it as it is until `use` has ended. */
export async function withBuiltPackage(call: Call, use: () => Promise<void>): Promise<void> {
  const lock = await lockBuild(call);
  try {
    if (!(await isBuilt())) {
      const build = [path.join(ROOT, "tools/build.ts")];
      await promisify(execFile)(process.execPath, build, { cwd: ROOT, signal: call.signal });
    }
    await use();
  } finally {
    lock.release();
  }
}

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

async function lockBuild(call: Call): Promise<Lock> {
  await mkdir(path.join(ROOT, ".lifeboat"), { recursive: true });
  const file = path.join(ROOT, ".lifeboat", "build.lock");
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    const lock = systemLocks.tryAcquire(file);
    if (lock !== undefined) return lock;
    if (performance.now() > deadline) throw new Error(`whoever builds Lifeboat does not end: ${file}`);
    await sleep(LOOK_MS, undefined, { signal: call.signal });
  }
}
