import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { STREAMING_REPORT } from "../../test/support/receiver-report.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Epoch } from "../failover/ports.ts";
import { fileRegister } from "../lease/file/file-register.ts";
import { type Instant, type Monotonic, systemClock } from "../platform/clock.ts";
import type { ComponentState } from "../platform/components.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { writeReport } from "../wal/report.ts";
import { spoolLock } from "../wal/spool.ts";
import { awaitEffect, runStep } from "./run-step.ts";
import { STEPS, type StepTools } from "./steps.ts";

function toolsFor(stacksFolder: string, states: readonly Partial<ComponentState>[]): StepTools {
  const state = { since: 0 as Instant, adopted: false, restarts: 0, ports: [], lastEnd: "it ended with status 1" };
  return {
    files: systemFiles,
    processes: systemProcesses,
    clock: systemClock,
    locks: systemLocks,
    random: systemRandom,
    user: undefined,
    stack: testStack({ stacksFolder }),
    onRecoveryKey: () => undefined,
    platform: {
      start: async () => undefined,
      stop: async () => ({ killed: false }),
      restart: async () => undefined,
      state: async () => states.map((each) => ({ name: "db", mode: "ended", ...state, ...each })),
      lastLines: async (name) => [`PANIC of ${name}`],
    },
    programs: {
      postgres: { major: 16, version: "16.0", binFolder: "/nowhere", source: "named" },
      redis: "/nowhere/redis-server",
      pgbouncer: "/nowhere/pgbouncer",
      haproxy: "/nowhere/haproxy",
      lifeboat: { command: "/nowhere/node", args: [] },
      service: { command: "", args: [], api: "", mcp: "", scraper: "", schema: "" },
      lifeboatAsUser: true,
    },
  };
}

test("a step that the world fails is told with the end and the last words of what ended meanwhile", async () => {
  await withFolder(async (folder) => {
    await writeFile(path.join(folder, "file"), "");
    const stacks = path.join(folder, "file");
    const ended = runStep(toolsFor(stacks, [{}, { name: "redis", mode: "running" }]), "folders", {});
    await assert.rejects(ended, (error) => {
      assert(isLifeboatError(error, "platform.file-failed"));
      assert.match(error.message, /; db is ended \(it ended with status 1\); its log ends: PANIC of db$/);
      return true;
    });
    await assert.rejects(runStep(toolsFor(stacks, [{ mode: "running" }]), "folders", {}), (error) => {
      assert(isLifeboatError(error, "platform.file-failed"));
      assert.doesNotMatch(error.message, /PANIC/);
      return true;
    });
  });
});

test("a step that fails on a disk that is next to full says so, and which log says more", async () => {
  await withFolder(async (folder) => {
    const tools = toolsFor(folder, [{ name: "redis", mode: "backing-off" }]);
    await runStep(tools, "folders", {});
    await runStep(tools, "secrets", {});
    const files = { ...systemFiles, space: async () => ({ freeBytes: 3_000_000, totalBytes: 60_000_000, device: 1 }) };
    await assert.rejects(runStep({ ...tools, files }, "redis", {}), (error) => {
      assert(isLifeboatError(error, "stack.step-failed"));
      assert.match(error.message, /redis is backing-off .*; the file system of .* has 2\.9 MiB free/);
      assert.match(error.remedy, /lifeboat logs redis/);
      return true;
    });
  });
});

test("who waits in vain for a primary that does not run is led to the daemon, which decides about it, not to a log", async () => {
  await withFolder(async (folder) => {
    const tools = toolsFor(folder, [{ name: "receiver", mode: "backing-off" }]);
    await runStep(tools, "folders", {});
    await runStep(tools, "secrets", {});
    await runStep(tools, "config", {});
    for (const [daemon, remedy] of [
      [true, /^db, the primary, does not run: lifeboat failover --check-only/],
      [false, /lifeboat logs receiver/],
    ] as const) {
      const asked = { ...tools, stack: { ...tools.stack, daemon } };
      await assert.rejects(awaitEffect(asked, "receiver", {}), (error) => {
        assert(isLifeboatError(error, "stack.step-failed"));
        assert.match(error.remedy, remedy);
        return true;
      });
    }
  });
});

test("a node that a failover makes the primary while it is waited for is judged as the primary; while that goes on, as before", async () => {
  await withFolder(async (folder) => {
    const tools = toolsFor(folder, [{ name: "db_replica", mode: "running" }]);
    await runStep(tools, "folders", {});
    await runStep(tools, "secrets", {});
    const { controller } = tools.stack.place;
    await systemFiles.makeFolder(controller);
    const record = fileRegister(tools, path.join(controller, "record.json"));
    let nowMs = 0;
    const sleep = async (): Promise<void> => {
      nowMs += 200_000;
    };
    const clock = { ...systemClock, monotonic: () => nowMs as Monotonic, sleep };
    let over = 0;
    for (const [action, step] of [
      ["a failover", "replica-start"],
      [null, "db-start"],
    ] as const) {
      await record.write({ over, epoch: 1 as Epoch, value: { primary: "db_replica", maintenance: false, action } }, {});
      over += 1;
      await assert.rejects(awaitEffect({ ...tools, clock }, "replica-start", {}), (error) => {
        assert(isLifeboatError(error, "stack.step-failed"));
        return error.details["step"] === step;
      });
    }
  });
});

test("what leads to a primary need not lead there before the daemon runs, where only that knows which node becomes it", async () => {
  await withFolder(async (folder) => {
    const names = ["receiver", "pgbouncer", "api", "api_2", "api_3", "scraper-scheduler"];
    const running = names.map((name) => ({ name, mode: "running" }) as const);
    const tools = toolsFor(folder, running);
    await runStep(tools, "folders", {});
    await runStep(tools, "secrets", {});
    for (const step of ["receiver", "pgbouncer", "api", "scraper-scheduler"] as const) {
      const holds = (recorded: "settled" | "unsettled"): Promise<boolean> =>
        STEPS[step].holds({ ...tools, stack: { ...tools.stack, recorded } }, {});
      assert.deepEqual([await holds("settled"), await holds("unsettled")], [false, true], step);
    }
  });
});

test("a receiver that runs and has given up is restarted, one that still tries is not", async () => {
  await withFolder(async (folder) => {
    const plain = toolsFor(folder, [{ name: "receiver", mode: "running" }]);
    const { spool } = plain.stack.place;
    await runStep(plain, "folders", {});
    await runStep(plain, "secrets", {});
    await runStep(plain, "config", {});
    const restarted: string[] = [];
    const platform = { ...plain.platform, restart: async (name: string) => void restarted.push(name) };
    const lock = systemLocks.tryAcquire(spoolLock(spool));
    try {
      for (const mode of ["backing-off", "failed"] as const) {
        await writeReport(plain, spool, { ...STREAMING_REPORT, mode });
        await STEPS.receiver.act({ ...plain, platform }, {});
        assert.deepEqual(restarted, mode === "failed" ? ["receiver"] : []);
      }
    } finally {
      lock?.release();
    }
  });
});
