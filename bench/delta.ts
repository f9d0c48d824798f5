/**
 * `bench delta`: chains of backups of a server that changes, and restores from them, beside pgBackRest's.
 *
 * Nouns: a *chain* is a full backup and those after it; an *update* changes 1 % of the products, chosen at random.
 * Invariants: all tools back up the same server in the same state, one after another, and each its own WAL only; a backup
 * that should have kept what an earlier one has, and did not, ends the benchmark, and so does a restored server whose
 * products are not the source's.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { LocalServer } from "../src/postgres/server.ts";
import type { ChainTool, MakeChainTool } from "./backup-tools/backup-tool.ts";
import { lifeboatChainTool } from "./backup-tools/lifeboat-chain.ts";
import { newerPgBackRestTool } from "./backup-tools/newer-pgbackrest.ts";
import { pgBackRestTool } from "./backup-tools/pgbackrest.ts";
import { type StreamReader, streamReaders } from "./backup-tools/stream-readers.ts";
import { type ChainPeer, type DeltaRequest, planDelta, updatesOf } from "./delta-plan.ts";
import { type ChainRuns, type DeltaMeasured, deltaReport } from "./delta-report.ts";
import { must, Stop, settle } from "./machine.ts";
import { type Measured, measure } from "./measure.ts";
import { observe, readyLifeboat, readyPeers } from "./peers.ts";
import type { BenchPlan } from "./plan.ts";
import type { Report } from "./report.ts";
import { makeRestoreFolder, measureRestore, type Restored, removeRestored, withRestored } from "./restoring.ts";
import {
  type Base,
  BIN_FOLDER,
  baseName,
  clientArguments,
  DATABASE,
  type Place,
  query,
  serverIn,
  takePlace,
  withBaseCopy,
} from "./workload.ts";

const MAKE_PEER: Readonly<Record<ChainPeer, MakeChainTool>> = {
  pgbackrest: pgBackRestTool,
  "pgbackrest-block": newerPgBackRestTool,
};

const UPDATE_FILE = path.join(import.meta.dirname, "catalog-2gib", "update-share.sql");
/** Tells states of the products apart: every update raises both sums. */
const PRODUCTS =
  "SELECT count(*) || ', ' || sum(price) || ', ' || sum(extract(epoch FROM updated_at)) AS state FROM products";

type Call = { readonly signal: AbortSignal };
type Writable<T> = { -readonly [Key in keyof T]: T[Key] extends readonly (infer Each)[] ? Each[] : T[Key] };
type Link = { readonly tool: ChainTool; readonly runs: Writable<ChainRuns> };
type Chain = {
  readonly place: Place;
  readonly base: Base;
  readonly request: DeltaRequest;
  readonly links: readonly Link[];
  readonly readers: readonly { readonly reader: StreamReader; readonly runs: Measured[] }[];
};

/** Looks at what is there and plans. Throws `Stop` when too few backups are asked for. */
export async function planDeltaFor(request: DeltaRequest, cacheFolder: string): Promise<BenchPlan> {
  if (request.chain !== "kept" && updatesOf(request) < 1) {
    throw new Stop(`--backups ${request.backups}: must be at least 2 more than --runs, which is ${request.runs}`);
  }
  return planDelta(request, await observe(cacheFolder, [request.mib]));
}

/** Carries the plan out. */
export async function benchDelta(request: DeltaRequest, cacheFolder: string, call: Call): Promise<Report> {
  const place = await takePlace(cacheFolder, call, { keep: request.chain === "kept" });
  let keep = request.chain === "kept";
  try {
    const kept = request.chain === "kept" ? await readKept(place) : undefined;
    const peers = kept?.peers ?? (await readyPeers(request.peers, cacheFolder, call));
    const versions = await readyLifeboat(peers, place, call);
    const wanted = { ...request, ...kept, peers };
    const measured =
      kept === undefined
        ? await withBaseCopy(place, request.mib, call, (base) => measureChain(place, base, wanted, call))
        : await measureKept(place, kept, wanted, call);
    keep ||= request.chain === "keep";
    return deltaReport(measured, { request: wanted, versions });
  } finally {
    if (!keep) await rm(place.runFolder, { recursive: true, force: true });
    else console.log(`kept until the next benchmark: ${place.runFolder}`);
    place.lock.release();
  }
}

