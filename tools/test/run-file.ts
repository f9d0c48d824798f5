/**
 * Runs test files in a process of their own and judges them: one file, or several that bear each other's company. Loading what
 * they test takes longer than most of them do.
 *
 * Beside the tests themselves a file fails when it holds no test, ends with an error outside its tests, does not end
 * in time, or leaves a process or a temporary folder behind. Of files that share a process all that is known may be that it was one of them.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryFolder } from "./memory-folder.ts";
import type { TestLine } from "./reporter.ts";

/** What became of a test file. Counts are tests; `complaints` are failures outside any test, each counted as one. */
export type FileOutcome = {
  readonly file: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly { readonly name: string; readonly error: string }[];
  readonly complaints: readonly string[];
  readonly durationMs: number;
  /** Everything the file wrote, for whoever looks into a failure. */
  readonly output: string;
};

/** How to run files, in one process. The signal kills it. */
export type FileRun = {
  readonly root: string;
  readonly files: readonly string[];
  /** For each file. */
  readonly timeoutMs: number;
  /** The major of PostgreSQL for servers that name none; undefined leaves it to the file's name. */
  readonly major?: number | undefined;
  readonly signal?: AbortSignal;
};

// A failing file may write without end; its last part is what one reads.
const OUTPUT_CHARACTERS_MAX = 20_000;
// How long a process may take to go after its parent has ended, for example a server that was told to stop at once.
const GOODBYE_MS = 3_000;
// As the launcher does for what passes much memory outside the heap: fewer collections of all of it. And by the thread itself: what others
// help it with is taken from the files beside, and costs a twentieth to a quarter more.
const NODE_OPTIONS = ["--disable-warning=ExperimentalWarning", "--initial-old-space-size=100", "--single-threaded-gc"];
// What Node.js compiled, for the next file that loads the same modules.
const COMPILED = ".lifeboat/compiled";
// Short, because the path of a Unix socket may have 107 bytes.
const TEMPORARY_PREFIX = "lb-";

/** Runs the files to their end, and has an outcome for each; never rejects for what they do. */
export async function runFiles(run: FileRun): Promise<readonly FileOutcome[]> {
  const started = performance.now();
  const mark = randomUUID();
  const parent = memoryFolder();
  const temporary = mkdtempSync(path.join(parent, TEMPORARY_PREFIX));
  // Servers under test run as another user and must get in.
  chmodSync(temporary, 0o1777);
  const report = path.join(mkdtempSync(path.join(parent, `${TEMPORARY_PREFIX}r-`)), "report");
  try {
    const ended = await runProcess(run, { mark, temporary, report });
    const lines = readReport(report);
    const complaints = [...complaintsOf(lines, ended, run)];
    if (!run.signal?.aborted) complaints.push(...(await leftBehind(mark, temporary)));
    const wholeMs = performance.now() - started;
    return run.files.map((file) => outcomeOf(file, run, { lines, complaints, wholeMs, output: ended.output }));
  } finally {
    rmSync(path.dirname(report), { recursive: true, force: true });
    rmSync(temporary, { recursive: true, force: true });
  }
}

type Seen = Readonly<Pick<FileOutcome, "complaints" | "output">> & {
  readonly lines: readonly TestLine[];
  readonly wholeMs: number;
};

function outcomeOf(file: string, { root, files, signal }: FileRun, seen: Seen): FileOutcome {
  const shared = files.length > 1;
  const lines = shared ? linesOf(path.join(root, file), seen.lines) : seen.lines;
  const ofAll = shared
    ? seen.complaints.map((complaint) => `or one it ran with (${files.join(", ")}) ${complaint}`)
    : seen.complaints;
  const complaints = file === files[0] ? [...ofAll] : [];
  const held = lines.some((line) => line.kind !== "begin");
  if (!held && seen.complaints.length === 0 && signal?.aborted !== true) complaints.push("holds no test");
  const failures = lines.filter((line) => line.kind === "fail");
  return {
    file,
    passed: lines.filter((line) => line.kind === "pass").length,
    skipped: lines.filter((line) => line.kind === "skip").length,
    failures,
    complaints,
    durationMs: shared
      ? lines.reduce((sum, line) => sum + (line.kind === "begin" ? 0 : line.durationMs), 0)
      : seen.wholeMs,
    output: shared && failures.length + complaints.length === 0 ? "" : seen.output,
  };
}

/** The lines of one of several files. What a helper registered for it comes between what it registered itself. */
function linesOf(file: string, all: readonly TestLine[]): readonly TestLine[] {
  let current: string | undefined;
  return all.filter((line) => {
    if (line.file?.endsWith(".test.ts") === true) current = line.file;
    return current === file;
  });
}

