/** What a supervisor takes over, and how it ends. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { eventually, temporaryFolder } from "../../../test/support/receivers.ts";
import { LifeboatError } from "../../errors/error.ts";
import { systemClock } from "../clock.ts";
import type { ComponentSpec } from "../components.ts";
import { COUNTS_AND_STAYS, scriptSpec, startsIn } from "../conformance/conformance.ts";
import { systemFiles } from "../files.ts";
import { systemLocks } from "../lock.ts";
import { type Processes, systemProcesses } from "../processes.ts";
import { bootOf } from "./boot.ts";
import { recordedSpec } from "./record.ts";
import { logFolderOf, Supervisor, type SupervisorTools } from "./supervisor.ts";

type Given = {
  /** Where components work. */
  readonly folder: string;
  readonly notices: readonly string[];
  readonly open: (changes?: Partial<SupervisorTools>) => Promise<Supervisor>;
  /** As a supervisor of before left it. */
  readonly record: (components: Readonly<Record<string, unknown>>) => Promise<void>;
  readonly readRecord: () => Promise<string>;
};

async function withFolder(work: (given: Given) => Promise<void>): Promise<void> {
  await using at = await temporaryFolder("supervisor");
  const own = path.join(at.folder, "supervisor");
  await systemFiles.makeFolder(logFolderOf(own), 0o700);
  const notices: string[] = [];
  const notice = (message: string): void => void notices.push(message);
  const opened: Supervisor[] = [];
  const file = path.join(own, "components.json");
  try {
    await work({
      folder: at.folder,
      notices,
      open: async (changes = {}) => {
        const tools = {
          files: systemFiles,
          processes: systemProcesses,
          clock: systemClock,
          locks: systemLocks,
          notice,
        };
        const supervisor = await Supervisor.open({ ...tools, ...changes }, own);
        assert(supervisor !== undefined);
        opened.push(supervisor);
        return supervisor;
      },
      record: (components) =>
        writeFile(file, JSON.stringify({ format: "lifeboat-supervisor", version: 1, components })),
      readRecord: () => readFile(file, "utf8").catch(() => ""),
    });
  } finally {
    for (const supervisor of opened) await supervisor.end();
  }
}

const modes = (supervisor: Supervisor): Record<string, string> =>
  Object.fromEntries(supervisor.state().map(({ name, mode }) => [name, mode]));

/** Stays until it is told to end, writes down that it was, and takes until a file is there. */
function slow(folder: string, name: string, changes: Partial<ComponentSpec> = {}): ComponentSpec {
  const script = `trap 'echo ${name} >> told; while ! [ -e go ]; do sleep 0.02; done; exit' TERM; echo x > up-${name}; while :; do sleep 0.02; done`;
  return scriptSpec(folder, name, script, changes);
}

async function isUp(folder: string, name: string): Promise<void> {
  await eventually(
    `${name} is up`,
    async () => (await systemFiles.stat(path.join(folder, `up-${name}`))) !== undefined,
  );
}

const toldIn = async (folder: string): Promise<readonly string[]> =>
  (await readFile(path.join(folder, "told"), "utf8").catch(() => "")).split("\n").filter(Boolean);

test("while a supervisor ends nothing is started, restarted or let out of a fence, and nothing is left running", async () => {
  await withFolder(async ({ folder, open, readRecord }) => {
    const supervisor = await open();
    await supervisor.start(slow(folder, "slow"));
    await supervisor.start(scriptSpec(folder, "replica", "exit 0"));
    await supervisor.fence("old");
    await isUp(folder, "slow");
    const ended = supervisor.end();
    await eventually("it is being stopped", async () => (await toldIn(folder)).length === 1);
    const refused = { code: "platform.no-answer", retryable: true };
    await assert.rejects(supervisor.start(scriptSpec(folder, "db", COUNTS_AND_STAYS), { epoch: 3 }), refused);
    await assert.rejects(supervisor.restart("replica"), refused);
    await assert.rejects(supervisor.unfence("old", { epoch: 3 }), refused);
    // What takes out of service is done all the same.
    await supervisor.fence("replica", { epoch: 4 });
    await writeFile(path.join(folder, "go"), "");
    await ended;
    assert.equal(await startsIn(folder), 0);
    assert.deepEqual(Object.keys(JSON.parse(await readRecord()).components).toSorted(), ["old", "replica"]);
    // Nobody would know of it any more.
    await assert.rejects(supervisor.fence("db"), refused);
  });
});

