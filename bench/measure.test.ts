import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError } from "../src/errors/error.ts";
import { systemProcesses } from "../src/platform/processes.ts";
import { Stop } from "./machine.ts";
import { measure, startMeasured } from "./measure.ts";

const MIB = 1024 ** 2;

async function withLog<T>(body: (logFile: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), "measure-"));
  try {
    return await body(path.join(folder, "log"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function untilWritten(logFile: string, word: string): Promise<void> {
  const written = new AbortController();
  const changes = watch(path.dirname(logFile), { signal: written.signal })[Symbol.asyncIterator]();
  for (;;) {
    // It watches from here on: what is written before the next line's look is seen there, all else wakes us.
    const changed = changes.next();
    if ((await readFile(logFile, "utf8")).includes(word)) {
      written.abort();
      return void (await changed.catch(() => undefined));
    }
    await changed;
  }
}

// Takes 300 ms of CPU with 100 MiB in hand, in a grandchild, and prints what it took: on a busy machine its start alone may take more.
const WORK = `const held = Buffer.alloc(100 * 1024 ** 2, 1);
  while (process.cpuUsage().user < 300_000) for (let each = 0; each < 1e6; each += 1);
  held.at(0);
  const { user, system } = process.cpuUsage();
  process.stdout.write(String((user + system) / 1000));`;
const NODE = { command: "sh", args: ["-c", '"$0" -e "$1"; true', process.execPath, WORK] };

test("CPU time and memory of a grandchild are counted", async () => {
  await withLog(async (logFile) => {
    const { signal } = new AbortController();
    const usage = await measure(NODE, { logFile, postmasterPid: undefined, signal });
    assert.ok(usage.wallMs >= 300, `wall ${usage.wallMs}`);
    const ownMs = Number.parseFloat(await readFile(logFile, "utf8"));
    assert.ok(usage.cpuMs >= ownMs && usage.cpuMs < 1.5 * ownMs, `CPU ${usage.cpuMs}, by its own account ${ownMs}`);
    assert.ok(usage.peakRssBytes > 100 * MIB && usage.peakRssBytes < 400 * MIB, `memory ${usage.peakRssBytes}`);
  });
});

test("a command that fails is told with the end of what it printed", async () => {
  await withLog(async (logFile) => {
    const { signal } = new AbortController();
    const command = { command: "sh", args: ["-c", "echo out of luck >&2; exit 3"] };
    await assert.rejects(measure(command, { logFile, postmasterPid: undefined, signal }), (error) => {
      assert.ok(error instanceof Stop);
      assert.match(error.message, /ended with status 3:\nout of luck/);
      return true;
    });
  });
});

test("an abort ends the command and all it started", async () => {
  await withLog(async (logFile) => {
    const controller = new AbortController();
    // The background process does not hear of an interrupt and outlives its parent.
    const script = 'sleep 1000 & echo $! >"$0.pid"; wait';
    const running = measure(
      { command: "sh", args: ["-c", script, logFile] },
      { logFile, postmasterPid: undefined, signal: controller.signal },
    );
    setTimeout(() => controller.abort(), 300);
    await assert.rejects(running, (error) => isLifeboatError(error, "platform.aborted"));
    const survivor = Number(await readFile(`${logFile}.pid`, "utf8"));
    assert.equal(await systemProcesses.isAlive(survivor), false);
  });
});

test("a command that ends well when asked to stop has a usage", async () => {
  await withLog(async (logFile) => {
    const script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    const measurement = await startMeasured({ command: "sh", args: ["-c", script] }, logFile);
    await untilWritten(logFile, "ready");
    await measurement.stop();
    const usage = await measurement.usage;
    assert.ok(usage.wallMs > 0 && usage.cpuMs >= 0);
  });
});
