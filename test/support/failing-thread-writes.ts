/**
 * Loaded before all else into a process and each of its threads (`node --import`): what its threads write is counted, and one
 * write of them fails as it was planned. The code under test knows nothing of it.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";

/**
 * How a write fails: as the disk says, after half of it was written and the disk is full behind that, or not: each write of all is
 * cut in two, which is none of the writer's business.
 */
export const FAILURES = ["ENOSPC", "EIO", "short", "halves"] as const;

/** One of them. */
export type ThreadWriteFailure = (typeof FAILURES)[number];

const NAME = "lifeboat-thread-writes";
const CELL = { count: 0, failAt: 1, failure: 2 } as const;

const given: unknown = isMainThread ? new Int32Array(new SharedArrayBuffer(12)) : getEnvironmentData(NAME);
const cells = given instanceof Int32Array ? given : undefined;

/** From here on threads that are started fail at their write of this number, counted over all of them from 1. */
export function planThreadWrites(at: number, failure: ThreadWriteFailure): void {
  if (cells === undefined) return;
  setEnvironmentData(NAME, cells);
  Atomics.store(cells, CELL.count, 0);
  Atomics.store(cells, CELL.failAt, at);
  Atomics.store(cells, CELL.failure, FAILURES.indexOf(failure));
}

/** Writes of threads since then. */
export function threadWrites(): number {
  return cells === undefined ? 0 : Atomics.load(cells, CELL.count);
}

if (!isMainThread && cells !== undefined) failIn(cells);

function failIn(plan: Int32Array): void {
  const write = fs.writeSync as (file: number, data: Uint8Array, from: number, length: number, at: number) => number;
  let isFull = false;
  const failing: typeof write = (file, data, from, length, at) => {
    const number = Atomics.add(plan, CELL.count, 1) + 1;
    const failure = FAILURES[Atomics.load(plan, CELL.failure)];
    const half = Math.max(1, length >> 1);
    if (failure === "halves") return write(file, data, from, half, at);
    if (isFull) throw errnoError("ENOSPC");
    if (number !== Atomics.load(plan, CELL.failAt)) return write(file, data, from, length, at);
    if (failure !== "short") throw errnoError(failure ?? "EIO");
    isFull = true;
    return write(file, data, from, half, at);
  };
  Reflect.set(fs, "writeSync", failing);
  syncBuiltinESMExports();
}

function errnoError(code: string): Error {
  return Object.assign(new Error(`${code}, as planned`), { code });
}
