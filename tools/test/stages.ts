/**
 * Which test file belongs to which stage. Pure.
 *
 * Nouns: a *stage* is a run of test files with its own limits; stages run one after another.
 */

/** The stages of node:test files, in the order they run. */
export const STAGES = ["tidy", "unit", "simulation", "server", "end-to-end"] as const;

/** A stage's name. */
export type StageName = (typeof STAGES)[number];

/** How the files of a stage are run. */
export type StageLimits = {
  /** Files at a time. */
  readonly concurrency: number;
  /** A file that takes longer is killed and failed: far above the slowest, so that only a hang meets it. */
  readonly fileTimeoutMs: number;
  /** Files that may share a process; 1 when not given. */
  readonly filesTogether?: number;
  /** Shows what its tests write also when they pass. */
  readonly shows?: boolean;
};

/**
 * Limits for a machine with 2 cores: three or four files at a time, since they wait for servers and timers as long as they work.
 * What a test holds must hold beside others, too: durations are for `bench/`.
 */
export const STAGE_LIMITS: Readonly<Record<StageName, StageLimits>> = {
  tidy: { concurrency: 2, fileTimeoutMs: 60_000 },
  unit: { concurrency: 3, fileTimeoutMs: 180_000, filesTogether: 8 },
  // One at a time: each runs on both cores.
  simulation: { concurrency: 1, fileTimeoutMs: 900_000, shows: true },
  server: { concurrency: 4, fileTimeoutMs: 300_000 },
  "end-to-end": { concurrency: 4, fileTimeoutMs: 300_000 },
};

/** The stage of a file by its path from the root, with forward slashes; undefined when it is no test of ours. */
export function stageOf(file: string): StageName | undefined {
  if (!file.endsWith(".test.ts")) return undefined;
  if (file.startsWith("test/end-to-end/")) return "end-to-end";
  if (file.startsWith("test/simulation/")) return "simulation";
  if (file.endsWith(".server.test.ts")) return "server";
  if (file.startsWith("tools/tidy/")) return "tidy";
  return "unit";
}

/** The majors of PostgreSQL that are supported. */
export const TESTED_MAJORS = [15, 16, 17, 18] as const;
/** Where it counts which server it is: what is kept, received and restored. */
const OF_EVERY_MAJOR = /^src\/(backup|proof|restore|retention|standalone|vault|wal|witness)\/.*\.server\.test\.ts$/;

/** How often to run files, and with which major; undefined leaves it to the files. */
export function majorsOf(
  files: readonly string[],
  { long }: { readonly long: boolean },
): readonly (number | undefined)[] {
  return long && files.every((file) => OF_EVERY_MAJOR.test(file)) ? TESTED_MAJORS : [undefined];
}

/** What speaks against company: hooks of node:test are the whole process's, and so is what these set or end. */
const ALONE =
  /\b(?:before|after|beforeEach|afterEach|mock)\b[^;]*from "node:test"|"node:(?:child_process|worker_threads)"|\bprocess\.(?:on|once|exit|exitCode|chdir|umask|env)\b/;

/** Tests that a helper registers all say that they are the helper's. */
const TESTS_OF_ITS_OWN = /from "node:test"/;

function mayShare(source: string): boolean {
  return TESTS_OF_ITS_OWN.test(source) && !ALONE.test(source);
}

/** The files in their order, those together that may share a process, `together` at most. */
export function batchesOf(
  files: readonly string[],
  { together, read }: { readonly together: number; readonly read: (file: string) => string },
): readonly (readonly string[])[] {
  if (together === 1) return files.map((file) => [file]);
  const { alone = [], shared = [] } = Object.groupBy(files, (file) => (mayShare(read(file)) ? "shared" : "alone"));
  const count = Math.ceil(shared.length / together);
  const batches = Array.from({ length: count }, (_, at) => shared.slice(at * together, (at + 1) * together));
  // Those alone first: the longest of them should not be the last.
  return [...alone.map((file) => [file]), ...batches];
}

/** What the arguments of the runner choose: stages by name, files by a part of their path; nothing named means all. */
export function chooseFiles(
  files: readonly string[],
  wanted: readonly string[],
): ReadonlyMap<StageName, readonly string[]> {
  const chosen = new Map<StageName, readonly string[]>();
  const parts = wanted.filter((word) => word !== "static" && !STAGES.some((stage) => stage === word));
  for (const stage of STAGES) {
    const ofStage = files.filter((file) => stageOf(file) === stage);
    const all = wanted.length === 0 || wanted.includes(stage) || (stage === "tidy" && wanted.includes("static"));
    chosen.set(stage, all ? ofStage : ofStage.filter((file) => parts.some((part) => file.includes(part))));
  }
  return chosen;
}
