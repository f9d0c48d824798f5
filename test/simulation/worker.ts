/** A thread that runs a share of the seeds: it is sent some and answers with what they came to. */
import { parentPort } from "node:worker_threads";
import type { Violation } from "./history.ts";
import type { Rule } from "./rules.ts";
import { runSeeds, type Start } from "./run-seeds.ts";

/** Seeds to run. */
export type Task = {
  readonly seeds: readonly Start[];
  readonly without: readonly Rule[];
  readonly stopAtViolation: boolean;
};

/** What they came to. */
export type Share = {
  readonly seeds: number;
  readonly simulatedMs: number;
  readonly events: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly broken: readonly { readonly seed: number; readonly violations: readonly Violation[] }[];
};

// Calls without an answer are many, and errors; where they were made says nothing here, and costs a twentieth of the time.
Error.stackTraceLimit = 0;

async function run(task: Task): Promise<Share> {
  const counts = new Map<string, number>();
  const broken: { seed: number; violations: readonly Violation[] }[] = [];
  let [seeds, simulatedMs, events] = [0, 0, 0];
  await runSeeds(task.seeds, new Set(task.without), (result) => {
    seeds += 1;
    simulatedMs += result.simulatedMs;
    events += result.events;
    for (const [name, count] of result.counts) counts.set(name, (counts.get(name) ?? 0) + count);
    if (result.violations.length > 0) broken.push({ seed: result.seed, violations: result.violations });
    return task.stopAtViolation && broken.length > 0 ? "stop" : "go on";
  });
  return { seeds, simulatedMs, events, counts, broken };
}

parentPort?.on("message", (task: Task) => {
  run(task).then(
    (share) => parentPort?.postMessage({ kind: "share", share }),
    (error: unknown) => parentPort?.postMessage({ kind: "failed", error }),
  );
});
