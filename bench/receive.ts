/**
 * `bench receive`: what a commit waits for when a receiver must confirm it.
 *
 * Nouns: *commit latency* is what a client sees of one INSERT that commits by itself; *flush lag* is the server's own
 * measure: from its flush of some WAL to the receiver's report of having flushed it too (pg_stat_replication.flush_lag).
 */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemFiles } from "../src/platform/files.ts";
import type { Settings } from "../src/postgres/cluster.ts";
import { LifeboatFolder } from "./backup-tools/lifeboat.ts";
import { must } from "./machine.ts";
import { readyLifeboat } from "./peers.ts";
import { pgbench } from "./pgbench.ts";
import { type ReceiveRun, type ReceiverRuns, receiveReport } from "./receive-report.ts";
import { dropSlot, lifeboatReceiver, type Receiver, startReceiver, untilStored } from "./receiver.ts";
import type { Report } from "./report.ts";
import { percentile } from "./statistics.ts";
import {
  type Base,
  BIN_FOLDER,
  clientArguments,
  type Place,
  query,
  setSettings,
  takePlace,
  withNewCluster,
} from "./workload.ts";

const SCRIPT_FILE = path.join(import.meta.dirname, "inserts", "insert.sql");
const TABLE = "CREATE TABLE inserts (id bigserial PRIMARY KEY, client integer NOT NULL, payload text NOT NULL)";
const ONE_COMMIT = "INSERT INTO inserts (client, payload) VALUES (0, repeat('x', 200))";
/** A new slot begins at the last checkpoint: without one of its own, each receiver would catch up with all turns before it, too. */
const CHECKPOINT = "CHECKPOINT";
const CLIENTS = 4;
/**
 * Files are made, plans are cached, connections are warm; and both receivers prepare the file of a segment before it begins. A load
 * that is shorter measures nothing, and is warmed up as long as it takes.
 */
const WARM_UP_SECONDS_MAX = 2;
const CLUSTER_SETTINGS: Settings = { autovacuum: false, max_wal_size: "6GB" };
/** How often the server is asked how far behind the receiver is: often enough for a percentile, too seldom to matter. */
const LAG_SAMPLE_MS = 20;
const LAG_QUERY_TIMEOUT_MS = 60_000;
const LOOK_MS = 50;
/** Segments whose way into the store is timed after each load: one for each second of load, and no more than this. */
const STORED_SEGMENTS_MAX = 5;
const STORE_TIMEOUT_MS = 30_000;
/** Most of a segment of WAL that does not compress to nothing. */
const FILL_SEGMENT =
  "SELECT pg_logical_emit_message(false, 'bench', string_agg(md5(random()::text), '')) FROM generate_series(1, 400000)";

type Call = { readonly signal: AbortSignal };

/** Measures in turns: no receiver, pg_receivewal, Lifeboat. */
export async function benchReceive(
  request: { readonly runs: number; readonly seconds: number; readonly cacheFolder: string },
  call: Call,
): Promise<Report> {
  const place = await takePlace(request.cacheFolder, call);
  try {
    const versions = await readyLifeboat([], place, call);
    const receivers = await withNewCluster(place, CLUSTER_SETTINGS, call, async (base) => {
      await query(base.server, TABLE, call);
      return rounds(place, base, request, call);
    });
    return receiveReport(receivers, { seconds: request.seconds, versions });
  } finally {
    await rm(place.runFolder, { recursive: true, force: true });
    place.lock.release();
  }
}

async function rounds(
  place: Place,
  base: Base,
  request: { readonly runs: number; readonly seconds: number },
  call: Call,
): Promise<readonly ReceiverRuns[]> {
  const receivers = [undefined, pgReceiveWal(place, base), lifeboatReceiver(new LifeboatFolder(place, base))];
  const all = receivers.map((receiver) => ({
    receiver,
    title: receiver?.title ?? "no receiver (local flush only)",
    runs: [] as ReceiveRun[],
  }));
  for (let round = 1; round <= request.runs; round += 1) {
    for (const { receiver, title, runs } of all) {
      process.stdout.write(`round ${round} of ${request.runs}: ${title} … `);
      await query(base.server, CHECKPOINT, call);
      const logFile = path.join(place.runFolder, `receiver-${round}-${receiver?.applicationName ?? "none"}.log`);
      const at = { place, base, seconds: request.seconds };
      const run = receiver === undefined ? await load(at, call) : await withReceiver(at, { receiver, logFile }, call);
      console.log(`${run.commitP50Ms.toFixed(2)} ms`);
      runs.push(run);
    }
  }
  return all.map(({ title, runs }) => ({ title, runs }));
}

type At = { readonly place: Place; readonly base: Base; readonly seconds: number };

