/** Runs many seeds on two threads, one for each core of the machine that tests must do with. */
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Rule } from "./rules.ts";
import type { Start } from "./run-seeds.ts";
import { Scenario } from "./scenario.ts";
import { drawScript, type Script } from "./script.ts";
import type { Share, Task } from "./worker.ts";

const THREADS = 2;
/** What seeds leave behind dies young: a larger nursery, MiB, is cleared less often and costs no more each time. */
const YOUNG_MIB = 64;
/** Seeds that a thread takes at a time: the last share is small against the whole. */
const SHARE_SEEDS = 100;

/** Seeds to run; of one scenario, where a script is given. */
export type Wish = {
  readonly first: number;
  readonly count: number;
  readonly without: readonly Rule[];
  readonly script?: Script;
};

/** Runs them all, on all threads. */
export async function simulate(wish: Wish): Promise<Share> {
  const { first, count, without } = wish;
  const end = first + count;
  const tasks: Task[] = [];
  for (let from = first; from < end; from += SHARE_SEEDS) {
    const share = { ...wish, first: from, count: Math.min(SHARE_SEEDS, end - from) };
    tasks.push({ seeds: startsOf(share), without, stopAtViolation: false });
  }
  return sum(await Promise.all(tasks.map(inThread)));
}

function startsOf({ first, count, script }: Wish): readonly Start[] {
  return Array.from({ length: count }, (_, index) => ({ seed: first + index, script }));
}

/** Runs them on one thread, in their order, until one breaks an invariant; several searches share the threads. */
export async function searchViolation(wish: Wish): Promise<Share> {
  return await inThread({ seeds: startsOf(wish), without: wish.without, stopAtViolation: true });
}

/** Threads that have nothing to do; they are started when they are first needed, and end with the tests. */
const idle: Worker[] = [];
const waiting: ((worker: Worker) => void)[] = [];
let started = 0;

async function inThread(task: Task): Promise<Share> {
  const worker = await freeThread();
  worker.ref();
  try {
    worker.postMessage(task);
    const [answer]: unknown[] = await once(worker, "message");
    const told = answer as { kind: "share"; share: Share } | { kind: "failed"; error: unknown };
    if (told.kind === "failed") throw told.error;
    return told.share;
  } finally {
    worker.unref();
    const next = waiting.shift();
    if (next === undefined) idle.push(worker);
    else next(worker);
  }
}

async function freeThread(): Promise<Worker> {
  const free = idle.pop();
  if (free !== undefined) return free;
  if (started === THREADS) return await new Promise((resolve) => waiting.push(resolve));
  started += 1;
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MIB };
  return new Worker(new URL("./worker.ts", import.meta.url), { resourceLimits });
}

function sum(shares: readonly Share[]): Share {
  const counts = new Map<string, number>();
  for (const share of shares)
    for (const [name, count] of share.counts) counts.set(name, (counts.get(name) ?? 0) + count);
  return {
    counts,
    seeds: shares.reduce((total, { seeds }) => total + seeds, 0),
    simulatedMs: shares.reduce((total, { simulatedMs }) => total + simulatedMs, 0),
    events: shares.reduce((total, { events }) => total + events, 0),
    broken: shares.flatMap(({ broken }) => broken).sort((a, b) => a.seed - b.seed),
  };
}

/** What happens in a seed, line by line. */
export async function tellStory({ seed, script = drawScript(seed) }: Start): Promise<readonly string[]> {
  const lines: string[] = [JSON.stringify(script)];
  const scenario = new Scenario({ seed, script }, new Set(), (atMs, what) =>
    lines.push(`${atMs.toFixed(0).padStart(6)} ${what}`),
  );
  while (scenario.step()) await turn();
  return lines.filter((line) => !line.includes(" ack "));
}