/** What is noted of a chain that is kept: its size, its tools, and the products that a restore of its last backup has. */
type KeptChain = Pick<DeltaRequest, "mib" | "backups" | "peers"> & { readonly wanted: string };

const keptFile = (place: Place): string => path.join(place.runFolder, "chain.json");

async function readKept(place: Place): Promise<KeptChain> {
  const text = await readFile(keptFile(place), "utf8").catch(() => undefined);
  if (text === undefined) throw new Stop("no chain was kept: make one with bench delta --keep");
  return JSON.parse(text) as KeptChain;
}

/** Restores of the last backup of a chain that an earlier benchmark made. Its server is not started. */
async function measureKept(place: Place, kept: KeptChain, request: DeltaRequest, call: Call): Promise<DeltaMeasured> {
  const name = await baseName(kept.mib);
  const server = serverIn(place, path.join(place.runFolder, "copy", "data"), 0);
  const base: Base = { name, mib: kept.mib, server, postmasterPid: 0 };
  const links = linksOf(place, base, request.peers);
  const chain: Chain = { place, base, request, links, readers: [] };
  await repeat(request.runs, () => restoreAll(chain, "last", kept.wanted, call));
  return { base: base.name, chains: links.map(({ runs }) => runs), readers: [] };
}

function linksOf(place: Place, base: Base, peers: readonly ChainPeer[]): readonly Link[] {
  return [lifeboatChainTool, ...peers.map((peer) => MAKE_PEER[peer])].map((make): Link => {
    const tool = make(place, base);
    return {
      tool,
      runs: { title: tool.title, full: [], unchanged: [], updated: [], first: [], last: [], inPlace: [] },
    };
  });
}

async function measureChain(place: Place, base: Base, request: DeltaRequest, call: Call): Promise<DeltaMeasured> {
  const links = linksOf(place, base, request.peers);
  const readers = streamReaders(place, base).map((reader) => ({ reader, runs: [] as Measured[] }));
  const chain: Chain = { place, base, request, links, readers };
  try {
    for (const { tool } of links) {
      await tool.prepare(call);
      await tool.endTurn(call);
    }
    await backUpAll(chain, "full", call);
    const full = await products(base.server, call);
    await repeat(request.runs, () => restoreAll(chain, "first", full, call));
    await repeat(request.runs, async () => {
      await readStreams(chain, call);
      await backUpAll(chain, "unchanged", call);
    });
    let wanted = full;
    for (let update = 1; update <= updatesOf(request); update += 1) {
      await updateShare(base.server, update, call);
      // Before the backup: reading what was updated writes as much WAL, which only who archives all of it would have to replay.
      wanted = await products(base.server, call);
      await backUpAll(chain, "updated", call);
    }
    await repeat(request.runs, () => restoreAll(chain, "last", wanted, call));
    if (request.chain === "keep") {
      const { mib, backups, peers } = request;
      await writeFile(keptFile(place), JSON.stringify({ mib, backups, peers, wanted } satisfies KeptChain));
    }
    return {
      base: base.name,
      chains: links.map(({ runs }) => runs),
      readers: readers.map(({ reader, runs }) => ({ title: reader.title, runs })),
    };
  } finally {
    for (const { tool } of links) await tool.close();
  }
}

async function repeat(times: number, body: () => Promise<void>): Promise<void> {
  for (let time = 0; time < times; time += 1) await body();
}

/** One backup with each tool, of the same state. */
async function backUpAll(chain: Chain, step: "full" | "unchanged" | "updated", call: Call): Promise<void> {
  const { base } = chain;
  for (const { tool, runs } of chain.links) {
    const logFile = logFileOf(chain, tool, step, runs[step].length);
    const begun = tell(`${step}: ${tool.title}`);
    const command = step === "full" ? tool.backup : tool.next;
    await tool.beginTurn(call);
    await query(base.server, "CHECKPOINT", call);
    await settle(base.server.setup.dataFolder, call);
    const before = await tool.storedBytes();
    const around = { logFile, postmasterPid: base.postmasterPid, companionPid: tool.companionPid(), ...call };
    const measured = await measure(command, around);
    const storedBytes = (await tool.storedBytes()) - before;
    const full = await tool.wasFull(await readFile(logFile, "utf8"), call);
    if (full !== (step === "full")) {
      throw new Stop(`${tool.title} took a ${full ? "full" : "partial"} backup at the step ${step}; see ${logFile}`);
    }
    await tool.endTurn(call);
    runs[step].push({ measured, storedBytes });
    begun(`${seconds(measured.wallMs)}, ${(storedBytes / 1e6).toFixed(1)} MB`);
  }
}

