/** Runs many seeds on two threads, one for each core of the machine that tests must do with. */
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Rule } from "./rules.ts";
import { Scenario } from "./scenario.ts";
import type { Share, Task } from "./worker.ts";

const THREADS = 2;
/** What seeds leave behind dies young: a larger nursery, MiB, is cleared less often and costs no more each time. */
const YOUNG_MIB = 64;
/** Seeds that a thread takes at a time: the last share is small against the whole. */
const SHARE_SEEDS = 200;

/** Seeds to run. */
export type Wish = {
  readonly first: number;
  readonly count: number;
  readonly without: readonly Rule[];
  readonly stopAtViolation: boolean;
};

/** Runs them. */
export async function simulate(wish: Wish): Promise<Share> {
  const shares: Share[] = [];
  let next = wish.first;
  const end = wish.first + wish.count;
  let stop = false;
  const thread = async (): Promise<void> => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    try {
      while (next < end && !stop) {
        const first = next;
        next = Math.min(end, next + SHARE_SEEDS);
        const share = await askWorker(worker, { ...wish, first, last: next - 1 });
        shares.push(share);
        stop ||= wish.stopAtViolation && share.broken.length > 0;
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: THREADS }, thread));
  return sum(shares);
}

async function askWorker(worker: Worker, task: Task): Promise<Share> {
  worker.postMessage(task);
  const [answer]: unknown[] = await once(worker, "message");
  const told = answer as { kind: "share"; share: Share } | { kind: "failed"; error: unknown };
  if (told.kind === "failed") throw told.error;
  return told.share;
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
export async function tellStory(seed: number): Promise<readonly string[]> {
  const lines: string[] = [];
  const scenario = new Scenario(seed, new Set(), (atMs, what) => lines.push(`${atMs.toFixed(0).padStart(6)} ${what}`));
  while (scenario.step()) await turn();
  return lines.filter((line) => !line.includes(" ack "));
}
