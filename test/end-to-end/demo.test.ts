/** The main job, run as a person runs it: `lifeboat demo` in a process of its own, on a small database. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { DemoFacts } from "../../src/demo/facts.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { NODE_OPTIONS, PROGRAMS } from "../support/program.ts";

const NODE = [...NODE_OPTIONS, PROGRAMS.lifeboat];
const SMALL = ["--size", "10MiB", "--seconds", "3"];
/** An interrupted demo has three servers to kill and a folder to remove. */
const CLEAN_UP_MS = 10_000;
const PATIENCE_MS = 120_000;

/** A demo that runs. */
type Running = {
  readonly child: ChildProcess;
  readonly said: () => string;
  /** Resolves when the demo has said this on stderr. */
  readonly until: (pattern: RegExp) => Promise<void>;
  readonly ended: Promise<{ readonly status: number | null; readonly stdout: string }>;
};

/** A sandbox of the test's own; what is left in it, or works in it, fails the test. */
async function makeSandbox(t: TestContext): Promise<string> {
  const sandbox = await mkdtemp(path.join(tmpdir(), "sandbox-"));
  // The user that runs the servers must be able to enter.
  await chmod(sandbox, 0o755);
  t.after(async () => {
    for (const pid of await processesIn(sandbox)) process.kill(pid, "SIGKILL");
    await rm(sandbox, { recursive: true, force: true });
  });
  return sandbox;
}

function startDemo(t: TestContext, sandbox: string, options: readonly string[]): Running {
  const args = [...NODE, "demo", "--json", "--folders-sandbox", sandbox, ...SMALL, ...options];
  const { PATH = "", HOME = "", TMPDIR = "" } = process.env;
  const child = spawn(process.execPath, args, { env: { PATH, HOME, TMPDIR }, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, "close").then(() => ({ status: child.exitCode, stdout }));
  const until = async (pattern: RegExp) => {
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    while (!pattern.test(stderr)) {
      assert.equal(child.exitCode ?? child.signalCode, null, `it ended before it said ${pattern}: ${stderr}`);
      await Promise.race([once(child.stderr, "data", { signal: deadline }), ended]);
    }
  };
  return { child, said: () => stderr, until, ended };
}

async function factsOf(demo: Running): Promise<{ readonly status: number | null; readonly facts: DemoFacts }> {
  const { status, stdout } = await demo.ended;
  assert.notEqual(stdout, "", demo.said());
  return { status, facts: JSON.parse(stdout) };
}

/** Processes that work in the folder or were given a path in it. */
async function processesIn(folder: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const [current, line] = await Promise.allSettled([
      readlink(`/proc/${name}/cwd`),
      readFile(`/proc/${name}/cmdline`, "utf8"),
    ]);
    const texts = [current, line].map((each) => (each.status === "fulfilled" ? each.value : ""));
    if (texts.some((text) => text.includes(folder))) found.push(Number(name));
  }
  return found;
}

async function assertNothingLeft(sandbox: string): Promise<void> {
  assert.deepEqual(await readdir(sandbox), []);
  assert.deepEqual(await processesIn(sandbox), []);
}

test("in quorum mode a destroyed server comes back with every acknowledged write, and deleted rows are found again", async (t) => {
  const sandbox = await makeSandbox(t);
  const { status, facts } = await factsOf(startDemo(t, sandbox, []));
  const { writes, recovery, deletion, backup } = facts;
  assert.deepEqual([writes.missing, writes.damaged, writes.missingSpanMs], [0, 0, 0]);
  assert.equal(status, 0);
  assert.ok(writes.acknowledged >= 200, `${writes.acknowledged} acknowledged writes`);
  assert.ok(writes.acknowledgedAfter > 0);
  assert.ok(backup.acknowledgedMeanwhile > 0);
  const parts = recovery.parts.reduce((sum, part) => sum + part.durationMs, 0);
  assert.equal(parts, recovery.totalMs);
  assert.ok(recovery.parts.every((part) => part.durationMs >= 0));
  assert.ok(deletion.deletedRows > 5_000);
  assert.deepEqual([deletion.foundRows, deletion.same, deletion.rowsAtNewestPoint], [deletion.deletedRows, true, 0]);
  assert.equal(deletion.samples.length, 3);
  assert.ok(deletion.acknowledgedBefore > 0 && deletion.acknowledgedBefore < writes.acknowledged);
  assert.equal(deletion.missing, 0);
  assert.deepEqual(
    facts.scorecard.map((row) => [row.scenario, row.rtoMs < row.rtoTargetMs, row.missingWrites]),
    [
      ["DB Primary Failure", true, 0],
      ["Data Corruption", true, 0],
    ],
  );
  assert.equal(new Set(facts.titles).size, 20);
  assert.equal(facts.kept, undefined);
  await assertNothingLeft(sandbox);
});

test("in async mode with a late receiver writes are missing and counted; what is kept can be used, then removed", async (t) => {
  const sandbox = await makeSandbox(t);
  const { status, facts } = await factsOf(
    startDemo(t, sandbox, ["--durability", "async", "--receiver-delay", "1s", "--keep"]),
  );
  const { writes, deletion, kept } = facts;
  assert.equal(status, 0);
  assert.ok(writes.missing > 0, "a late receiver must cost writes");
  assert.ok(writes.missing < writes.acknowledged);
  assert.ok(writes.missingSpanMs > 100, `${writes.missingSpanMs} ms`);
  assert.equal(writes.damaged, 0);
  assert.equal(deletion.same, true);
  assert.ok(kept !== undefined);
  const backups = await promisify(execFile)(process.execPath, [
    ...NODE,
    ...["--config", kept.configFile, "backups", "--json"],
  ]);
  assert.ok(backups.stdout.includes(facts.backup.backupId));
  assert.ok((await processesIn(sandbox)).length >= 2, "both restored servers run");
  await promisify(execFile)("sh", [kept.removeScript]);
  await assertNothingLeft(sandbox);
});

test("an interrupt in the middle ends with status 130 within seconds and leaves nothing", async (t) => {
  const sandbox = await makeSandbox(t);
  const demo = startDemo(t, sandbox, []);
  await demo.until(/taking the backup/);
  const interruptedAt = systemClock.monotonic();
  demo.child.kill("SIGINT");
  const { status, stdout } = await demo.ended;
  const tookMs = systemClock.monotonic() - interruptedAt;
  assert.equal(status, 130, demo.said());
  assert.equal(stdout, "");
  assert.match(demo.said(), /platform\.aborted/);
  assert.ok(tookMs < CLEAN_UP_MS, `${tookMs} ms`);
  await assertNothingLeft(sandbox);
});

test("what a killed demo leaves behind is ended and removed by the next one", async (t) => {
  const sandbox = await makeSandbox(t);
  const killed = startDemo(t, sandbox, []);
  await killed.until(/taking the backup/);
  killed.child.kill("SIGKILL");
  await killed.ended;
  const [folder = ""] = await readdir(sandbox);
  assert.ok((await processesIn(path.join(sandbox, folder))).length >= 2, "a server and a receiver");
  const next = startDemo(t, sandbox, []);
  await next.until(/all of this demo lies in/);
  assert.match(next.said(), new RegExp(`removed ${path.join(sandbox, folder)}`));
  assert.deepEqual(await processesIn(path.join(sandbox, folder)), []);
  next.child.kill("SIGINT");
  assert.equal((await next.ended).status, 130);
  await assertNothingLeft(sandbox);
});
