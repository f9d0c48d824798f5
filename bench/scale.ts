/**
 * Time and memory against the size of the database, and against the number of objects in the vault.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { lifeboatTool } from "./backup-tools/lifeboat.ts";
import { must, settle } from "./machine.ts";
import { measure } from "./measure.ts";
import { observe, readyLifeboat } from "./peers.ts";
import type { BenchPlan } from "./plan.ts";
import type { Report } from "./report.ts";
import { makeRestoreFolder, measureRestore, removeRestored } from "./restoring.ts";
import type { LookUsage } from "./scale-objects.ts";
import { baseOf, planScale, SCALE_LOOKS, type ScaleLook, type ScaleRequest } from "./scale-plan.ts";
import { type LookRuns, type SizeRun, type SizeRuns, scaleReport } from "./scale-report.ts";
import { type Base, DATABASE, type Place, query, takePlace, withBaseCopy } from "./workload.ts";

type Call = { readonly signal: AbortSignal };

const MIB = 1024 ** 2;

/** Looks at what is there and plans. */
export async function planScaleFor(request: ScaleRequest, cacheFolder: string): Promise<BenchPlan> {
  return planScale(request, await observe(cacheFolder, [...new Set(request.sizesMib.map(baseOf))]));
}

/** Carries the plan out. */
export async function benchScale(request: ScaleRequest, cacheFolder: string, call: Call): Promise<Report> {
  const place = await takePlace(cacheFolder, call);
  try {
    const versions = await readyLifeboat([], place, call);
    const sizes: SizeRuns[] = [];
    for (const mib of request.sizesMib) {
      sizes.push({ title: `${mib} MiB`, runs: await measureSize(place, mib, request.runs, call) });
    }
    return scaleReport({ sizes, looks: await measureLooks(request, call) }, versions);
  } finally {
    await rm(place.runFolder, { recursive: true, force: true });
    place.lock.release();
  }
}

async function measureSize(place: Place, mib: number, runs: number, call: Call): Promise<readonly SizeRun[]> {
  const measured: SizeRun[] = [];
  await withBaseCopy(place, baseOf(mib), call, async (base) => {
    await grow(base, mib, call);
    for (let run = 1; run <= runs; run += 1) {
      process.stdout.write(`${mib} MiB, ${run} of ${runs} … `);
      const each = await backUpAndRestore(place, base, `${mib}-${run}`, call);
      console.log(`${(each.backup.wallMs / 1000).toFixed(1)} s, restored ${(each.restore.wallMs / 1000).toFixed(1)} s`);
      measured.push(each);
    }
  });
  await rm(path.join(place.runFolder, "copy"), { recursive: true, force: true });
  return measured;
}

/** Copies the largest table until the database is as large as wanted. */
async function grow(base: Base, mib: number, call: Call): Promise<void> {
  const at = { ...call, database: DATABASE, timeoutMs: COPY_TIMEOUT_MS };
  for (let copy = 1; (await databaseBytes(base, call)) < mib * MIB * GROWN_ENOUGH; copy += 1) {
    await query(base.server, `CREATE TABLE products_${copy} AS TABLE products`, at);
  }
}

/** A table of a GiB takes some ten seconds. */
const COPY_TIMEOUT_MS = 300_000;

/** A copy more would overshoot. */
const GROWN_ENOUGH = 0.93;

async function databaseBytes(base: Base, call: Call): Promise<number> {
  const [row] = await query(base.server, `SELECT pg_database_size('${DATABASE}') AS bytes`, call);
  return Number(row?.["bytes"]);
}

async function backUpAndRestore(place: Place, base: Base, name: string, call: Call): Promise<SizeRun> {
  const tool = lifeboatTool(place, base);
  const { server, postmasterPid } = base;
  await tool.prepare(call);
  await query(server, "CHECKPOINT", call);
  await settle(server.setup.dataFolder, call);
  const logFile = path.join(place.runFolder, `scale-${name}.log`);
  const backup = await measure(tool.backup, { logFile, postmasterPid, ...call });
  const storedBytes = await tool.storedBytes();
  const dataFolder = await makeRestoreFolder(place, "restored");
  try {
    const of = { restore: tool.restore(dataFolder), dataFolder, logFile: `${logFile}.restore`, from: tool.folder };
    const { measured: restore } = await measureRestore(place, of, call);
    return { dataBytes: await databaseBytes(base, call), backup, storedBytes, restore };
  } finally {
    await removeRestored(place, dataFolder);
    await tool.clear(call);
  }
}

async function measureLooks({ objectCounts, runs }: ScaleRequest, call: Call): Promise<readonly LookRuns[]> {
  const measured: LookRuns[] = [];
  for (const look of SCALE_LOOKS) {
    for (const objects of objectCounts) {
      const usages: LookUsage[] = [];
      for (let run = 0; run < runs; run += 1) usages.push(await lookApart(look, objects, call));
      console.log(
        `${look} of ${objects} objects: ${usages.map(({ wallMs }) => `${Math.round(wallMs)} ms`).join(", ")}`,
      );
      measured.push({ title: `${look}, ${objects} objects`, look, objects, runs: usages });
    }
  }
  return measured;
}

/** In a process of its own: what another look left is not counted. */
async function lookApart(look: ScaleLook, objects: number, call: Call): Promise<LookUsage> {
  const program = path.join(import.meta.dirname, "scale-objects.ts");
  const args = ["--disable-warning=ExperimentalWarning", "--expose-gc", program, look, String(objects)];
  const usage: LookUsage = JSON.parse(await must({ command: process.execPath, args }, call));
  return usage;
}
