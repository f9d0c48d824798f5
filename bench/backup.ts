/**
 * `bench backup`: full backups, and restores of them, beside the peers'.
 *
 * Nouns: a *round* runs every tool once, in the same order; a ratio is taken within a round.
 */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { systemFiles } from "../src/platform/files.ts";
import { findFreePort } from "../src/platform/free-port.ts";
import { systemRandom } from "../src/platform/random.ts";
import { type BackupFacts, type BackupPlan, type BackupRequest, type Peer, planBackup } from "./backup-plan.ts";
import { type BackupRun, backupReport, type ToolRuns } from "./backup-report.ts";
import type { BackupTool, MakeBackupTool } from "./backup-tools/backup-tool.ts";
import { lifeboatTool, lifeboatVersion } from "./backup-tools/lifeboat.ts";
import { pgBaseBackupTool } from "./backup-tools/pg-basebackup.ts";
import { hasPgBackRest, installPgBackRest, pgBackRestTool, pgBackRestVersion } from "./backup-tools/pgbackrest.ts";
import { settle } from "./machine.ts";
import { type Measured, measure } from "./measure.ts";
import type { Report } from "./report.ts";
import {
  type Base,
  baseName,
  freeBytes,
  hasBase,
  type Place,
  query,
  serverIn,
  stopServerIn,
  takePlace,
  withBase,
  withServer,
} from "./workload.ts";

const MAKE_PEER: Readonly<Record<Peer, MakeBackupTool>> = {
  pg_basebackup: pgBaseBackupTool,
  pgbackrest: pgBackRestTool,
};

/** A server that is started only to see that it starts must not push WAL anywhere, nor listen. */
const RESTORED_SETTINGS = { archive_mode: "off" };

type Call = { readonly signal: AbortSignal };

/** Looks at what is there and plans. */
export async function planFor(request: BackupRequest, cacheFolder: string): Promise<BackupPlan> {
  const there: BackupFacts = {
    cacheFolder,
    freeBytes: await freeBytes(cacheFolder),
    pgBackRestInstalled: await hasPgBackRest(),
    basesThere: [],
  };
  const { sizesMib } = planBackup(request, there);
  const basesThere: number[] = [];
  for (const mib of sizesMib) if (await hasBase(cacheFolder, await baseName(mib))) basesThere.push(mib);
  return planBackup(request, { ...there, basesThere });
}

/** Carries the plan out. With `keep` the last round's backups stay in the run folder until the next benchmark. */
export async function benchBackup(
  request: BackupRequest,
  plan: BackupPlan,
  at: { readonly cacheFolder: string; readonly keep: boolean },
  call: Call,
): Promise<Report> {
  const withPgBackRest = request.peers.includes("pgbackrest");
  if (withPgBackRest) await installPgBackRest(call);
  const place = await takePlace(at.cacheFolder, call);
  try {
    const versions = {
      lifeboat: await lifeboatVersion(call),
      postgres: place.installation.version,
      ...(withPgBackRest ? { pgbackrest: await pgBackRestVersion(call) } : {}),
    };
    const measured: { readonly mib: number; readonly base: string; readonly tools: readonly ToolRuns[] }[] = [];
    for (const mib of plan.sizesMib) {
      const peers = mib === request.mib ? request.peers : [];
      const tools = await withBase(place, mib, call, (base) => rounds(place, base, { request, peers, ...at }, call));
      measured.push({ mib, base: await baseName(mib), tools });
    }
    return backupReport(measured, versions);
  } finally {
    if (at.keep) console.log(`kept until the next benchmark: ${place.runFolder}`);
    else await rm(place.runFolder, { recursive: true, force: true });
    place.lock.release();
  }
}

async function rounds(
  place: Place,
  base: Base,
  wanted: { readonly request: BackupRequest; readonly peers: readonly Peer[]; readonly keep: boolean },
  call: Call,
): Promise<readonly ToolRuns[]> {
  const { runs, restore } = wanted.request;
  const tools = [lifeboatTool, ...wanted.peers.map((peer) => MAKE_PEER[peer])].map((make) => ({
    tool: make(place, base),
    runs: [] as BackupRun[],
  }));
  for (let round = 1; round <= runs; round += 1) {
    for (const each of tools) {
      const { tool } = each;
      process.stdout.write(`${base.mib} MiB, round ${round} of ${runs}: ${tool.title} … `);
      const run = await backUp(place, base, { tool, round, restore: restore && base.mib === wanted.request.mib }, call);
      console.log(`${seconds(run.backup.wallMs)}${run.restored ? `, restored ${seconds(run.restored.wallMs)}` : ""}`);
      each.runs.push(run);
      if (!wanted.keep || round < runs) await tool.clear(call);
    }
  }
  return tools.map((each) => ({ title: each.tool.title, runs: each.runs }));
}

async function backUp(
  place: Place,
  base: Base,
  wanted: { readonly tool: BackupTool; readonly round: number; readonly restore: boolean },
  call: Call,
): Promise<BackupRun> {
  const { tool, round } = wanted;
  const { server, postmasterPid } = base;
  await tool.prepare(call);
  await query(server, "CHECKPOINT", call);
  await settle(server.setup.dataFolder, call);
  const logFile = path.join(place.runFolder, `${tool.title.replaceAll(/\W+/g, "-")}-${round}.log`);
  const backup = await measure(tool.backup, { logFile, postmasterPid, ...call });
  const storedBytes = await tool.storedBytes();
  if (!wanted.restore) return { backup, storedBytes };
  return { backup, storedBytes, restored: await restore(place, tool, `${logFile}.restore`, call) };
}

/** From the first command until the restored server has left recovery and accepts connections. */
async function restore(place: Place, tool: BackupTool, logFile: string, call: Call): Promise<Measured> {
  const folder = path.join(place.runFolder, "restored");
  const dataFolder = path.join(folder, "data");
  await mkdir(dataFolder, { recursive: true, mode: 0o755 });
  for (const each of [folder, dataFolder]) {
    if (place.user !== undefined) await systemFiles.changeOwner(each, place.user);
  }
  await systemFiles.changeMode(dataFolder, 0o700);
  const { command, boots } = tool.restore(dataFolder);
  try {
    await settle(place.runFolder, call);
    const measured = await measure(command, { logFile, postmasterPid: undefined, ...call });
    if (boots) return measured;
    const begun = performance.now();
    const server = serverIn(place, dataFolder, await findFreePort(systemRandom), RESTORED_SETTINGS);
    const startMs = await withServer(server, call, async () => performance.now() - begun);
    return { ...measured, wallMs: measured.wallMs + startMs };
  } finally {
    await stopServerIn(place, dataFolder);
    await rm(folder, { recursive: true, force: true });
  }
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