async function readStreams({ place, base, readers }: Chain, call: Call): Promise<void> {
  for (const { reader, runs } of readers) {
    const begun = tell(`unchanged: ${reader.title}`);
    await query(base.server, "CHECKPOINT", call);
    await settle(base.server.setup.dataFolder, call);
    const logFile = path.join(place.runFolder, `${reader.title.replaceAll(/\W+/g, "-")}-${runs.length}.log`);
    const measured = await measure(reader.command, { logFile, postmasterPid: base.postmasterPid, ...call });
    runs.push(measured);
    begun(seconds(measured.wallMs));
  }
}

/** Restores the newest backup with each tool; of the last of the chain also in place, after the restored server diverged. */
async function restoreAll(chain: Chain, step: "first" | "last", wanted: string, call: Call): Promise<void> {
  const { place } = chain;
  for (const { tool, runs } of chain.links) {
    const dataFolder = await makeRestoreFolder(place, "restored");
    try {
      const begun = tell(`restore of the ${step}: ${tool.title}`);
      const logFile = logFileOf(chain, tool, `restore-${step}`, runs[step].length);
      const of = { restore: tool.restore(dataFolder), dataFolder, logFile, from: tool.folder };
      const restored = await measureRestore(place, of, call);
      runs[step].push(restored);
      begun(seconds(restored.measured.wallMs));
      await withRestored(place, dataFolder, call, async (server) => {
        await mustEqual(server, { wanted, title: tool.title }, call);
        if (step === "last") await updateShare(server, chain.request.backups, call);
      });
      if (step === "last") runs.inPlace.push(await restoreInPlace(chain, { tool, dataFolder, wanted, runs }, call));
    } finally {
      await removeRestored(place, dataFolder);
    }
  }
}

async function restoreInPlace(
  chain: Chain,
  of: {
    readonly tool: ChainTool;
    readonly dataFolder: string;
    readonly wanted: string;
    readonly runs: { readonly inPlace: readonly Restored[] };
  },
  call: Call,
): Promise<Restored> {
  const { tool, dataFolder } = of;
  const begun = tell(`restore in place: ${tool.title}`);
  const logFile = logFileOf(chain, tool, "restore-in-place", of.runs.inPlace.length);
  await settle(dataFolder, call);
  const restore = tool.restoreInPlace(dataFolder);
  const restored = await measureRestore(chain.place, { restore, dataFolder, logFile, from: tool.folder }, call);
  const told = tool.toldBy(await readFile(logFile, "utf8"));
  begun(seconds(restored.measured.wallMs));
  await withRestored(chain.place, dataFolder, call, (server) =>
    mustEqual(server, { wanted: of.wanted, title: tool.title }, call),
  );
  return { ...restored, ...told };
}

async function updateShare(server: LocalServer, update: number, call: Call): Promise<void> {
  const begun = tell("update of 1 % of the products");
  const args = [...clientArguments(server), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", `seed=${1 / (1 + update)}`];
  await must({ command: path.join(BIN_FOLDER, "psql"), args: [...args, "-f", UPDATE_FILE, DATABASE] }, call);
  begun("done");
}

async function products(server: LocalServer, call: Call): Promise<string> {
  const [row] = await query(server, PRODUCTS, { ...call, database: DATABASE });
  return String(row?.["state"]);
}

async function mustEqual(
  server: LocalServer,
  { wanted, title }: { readonly wanted: string; readonly title: string },
  call: Call,
): Promise<void> {
  const got = await products(server, call);
  if (got !== wanted)
    throw new Stop(`${title} restored products that are not the source's: ${got}, expected ${wanted}`);
}

function logFileOf(chain: Chain, tool: ChainTool, step: string, index: number): string {
  return path.join(chain.place.runFolder, `${tool.title.replaceAll(/\W+/g, "-")}-${step}-${index + 1}.log`);
}

/** Says what begins, and with the returned function how it ended. */
function tell(what: string): (result: string) => void {
  process.stdout.write(`${what} … `);
  return (result) => console.log(result);
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
