/**
 * Runs of faults on one stack that outlive an interruption: what was measured is kept, what is missing is measured.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { FailoverStack } from "./failover-stack.ts";
import { readyLifeboat } from "./peers.ts";
import { tree } from "./report.ts";
import { RunRecord } from "./run-record.ts";
import { type Place, takePlace } from "./workload.ts";

type Call = { readonly signal: AbortSignal };

/** Where runs are kept, and whether those that are there count. */
export type ResumePlace = { readonly cacheFolder: string; readonly fresh: boolean };

/** A run, and what ended it or came behind it so that no other can follow: it is kept, then that is thrown. */
export type Measured<Run> = { readonly run: Run; readonly cut?: Error | undefined };

/** Some runs of some faults. */
export type ResumedRuns<Run, Wanted> = {
  /** Where its runs are kept in the cache folder. */
  readonly file: string;
  /** Runs under other ones are set aside; versions and files count as well. */
  readonly conditions: object;
  readonly request: Parameters<typeof FailoverStack.up>[1] & { readonly runs: number };
  /** What is to be measured, where so much is there. */
  readonly missing: (done: readonly Run[]) => readonly Wanted[];
  /** Called once, with a stack that is up; what it returns measures a run and tells of it. It rejects before a fault only. */
  readonly begin: (stack: FailoverStack, place: Place) => Promise<(wanted: Wanted) => Promise<Measured<Run>>>;
};

/** Measures what is missing; returns all runs of the requested faults, and of which versions they are. */
export async function resumeRuns<
  Run extends { readonly fault: string },
  Wanted extends { readonly fault: { readonly title: string }; readonly number: number },
>(at: ResumePlace, of: ResumedRuns<Run, Wanted>, call: Call) {
  const place = await takePlace(at.cacheFolder, call);
  try {
    const { version: postgres } = await FailoverStack.installation(place, call);
    const versions = { ...(await readyLifeboat([], place, call)), postgres };
    const file = path.join(at.cacheFolder, of.file);
    const conditions = { ...of.conditions, versions, tree: await tree() };
    const record = await RunRecord.open<Run>(file, conditions, at.fresh);
    const missing = of.missing(record.runs);
    console.log(`${record.runs.length} runs are in ${record.file}, ${missing.length} are missing`);
    if (missing.length > 0) await runAll(place, { of, record, missing }, call);
    return { runs: record.runs.filter(({ fault }) => of.request.faults.includes(fault)), versions };
  } finally {
    await rm(place.runFolder, { recursive: true, force: true });
    place.lock.release();
  }
}

async function runAll<Run, Wanted extends { readonly fault: { readonly title: string }; readonly number: number }>(
  place: Place,
  wanted: {
    readonly of: ResumedRuns<Run, Wanted>;
    readonly record: RunRecord<Run>;
    readonly missing: readonly Wanted[];
  },
  call: Call,
): Promise<void> {
  const { of, record, missing } = wanted;
  const stack = await FailoverStack.up(place, of.request, call);
  try {
    const measure = await of.begin(stack, place);
    for (const each of missing) {
      process.stdout.write(`${each.fault.title}, ${each.number} of ${of.request.runs} … `);
      await keepMeasured(record, await measure(each));
    }
  } finally {
    console.log(`what the stack said is kept in ${await stack.keepLogs()}`);
    await stack.down();
  }
}

/** The worst run is one that nothing can follow: it counts, and is not measured anew until it comes out better. */
export async function keepMeasured<Run>(record: RunRecord<Run>, { run, cut }: Measured<Run>): Promise<void> {
  await record.add(run);
  if (cut !== undefined) throw cut;
}

/** What came of a piece of work. */
export type Outcome<T> = { readonly value?: T; readonly error?: Error };

/** What came of it, or why nothing did. Throws when the benchmark is stopped. */
export async function outcomeOf<T>(work: Promise<T>, call: Call): Promise<Outcome<T>> {
  const outcome = await work.then(
    (value): Outcome<T> => ({ value }),
    (error: unknown): Outcome<T> => ({ error: error instanceof Error ? error : new Error(String(error)) }),
  );
  call.signal.throwIfAborted();
  return outcome;
}
