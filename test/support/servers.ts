/**
 * Real PostgreSQL servers for tests.
 *
 * Nouns: a *template* is a cluster made once per version and kind, kept below /tmp; a *test server*
 * runs on a copy of one, in a folder of its own, and is gone with all its processes when the test ends.
 * Invariants: nothing is shared between two tests; ports are found free and a start is tried again when one was taken in
 * between; what a test leaves behind fails it; what a killed test run left behind is removed by the next one.
 */
import { createHash, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { chmod, chown, mkdir, readdir, rename, stat } from "node:fs/promises";
import path from "node:path";
import { isLifeboatError } from "../../src/errors/error.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { findFreePort } from "../../src/platform/free-port.ts";
import { type Processes, type ProcessUser, systemProcesses } from "../../src/platform/processes.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { currentUid, findServerUser } from "../../src/platform/run-as.ts";
import { initCluster, type Settings, writeAccess, writeSettings } from "../../src/postgres/cluster.ts";
import { findInstallation, type Installation, MAJORS, type Major } from "../../src/postgres/installation.ts";
import type { QueryRow } from "../../src/postgres/query-connection.ts";
import { LocalServer, type LogIn } from "../../src/postgres/server.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { defaultMajor } from "./majors.ts";
import { unsyncedFiles } from "./unsynced-files.ts";

export { MAJORS, type Major };

/** What a test server shall be. */
export type TestServerOptions = {
  /** Default: the one that this file is run on (majors.ts). `system`: Debian's programs of major 15 rather than the bundled ones. */
  readonly major?: Major | "system";
  /** Added to TEST_SETTINGS. */
  readonly settings?: Settings;
  /** Default true. */
  readonly dataChecksums?: boolean;
  /** Default 16 MiB. */
  readonly walSegmentBytes?: number;
  /** Default false: tests do not survive power cuts, so their servers need not sync. */
  readonly fsync?: boolean;
  /** Goes into the name of its folder, for reading a failed test. */
  readonly name?: string;
  /**
   * Runs on this data folder (a restored one, say) instead of a copy of a template; it is given to the server's user, its
   * pg_hba.conf is replaced, and it is left where it is at the end. The major must fit.
   */
  readonly dataFolder?: string;
  /** What the start waits for. Default `accepting`. */
  readonly until?: "accepting" | "recovered";
  /** False: prepared but not started. Default true. */
  readonly started?: boolean;
};

// A killed server leaves its segments in /dev/shm for ever; these lie in the data folder and go with it.
const KILLABLE: Settings = { dynamic_shared_memory_type: "mmap" };

/** The superuser of every test server; trusted over the Unix socket, SCRAM over TCP, for replication too. */
export const SUPERUSER = { name: "lifeboat_test", password: "correct horse" } as const;

/**
 * Settings of every test server, unless a test says otherwise: small, quiet, and changing pages only when told to. None
 * that a standby compares with its primary: a copy of a template, started as a standby, must not refuse.
 */
export const TEST_SETTINGS: Settings = {
  shared_buffers: "16MB",
  autovacuum: false,
  checkpoint_timeout: "1h",
  log_min_messages: "warning",
  wal_retrieve_retry_interval: "100ms",
  ...KILLABLE,
};

const START_TIMEOUT_MS = 60_000;
const QUERY_TIMEOUT_MS = 30_000;
const PORT_TRIES_MAX = 5;

// Leaves the path of the Unix socket well below its 107 bytes.
const NAME_LENGTH_MAX = 24;

// The runner finds a server that was left behind by this variable in its environment (see tools/test/run-file.ts).
const MARK = process.env["LIFEBOAT_TEST_FILE"];
const processes: Processes = {
  ...systemProcesses,
  start: (request) =>
    systemProcesses.start({
      ...request,
      environment: { ...request.environment, ...(MARK === undefined ? {} : { LIFEBOAT_TEST_FILE: MARK }) },
    }),
};

/** The machine, as test servers use it. */
export const PORTS = { files: systemFiles, processes, clock: systemClock };

/** Runs one statement on a session. */
export type Ask = (sql: string, parameters?: readonly unknown[]) => Promise<readonly QueryRow[]>;

/** A server under test. */
export class TestServer {
  readonly server: LocalServer;
  /** The folder that holds the data folder (unless given), the log, the socket; tests may put files there. */
  readonly folder: string;
  readonly #keepData: boolean;

  constructor(server: LocalServer, folder: string, keepData: boolean) {
    this.server = server;
    this.folder = folder;
    this.#keepData = keepData;
  }

  get dataFolder(): string {
    return this.server.setup.dataFolder;
  }

  get installation(): Installation {
    return this.server.setup.installation;
  }

  get major(): Major {
    return this.installation.major;
  }

  /** Runs one statement as the superuser on a session of its own. */
  query(sql: string, parameters: readonly unknown[] = [], logIn: LogIn = {}): Promise<readonly QueryRow[]> {
    return this.onOneSession(logIn, (ask) => ask(sql, parameters));
  }

  /** Lets several statements, one after another, have one session: each session costs 6 ms of CPU. */
  async onOneSession<T>(logIn: LogIn, work: (ask: Ask) => Promise<T>): Promise<T> {
    // A test asks as a person would, whose names are those of the database.
    const session = await this.server.connect({ namesOf: "database", ...logIn }, {});
    try {
      return await work((sql, parameters = []) => session.query(sql, parameters, { timeoutMs: QUERY_TIMEOUT_MS }));
    } finally {
      await session.close();
    }
  }

  /** The one value of the one row of a statement, as text; empty for null. */
  async value(sql: string, parameters: readonly unknown[] = []): Promise<string> {
    const rows = await this.query(sql, parameters);
    const values = Object.values(rows[0] ?? {});
    if (rows.length !== 1 || values.length !== 1) throw new Error(`not one value but ${rows.length} rows: ${sql}`);
    return values[0] === null ? "" : String(values[0]);
  }

  start(until: "accepting" | "recovered" = "accepting"): Promise<void> {
    return this.server.start({ until, timeoutMs: START_TIMEOUT_MS });
  }

  stop(mode: "smart" | "fast" | "immediate" = "fast"): Promise<void> {
    return this.server.stop({ mode, timeoutMs: START_TIMEOUT_MS });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Ends the server and removes its folder. Fails when something of it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.resume();
    // Not killed: only a server that ends by itself gives back what it holds of the machine's shared memory.
    await this.stop("immediate").catch(() => this.server.kill());
    removeFolder(this.folder);
    live.delete(this);
    await assertNothingLeft(this, this.#keepData);
  }
}

/**
 * Drops the databases that nobody connects to: a third of a thousand files each, which a test of many backups would copy
 * every time. What is created afterwards needs another template.
 */
export async function dropTemplates(server: TestServer): Promise<void> {
  await server.onOneSession({}, async (ask) => {
    await ask("UPDATE pg_database SET datistemplate = false");
    for (const name of ["template0", "template1"]) await ask(`DROP DATABASE ${name}`);
  });
}

const live = new Set<TestServer>();

/** Runs `body` with a server that is gone afterwards, whatever happens. */
export async function withServer<T>(options: TestServerOptions, body: (server: TestServer) => Promise<T>): Promise<T> {
  await using server = await startServer(options);
  return await body(server);
}

/** Starts a test server: `await using server = await startServer({ major: 16 })`. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const folder = await runFolder(options.name ?? "server");
  try {
    const user = await serverUser();
    const installation = await installationOf(options.major ?? defaultMajor());
    const dataFolder = options.dataFolder ?? path.join(folder, "data");
    if (options.dataFolder === undefined) await copy(await template(installation, options), dataFolder);
    // A copy of a template keeps its owner.
    if (options.dataFolder !== undefined) await giveTo(user, dataFolder);
    const common = { dataFolder, user, unique: "test" };
    // A sync would also write out the 40 MB just copied: half a second a server, for files that live for one.
    await writeAccess(unsyncedFiles, { ...common, lines: ACCESS });
    if (options.dataFolder === undefined) {
      const settings = { ...TEST_SETTINGS, fsync: options.fsync ?? false, ...options.settings };
      await writeSettings(unsyncedFiles, { ...common, settings });
    }
    return await startOnFreePort(options, { folder, dataFolder, installation, user });
  } catch (error) {
    removeFolder(folder);
    throw error;
  }
}

// Host names of clients are of no interest; a local test has no business outside 127.0.0.1.
const ACCESS = [
  "local all all trust",
  "local replication all trust",
  "host all all 127.0.0.1/32 scram-sha-256",
  "host replication all 127.0.0.1/32 scram-sha-256",
];

async function startOnFreePort(
  options: TestServerOptions,
  at: {
    readonly folder: string;
    readonly dataFolder: string;
    readonly installation: Installation;
    readonly user: ProcessUser | undefined;
  },
): Promise<TestServer> {
  const ofGivenFolder =
    options.dataFolder === undefined ? {} : { ...KILLABLE, fsync: options.fsync ?? false, ...options.settings };
  for (let tries = 1; ; tries += 1) {
    const server = new LocalServer(PORTS, {
      installation: at.installation,
      dataFolder: at.dataFolder,
      user: at.user,
      socketFolder: at.folder,
      port: await findFreePort(systemRandom),
      logFile: path.join(at.folder, "server.log"),
      superuser: SUPERUSER,
      settings: ofGivenFolder,
    });
    const made = new TestServer(server, at.folder, options.dataFolder !== undefined);
    live.add(made);
    try {
      if (options.started !== false) await made.start(options.until);
      return made;
    } catch (error) {
      live.delete(made);
      await server.kill();
      if (!isLifeboatError(error, "postgres.port-busy") || tries === PORT_TRIES_MAX) throw error;
    }
  }
}

let knownUser: Promise<ProcessUser | undefined> | undefined;

/** The user that test servers run as; undefined when that is ourselves. */
export function serverUser(): Promise<ProcessUser | undefined> {
  knownUser ??= findServerUser(systemProcesses, { uid: currentUid() });
  return knownUser;
}

const knownInstallations = new Map<Major | "system", Promise<Installation>>();

/** The programs of a version. */
export function installationOf(major: Major | "system"): Promise<Installation> {
  const known = knownInstallations.get(major);
  if (known !== undefined) return known;
  const found = findOne(major);
  knownInstallations.set(major, found);
  return found;
}

async function findOne(major: Major | "system"): Promise<Installation> {
  return findInstallation(PORTS, {
    wanted: major === "system" ? { binFolder: "/usr/lib/postgresql/15/bin" } : { major },
    user: await serverUser(),
    cacheFolder: path.join(await baseFolder(), "programs"),
    unique: unique(),
  });
}

/** Gives a folder and all in it to the user that runs test servers, with the mode that PostgreSQL wants. */
export async function giveTo(user: ProcessUser | undefined, folder: string): Promise<void> {
  await chmod(folder, 0o700);
  if (user !== undefined) await must("chown", ["-R", "-h", `${user.uid}:${user.gid}`, "--", folder]);
}

async function template(installation: Installation, options: TestServerOptions): Promise<string> {
  const user = await serverUser();
  const request = {
    dataChecksums: options.dataChecksums ?? true,
    ...(options.walSegmentBytes === undefined ? {} : { walSegmentBytes: options.walSegmentBytes }),
  };
  // The folder of the programs is part of the key: Debian's 15 and the bundled 15 are different builds.
  const key = JSON.stringify([installation, request, user?.name, SUPERUSER]);
  const digest = createHash("sha256").update(key).digest("hex").slice(0, 12);
  const templates = path.join(await baseFolder(), "templates");
  const folder = path.join(templates, `${installation.version}-${digest}`);
  if ((await systemFiles.stat(folder)) !== undefined) return folder;
  const building = path.join(templates, `.${unique()}.building`);
  await mkdir(building, { recursive: true });
  try {
    await giveTo(user, building);
    const dataFolder = path.join(building, "data");
    await initCluster(PORTS, {
      installation,
      dataFolder,
      user,
      superuser: SUPERUSER,
      socketAuthentication: "trust",
      durable: false,
      unique: unique(),
      ...request,
    });
    // Without the zeros that initdb lays out for WAL, which are a third of what each server would copy.
    const sparse = path.join(building, "sparse");
    await must("cp", ["-a", "--sparse=always", "--", dataFolder, sparse]);
    await rename(sparse, folder).catch(async (error: unknown) => {
      // Another test run made the same template first.
      if ((await systemFiles.stat(folder)) === undefined) throw error;
    });
  } finally {
    removeFolder(building);
  }
  return folder;
}

/**
 * Removes a folder with all in it. At once: a thousand files one by one, each waited for, take 50 ms of CPU rather than 15, and a
 * server's end has nothing else to do.
 */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

async function copy(from: string, to: string): Promise<void> {
  await must("cp", ["-a", "--reflink=auto", "--", from, to]);
}

async function must(command: string, args: readonly string[]): Promise<void> {
  const done = await systemProcesses.run({ command, args, timeoutMs: START_TIMEOUT_MS });
  if (done.exit.kind !== "exited" || done.exit.status !== 0) {
    throw new Error(`${command} ${args.join(" ")} failed: ${done.stderr}`);
  }
}

let knownBase: Promise<string> | undefined;

/** The folder of what is kept between test runs of this user: templates, and programs it could not reach. */
function baseFolder(): Promise<string> {
  // Not the runner's folder for temporary files: that one is new for each test file.
  knownBase ??= openFolder("/tmp", ["templates"]);
  return knownBase;
}

let knownRuns: Promise<string> | undefined;

/** The folder of all running test servers of this user. */
function runsFolder(): Promise<string> {
  knownRuns ??= makeRuns();
  return knownRuns;
}

async function makeRuns(): Promise<string> {
  const runs = path.join(await openFolder(memoryFolder(), ["run"]), "run");
  await sweep(runs);
  return runs;
}

/** Makes folders that every user can enter. */
async function openFolder(parent: string, inside: readonly string[]): Promise<string> {
  const base = path.join(parent, `lifeboat-test-${currentUid()}`);
  for (const folder of [base, ...inside.map((name) => path.join(base, name))]) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
  }
  return base;
}

let made = 0;

/** `<pid>-<start>-<n>-<name>`: tells the next run whether the test that made it still lives. */
async function runFolder(name: string): Promise<string> {
  made += 1;
  const start = (await systemProcesses.facts(process.pid))?.startTicks ?? "0";
  const folder = path.join(await runsFolder(), `${process.pid}-${start}-${made}-${name.slice(0, NAME_LENGTH_MAX)}`);
  await mkdir(folder, { mode: 0o700 });
  const user = await serverUser();
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  return folder;
}

function unique(): string {
  return `${process.pid}-${randomBytes(4).toString("hex")}`;
}

/** Ends the servers and removes the folders of test runs that were killed. */
async function sweep(runs: string): Promise<void> {
  for (const name of await readdir(runs)) {
    const [pid, start] = name.split("-");
    const facts = await systemProcesses.facts(Number(pid));
    if (facts !== undefined && !facts.zombie && facts.startTicks === start) continue;
    const folder = path.join(runs, name);
    for (const server of await serversIn(folder)) await systemProcesses.killTree(server);
    removeFolder(folder);
  }
}

/** Postmasters that work in a data folder below `folder`. */
async function serversIn(folder: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const data = path.join(folder, name);
    const text = await systemFiles.readFile(path.join(data, "postmaster.pid")).catch(() => Buffer.alloc(0));
    const pid = Number.parseInt(text.toString("utf8"), 10);
    if (pid > 0 && (await systemProcesses.worksIn(pid, data)) === "yes") found.push(pid);
  }
  return found;
}

async function assertNothingLeft(server: TestServer, keepData: boolean): Promise<void> {
  const state = keepData ? await server.server.state() : { kind: "stopped" };
  const folder = await stat(server.folder).catch(() => undefined);
  if ((state.kind === "stopped" || state.kind === "crashed") && folder === undefined) return;
  throw new Error(`the test left something of its server behind: ${state.kind}, ${server.folder}`);
}

process.on("exit", () => {
  if (live.size === 0 || process.exitCode !== undefined) return;
  console.error(`servers left running by this test file: ${[...live].map((each) => each.folder).join(", ")}`);
  process.exitCode = 1;
});
