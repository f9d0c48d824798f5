import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { systemProcesses as processes, type RunningProcess, signalEach } from "./processes.ts";

const TIMEOUT_MS = 10_000;

function sh(script: string) {
  return { command: "sh", args: ["-c", script], timeoutMs: TIMEOUT_MS };
}

async function firstLine(running: RunningProcess): Promise<string> {
  for await (const chunk of running.stdout ?? []) return String(chunk).trim();
  return "";
}

test("a command that ends tells its status and both streams", async () => {
  const result = await processes.run(sh("echo out; echo err >&2; exit 3"));
  assert.deepEqual(result, {
    exit: { kind: "exited", status: 3 },
    stdout: "out\n",
    stderr: "err\n",
    truncated: false,
  });
});

test("input reaches the command, and a command that ignores its input is no failure", async () => {
  assert.equal((await processes.run({ ...sh("cat"), input: "hello" })).stdout, "hello");
  const ignored = await processes.run({ ...sh("exit 0"), input: Buffer.alloc(1 << 20) });
  assert.deepEqual(ignored.exit, { kind: "exited", status: 0 });
});

test("output beyond the limit is dropped and the result says so", async () => {
  const result = await processes.run({ ...sh("head -c 100000 /dev/zero | tr '\\0' x"), outputBytesMax: 1000 });
  assert.equal(result.stdout.length, 1000);
  assert.equal(result.truncated, true);
});

test("a command that does not end in time is killed with its children", async () => {
  const run = processes.run({ ...sh("sleep 60 & echo $! >&2; wait"), timeoutMs: 200 });
  const error = await run.catch((thrown: unknown) => thrown);
  assert.ok(isLifeboatError(error, "platform.process-timeout"));
  const said = /within 200 ms .* last said: (\d+)$/.exec(error.message);
  const child = Number(said?.[1]);
  while (await processes.isAlive(child)) await new Promise(setImmediate);
});

test("an abort ends the command", async () => {
  const controller = new AbortController();
  const running = processes.run({ ...sh("sleep 60"), signal: controller.signal });
  setImmediate(() => controller.abort());
  await assert.rejects(running, (error) => isLifeboatError(error, "platform.aborted"));
  await assert.rejects(processes.run({ ...sh("true"), signal: controller.signal }), (error) =>
    isLifeboatError(error, "platform.aborted"),
  );
});

test("a command is killed also while no file can be opened to look for what it started", async () => {
  const script = `
    import { openSync } from "node:fs";
    import { systemProcesses } from ${JSON.stringify(path.join(import.meta.dirname, "processes.ts"))};
    const ending = new AbortController();
    const command = { command: "sleep", args: ["1000"], timeoutMs: 60_000 };
    const running = systemProcesses.run({ ...command, endsWithUs: true, signal: ending.signal });
    try {
      for (;;) openSync("/dev/null", "r");
    } catch {}
    ending.abort();
    await running.catch((error) => process.stdout.write(error.message));
  `;
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script];
  const args = ["-c", 'ulimit -n 100 && exec "$@"', "sh", ...node];
  const { exit, stdout } = await processes.run({ command: "sh", args, timeoutMs: 60_000 });
  assert.deepEqual([exit, stdout], [{ kind: "exited", status: 0 }, "stopped on request while running sleep"]);
});

test("a command that outlives its kill is left after a while, and named", async (context) => {
  // As one that waits for a disk, or another user's.
  const kill = context.mock.method(process, "kill", () => true);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let settled = false;
  const run = processes.run({ ...sh("exec sleep 1000"), timeoutMs: 200 }).catch((thrown: unknown) => thrown);
  void run.then(() => {
    settled = true;
  });
  while (!settled) {
    context.mock.timers.tick(100);
    await new Promise(setImmediate);
  }
  kill.mock.restore();
  const error = await run;
  assert.ok(isLifeboatError(error, "platform.process-timeout"));
  const left = /was killed; process (\d+) is still there 20000 ms after SIGKILL/.exec(error.message);
  const pid = Number(left?.[1]);
  assert.equal(processes.signal(pid, "SIGKILL"), true);
  while (await processes.isAlive(pid)) await new Promise(setImmediate);
});