type Ended = { readonly exit: number | null; readonly timedOut: boolean; readonly output: string };
type Places = { readonly mark: string; readonly temporary: string; readonly report: string };

async function runProcess(run: FileRun, places: Places): Promise<Ended> {
  const reporter = new URL("./reporter.ts", import.meta.url).href;
  const options = [
    `--import=${new URL("./without-hook.ts", import.meta.url).href}`,
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${places.report}`,
  ];
  if (process.env["LIFEBOAT_TEST_LONG"] === "1") {
    options.unshift(`--import=${new URL("./long-properties.ts", import.meta.url).href}`);
  }
  const environment = {
    ...process.env,
    TMPDIR: places.temporary,
    LIFEBOAT_TEST_FILE: places.mark,
    NODE_COMPILE_CACHE: path.join(run.root, COMPILED),
  };
  if (run.major !== undefined) Object.assign(environment, { LIFEBOAT_TEST_MAJOR: String(run.major) });
  // Set by a node:test run around us (our own tests); the file would then report to that one.
  delete (environment as NodeJS.ProcessEnv)["NODE_TEST_CONTEXT"];
  const [first = "", ...others] = run.files;
  const program = others.length === 0 ? [first] : [new URL("./load-files.ts", import.meta.url).pathname, ...run.files];
  const child = spawn(process.execPath, [...NODE_OPTIONS, ...options, ...program], {
    cwd: run.root,
    stdio: ["ignore", "pipe", "pipe"],
    env: environment,
    detached: true,
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  let timedOut = false;
  const kill = () => killGroup(child.pid);
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, run.timeoutMs * run.files.length);
  run.signal?.addEventListener("abort", kill, { once: true });
  try {
    // "exit" and not "close": a process left behind may hold the pipes open for ever.
    const exit = await new Promise<number | null>((resolve, reject) => {
      child.once("exit", resolve);
      child.once("error", reject);
    });
    return { exit, timedOut, output };
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener("abort", kill);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // Already gone, which is what was wanted.
  }
}

function readReport(report: string): readonly TestLine[] {
  try {
    const lines = readFileSync(report, "utf8").split("\n");
    // The last piece is empty, or cut off by a kill.
    return lines.slice(0, -1).map((line) => {
      const parsed: TestLine = JSON.parse(line);
      return parsed;
    });
  } catch {
    return [];
  }
}

function* complaintsOf(lines: readonly TestLine[], ended: Ended, { timeoutMs, files }: FileRun): Generator<string> {
  if (ended.timedOut) {
    const open = unfinished(lines);
    const why =
      open.length === 0 ? "all tests ended: a server, socket or timer is still open" : `in: ${open.join(", ")}`;
    yield `killed after ${(timeoutMs * files.length) / 1000} s, ${why}`;
    return;
  }
  if (ended.exit !== 0 && !lines.some((line) => line.kind === "fail")) {
    yield `ended with status ${ended.exit} outside its tests`;
  }
}

function unfinished(lines: readonly TestLine[]): readonly string[] {
  const open: string[] = [];
  for (const line of lines) {
    const at = open.lastIndexOf(line.name);
    if (line.kind === "begin") open.push(line.name);
    else if (at !== -1) open.splice(at, 1);
  }
  return open;
}

/** Names and removes the processes and temporary files the test file did not clean up. */
async function leftBehind(mark: string, temporary: string): Promise<readonly string[]> {
  const processes = await stayingWith(mark);
  for (const { pid } of processes) process.kill(pid, "SIGKILL");
  // A signal is on its way when kill returns.
  if (processes.length > 0) await stayingWith(mark);
  return [
    ...processes.map(({ pid, command }) => `left process ${pid} behind: ${command}`),
    ...readdirSync(temporary).map((name) => `left ${name} behind in the folder for temporary files`),
  ];
}

/** Those that are still there when the time for a goodbye is over. */
async function stayingWith(mark: string): Promise<ReturnType<typeof processesWith>> {
  const deadline = performance.now() + GOODBYE_MS;
  for (;;) {
    const found = processesWith(mark);
    if (found.length === 0 || performance.now() >= deadline) return found;
    await sleep(50);
  }
}

/** Processes whose environment carries the mark: a server that became a daemon still has it. */
function processesWith(mark: string): readonly { readonly pid: number; readonly command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!readFileSync(`/proc/${name}/environ`, "latin1").includes(mark)) continue;
      const command = readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " ").trim();
      if (command !== "") found.push({ pid: Number(name), command });
    } catch {
      // Gone in the meantime, or somebody else's.
    }
  }
  return found;
}
