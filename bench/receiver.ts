/**
 * A program that receives WAL, started and stopped by a benchmark.
 *
 * Invariants: a receiver that was started streams; the caller ends it, and drops its slot when the server goes on.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "../src/platform/processes.ts";
import type { LifeboatFolder } from "./backup-tools/lifeboat.ts";
import { Stop } from "./machine.ts";
import { type Measurement, startMeasured } from "./measure.ts";
import { type Base, query } from "./workload.ts";

const STREAMING_TIMEOUT_MS = 60_000;
const LOOK_MS = 50;
const STORE_LOOK_MS = 2;

type Call = { readonly signal: AbortSignal };

/** A program that receives WAL. */
export type Receiver = {
  readonly title: string;
  /** As synchronous_standby_names lists it. */
  readonly applicationName: string;
  readonly slot: string;
  readonly prepare: (call: Call) => Promise<void>;
  readonly command: Command;
  /** Where complete segments go; undefined where the receiver's own folder is all there is. */
  readonly store?: string;
};

/** Lifeboat's, with the vault of `home`, which it makes anew when prepared. */
export function lifeboatReceiver(home: LifeboatFolder): Receiver {
  return {
    title: "Lifeboat",
    applicationName: "lifeboat_vault",
    slot: "lifeboat_vault",
    prepare: (call) => home.make(call),
    command: home.command("wal", "receive"),
    store: path.join(home.folder, "vault", "wal"),
  };
}

/** Starts a prepared receiver and resolves when the server streams to it. Throws what it says when it ends instead. */
export async function startReceiver(
  base: Base,
  of: { readonly receiver: Receiver; readonly logFile: string },
  call: Call,
): Promise<Measurement> {
  const measurement = await startMeasured(of.receiver.command, of.logFile);
  try {
    await untilStreaming(base, { ...of, measurement }, call);
    return measurement;
  } catch (error) {
    await measurement.stop();
    throw error;
  }
}

/** Drops a receiver's slot, so that the server keeps no WAL for it. */
export async function dropSlot(base: Base, slot: string, call: Call): Promise<void> {
  const drop = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${slot}'`;
  await query(base.server, drop, call);
}

/** Waits until the server streams to the receiver and has heard of a flush. */
async function untilStreaming(
  base: Base,
  of: { readonly receiver: Receiver; readonly measurement: Measurement; readonly logFile: string },
  call: Call,
): Promise<void> {
  const sql = `SELECT 1 FROM pg_stat_replication
    WHERE application_name = '${of.receiver.applicationName}' AND state = 'streaming' AND flush_lsn IS NOT NULL`;
  const early = of.measurement.usage.then(() => {
    throw new Stop(`${of.receiver.title} ended by itself`);
  });
  early.catch(() => undefined);
  const deadline = performance.now() + STREAMING_TIMEOUT_MS;
  while ((await query(base.server, sql, call)).length === 0) {
    if (performance.now() > deadline) {
      throw new Stop(`${of.receiver.title} does not stream; it says:\n${await readFile(of.logFile, "utf8")}`);
    }
    await Promise.race([early, sleep(LOOK_MS)]);
  }
}

/** Waits until a segment of WAL is in the store; returns how long that took. Throws `Stop` after `timeoutMs`. */
export async function untilStored(
  store: string,
  of: { readonly segment: string; readonly timeoutMs: number },
  call: Call,
): Promise<number> {
  const begun = performance.now();
  for (;;) {
    const names = await readdir(store, { recursive: true }).catch(() => []);
    const elapsedMs = performance.now() - begun;
    if (names.some((each) => path.basename(each) === of.segment)) return elapsedMs;
    if (elapsedMs > of.timeoutMs) throw new Stop(`segment ${of.segment} did not reach ${store} in time`);
    await sleep(STORE_LOOK_MS, undefined, { signal: call.signal });
  }
}
