/**
 * Loaded before all else into a thread: what its program does to the disk is told to whoever started the thread, and one call of
 * all fails, or a sync is left out, as the environment says. The program knows nothing of it.
 */
import fs from "node:fs";
import { dirname } from "node:path";
import { parentPort } from "node:worker_threads";

/** A call that changes the disk, or brings it to stable storage. */
export type FileCall = {
  readonly kind: "make" | "write" | "make folder" | "link" | "rename" | "sync";
  readonly path: string;
  /** Where a rename leads. */
  readonly to?: string;
  /** Of a folder that was made with those above it: the uppermost that was not there. */
  readonly from?: string;
};

/** What the environment says: a number, counted from 1, of the call that fails; `before` or `after` it is done. */
export const FAIL_AT = "WATCHED_FAIL_AT";
/** See FAIL_AT. */
export const FAIL_WHEN = "WATCHED_FAIL_WHEN";
/** The function whose syncs are left out. */
export const WITHOUT_SYNC_OF = "WATCHED_WITHOUT_SYNC_OF";

const failAt = Number(process.env[FAIL_AT] ?? 0);
const failAfter = process.env[FAIL_WHEN] === "after";
const without = process.env[WITHOUT_SYNC_OF];
const paths = new Map<number, string>();
let count = 0;

function watched<T>(call: FileCall, work: () => T): T {
  count += 1;
  const fails = count === failAt;
  if (fails && !failAfter) throw planned(call);
  const result = work();
  if (fails) throw planned(call);
  parentPort?.postMessage(call);
  return result;
}

function planned({ path }: FileCall): Error {
  return Object.assign(new Error(`EIO, as planned, at ${path}`), { code: "EIO" });
}

/** Replaces a call by one that is watched. */
function replace(name: string, watch: (original: (...given: never[]) => unknown, given: never[]) => unknown): void {
  const original: (...given: never[]) => unknown = Reflect.get(fs, name);
  Reflect.set(fs, name, (...given: never[]) => watch(original, given));
}

if (parentPort !== null) {
  replace("openSync", (original, given) => {
    const [path, flags = "r"] = given as readonly string[] as readonly [string, string?];
    const work = (): number => original(...given) as number;
    const handle = flags.startsWith("w") ? watched({ kind: "make", path }, work) : work();
    paths.set(handle, path);
    return handle;
  });
  for (const name of ["writeSync", "writeFileSync", "ftruncateSync"]) {
    replace(name, (original, given) => {
      const path = paths.get(given[0] ?? -1);
      return path === undefined ? original(...given) : watched({ kind: "write", path }, () => original(...given));
    });
  }
  replace("fsyncSync", (original, given) => {
    const isLeftOut =
      without !== undefined && new RegExp(`at (?:\\S+\\.)?${without} `).test(new Error("here").stack ?? "");
    if (isLeftOut) return undefined;
    return watched({ kind: "sync", path: paths.get(given[0] ?? -1) ?? "" }, () => original(...given));
  });
  replace("mkdirSync", (original, given) => {
    const path: string = given[0] ?? "";
    if (fs.existsSync(path)) return original(...given);
    let from = path;
    while (!fs.existsSync(dirname(from))) from = dirname(from);
    return watched({ kind: "make folder", path, from }, () => original(...given));
  });
  replace("symlinkSync", (original, given) =>
    watched({ kind: "link", path: given[1] ?? "" }, () => original(...given)),
  );
  replace("renameSync", (original, given) =>
    watched({ kind: "rename", path: given[0] ?? "", to: given[1] ?? "" }, () => original(...given)),
  );
}
