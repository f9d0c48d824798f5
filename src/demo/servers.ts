/**
 * The servers of the demo: the one that will be destroyed, and the restored ones.
 *
 * They listen on 127.0.0.1 and on a Unix socket in a folder closed to others, where no password is asked for: a person
 * who looks around after `--keep` needs none. Everything else logs in over TCP with one, as clients do.
 */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { findFreePort } from "../platform/free-port.ts";
import type { Locks } from "../platform/lock.ts";
import type { Processes, ProcessUser } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import { currentUid, findServerUser } from "../platform/run-as.ts";
import { initCluster, type Settings, writeSettings } from "../postgres/cluster.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import { findInstallation, type Installation, MAJORS, type Major } from "../postgres/installation.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { LocalServer } from "../postgres/server.ts";
import type { DemoFolder } from "./folder.ts";

/** The superuser; only the Unix socket lets it in without a password. */
export const SUPERUSER = "postgres";
/** The role that Lifeboat works with, made as the README says. */
export const LIFEBOAT_ROLE = "lifeboat";
/** The protected database. */
export const DATABASE = "catalog";

/** What the servers need of the machine. */
export type ServerPorts = {
  readonly files: Files;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly locks: Locks;
  readonly random: RandomSource;
};

/** What all servers of a demo have in common. */
export type ServerKit = {
  readonly ports: ServerPorts;
  readonly place: DemoFolder;
  readonly installation: Installation;
  readonly user: ProcessUser | undefined;
  readonly password: string;
};

type CallOptions = { readonly signal: AbortSignal };

const START_TIMEOUT_MS = 60_000;
const QUERY_TIMEOUT_MS = 60_000;
const PORT_TRIES_MAX = 5;

/** Settings of the demo's server: PostgreSQL's own defaults but for what a demo of this length needs. */
const SETTINGS: Settings = {
  // The load writes more than the default of 1 GB asks a checkpoint for; one would run into the client's writes.
  max_wal_size: "4GB",
  // As the README recommends: a receiver that stays away must not fill the disk.
  max_slot_wal_keep_size: "8GB",
  log_min_messages: "warning",
};

/** Finds the programs and the user that runs them. */
export async function findServerKit(
  ports: ServerPorts,
  place: DemoFolder,
  request: {
    readonly major: Major;
    readonly binFolder: string | undefined;
    readonly runAs: string | undefined;
    readonly signal: AbortSignal;
  },
): Promise<ServerKit> {
  const { signal } = request;
  const user = await findServerUser(ports.processes, { uid: currentUid(), name: request.runAs, signal });
  const unique = ports.random(8).toString("hex");
  const find = (wanted: { readonly binFolder: string } | { readonly major: Major }) =>
    findInstallation(ports, { wanted, user, unique, signal });
  const named = request.binFolder === undefined ? undefined : await find({ binFolder: request.binFolder });
  // The configured programs are for the operator's own servers and may be of another version than the demo was asked for.
  const installation = named?.major === request.major ? named : await find({ major: request.major });
  return { ports, place, installation, user, password: ports.random(16).toString("hex") };
}

/** A number of a supported major version. */
export function majorOf(text: string): Major {
  return MAJORS.find((major) => String(major) === text) ?? MAJORS[1];
}

/** Makes the cluster with its role and database, and starts it. `made` is told of the server before it is started. */
export async function startPrimary(
  kit: ServerKit,
  options: CallOptions & { readonly made: (server: LocalServer) => void },
): Promise<{ readonly server: LocalServer; readonly systemId: SystemId }> {
  const { ports, place, installation, user, password } = kit;
  const { signal } = options;
  await initCluster(ports, {
    installation,
    dataFolder: place.primary,
    user,
    superuser: { name: SUPERUSER, password },
    socketAuthentication: "trust",
    settings: SETTINGS,
    unique: ports.random(8).toString("hex"),
    signal,
  });
  const server = await startOnFreePort(kit, place.primary, {
    ...options,
    start: (each) => each.start({ until: "accepting", timeoutMs: START_TIMEOUT_MS, signal }),
  });
  const session = await server.connect({}, { signal });
  try {
    for (const sql of [
      `CREATE ROLE ${LIFEBOAT_ROLE} WITH LOGIN REPLICATION PASSWORD '${password}'`,
      `GRANT pg_read_all_settings, pg_read_server_files TO ${LIFEBOAT_ROLE}`,
      `CREATE DATABASE ${DATABASE}`,
    ]) {
      await session.query(sql, [], { signal, timeoutMs: QUERY_TIMEOUT_MS });
    }
  } finally {
    await session.close();
  }
  return { server, systemId: await readSystemId(ports.files, place.primary) };
}

/** Makes commits wait for these standbys, or for none when the text is empty. Takes effect a moment later. */
export async function setSynchronousStandbys(kit: ServerKit, server: LocalServer, names: string): Promise<void> {
  await writeSettings(kit.ports.files, {
    dataFolder: server.setup.dataFolder,
    user: kit.user,
    settings: { ...SETTINGS, synchronous_standby_names: names },
    unique: kit.ports.random(8).toString("hex"),
  });
  await server.reload();
}

/** Starts a server in a data folder on a free port; `start` is called again when another program took the port in between. */
export async function startOnFreePort(
  kit: ServerKit,
  dataFolder: string,
  request: {
    readonly made: (server: LocalServer) => void;
    readonly start: (server: LocalServer) => Promise<unknown>;
  },
): Promise<LocalServer> {
  for (let tries = 1; ; tries += 1) {
    const server = new LocalServer(kit.ports, {
      installation: kit.installation,
      dataFolder,
      user: kit.user,
      socketFolder: kit.place.sockets,
      port: await findFreePort(kit.ports.random),
      logFile: `${dataFolder}.log`,
      superuser: { name: SUPERUSER, password: kit.password },
    });
    request.made(server);
    try {
      await request.start(server);
      return server;
    } catch (error) {
      if (!isLifeboatError(error, "postgres.port-busy") || tries === PORT_TRIES_MAX) throw error;
    }
  }
}

/** The system identifier of a data folder. */
export async function readSystemId(files: Files, dataFolder: string): Promise<SystemId> {
  return parseControlFile(await files.readFile(path.join(dataFolder, CONTROL_FILE_PATH))).systemId;
}
