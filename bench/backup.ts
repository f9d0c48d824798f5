/**
 * `bench backup`: full backups, and restores of them, beside the peers'.
 *
 * Nouns: a *round* runs every tool once, in the same order; a ratio is taken within a round.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { type BackupPeer, type BackupPlan, type BackupRequest, planBackup, sizesOf } from "./backup-plan.ts";
import { type BackupRun, backupReport, type ToolRuns } from "./backup-report.ts";
import type { BackupTool, MakeBackupTool } from "./backup-tools/backup-tool.ts";
import { lifeboatTool } from "./backup-tools/lifeboat.ts";
import { newerPgBackRestTool } from "./backup-tools/newer-pgbackrest.ts";
import { pgBaseBackupTool } from "./backup-tools/pg-basebackup.ts";
import { pgBackRestTool } from "./backup-tools/pgbackrest.ts";
import { settle } from "./machine.ts";
import { type Measured, measure } from "./measure.ts";
import { observe, readyLifeboat, readyPeers } from "./peers.ts";
import type { Report } from "./report.ts";
import { makeRestoreFolder, measureRestore, removeRestored } from "./restoring.ts";
import { type Base, baseName, type Place, query, takePlace, withBase } from "./workload.ts";

const MAKE_PEER: Readonly<Record<BackupPeer, MakeBackupTool>> = {
  pg_basebackup: pgBaseBackupTool,
  pgbackrest: pgBackRestTool,
  "pgbackrest-block": newerPgBackRestTool,
};

type Call = { readonly signal: AbortSignal };

/** Looks at what is there and plans. */
export async function planFor(request: BackupRequest, cacheFolder: string): Promise<BackupPlan> {
  return planBackup(request, await observe(cacheFolder, sizesOf(request)));
}

/** Carries the plan out. With `keep` the last round's backups stay in the run folder until the next benchmark. */
export async function benchBackup(
  request: BackupRequest,
  plan: BackupPlan,
  at: { readonly cacheFolder: string; readonly keep: boolean },
  call: Call,
): Promise<Report> {
  const place = await takePlace(at.cacheFolder, call);
  try {
    const ready = await readyPeers(request.peers, at.cacheFolder, call);
    const versions = await readyLifeboat(ready, place, call);
    const measured: { readonly mib: number; readonly base: string; readonly tools: readonly ToolRuns[] }[] = [];
    for (const mib of plan.sizesMib) {
      const peers = mib === request.mib ? ready : [];
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
  wanted: { readonly request: BackupRequest; readonly peers: readonly BackupPeer[]; readonly keep: boolean },
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

/** The restored server is gone afterwards, its folder too. */
async function restore(place: Place, tool: BackupTool, logFile: string, call: Call): Promise<Measured> {
  const dataFolder = await makeRestoreFolder(place, "restored");
  try {
    const of = { restore: tool.restore(dataFolder), dataFolder, logFile, from: tool.folder };
    return (await measureRestore(place, of, call)).measured;
  } finally {
    await removeRestored(place, dataFolder);
  }
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
