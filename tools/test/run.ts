/**
 * The whole gate: static checks, then the test files stage by stage.
 *
 *   node tools/test/run.ts [static | tidy | unit | simulation | server | end-to-end | part of a path]...
 *
 * Ends with one line "N passed, M failed" and status 0 only when something ran, all of it passed and nothing was
 * skipped. LIFEBOAT_TEST_LONG=1 gives the same tests more seeds and repetitions, and more time.
 */
import { randomInt } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { withBuiltPackage } from "../built-package.ts";
import { type FileOutcome, runFiles } from "./run-file.ts";
import { batchesOf, chooseFiles, majorsOf, STAGE_LIMITS, type StageName } from "./stages.ts";
import { runStaticCheck, STATIC_CHECKS } from "./static-checks.ts";

const root = path.resolve(import.meta.dirname, "../..");
const long = process.env["LIFEBOAT_TEST_LONG"] === "1";
// The long run repeats tests; a file gets this many times its time.
const LONG_TIMEOUT_FACTOR = 20;

type Counts = { readonly passed: number; readonly failed: number };

async function main(wanted: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
  if (long) {
    process.env["LIFEBOAT_TEST_SEED"] ??= String(randomInt(2 ** 31));
    console.log(`long run, LIFEBOAT_TEST_SEED=${process.env["LIFEBOAT_TEST_SEED"]}`);
  }
  const counts: Counts[] = [];
  if (wanted.length === 0 || wanted.includes("static")) counts.push(await runStaticStage(stop.signal));
  const files = globSync("{src,catalog,tools,test,bench}/**/*.test.ts", { cwd: root }).sort();
  for (const [stage, ofStage] of chooseFiles(files, wanted)) {
    if (ofStage.length > 0) counts.push(await runStage(stage, ofStage, stop.signal));
  }
  if (stop.signal.aborted) {
    console.log("stopped on request");
    return 130;
  }
  const passed = counts.reduce((sum, each) => sum + each.passed, 0);
  const failed = counts.reduce((sum, each) => sum + each.failed, 0);
  if (passed + failed === 0) console.log("nothing was run: no test matches");
  console.log(`${passed} passed, ${failed} failed`);
  return passed > 0 && failed === 0 ? 0 : 1;
}

/** Static checks count only when they fail, so that the last line counts tests. */
async function runStaticStage(signal: AbortSignal): Promise<Counts> {
  const started = performance.now();
  console.log("# static checks");
  let failed = 0;
  await inParallel(STATIC_CHECKS, 2, signal, async (check) => {
    const outcome = await runStaticCheck(root, check, signal);
    console.log(`${mark(outcome.passed)} ${check.name} (${seconds(outcome.durationMs)})`);
    if (outcome.passed || signal.aborted) return;
    failed += 1;
    console.log(indent(outcome.output));
  });
  console.log(`static checks: ${failed} failed in ${seconds(performance.now() - started)}\n`);
  return { passed: 0, failed };
}

async function runStage(stage: StageName, files: readonly string[], signal: AbortSignal): Promise<Counts> {
  const started = performance.now();
  const { concurrency, fileTimeoutMs, filesTogether = 1, shows = false } = STAGE_LIMITS[stage];
  const timeoutMs = fileTimeoutMs * (long ? LONG_TIMEOUT_FACTOR : 1);
  const total = { passed: 0, failed: 0 };
  console.log(`# ${stage}: ${files.length} files`);
  // A user's program: bundled it starts in half the time, some hundred times in this stage.
  if (stage === "end-to-end") {
    await withBuiltPackage({ signal }, async () => undefined);
    process.env["LIFEBOAT_TEST_PACKAGE"] = path.join(root, "dist");
  }
  const batches = batchesOf(files, {
    together: filesTogether,
    read: (file) => readFileSync(path.join(root, file), "utf8"),
  });
  const runs = batches.flatMap((batch) => majorsOf(batch, { long }).map((major) => ({ batch, major })));
  await inParallel(runs, concurrency, signal, async ({ batch, major }) => {
    const outcomes = await runFiles({ root, files: batch, major, timeoutMs, signal });
    if (signal.aborted) return;
    for (const outcome of outcomes) {
      total.passed += outcome.passed;
      total.failed += countFailed(outcome);
      printFile(outcome, { shows, major });
    }
  });
  console.log(`${stage}: ${total.passed} passed, ${total.failed} failed in ${seconds(performance.now() - started)}\n`);
  return total;
}

/** A skipped test is a failed one: what cannot run must be reported. */
function countFailed(outcome: FileOutcome): number {
  return outcome.failures.length + outcome.complaints.length + outcome.skipped;
}

function printFile(
  outcome: FileOutcome,
  { shows, major }: { readonly shows: boolean; readonly major: number | undefined },
): void {
  const good = countFailed(outcome) === 0;
  const on = major === undefined ? "" : `, PostgreSQL ${major}`;
  console.log(`${mark(good)} ${outcome.file}${on}: ${outcome.passed} passed (${seconds(outcome.durationMs)})`);
  if (good && shows) console.log(indent(outcome.output.trimEnd()));
  if (good) return;
  for (const failure of outcome.failures) console.log(indent(`not ok: ${failure.name}\n${indent(failure.error)}`));
  for (const complaint of outcome.complaints) console.log(indent(`not ok: the file ${complaint}`));
  if (outcome.skipped > 0) console.log(indent(`not ok: ${outcome.skipped} skipped tests`));
  if (outcome.output.trim() !== "") console.log(indent(`what it wrote:\n${indent(outcome.output.trimEnd())}`));
}

async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined && !signal.aborted; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

function mark(good: boolean): string {
  return good ? "ok    " : "FAILED";
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}

function indent(text: string): string {
  return text.replace(/^/gm, "    ").trimEnd();
}

process.exitCode = await main(process.argv.slice(2));