async function withReceiver(
  at: At,
  { receiver, logFile }: { readonly receiver: Receiver; readonly logFile: string },
  call: Call,
): Promise<ReceiveRun> {
  const { place, base } = at;
  await receiver.prepare(call);
  const measurement = await startReceiver(base, { receiver, logFile }, call);
  try {
    const names = { synchronous_standby_names: `ANY 1 (${receiver.applicationName})` };
    await reload(place, base, { ...CLUSTER_SETTINGS, ...names }, call);
    const loaded = await load(at, call);
    await reload(place, base, CLUSTER_SETTINGS, call);
    const run = { ...loaded, ...(receiver.store === undefined ? {} : await timeStore(at, receiver.store, call)) };
    // pg_receivewal 15 ends well at this one only.
    await measurement.stop("SIGINT");
    return { ...run, receiver: await measurement.usage };
  } finally {
    await measurement.stop();
    if (!call.signal.aborted) await dropSlot(base, receiver.slot, call);
  }
}

async function reload(place: Place, base: Base, settings: Settings, call: Call): Promise<void> {
  await setSettings(place, base.server.setup.dataFolder, settings);
  await query(base.server, "SELECT pg_reload_conf()", call);
  const wanted = settings["synchronous_standby_names"] ?? "";
  const show = "SELECT current_setting('synchronous_standby_names') AS names";
  while ((await query(base.server, show, call))[0]?.["names"] !== wanted) {
    await sleep(LOOK_MS, undefined, { signal: call.signal });
  }
}

/** Loads the server and takes the latency of every commit, and of every flush it heard of. */
async function load(at: At, call: Call): Promise<ReceiveRun> {
  const { place, base, seconds } = at;
  const folder = path.join(place.runFolder, "pgbench");
  const load = { folder, database: "postgres", args: ["-c", String(CLIENTS), "-f", SCRIPT_FILE] };
  await pgbench(base, { ...load, seconds: Math.min(WARM_UP_SECONDS_MAX, seconds) }, call);
  await query(base.server, "SELECT pg_switch_wal()", call);
  // The lag of that, most of a segment at once, is shown until the next commit: it is no part of the load.
  await query(base.server, ONE_COMMIT, call);
  const ended = new AbortController();
  const lags = sampleLag(base, AbortSignal.any([ended.signal, call.signal]));
  const transactions = await pgbench(base, { ...load, seconds }, call).finally(() => ended.abort());
  const latenciesMs = transactions.map(({ latencyMs }) => latencyMs);
  const lagsMs = await lags;
  return {
    commitCount: latenciesMs.length,
    commitP50Ms: percentile(latenciesMs, 0.5),
    commitP99Ms: percentile(latenciesMs, 0.99),
    ...(lagsMs.length === 0 ? {} : { flushLagP50Ms: percentile(lagsMs, 0.5), flushLagP99Ms: percentile(lagsMs, 0.99) }),
  };
}

async function sampleLag(base: Base, signal: AbortSignal): Promise<readonly number[]> {
  const lagsMs: number[] = [];
  const sql =
    "SELECT extract(epoch FROM flush_lag)::float8 * 1000 AS ms FROM pg_stat_replication WHERE flush_lag IS NOT NULL";
  const session = await base.server.connect({ namesOf: "database" }, {});
  try {
    while (!signal.aborted) {
      for (const row of await session.query(sql, [], { timeoutMs: LAG_QUERY_TIMEOUT_MS }))
        lagsMs.push(Number(row["ms"]));
      await sleep(LAG_SAMPLE_MS, undefined, { signal }).catch(() => undefined);
    }
    return lagsMs;
  } finally {
    await session.close();
  }
}

/** How long after its last byte was flushed by the server a segment is in the store. */
async function timeStore({ base, seconds }: At, folder: string, call: Call): Promise<{ readonly storeP50Ms: number }> {
  const segments = Math.min(seconds, STORED_SEGMENTS_MAX);
  const delaysMs: number[] = [];
  const session = await base.server.connect({ namesOf: "database" }, {});
  try {
    for (let segment = 0; segment < segments; segment += 1) {
      const options = { timeoutMs: STORE_TIMEOUT_MS, signal: call.signal };
      await session.query(FILL_SEGMENT, [], options);
      const [row] = await session.query("SELECT lower(pg_walfile_name(pg_switch_wal())) AS name", [], options);
      delaysMs.push(await untilStored(folder, { segment: String(row?.["name"]), timeoutMs: STORE_TIMEOUT_MS }, call));
    }
  } finally {
    await session.close();
  }
  return { storeP50Ms: percentile(delaysMs, 0.5) };
}

function pgReceiveWal(place: Place, base: Base): Receiver {
  const folder = path.join(place.runFolder, "pg_receivewal");
  const command = path.join(BIN_FOLDER, "pg_receivewal");
  const slot = "pg_receivewal";
  const args = [...clientArguments(base.server), "--slot", slot];
  return {
    title: "pg_receivewal --synchronous",
    applicationName: "pg_receivewal",
    slot,
    prepare: async (call) => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { mode: 0o700 });
      if (place.user !== undefined) await systemFiles.changeOwner(folder, place.user);
      await must({ command, args: [...args, "--create-slot"] }, call);
    },
    command: { command, args: [...args, "-D", folder, "--synchronous", "--no-loop"], user: place.user },
  };
}
