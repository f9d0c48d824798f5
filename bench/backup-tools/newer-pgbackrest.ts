/**
 * pgBackRest with bundles and block incremental backups, which it has since 2.46 and Debian 12 does not have.
 *
 * Debian 13's package is taken without installing it: apt fetches it with all it depends on, signatures checked, into a
 * folder of ours, and it runs there with its own libraries. What apt knows of this machine is neither asked nor changed.
 */
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { throwIfAborted } from "../../src/platform/clock.ts";
import { must } from "../machine.ts";
import type { Base, Place } from "../workload.ts";
import { type PgBackRestBuild, pgBackRest } from "./pgbackrest.ts";

const SUITE = "trixie";
const MIRROR = "http://deb.debian.org/debian";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** 26 MB in 65 packages take 10 s; without a network it must not take long either. */
const FETCH_TIMEOUT_MS = 180_000;
const APT_WAITS = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"];

/** The name of the tool in `--peers`, and of its folder. */
const NAME = "pgbackrest-trixie";

// pgBackRest starts itself again by this command: see its option `cmd`.
const WRAPPER = `#!/bin/sh
here=\${0%/*}
for loader in "$here"/lib/ld-linux*.so.*; do break; done
exec "$loader" --library-path "$here/lib" "$here/pgbackrest.bin" "$@"
`;

// Only the program and libraries stay: no setuid program, no script of another release is kept.
const UNPACK = `set -eu
for deb in "$1"/*.deb; do dpkg-deb -x "$deb" "$2"; done
mkdir "$3/lib"
cp -a "$2"/usr/lib/*-linux-gnu/*.so* "$3/lib/"
mv "$2/usr/bin/pgbackrest" "$3/pgbackrest.bin"
`;

type Call = { readonly signal: AbortSignal };

/** Where the program is, once fetched. */
export function newerPgBackRestFile(cacheFolder: string): string {
  return path.join(cacheFolder, "tools", NAME, "pgbackrest");
}

/** True when it was fetched before. */
export async function hasNewerPgBackRest(cacheFolder: string): Promise<boolean> {
  return (await stat(newerPgBackRestFile(cacheFolder)).catch(() => undefined)) !== undefined;
}

/** Fetches it where it is missing and keeps it. Returns why that cannot be done, undefined when it is there. */
export async function fetchNewerPgBackRest(
  cacheFolder: string,
  call: Call,
  mirror = MIRROR,
): Promise<string | undefined> {
  if (await hasNewerPgBackRest(cacheFolder)) return undefined;
  const folder = path.dirname(newerPgBackRestFile(cacheFolder));
  const making = `${folder}.making`;
  console.log(`fetching pgBackRest of Debian ${SUITE} into ${folder}; it is kept there`);
  try {
    await rm(making, { recursive: true, force: true });
    await fetchInto(making, mirror, call);
    await rename(making, folder);
    return undefined;
  } catch (error) {
    throwIfAborted(call.signal, "fetching pgBackRest");
    return error instanceof Error ? error.message : String(error);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

async function fetchInto(making: string, mirror: string, call: Call): Promise<void> {
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
      { signal: call.signal },
    );
  // A mirror that does not answer is an error here, not a warning.
  await run("apt-get", ["-q", ...options, "-o", "APT::Update::Error-Mode=any", "update"]);
  await run("apt-get", ["-q", "-y", ...options, "install", "--download-only", "--no-install-recommends", "pgbackrest"]);
  await run("sh", ["-c", UNPACK, "sh", path.join(apt, "cache", "archives"), tree, making]);
  await Promise.all([apt, tree].map((each) => rm(each, { recursive: true })));
  const wrapper = path.join(making, "pgbackrest");
  await writeFile(wrapper, WRAPPER);
  await chmod(wrapper, 0o755);
  await run(wrapper, ["version"]);
  for (const each of await readdir(making)) await chmod(path.join(making, each), 0o755);
}

/** What is driven: the same compression as Debian 12's. */
export function newerPgBackRest(cacheFolder: string): PgBackRestBuild {
  const program = newerPgBackRestFile(cacheFolder);
  return {
    title: "pgBackRest bundle+block",
    folderName: NAME,
    program,
    settings: ["repo1-bundle=y", "repo1-block=y", `cmd=${program}`],
  };
}

/** pgBackRest with bundles and blocks. */
export function newerPgBackRestTool(place: Place, base: Base) {
  return pgBackRest(newerPgBackRest(place.cacheFolder), place, base);
}