test("what was told to go down is started by no supervisor that comes after one that was killed meanwhile", async () => {
  await withFolder(async ({ folder, open, readRecord, record }) => {
    const supervisor = await open();
    for (const name of ["daemon", "pooler", "stopped"]) {
      await supervisor.start(slow(folder, name, { restart: name === "daemon" ? "unhurried" : "on-failure" }));
      await isUp(folder, name);
    }
    const told = async (count: number) => {
      await eventually(`${count} are told`, async () => (await toldIn(folder)).length === count);
      return JSON.parse(await readRecord()).components;
    };
    const stopped = supervisor.stop("stopped");
    const left = { ...(await told(1)) };
    const ended = supervisor.end();
    for (const name of ["daemon", "pooler"]) left[name] = (await told(2))[name];
    await writeFile(path.join(folder, "go"), "");
    await Promise.all([stopped, ended]);
    // As when the supervisor was killed in the middle with all that it ran.
    await record(left);
    const next = await open();
    assert.deepEqual(modes(next), { daemon: "ended", pooler: "ended", stopped: "ended" });
    await next.start(scriptSpec(folder, "pooler", COUNTS_AND_STAYS, { restart: "on-failure" }));
    assert.doesNotMatch(await readRecord(), /toldDown/);
  });
});

test("a supervisor that ends waits for a start that was under way, and stops what it started", async () => {
  await withFolder(async ({ folder, open, readRecord }) => {
    const begun = Promise.withResolvers<void>();
    const mayGo = Promise.withResolvers<void>();
    const start: Processes["start"] = async (request) => {
      begun.resolve();
      await mayGo.promise;
      return await systemProcesses.start(request);
    };
    const supervisor = await open({ processes: { ...systemProcesses, start } });
    const started = supervisor.start(slow(folder, "db"));
    await begun.promise;
    const ended = supervisor.end();
    await writeFile(path.join(folder, "go"), "");
    mayGo.resolve();
    await Promise.all([started, ended]);
    assert.deepEqual(modes(supervisor), { db: "stopped" });
    assert.equal(await readRecord(), "");
  });
});

test("a supervisor that ends stops daemons first and nodes last, whichever was started last", async () => {
  await withFolder(async ({ folder, open }) => {
    await writeFile(path.join(folder, "go"), "");
    const supervisor = await open();
    for (const [name, restart] of [
      ["daemon", "unhurried"],
      ["pooler", "on-failure"],
      ["db", "never"],
    ] as const) {
      await supervisor.start(slow(folder, name, { restart }));
      await isUp(folder, name);
    }
    await supervisor.end();
    assert.deepEqual(await toldIn(folder), ["daemon", "pooler", "db"]);
  });
});

test("a fenced process that waits for a disk keeps no supervisor from coming up, and its end is seen", async () => {
  await withFolder(async ({ folder, open, record, notices }) => {
    const stuck = 4_000_001;
    let isThere = true;
    const facts = {
      pid: stuck,
      parentPid: 1,
      sessionId: stuck,
      name: "postgres",
      zombie: false,
      halted: false,
      startTicks: "77",
    };
    const processes: Processes = {
      ...systemProcesses,
      facts: async (pid) => (pid === stuck ? (isThere ? facts : undefined) : systemProcesses.facts(pid)),
      isAlive: async (pid) => (pid === stuck ? isThere : systemProcesses.isAlive(pid)),
      tree: async (pid) => (pid === stuck ? [stuck] : systemProcesses.tree(pid)),
      killTree: async (pid) => (pid === stuck ? [stuck] : systemProcesses.killTree(pid)),
      signal: (pid, signal) => pid === stuck || systemProcesses.signal(pid, signal),
    };
    // Each look whether it is gone takes a second of this clock: what would take 20 s is over at once.
    let passed = 0;
    const clock = {
      ...systemClock,
      monotonic: () => (systemClock.monotonic() + passed) as ReturnType<typeof systemClock.monotonic>,
      sleep: (ms: number, options: Parameters<typeof systemClock.sleep>[1]) => {
        passed += 1_000;
        return systemClock.sleep(ms, options);
      },
    };
    const spec = recordedSpec(scriptSpec(folder, "db", "exec sleep 1000"));
    await record({ db: { spec, fencedAt: 1, process: { pid: stuck, startTicks: "77", startedAt: 0 } } });
    const supervisor = await open({ processes, clock });
    assert.deepEqual(modes(supervisor), { db: "fenced" });
    await supervisor.start(scriptSpec(folder, "other", "exec sleep 1000"));
    assert.deepEqual(modes(supervisor), { db: "fenced", other: "running" });
    await eventually("it is told", async () => notices.some((each) => /db is still there/.test(each)));
    // Asked again, it says so again: it is not called killed before it is gone.
    await assert.rejects(supervisor.fence("db"), { code: "platform.component-failed" });
    isThere = false;
    await eventually("its end is seen", async () => /ended/.test(supervisor.state()[0]?.lastEnd ?? ""));
    assert.deepEqual(await supervisor.fence("db").then(({ ran }) => ran), false);
    assert.deepEqual(modes(supervisor), { db: "fenced", other: "running" });
  });
});

