/**
 * The data that backups are measured on.
 *
 * Nouns: a *base* is a cluster that holds the workload, made once and kept in the cache folder under a name that says
 * workload, size, server and the digest of all that made it; the *run folder* beside it holds what a run makes.
 * Invariants: a base is complete or not there (it is made under another name); one benchmark at a time uses a cache folder;
 * the server never outlives the benchmark, and one that a killed benchmark left behind is stopped by the next.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, statfs } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../src/platform/clock.ts";
import { systemFiles } from "../src/platform/files.ts";
import { findFreePort } from "../src/platform/free-port.ts";
import { type Lock, systemLocks } from "../src/platform/lock.ts";
import { type ProcessUser, systemProcesses } from "../src/platform/processes.ts";
import { systemRandom } from "../src/platform/random.ts";
import { currentUid, findServerUser } from "../src/platform/run-as.ts";
import { initCluster, type Settings, writeSettings } from "../src/postgres/cluster.ts";
import { findInstallation, type Installation } from "../src/postgres/installation.ts";
import { LocalServer } from "../src/postgres/server.ts";
import { must, Stop } from "./machine.ts";

/** The role that everything logs in as; trusted over a socket in a folder that is closed to others. */
export const SUPERUSER = { name: "postgres", password: "bench" } as const;

/** Debian's, because it has the client programs too and the peers are built for it. */
export const BIN_FOLDER = "/usr/lib/postgresql/15/bin";

const WORKLOAD = "catalog-2gib";
const WORKLOAD_FILE = path.join(import.meta.dirname, WORKLOAD, "make-catalog.sql");
/** The database of the catalogue. */
export const DATABASE = "catalog";
const DIGEST_LENGTH = 8;

/** As the peers were measured: see docs/measurements.md. WAL is "archived" to nowhere except while pgBackRest runs. */
const SETTINGS: Settings = {
  shared_buffers: "512MB",
  max_wal_size: "6GB",
  autovacuum: false,
  archive_mode: true,
  archive_command: "/bin/true",
};

/** A start after a clean stop takes 0.3 s, one after a kill replays at most max_wal_size. */
const START_TIMEOUT_MS = 300_000;
const STOP_TIMEOUT_MS = 120_000;
/** 2 GiB take 3 minutes on a quiet machine; five times that, and a minute for the smallest. */
const LOAD_TIMEOUT_MS_PER_MIB = 450;
const LOAD_TIMEOUT_MS_MIN = 60_000;
const PROGRESS_MS = 15_000;
const QUERY_TIMEOUT_MS = 60_000;

/** Where a benchmark works, held for itself. */
export type Place = {
  readonly cacheFolder: string;
  /** Empty at the beginning; other users may enter it. */
  readonly runFolder: string;
  readonly user: ProcessUser | undefined;
  readonly installation: Installation;
  readonly lock: Lock;
};

/** A running server on a base. */
export type Base = {
  readonly name: string;
  readonly mib: number;
  readonly server: LocalServer;
  readonly postmasterPid: number;
};

type Call = { readonly signal: AbortSignal };

/** The folder that bases are kept in unless another is named. */
export function cacheFolderDefault(environment: NodeJS.ProcessEnv): string {
  if (currentUid() === 0) return "/var/cache/lifeboat/bench";
  return path.join(environment["XDG_CACHE_HOME"] || path.join(os.homedir(), ".cache"), "lifeboat", "bench");
}

/** The name of a base: the same name holds the same bytes. */
export async function baseName(mib: number): Promise<string> {
  const made = createHash("sha256").update(await readFile(WORKLOAD_FILE));
  made.update(JSON.stringify({ SETTINGS, BIN_FOLDER, SUPERUSER }));
  return `${WORKLOAD}-${mib}mib-pg15-${made.digest("hex").slice(0, DIGEST_LENGTH)}`;
}

/** True when the base is there. */
export async function hasBase(cacheFolder: string, name: string): Promise<boolean> {
  return (await systemFiles.stat(path.join(cacheFolder, name))) !== undefined;
}

/** Bytes that are free for us where the folder lies or will lie. */
export async function freeBytes(folder: string): Promise<number> {
  for (let at = folder; ; at = path.dirname(at)) {
    if ((await systemFiles.stat(at)) === undefined && at !== path.dirname(at)) continue;
    const { bavail, bsize } = await statfs(at);
    return bavail * bsize;
  }
}

/**
 * Takes the cache folder for this benchmark and clears what a killed one left, the run folder but with `keep`. Throws `Stop`
 * when another has it.
 */
