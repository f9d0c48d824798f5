/**
 * Programs of Debian 13 on a machine of another release: fetched, not installed.
 *
 * apt fetches the package with all it depends on, signatures checked, into a folder of ours, and the program runs there with its
 * own libraries. What apt knows of this machine is neither asked nor changed.
 */
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { errorText } from "../src/errors/error-text.ts";
import { throwIfAborted } from "../src/platform/clock.ts";
import { must } from "./machine.ts";

/** A program that is wanted. */
export type Debian13Program = {
  /** As people say it. */
  readonly title: string;
  /** Debian's name of the package, and of the folder it is kept in. */
  readonly packageName: string;
  /** Inside the package. */
  readonly program: string;
  /** Prints the version: shows that it runs. */
  readonly versionArgument: string;
};

const SUITE = "trixie";
const MIRROR = "http://deb.debian.org/debian";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** 26 MB in 65 packages take 10 s; without a network it must not take long either. */
const FETCH_TIMEOUT_MS = 180_000;
const APT_WAITS = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"];

// A program may start itself again by this command.
const WRAPPER = `#!/bin/sh
here=\${0%/*}
for loader in "$here"/lib/ld-linux*.so.*; do break; done
exec "$loader" --library-path "$here/lib" "$0.bin" "$@"
`;

// Only the program and libraries stay: no setuid program, no script of another release is kept.
const UNPACK = `set -eu
for deb in "$1"/*.deb; do dpkg-deb -x "$deb" "$2"; done
mkdir "$3/lib"
cp -a "$2"/usr/lib/*-linux-gnu/*.so* "$3/lib/"
mv "$2/$4" "$5.bin"
`;

type Call = { readonly signal: AbortSignal };

/** Where the program is, once fetched. */
export function debian13File(cacheFolder: string, { packageName, program }: Debian13Program): string {
  return path.join(cacheFolder, "tools", `${packageName}-${SUITE}`, path.basename(program));
}

/** True when it was fetched before. */
export async function hasDebian13(cacheFolder: string, wanted: Debian13Program): Promise<boolean> {
  return (await stat(debian13File(cacheFolder, wanted)).catch(() => undefined)) !== undefined;
}

/** Fetches it where it is missing and keeps it. Returns why that cannot be done, undefined when it is there. */
export async function fetchDebian13(
  cacheFolder: string,
  wanted: Debian13Program,
  call: Call,
  mirror = MIRROR,
): Promise<string | undefined> {
  if (await hasDebian13(cacheFolder, wanted)) return undefined;
  const folder = path.dirname(debian13File(cacheFolder, wanted));
  const making = `${folder}.making`;
  console.log(`fetching ${wanted.title} of Debian ${SUITE} into ${folder}; it is kept there`);
  try {
    await rm(making, { recursive: true, force: true });
    await fetchInto(making, wanted, { ...call, mirror });
    await rename(making, folder);
    return undefined;
  } catch (error) {
    throwIfAborted(call.signal, `fetching ${wanted.title}`);
    return errorText(error);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

async function fetchInto(
  making: string,
  wanted: Debian13Program,
  { mirror, signal }: Call & { readonly mirror: string },
): Promise<void> {
  const apt = path.join(making, "apt");
  const tree = path.join(making, "tree");
  for (const each of ["state/lists/partial", "cache/archives/partial"]) {
    await mkdir(path.join(apt, each), { recursive: true, mode: 0o755 });
  }
  await mkdir(tree);
  await writeFile(path.join(apt, "sources.list"), `deb [signed-by=${KEYRING}] ${mirror} ${SUITE} main\n`);
  // Nothing is installed as far as this apt knows, so that it fetches every library too.
  await writeFile(path.join(apt, "state", "status"), "");
  const places = {
    "Dir::Etc::sourcelist": path.join(apt, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "Dir::State": path.join(apt, "state"),
    "Dir::State::lists": path.join(apt, "state", "lists"),
    "Dir::State::status": path.join(apt, "state", "status"),
    "Dir::Cache": path.join(apt, "cache"),
    "Dir::Cache::archives": path.join(apt, "cache", "archives"),
    // Debian's images for containers remove what is fetched.
    "APT::Keep-Downloaded-Packages": "true",
  };
  const options = [...Object.entries(places).flatMap(([name, value]) => ["-o", `${name}=${value}`]), ...APT_WAITS];
  const run = (command: string, args: readonly string[]) =>
    must(
      { command, args, environment: { DEBIAN_FRONTEND: "noninteractive" }, timeoutMs: FETCH_TIMEOUT_MS },
      { signal },
    );
  // A mirror that does not answer is an error here, not a warning.
  await run("apt-get", ["-q", ...options, "-o", "APT::Update::Error-Mode=any", "update"]);
  const install = ["install", "--download-only", "--no-install-recommends", wanted.packageName];
  await run("apt-get", ["-q", "-y", ...options, ...install]);
  const wrapper = path.join(making, path.basename(wanted.program));
  await run("sh", ["-c", UNPACK, "sh", path.join(apt, "cache", "archives"), tree, making, wanted.program, wrapper]);
  await Promise.all([apt, tree].map((each) => rm(each, { recursive: true })));
  await writeFile(wrapper, WRAPPER);
  await chmod(wrapper, 0o755);
  await run(wrapper, [wanted.versionArgument]);
  for (const each of await readdir(making)) await chmod(path.join(making, each), 0o755);
}