test("what ended while nobody looked is started again as ever; nodes, what is fenced and what ran before the machine's start are not", async () => {
  await withFolder(async ({ folder, open, record }) => {
    const boot = await bootOf({ files: systemFiles, processes: systemProcesses, notice: assert.fail });
    assert(boot !== undefined);
    const was = (
      name: string,
      restart: ComponentSpec["restart"],
      { of = boot, fencedAt = null }: { readonly of?: string | undefined; readonly fencedAt?: number | null } = {},
    ) => ({
      spec: recordedSpec(scriptSpec(folder, name, COUNTS_AND_STAYS, { restart })),
      fencedAt,
      process: { pid: 4_000_001, startTicks: "77", startedAt: 0, boot: of },
    });
    const { boot: _, ...unknown } = was("unknown", "on-failure").process;
    await record({
      pooler: was("pooler", "on-failure"),
      db: was("db", "never"),
      fenced: was("fenced", "on-failure", { fencedAt: 1 }),
      before: was("before", "on-failure", { of: "another/1" }),
      unknown: { ...was("unknown", "on-failure"), process: unknown },
    });
    const supervisor = await open();
    await eventually("it is started again", async () => modes(supervisor)["pooler"] === "running");
    await eventually("it runs", async () => (await startsIn(folder)) === 1);
    assert.deepEqual(modes(supervisor), {
      pooler: "running",
      db: "ended",
      fenced: "fenced",
      before: "ended",
      unknown: "ended",
    });
    assert.equal(supervisor.state().find(({ name }) => name === "pooler")?.restarts, 1);
  });
});

test("what a node left running that was killed while nobody looked is gone when the node is called ended", async () => {
  await withFolder(async ({ folder, open, record, notices }) => {
    const data = path.join(folder, "data");
    await systemFiles.makeFolder(data, 0o700);
    const script = { command: "/bin/sh", args: ["-c", "while :; do sleep 0.1; done"], detached: true } as const;
    const left = await systemProcesses.start({ ...script, folder: data, output: { kind: "none" }, input: "none" });
    const other = await systemProcesses.start({ ...script, folder, output: { kind: "none" }, input: "none" });
    try {
      const spec = { ...recordedSpec(scriptSpec(folder, "db", "exit 0")), arguments: ["-D", data] };
      const process = { pid: 4_000_001, startTicks: "77", startedAt: 0 };
      await record({ db: { spec, fencedAt: null, process } });
      const supervisor = await open();
      assert.equal(modes(supervisor)["db"], "ended");
      assert.equal(await systemProcesses.isAlive(left.pid), false);
      assert.equal(await systemProcesses.isAlive(other.pid), true);
      assert.match(notices.join("\n"), /^db: ended what had outlived its process: \d/);
    } finally {
      left.kill("SIGKILL");
      other.kill("SIGKILL");
    }
  });
});

test("a node whose process is gone is not called running where nobody can tell what it left, and a fence says so", async () => {
  await withFolder(async ({ folder, open }) => {
    let fails = false;
    const named: Processes["named"] = (name) => {
      if (fails) throw new Error("nobody can look");
      return systemProcesses.named(name);
    };
    const supervisor = await open({ processes: { ...systemProcesses, named } });
    const script = "while :; do sleep 0.02; done";
    for (const [name, end] of [
      ["stopped", () => supervisor.stop("stopped")],
      ["fenced", () => supervisor.fence("fenced")],
    ] as const) {
      await supervisor.start(scriptSpec(folder, name, script, { arguments: ["-c", script, "-D", folder] }));
      fails = true;
      await assert.rejects(end(), /nobody can look/);
      fails = false;
      assert.equal(modes(supervisor)[name], "ended");
      await end();
      assert.equal(modes(supervisor)[name], name);
    }
  });
});

test("a component that may not be signalled is looked after as before: none is started beside it, and its end is seen", async () => {
  await withFolder(async ({ folder, open }) => {
    let denied: "killTree" | "signal" | undefined;
    const deny = (what: typeof denied): void => {
      if (denied === what)
        throw new LifeboatError("platform.file-denied", { message: "EPERM", remedy: "Be its user." });
    };
    let pid = 0;
    const processes: Processes = {
      ...systemProcesses,
      start: async (request) => {
        const child = await systemProcesses.start(request);
        ({ pid } = child);
        return child;
      },
      signal: (to, signal) => {
        deny("signal");
        return systemProcesses.signal(to, signal);
      },
      killTree: async (to) => {
        deny("killTree");
        return await systemProcesses.killTree(to);
      },
    };
    const supervisor = await open({ processes });
    const spec = scriptSpec(folder, "db", COUNTS_AND_STAYS, { restart: "never" });
    for (const [what, end, isFence] of [
      ["signal", () => supervisor.stop("db"), false],
      ["killTree", () => supervisor.kill("db"), false],
      ["killTree", () => supervisor.fence("db"), true],
    ] as const) {
      await supervisor.start(spec);
      const first = pid;
      denied = what;
      await assert.rejects(end(), { code: "platform.file-denied" });
      denied = undefined;
      assert.equal(modes(supervisor)["db"], "running");
      if (!isFence) await supervisor.start(spec);
      assert.equal(pid, first, "none is started beside it");
      process.kill(first, "SIGKILL");
      await eventually("its end is seen", async () => modes(supervisor)["db"] !== "running");
    }
    assert.equal(modes(supervisor)["db"], "fenced");
  });
});
