/**
 * PostgreSQL programs on this machine.
 *
 * Nouns: an *installation* is a folder with the programs `postgres` and `initdb` of one version; its *major* is what
 * decides the format of a data directory; `bundled` ones came with Lifeboat's tool chain, `system` ones with Debian.
 * Invariant: an installation was executed as the user that will run servers; its version is what it answered.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { Processes, ProcessUser } from "../platform/processes.ts";
import { ensureReachable } from "../platform/run-as.ts";

/** The major versions that Lifeboat supports and tests, oldest first. */
export const MAJORS = [15, 16, 17, 18] as const;

/** A supported major version. */
export type Major = (typeof MAJORS)[number];

/** Programs that were found and answered. */
export type Installation = {
  readonly major: Major;
  /** As `postgres --version` prints it, for example `16.14`. */
  readonly version: string;
  readonly binFolder: string;
  readonly source: "named" | "bundled" | "system";
};

/** Where to look. */
export type InstallationRequest = {
  /** `binFolder`: exactly there. `major`: the bundled one, else Debian's. */
  readonly wanted: { readonly binFolder: string } | { readonly major: Major };
  /** The user that will run servers; undefined for our own. See run-as.ts. */
  readonly user: ProcessUser | undefined;
  /** The node_modules folder of the tool chain. Default: the one of this copy of Lifeboat. */
  readonly bundledFolder?: string | undefined;
  /** Default /usr/lib/postgresql. */
  readonly systemFolder?: string | undefined;
  /** Where programs are copied that the user cannot reach. Default /var/cache/lifeboat/postgresql. */
  readonly cacheFolder?: string | undefined;
  /** Makes temporary names unique. */
  readonly unique: string;
  readonly signal?: AbortSignal | undefined;
};

/** What finding an installation needs of the machine. */
export type InstallationPorts = { readonly files: Files; readonly processes: Processes };

const BUNDLED_FOLDER = fileURLToPath(
  // Bundled we lie one folder deep.
  new URL(`${import.meta.url.endsWith(".ts") ? "../.." : ".."}/toolchain/postgresql/node_modules`, import.meta.url),
);
const SYSTEM_FOLDER = "/usr/lib/postgresql";
const CACHE_FOLDER = "/var/cache/lifeboat/postgresql";

// `postgres --version` does nothing but print; a cold disk may take seconds to load 9 MB of program and its libraries.
const VERSION_TIMEOUT_MS = 15_000;

/**
 * Finds an installation and makes sure that `user` can execute it. Rejects with `postgres.installation-missing` when there
 * is none, `postgres.version-unsupported` when it is another major than Lifeboat knows, `platform.not-reachable`.
 */
export async function findInstallation(ports: InstallationPorts, request: InstallationRequest): Promise<Installation> {
  const found = await locate(ports.files, request);
  const folder = await ensureReachable(ports, {
    folder: found.folder,
    program: path.join(found.bin, "postgres"),
    user: request.user,
    cacheFolder: request.cacheFolder ?? CACHE_FOLDER,
    unique: request.unique,
    signal: request.signal,
  });
  const binFolder = path.join(folder, found.bin);
  const version = await askVersion(ports.processes, binFolder, request);
  const major = MAJORS.find((each) => each === Number.parseInt(version, 10));
  if (major === undefined || ("major" in request.wanted && request.wanted.major !== major)) {
    throw new LifeboatError("postgres.version-unsupported", {
      message: `the programs in ${binFolder} are PostgreSQL ${version}, wanted ${"major" in request.wanted ? request.wanted.major : `one of ${MAJORS.join(", ")}`}`,
      remedy: `Name the bin folder of a PostgreSQL ${MAJORS[0]} to ${MAJORS.at(-1)}.`,
    });
  }
  return { major, version, binFolder, source: found.source };
}

/** `folder` is what must be copied together (programs, libraries and share files lie relative to each other). */
type Location = { readonly folder: string; readonly bin: string; readonly source: Installation["source"] };

async function locate(files: Files, request: InstallationRequest): Promise<Location> {
  const { wanted } = request;
  const candidates: Location[] = [];
  if ("binFolder" in wanted) {
    const folder = path.resolve(wanted.binFolder);
    candidates.push({ folder: path.dirname(folder), bin: path.basename(folder), source: "named" });
  } else {
    const bundled = path.join(request.bundledFolder ?? BUNDLED_FOLDER, `postgresql-${wanted.major}-${process.arch}`);
    candidates.push({ folder: path.join(bundled, "native"), bin: "bin", source: "bundled" });
    const system = path.join(request.systemFolder ?? SYSTEM_FOLDER, String(wanted.major));
    candidates.push({ folder: system, bin: "bin", source: "system" });
  }
  for (const candidate of candidates) {
    const program = path.join(candidate.folder, candidate.bin, "postgres");
    if ((await files.stat(program)) !== undefined) return candidate;
  }
  const places = candidates.map((each) => path.join(each.folder, each.bin));
  throw new LifeboatError("postgres.installation-missing", {
    message: `no program "postgres" in ${places.join(" or ")}`,
    remedy:
      "binFolder" in wanted
        ? "Name the folder that holds the PostgreSQL programs postgres and initdb."
        : `In a clone of Lifeboat run sh tools/set-up/set-up.sh demo. Elsewhere install the package postgresql-${wanted.major}, or name the folder of its programs (postgres.binDir).`,
  });
}

async function askVersion(processes: Processes, binFolder: string, request: InstallationRequest): Promise<string> {
  const answer = await processes.run({
    command: path.join(binFolder, "postgres"),
    args: ["--version"],
    user: request.user,
    timeoutMs: VERSION_TIMEOUT_MS,
    signal: request.signal,
  });
  const match = /^postgres \(PostgreSQL\) (\S+)/.exec(answer.stdout);
  if (match?.[1] !== undefined) return match[1];
  throw new LifeboatError("postgres.installation-missing", {
    message: `${path.join(binFolder, "postgres")} does not answer --version as PostgreSQL does: ${(answer.stdout + answer.stderr).trim()}`,
    remedy: "Name the folder that holds the PostgreSQL programs postgres and initdb.",
  });
}