export async function takePlace(
  cacheFolder: string,
  call: Call,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<Place> {
  await mkdir(cacheFolder, { recursive: true, mode: 0o755 });
  const lock = systemLocks.tryAcquire(path.join(cacheFolder, "lock"));
  if (lock === undefined) {
    throw new Stop(`another benchmark is using ${cacheFolder}: wait for it, or name another folder with --folder`);
  }
  try {
    const user = await findServerUser(systemProcesses, { uid: currentUid(), signal: call.signal });
    const ports = { files: systemFiles, processes: systemProcesses };
    const installation = await findInstallation(ports, { wanted: { binFolder: BIN_FOLDER }, user, unique: "bench" });
    const runFolder = path.join(cacheFolder, "run");
    const place = { cacheFolder, runFolder, user, installation, lock };
    await clear(place, keep);
    await mkdir(runFolder, { recursive: true, mode: 0o755 });
    return place;
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function clear(place: Place, keep: boolean): Promise<void> {
  for (const name of await readdir(place.cacheFolder, { recursive: true })) {
    if (path.basename(name) !== "postmaster.pid") continue;
    await stopServerIn(place, path.dirname(path.join(place.cacheFolder, name)));
  }
  for (const name of await readdir(place.cacheFolder)) {
    const leftover = (name === "run" && !keep) || name.endsWith(".making");
    if (leftover) await rm(path.join(place.cacheFolder, name), { recursive: true, force: true });
  }
}

/** Makes the base if it is not there, starts its server and hands it to `body`; the server is gone afterwards. */
export async function withBase<T>(place: Place, mib: number, call: Call, body: (base: Base) => Promise<T>): Promise<T> {
  const name = await baseName(mib);
  const folder = path.join(place.cacheFolder, name);
  if (!(await hasBase(place.cacheFolder, name))) await makeBase(place, { folder, mib }, call);
  const dataFolder = path.join(folder, "data");
  // A killed run may have left another archive_command.
  await setSettings(place, dataFolder, SETTINGS);
  return withServer(serverIn(place, dataFolder, await findFreePort(systemRandom)), call, (postmasterPid, server) =>
    body({ name, mib, server, postmasterPid }),
  );
}

/**
 * As `withBase`, on a copy in the run folder that `body` may change, and that is gone with that folder. The copy has the
 * base's old WAL too: its files are used again, as on a server that has run for a while.
 */
export async function withBaseCopy<T>(
  place: Place,
  mib: number,
  call: Call,
  body: (base: Base) => Promise<T>,
): Promise<T> {
  const name = await baseName(mib);
  const from = path.join(place.cacheFolder, name);
  if (!(await hasBase(place.cacheFolder, name))) await makeBase(place, { folder: from, mib }, call);
  const folder = path.join(place.runFolder, "copy");
  const dataFolder = path.join(folder, "data");
  await mkdir(folder, { mode: 0o755 });
  if (place.user !== undefined) await systemFiles.changeOwner(folder, place.user);
  await must({ command: "cp", args: ["-a", "--reflink=auto", path.join(from, "data"), dataFolder] }, call);
  await setSettings(place, dataFolder, SETTINGS);
  return withServer(serverIn(place, dataFolder, await findFreePort(systemRandom)), call, (postmasterPid, server) =>
    body({ name, mib, server, postmasterPid }),
  );
}

/** A new cluster without data in the run folder, with these settings besides, gone afterwards. */
export async function withNewCluster<T>(
  place: Place,
  settings: Settings,
  call: Call,
  body: (base: Base) => Promise<T>,
): Promise<T> {
  const dataFolder = path.join(place.runFolder, "cluster", "data");
  await makeCluster(place, dataFolder, settings, call);
  return withServer(serverIn(place, dataFolder, await findFreePort(systemRandom)), call, (postmasterPid, server) =>
    body({ name: "new cluster", mib: 0, server, postmasterPid }),
  );
}

async function makeBase(
  place: Place,
  at: { readonly folder: string; readonly mib: number },
  call: Call,
): Promise<void> {
  const { folder, mib } = at;
  const making = `${folder}.making`;
  const begun = performance.now();
  console.log(`making the base ${path.basename(folder)}; it is kept in ${place.cacheFolder}`);
  try {
    await loadBase(place, { making, mib }, call);
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  console.log(`made in ${Math.round((performance.now() - begun) / 1000)} s`);
}

async function loadBase(
  place: Place,
  { making, mib }: { readonly making: string; readonly mib: number },
  call: Call,
): Promise<void> {
  await makeCluster(place, path.join(making, "data"), SETTINGS, call);
  const server = serverIn(place, path.join(making, "data"), await findFreePort(systemRandom));
  await withServer(server, call, async () => {
    await query(server, `CREATE DATABASE ${DATABASE}`, call);
    const ticker = new AbortController();
    const told = tellProgress(server, mib, AbortSignal.any([ticker.signal, call.signal]));
    try {
      const args = [...clientArguments(server), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", `mib=${mib}`];
      const timeoutMs = LOAD_TIMEOUT_MS_MIN + mib * LOAD_TIMEOUT_MS_PER_MIB;
      await must(
        { command: path.join(BIN_FOLDER, "psql"), args: [...args, "-f", WORKLOAD_FILE, DATABASE], timeoutMs },
        call,
      );
    } finally {
      ticker.abort();
      await told;
    }
  });
}

async function tellProgress(server: LocalServer, mib: number, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await sleep(PROGRESS_MS, undefined, { signal });
      const rows = await query(server, `SELECT pg_database_size('${DATABASE}') / 1048576 AS mib`, { signal });
      console.log(`  ${rows[0]?.["mib"]} of about ${mib} MiB`);
    }
  } catch {
    // Stopped, or the server is gone: then the load itself says why.
  }
}

async function makeCluster(place: Place, dataFolder: string, settings: Settings, call: Call): Promise<void> {
  const folder = path.dirname(dataFolder);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  if (place.user !== undefined) await systemFiles.changeOwner(folder, place.user);
  await initCluster(
    { files: systemFiles, processes: systemProcesses },
    {
      installation: place.installation,
      dataFolder,
      user: place.user,
      superuser: SUPERUSER,
      socketAuthentication: "trust",
      settings,
      unique: "bench",
      signal: call.signal,
    },
  );
}

/** A server of this place; started by whoever asks for it. Listens on a Unix socket only. */
export function serverIn(place: Place, dataFolder: string, port: number, settings: Settings = {}): LocalServer {
  return new LocalServer(
    { files: systemFiles, processes: systemProcesses, clock: systemClock },
    {
      installation: place.installation,
      dataFolder,
      user: place.user,
      socketFolder: path.join(place.runFolder, "socket"),
      port,
      listenAddresses: [],
      logFile: path.join(path.dirname(dataFolder), "server.log"),
      superuser: SUPERUSER,
      settings,
    },
  );
}

/** Starts the server until it left recovery, and stops it whatever `body` does. */
export async function withServer<T>(
  server: LocalServer,
  call: Call,
  body: (postmasterPid: number, server: LocalServer) => Promise<T>,
): Promise<T> {
  try {
    await server.start({ until: "recovered", timeoutMs: START_TIMEOUT_MS, ...call });
    const state = await server.state();
    if (state.kind === "stopped") throw new Stop(`the server in ${server.setup.dataFolder} ended by itself`);
    return await body(state.pid, server);
  } finally {
    await server.stop({ mode: "fast", timeoutMs: STOP_TIMEOUT_MS });
  }
}

/** Stops whatever server runs in a data folder below the cache folder. */
export async function stopServerIn(place: Place, dataFolder: string): Promise<void> {
  await serverIn(place, dataFolder, 0).stop({ mode: "immediate", timeoutMs: STOP_TIMEOUT_MS });
}

/** Rewrites our settings of a cluster; a running server takes them with `applySettings`. */
export async function setSettings(place: Place, dataFolder: string, settings: Settings): Promise<void> {
  await writeSettings(systemFiles, { dataFolder, user: place.user, settings, unique: "bench" });
}

/** Sets settings of the running base besides its own, until the next call. */
export async function applySettings(place: Place, base: Base, settings: Settings, call: Call): Promise<void> {
  await setSettings(place, base.server.setup.dataFolder, { ...SETTINGS, ...settings });
  await query(base.server, "SELECT pg_reload_conf()", call);
}

/** Runs one statement in a session of its own. */
export async function query(server: LocalServer, sql: string, call: Call & { readonly database?: string }) {
  const { database } = call;
  const session = await server.connect({ namesOf: "database", ...(database === undefined ? {} : { database }) }, call);
  try {
    return await session.query(sql, [], { timeoutMs: QUERY_TIMEOUT_MS, ...call });
  } finally {
    await session.close();
  }
}

/** How PostgreSQL's own client programs reach the server. */
export function clientArguments(server: LocalServer): readonly string[] {
  const { socketFolder, port, superuser } = server.setup;
  return ["-h", socketFolder, "-p", String(port), "-U", superuser.name];
}