test("a program that is not there is named", async () => {
  const missing = { command: "/nonexistent/program", args: [] };
  await assert.rejects(processes.run({ ...missing, timeoutMs: TIMEOUT_MS }), (error) => {
    assert.ok(isLifeboatError(error, "platform.process-not-started"));
    assert.match(error.message, /\/nonexistent\/program.*ENOENT/);
    return true;
  });
  await assert.rejects(
    processes.start({ ...missing, output: { kind: "none" }, input: "none", detached: true }),
    (error) => isLifeboatError(error, "platform.process-not-started"),
  );
});

test("a child sees none of our environment but the few variables that are named", async () => {
  process.env["LIFEBOAT_TEST_SECRET"] = "secret";
  try {
    const result = await processes.run({ ...sh("env"), environment: { GIVEN: "yes" } });
    assert.doesNotMatch(result.stdout, /LIFEBOAT_TEST_SECRET/);
    assert.match(result.stdout, /^GIVEN=yes$/m);
    assert.match(result.stdout, /^PATH=/m);
  } finally {
    delete process.env["LIFEBOAT_TEST_SECRET"];
  }
});

test("a started process appends to its log and tells how it ended", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-processes-"));
  try {
    const file = path.join(folder, "log");
    for (const word of ["one", "two"]) {
      const running = await processes.start({
        command: "sh",
        args: ["-c", `echo ${word}; kill -TERM $$`],
        output: { kind: "file", file },
        input: "none",
        detached: true,
      });
      assert.deepEqual(await running.exited, { kind: "signalled", signal: "SIGTERM" });
      assert.equal(running.kill("SIGTERM"), false);
    }
    assert.equal(await readFile(file, "utf8"), "one\ntwo\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a log that cannot be opened is named", async () => {
  await assert.rejects(
    processes.start({
      command: "true",
      args: [],
      output: { kind: "file", file: "/nonexistent/log" },
      input: "none",
      detached: false,
    }),
    (error) => isLifeboatError(error, "platform.file-failed") && error.message.includes("/nonexistent/log"),
  );
});

test("killing a tree reaches a grandchild in a session of its own", async () => {
  const running = await processes.start({
    command: "sh",
    args: ["-c", "setsid sh -c 'echo $$; exec sleep 60' & wait"],
    output: { kind: "pipe" },
    input: "none",
    detached: true,
  });
  const grandchild = Number(await firstLine(running));
  assert.equal(await processes.isAlive(grandchild), true);
  const killed = await processes.killTree(running.pid);
  assert.ok(killed.includes(grandchild) && killed.includes(running.pid));
  assert.deepEqual(await running.exited, { kind: "signalled", signal: "SIGKILL" });
  assert.deepEqual(await processes.tree(running.pid), []);
  while (await processes.isAlive(grandchild)) await new Promise(setImmediate);
});

test("a halted process is alive, a dead one is not, and a zombie counts as dead", async () => {
  const parent = await processes.start({
    command: "sh",
    // The shell is replaced by a program that never reaps the child it inherits.
    args: ["-c", "sleep 0.01 & echo $!; exec sleep 60"],
    output: { kind: "pipe" },
    input: "none",
    detached: true,
  });
  const child = Number(await firstLine(parent));
  assert.equal(processes.signal(parent.pid, "SIGSTOP"), true);
  while ((await processes.facts(parent.pid))?.halted !== true) await new Promise(setImmediate);
  assert.equal(await processes.isAlive(parent.pid), true);
  while ((await processes.facts(child))?.zombie !== true) await new Promise(setImmediate);
  assert.equal(await processes.isAlive(child), false);
  assert.equal(parent.kill("SIGKILL"), true);
  await parent.exited;
  assert.equal(await processes.isAlive(parent.pid), false);
  assert.equal(await processes.facts(parent.pid), undefined);
  assert.equal(processes.signal(parent.pid, "SIGTERM"), false);
});

test("the facts of a process name its parent", async () => {
  const facts = await processes.facts(process.pid);
  assert.equal(facts?.parentPid, process.ppid);
  assert.match(facts?.startTicks ?? "", /^\d+$/);
  assert.equal(facts?.sessionId, Number((await readFile("/proc/self/stat", "utf8")).split(" ")[5]));
  assert.ok((await processes.all()).includes(process.pid));
  assert.ok(processes.named(facts?.name ?? "").includes(process.pid));
  assert.deepEqual(processes.named("no such name"), []);
  assert.equal(await processes.worksIn(process.pid, process.cwd()), "yes");
  assert.equal(await processes.worksIn(process.pid, "/"), "no");
  assert.equal(await processes.worksIn(process.pid, "/nonexistent"), "no");
});

test("a process is known by what it has open below a folder, and by the links in the folder that it works in", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "leads-"));
  const [works, space, other] = ["works", "space", "other"].map((name) => path.join(folder, name));
  assert.ok(works !== undefined && space !== undefined && other !== undefined);
  await mkdir(path.join(space, "version/5"), { recursive: true });
  await mkdir(path.join(works, "links"), { recursive: true });
  await mkdir(other);
  await writeFile(path.join(space, "version/5/16384"), "");
  await symlink("../../space", path.join(works, "links/1"));
  await symlink("/nonexistent", path.join(works, "links/0"));
  await symlink(other, path.join(works, "wal"));
  const child = await processes.start({
    command: "/bin/sh",
    args: ["-c", "exec 3<version/5/16384; cd ../works; rm ../space/version/5/16384; echo; read -r wait"],
    folder: space,
    output: { kind: "pipe" },
    input: "pipe",
    detached: false,
  });
  try {
    await once(child.stdout ?? assert.fail(), "data");
    const opens = (where: string, name = /^\d/) => processes.hasOpenBelow(child.pid, where, name);
    assert.deepEqual(await Promise.all([opens(space), opens(path.join(works, "links/1"))]), ["yes", "yes"]);
    assert.deepEqual(await Promise.all([opens(other), opens(space, /^t/), opens("/nonexistent")]), ["no", "no", "no"]);
    const leads = (where: string, at: string) => processes.leadsTo(child.pid, where, at);
    assert.deepEqual(await Promise.all([leads(space, "links"), leads(other, "wal")]), ["yes", "yes"]);
    assert.deepEqual(
      await Promise.all([
        leads(other, "links"),
        leads(space, "wal"),
        leads(space, "gone"),
        leads("/nonexistent", "links"),
      ]),
      ["no", "no", "no", "no"],
    );
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  }
});

test("a process is known by what it has open in a folder", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "open-"));
  try {
    await symlink(folder, path.join(folder, "link"));
    const handle = await open(path.join(folder, "a file"), "w");
    const asked = (name: RegExp, where = folder) => processes.hasOpenIn(process.pid, where, name);
    try {
      assert.equal(await asked(/^a/), "yes");
      assert.equal(await asked(/^a/, path.join(folder, "link")), "yes");
      assert.equal(await asked(/^b/), "no");
      assert.equal(await asked(/^a/, path.dirname(folder)), "no");
      assert.equal(await asked(/^a/, "/nonexistent"), "no");
    } finally {
      await handle.close();
    }
    assert.equal(await asked(/^a/), "no");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("one process that may not be signalled leaves no other unsignalled, and is told", () => {
  const signalled: number[] = [];
  const send = (pid: number): boolean => {
    if (pid === 2) throw new Error("EPERM");
    return signalled.push(pid) > 0;
  };
  assert.throws(() => signalEach([1, 2, 3], "SIGKILL", send), /EPERM/);
  assert.deepEqual(signalled, [1, 3]);
});
