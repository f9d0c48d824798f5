/**
 * Restores a backup and starts the server on it, under measurement.
 *
 * Invariants: the time of a restore ends when the server has left recovery and accepts connections; a restored server never
 * outlives its folder.
 */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { systemFiles } from "../src/platform/files.ts";
import { findFreePort } from "../src/platform/free-port.ts";
import { systemRandom } from "../src/platform/random.ts";
import type { LocalServer } from "../src/postgres/server.ts";
import type { RestoreCommand } from "./backup-tools/backup-tool.ts";
import { settle } from "./machine.ts";
import { type Measured, measure } from "./measure.ts";
import { type Place, serverIn, stopServerIn, withServer } from "./workload.ts";

/** A server that is started only to see that it starts must not push WAL anywhere. */
const RESTORED_SETTINGS = { archive_mode: "off" };

const STOP_TIMEOUT_MS = 120_000;

type Call = { readonly signal: AbortSignal };

/** A restore: its wall time includes the start of the server. */
export type Restored = {
  readonly measured: Measured;
  /** Of it, the start of the server; undefined where the command starts it and does not say. */
  readonly startMs?: number;
  /** Undefined where the command does not say. */
  readonly writtenBytes?: number;
};

/** An empty data directory for a restored server, in a folder of its own in the run folder. */
export async function makeRestoreFolder(place: Place, name: string): Promise<string> {
  const folder = path.join(place.runFolder, name);
  const dataFolder = path.join(folder, "data");
  await mkdir(dataFolder, { recursive: true, mode: 0o755 });
  for (const each of [folder, dataFolder]) {
    if (place.user !== undefined) await systemFiles.changeOwner(each, place.user);
  }
  await systemFiles.changeMode(dataFolder, 0o700);
  return dataFolder;
}

/** Restores and starts. Afterwards the server is stopped again, cleanly. */
export async function measureRestore(
  place: Place,
  of: {
    readonly restore: RestoreCommand;
    readonly dataFolder: string;
    readonly logFile: string;
    /** Where the backups lie: read into the page cache first. */
    readonly from: string;
  },
  call: Call,
): Promise<Restored> {
  const { restore, dataFolder, logFile } = of;
  await settle(of.from, call);
  const measured = await measure(restore.command, { logFile, postmasterPid: undefined, ...call });
  if (restore.boots) {
    await serverIn(place, dataFolder, 0).stop({ mode: "fast", timeoutMs: STOP_TIMEOUT_MS });
    return { measured };
  }
  const begun = performance.now();
  const startMs = await withRestored(place, dataFolder, call, async () => performance.now() - begun);
  return { measured: { ...measured, wallMs: measured.wallMs + startMs }, startMs };
}

/** Starts a restored server, hands it to `body` and stops it. */
export async function withRestored<T>(
  place: Place,
  dataFolder: string,
  call: Call,
  body: (server: LocalServer) => Promise<T>,
): Promise<T> {
  const server = serverIn(place, dataFolder, await findFreePort(systemRandom), RESTORED_SETTINGS);
  return withServer(server, call, () => body(server));
}

/** Stops whatever runs there and removes the folder that `makeRestoreFolder` made. */
export async function removeRestored(place: Place, dataFolder: string): Promise<void> {
  await stopServerIn(place, dataFolder);
  await rm(path.dirname(dataFolder), { recursive: true, force: true });
}
