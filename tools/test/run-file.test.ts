import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { type FileOutcome, runFiles } from "./run-file.ts";

const TIMEOUT_MS = 20_000;

/** The outcomes of files with these sources in one process. */
async function judgeAll(
  t: TestContext,
  sources: readonly string[],
  timeoutMs = TIMEOUT_MS,
): Promise<readonly FileOutcome[]> {
  const root = mkdtempSync(path.join(tmpdir(), "run-file-"));
  t.after(() => rmSync(root, { recursive: true }));
  const files = sources.map((_, index) => `planted-${index}.test.ts`);
  for (const [index, file] of files.entries()) {
    writeFileSync(path.join(root, file), `import { test, describe } from "node:test";\n${sources[index]}`);
  }
  writeFileSync(path.join(root, "package.json"), `{ "type": "module" }`);
  return runFiles({ root, files, timeoutMs });
}

async function judge(t: TestContext, source: string, timeoutMs = TIMEOUT_MS): Promise<FileOutcome> {
  const [outcome] = await judgeAll(t, [source], timeoutMs);
  assert.ok(outcome !== undefined);
  return outcome;
}

test("tests are counted, suites are not, and a good file gives no complaint", async (t) => {
  const outcome = await judge(t, `describe("group", () => { test("one", () => {}); test("two", () => {}); });`);
  assert.equal(outcome.passed, 2);
  assert.deepEqual([outcome.failures, outcome.complaints, outcome.skipped], [[], [], 0]);
});

test("a failing test is counted once, also inside a suite, with its error", async (t) => {
  const outcome = await judge(
    t,
    `describe("group", () => { test("bad", () => { throw new Error("broken oar"); }); });`,
  );
  assert.deepEqual(
    outcome.failures.map(({ name }) => name),
    ["bad"],
  );
  assert.match(outcome.failures[0]?.error ?? "", /broken oar/);
  assert.deepEqual(outcome.complaints, []);
});

test("a skipped test is seen in every spelling", async (t) => {
  const outcome = await judge(t, `test.skip("a", () => {}); test("b", { todo: true }, () => {}); test("c", () => {});`);
  assert.deepEqual([outcome.passed, outcome.skipped], [1, 2]);
});

test("a file without a test fails", async (t) => {
  assert.deepEqual((await judge(t, "")).complaints, ["holds no test"]);
});

test("a file that breaks outside its tests fails", async (t) => {
  const outcome = await judge(t, `test("good", () => {}); process.on("exit", () => { process.exitCode = 3; });`);
  assert.deepEqual(outcome.complaints, ["ended with status 3 outside its tests"]);
});

test("a test that hangs is killed and named, and so is a file whose tests all ended", async (t) => {
  const hanging = await judge(t, `test("rows for ever", () => new Promise(() => setInterval(() => {}, 100)));`, 2_000);
  assert.deepEqual(hanging.complaints, ["killed after 2 s, in: rows for ever"]);
  const open = await judge(t, `test("fine", () => {}); setInterval(() => {}, 100);`, 2_000);
  assert.match(open.complaints[0] ?? "", /all tests ended: a server, socket or timer is still open/);
});

test("a process left behind fails the file and is ended, also one in a session of its own", async (t) => {
  const outcome = await judge(
    t,
    `import { spawn } from "node:child_process";
     test("leaves", () => { spawn("sleep", ["300"], { detached: true, stdio: "ignore" }).unref(); });`,
  );
  const [complaint = ""] = outcome.complaints;
  assert.match(complaint, /^left process \d+ behind: sleep 300$/);
  // Dead, though perhaps not yet collected by its new parent: a zombie has no command line.
  const commandLine = `/proc/${/\d+/.exec(complaint)?.[0]}/cmdline`;
  assert.equal(existsSync(commandLine) ? readFileSync(commandLine, "utf8") : "", "");
});

test("a temporary file left behind fails the file and is removed", async (t) => {
  const outcome = await judge(
    t,
    `import { writeFileSync } from "node:fs"; import { tmpdir } from "node:os";
     test("leaves", () => { writeFileSync(tmpdir() + "/oar", ""); });`,
  );
  assert.deepEqual(outcome.complaints, ["left oar behind in the folder for temporary files"]);
});

test("files in one process are judged each by itself, as far as can be known", async (t) => {
  const good = `test("good", () => {}); describe("group", () => { test("inner", () => {}); });`;
  const bad = `test("bad", () => { throw new Error("broken oar"); }); test.skip("later", () => {});`;
  const judged = await judgeAll(t, [good, bad, "", good]);
  assert.deepEqual(
    judged.map(({ passed, failures, skipped, complaints }) => [passed, failures.length, skipped, complaints]),
    [
      [2, 0, 0, []],
      [0, 1, 1, []],
      [0, 0, 0, ["holds no test"]],
      [2, 0, 0, []],
    ],
  );
});

test("what files in one process leave or break is told once, with all their names", async (t) => {
  const good = `test("good", () => {});`;
  const leaving = `import { writeFileSync } from "node:fs"; import { tmpdir } from "node:os";
    test("leaves", () => { writeFileSync(tmpdir() + "/oar", ""); });`;
  const [first, second] = await judgeAll(t, [good, leaving]);
  assert.deepEqual(first?.complaints, [
    "or one it ran with (planted-0.test.ts, planted-1.test.ts) left oar behind in the folder for temporary files",
  ]);
  assert.deepEqual([second?.passed, second?.complaints], [1, []]);
  const broken = await judgeAll(t, [`throw new Error("broken oar");`, good]);
  assert.match(broken[0]?.complaints.join() ?? "", /ended with status \d+ outside its tests/);
  assert.match(broken[0]?.output ?? "", /broken oar/);
});
