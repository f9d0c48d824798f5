import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { z } from "zod";
import { eventually } from "../../../test/support/receivers.ts";
import { serverUser } from "../../../test/support/servers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { systemClock } from "../clock.ts";
import {
  COUNTS_AND_STAYS,
  modeOf,
  platformConformance,
  scriptSpec,
  startsIn,
  untilMode,
  type WithPlatform,
} from "../conformance/conformance.ts";
import { systemFiles } from "../files.ts";
import { systemProcesses } from "../processes.ts";
import { IF_NEEDED, LocalPlatform, STATUS_BUSY, socketOf } from "./local-platform.ts";
import { asideOf, LOG_BYTES_MAX, lastLinesOf, trimLog } from "./log-file.ts";
import { answerLine } from "./protocol.ts";
import { recordedSpec } from "./record.ts";

const TOOLS = { files: systemFiles, processes: systemProcesses, clock: systemClock };
const MAIN = path.join(import.meta.dirname, "main.ts");
const mark = process.env["LIFEBOAT_TEST_FILE"];

function platformIn(folder: string, helloTimeoutMs?: number): LocalPlatform {
  const place = {
    folder: path.join(folder, "supervisor"),
    supervisor: { command: process.execPath, args: ["--disable-warning=ExperimentalWarning", MAIN] },
    environment: mark === undefined ? undefined : { LIFEBOAT_TEST_FILE: mark },
  };
  return new LocalPlatform(TOOLS, place, helloTimeoutMs);
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-platform-"));
  try {
    await work(folder);
  } finally {
    await platformIn(folder).end({});
    await rm(folder, { recursive: true });
  }
}

const withLocal: WithPlatform = (work) => inFolder((folder) => work({ platform: platformIn(folder), folder }));

/** Processes that name a folder in their arguments or work in it. */
async function processesOf(folder: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const command = (await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
    if (command.includes(`${folder}/`) || (await systemProcesses.worksIn(Number(name), folder)) === "yes")
      found.push(Number(name));
  }
  return found;
}

async function supervisorsOf(folder: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of await processesOf(folder)) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(MAIN)) found.push(pid);
  }
  return found;
}

async function supervisorOf(folder: string): Promise<number> {
  const [first] = await supervisorsOf(folder);
  if (first === undefined) throw new Error("no supervisor runs");
  return first;
}

test("a supervisor of an earlier version, which knows no epochs, carries orders out all the same", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-platform-"));
  await mkdir(path.join(folder, "supervisor"));
  const earlier = z.discriminatedUnion("call", [
    z.strictObject({ call: z.literal("hello") }),
    z.strictObject({ call: z.literal("stop"), name: z.string() }),
  ]);
  const asked: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.setEncoding("utf8");
    socket.on("data", (line: string) => {
      try {
        asked.push(earlier.parse(JSON.parse(line)).call);
        socket.end(answerLine({ pid: process.pid, killed: true }));
      } catch (error) {
        // As that version put what it did not understand.
        const answer = { code: "platform.component-failed", message: String(error), remedy: "Look at its log." };
        socket.end(`${JSON.stringify({ error: answer })}\n`);
      }
    });
  });
  server.listen(path.join(folder, "supervisor", "control.sock"));
  try {
    await once(server, "listening");
    const platform = platformIn(folder);
    assert.deepEqual(await platform.stop("db", { epoch: 7 }), { killed: true });
    assert.equal(asked.filter((call) => call === "stop").length, 1);
    await assert.rejects(platform.unfence("db", { epoch: 7 }), (error) =>
      isLifeboatError(error, "platform.component-failed"),
    );
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
});

async function killed(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await eventually("it is gone", async () => !(await systemProcesses.isAlive(pid)));
}

describe("the local platform", () => {
  platformConformance(withLocal);
});

describe("a supervisor", () => {
  test("that was killed has its epoch known to the next one, also where stopping was the first order of it", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      await platform.start(scriptSpec(folder, "node", "exec sleep 1000"), {});
      await platform.stop("node", { epoch: 7 });
      await killed(await supervisorOf(folder));
      const late = platform.start(scriptSpec(folder, "node", "exec sleep 1000"), { epoch: 6 });
      await assert.rejects(late, (error) => isLifeboatError(error, "platform.stale-epoch"));
      assert.equal(await modeOf(platform, "node"), "stopped");
    });
  });

  test("that was killed leaves its components running; the next one takes them over and sees their end", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      await platform.start(scriptSpec(folder, "kept", COUNTS_AND_STAYS, { restart: "on-failure" }), {});
      await platform.start(scriptSpec(folder, "node", "echo $$ > pid; exec sleep 1000"), {});
      await eventually("both run", async () => (await startsIn(folder)) === 1 && (await pidIn(folder)) > 0);
      await killed(await supervisorOf(folder));
      const states = await platform.state({});
      assert.deepEqual(
        states.map(({ name, mode, adopted }) => [name, mode, adopted]),
        [
          ["kept", "running", true],
          ["node", "running", true],
        ],
      );
      assert.equal(await startsIn(folder), 1);
      await killed(await pidIn(folder));
      await untilMode(platform, "node", "ended");
      assert.deepEqual(await platform.stop("kept", {}), { killed: false });
    });
  });

  test("that is killed leaves none of the commands that ran beside its components", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      await platform.start(scriptSpec(folder, "one", "exec sleep 1000"), {});
      const arguments_ = ["-c", `cd '${folder}'; sleep 1000 & echo $! > pid; wait`];
      const endless = platform.exec({ name: "one", program: "sh", arguments: arguments_, timeoutMs: 60_000 }, {});
      const rejected = assert.rejects(endless, { code: "platform.no-answer" });
      await eventually("the command runs", async () => (await pidIn(folder)) > 0);
      await killed(await supervisorOf(folder));
      await rejected;
      const pid = await pidIn(folder);
      await eventually("it is gone", async () => !(await systemProcesses.isAlive(pid)));
      assert.equal(await modeOf(platform, "one"), "running");
    });
  });

  test("runs commands as the component's user, and finds programs beside the component's own first", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      const runAs = await serverUser();
      const spec = scriptSpec(folder, "one", "exec sleep 1000", { runAs, workFolder: "/" });
      await platform.start(spec, {});
      const exec = async (program: string, ...words: readonly string[]): Promise<string> =>
        (await platform.exec({ name: "one", program, arguments: words, timeoutMs: 60_000 }, {})).stdout;
      assert.equal(await exec("id", "-u"), `${runAs?.uid ?? process.getuid?.()}\n`);
      assert.equal((await exec("sh", "-c", "echo $PATH")).split(":")[0], path.dirname(spec.program));
    });
  });

  test("that was killed with all it ran starts again what is started again by itself, and no node", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      await platform.start(scriptSpec(folder, "kept", COUNTS_AND_STAYS, { restart: "on-failure" }), {});
      await platform.start(scriptSpec(folder, "node", "exec sleep 1000"), {});
      await eventually("it runs", async () => (await startsIn(folder)) === 1);
      for (const pid of [await supervisorOf(folder), ...(await processesOf(folder))]) process.kill(pid, "SIGKILL");
      await eventually("all are gone", async () => (await processesOf(folder)).length === 0);
      await untilMode(platform, "kept", "running");
      await eventually("it runs again", async () => (await startsIn(folder)) === 2);
      const node = (await platform.state({})).find(({ name }) => name === "node");
      assert.deepEqual([node?.mode, node?.lastEnd], ["ended", "it ended while nobody looked after it"]);
    });
  });

  test("that was killed is replaced by who sees to it, which it adopts, freezes and ends without ending with it", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      assert.equal(await platform.ensureSupervisor({}), false);
      await platform.start(scriptSpec(folder, "kept", COUNTS_AND_STAYS), {});
      assert.equal(await platform.ensureSupervisor({}), false);
      const first = await supervisorOf(folder);
      // As a daemon does it.
      const own = path.join(folder, "supervisor");
      const beside = JSON.stringify({ folder: own, supervisor: { command: process.execPath, args: [MAIN] } });
      const [enough, done] = ["enough", "done"].map((name) => path.join(folder, name));
      const source = `
        import { existsSync, writeFileSync } from "node:fs";
        const [{ LocalPlatform }, { systemFiles }, { systemProcesses }, { systemClock }] = await Promise.all(
          ["local/local-platform", "files", "processes", "clock"].map((name) => import(\`${path.dirname(import.meta.dirname)}/\${name}.ts\`)));
        const platform = new LocalPlatform({ files: systemFiles, processes: systemProcesses, clock: systemClock }, ${beside});
        while (!existsSync("${enough}")) { await platform.ensureSupervisor({}); await new Promise((resolve) => setTimeout(resolve, 20)); }
        writeFileSync("${done}", "");
        setInterval(() => undefined, 1_000);`;
      const file = path.join(folder, "daemon.mjs");
      await writeFile(file, source);
      await platform.start({ ...scriptSpec(folder, "daemon", ""), program: process.execPath, arguments: [file] }, {});
      await killed(first);
      await eventually("another one is there", async () => (await supervisorOf(folder).catch(() => first)) !== first);
      // Two may have been started at once, and the one that comes second ends; not while it is frozen with who has just begun it.
      await writeFile(enough ?? "", "");
      await eventually("no more is begun", async () => (await stat(done ?? "").catch(() => undefined)) !== undefined);
      const second = await eventually("one is left", async () => {
        const all = await supervisorsOf(folder);
        return all.length === 1 && all[0];
      });
      await platform.freeze("daemon", {});
      assert.equal(await modeOf(platform, "daemon"), "frozen");
      await platform.kill("daemon", {});
      assert.deepEqual(
        (await platform.state({})).map(({ name, mode, adopted }) => [name, mode, adopted]),
        [
          ["daemon", "stopped", false],
          ["kept", "running", true],
        ],
      );
      assert.equal(await supervisorOf(folder), second);
    });
  });

  test("that is brought up for who runs ends where nobody does, and makes no folder", async () => {
    const folder = path.join(await mkdtemp(path.join(tmpdir(), "lifeboat-platform-")), "gone");
    try {
      const args = [
        "--disable-warning=ExperimentalWarning",
        MAIN,
        folder,
        path.join(folder, "control.sock"),
        IF_NEEDED,
      ];
      const { exit } = await systemProcesses.run({ command: process.execPath, args, timeoutMs: 20_000 });
      assert.deepEqual(exit, { kind: "exited", status: STATUS_BUSY });
      await assert.rejects(stat(folder));
    } finally {
      await rm(path.dirname(folder), { recursive: true });
    }
  });

  test("that was killed while a program waited to be started again has that started by the next one", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      const once = "[ -e again ] && exec sleep 1000; exit 1";
      await platform.start(scriptSpec(folder, "daemon", once, { restart: "unhurried" }), {});
      await untilMode(platform, "daemon", "backing-off");
      await killed(await supervisorOf(folder));
      await writeFile(path.join(folder, "again"), "");
      await untilMode(platform, "daemon", "running");
    });
  });

  test("starts nothing anew before the dead process of before is out of the kernel's table", async () => {
    await inFolder(async (folder) => {
      // A process that died, and whose parent does not ask how until it ends itself.
      const parent = spawn("sh", ["-c", "sh -c 'echo $$' & exec sleep 2"], { stdio: ["ignore", "pipe", "ignore"] });
      const [printed] = await once(parent.stdout, "data");
      const pid = Number(String(printed));
      await eventually("it is a zombie", async () => (await systemProcesses.facts(pid))?.zombie === true);
      const startTicks = (await systemProcesses.facts(pid))?.startTicks ?? "";
      const looks = scriptSpec(
        folder,
        "node",
        `kill -0 ${pid} 2>/dev/null && echo there > before || echo gone > before`,
      );
      const record = {
        format: "lifeboat-supervisor",
        version: 1,
        components: { node: { spec: recordedSpec(looks), fencedAt: null, process: { pid, startTicks, startedAt: 0 } } },
      };
      await mkdir(path.join(folder, "supervisor"));
      await writeFile(path.join(folder, "supervisor/components.json"), JSON.stringify(record));
      const platform = platformIn(folder);
      await platform.start(looks, {});
      await untilMode(platform, "node", "ended");
      assert.equal((await readFile(path.join(folder, "before"), "utf8")).trim(), "gone");
    });
  });

  test("that is killed in the middle of a start leaves no process that nobody knows", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      await platform.start(scriptSpec(folder, "first", "exec sleep 1000"), {});
      // The record cannot be written any more, which is where a start may be cut.
      await rm(path.join(folder, "supervisor/components.json"));
      await systemFiles.makeFolder(path.join(folder, "supervisor/components.json"));
      await writeFile(path.join(folder, "supervisor/components.json/x"), "");
      await assert.rejects(platform.start(scriptSpec(folder, "second", COUNTS_AND_STAYS), {}));
      assert.equal(await startsIn(folder), 0);
      await rm(path.join(folder, "supervisor/components.json"), { recursive: true });
      await platform.stop("first", {});
      await eventually("only the supervisor is there", async () => (await processesOf(folder)).length === 1);
      assert.equal(await startsIn(folder), 0);
    });
  });

  test("outlives whoever asks it and is killed before the answer was read", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      await platform.start(scriptSpec(folder, "one", "exec sleep 1000"), {});
      const supervisor = await supervisorOf(folder);
      const socket = path.join(folder, "supervisor", "control.sock");
      const code = `const connection = require("node:net").connect(${JSON.stringify(socket)}, () => {
        connection.write('{"call":"state"}\\n', () => process.kill(process.pid, "SIGSTOP"));
      });`;
      const asking = spawn(process.execPath, ["-e", code], { stdio: "ignore" });
      const isHalted = async (): Promise<boolean> =>
        / T /.test(await readFile(`/proc/${asking.pid}/stat`, "utf8").catch(() => ""));
      await eventually("it has asked", isHalted);
      assert.equal(await modeOf(platform, "one"), "running");
      asking.kill("SIGKILL");
      await once(asking, "exit");
      assert.equal(await modeOf(platform, "one"), "running");
      assert.equal(await supervisorOf(folder), supervisor);
    });
  });

  test("is one, also when two are started at once", async () => {
    await inFolder(async (folder) => {
      const specs = ["a", "b", "c"].map((name) => scriptSpec(folder, name, "exec sleep 1000"));
      await Promise.all(specs.map((spec) => platformIn(folder).start(spec, {})));
      const states = await platformIn(folder).state({});
      assert.deepEqual(
        states.map(({ mode }) => mode),
        ["running", "running", "running"],
      );
      await eventually("the others have ended", async () => {
        const supervisors = await Promise.all(
          (await processesOf(folder)).map(async (pid) =>
            (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).includes(MAIN),
          ),
        );
        return supervisors.filter(Boolean).length === 1;
      });
    });
  });

  test("that is ended, or told to by a signal, stops everything and leaves logs and fences only", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder);
      await platform.start(scriptSpec(folder, "one", COUNTS_AND_STAYS, { restart: "on-failure" }), {});
      await platform.fence("db", {});
      await eventually("it runs", async () => (await startsIn(folder)) === 1);
      process.kill(await supervisorOf(folder), "SIGTERM");
      await eventually("all are gone", async () => (await processesOf(folder)).length === 0);
      assert.deepEqual(
        (await platform.state({})).map(({ name, mode }) => [name, mode]),
        [["db", "fenced"]],
      );
      assert.deepEqual(await processesOf(folder), [], "looking started nothing");
      await platform.unfence("db", {});
      await platform.end({});
      await platform.end({});
      assert.deepEqual(await processesOf(folder), []);
      assert.deepEqual(await platform.state({}), []);
      const left = (await readdir(path.join(folder, "supervisor"))).toSorted();
      assert.deepEqual(left, ["lock", "logs", "supervisor.log"]);
    });
  });

  test("listens where the path of its folder is too long for a socket", async () => {
    await inFolder(async (folder) => {
      const deep = path.join(folder, "x".repeat(90));
      const platform = platformIn(deep);
      await systemFiles.makeFolder(deep);
      await platform.start(scriptSpec(folder, "one", "exec sleep 1000"), {});
      assert.equal(await modeOf(platform, "one"), "running");
      await platform.end({});
      assert.deepEqual(
        (await readdir("/tmp")).filter((name) => name.startsWith("lifeboat-supervisor-")),
        [],
      );
    });
  });

  test("whose socket was removed, or the folder of it, is asked at a new one, and all that runs goes on", async () => {
    await inFolder(async (folder) => {
      for (const [name, removed] of [
        ["short", (deep: string) => path.join(deep, "supervisor/control.sock")],
        ["x".repeat(90), (deep: string) => path.dirname(socketOf(path.join(deep, "supervisor")))],
      ] as const) {
        const deep = path.join(folder, name);
        await systemFiles.makeFolder(deep);
        const platform = platformIn(deep);
        await platform.start(scriptSpec(folder, "one", "exec sleep 1000"), {});
        const supervisor = await supervisorOf(deep);
        const begun = systemClock.monotonic();
        for (let times = 0; times < 2; times += 1) {
          await rm(removed(deep), { recursive: true });
          assert.equal(await modeOf(platform, "one"), "running");
        }
        assert.ok((await platform.fence("one", {})).ran);
        assert.ok(systemClock.monotonic() - begun < 20_000, "it is not waited for until the caller gives up");
        assert.equal(await supervisorOf(deep), supervisor);
        await platform.end({});
      }
    });
  });

  test("is neither asked nor started at a socket in a folder of /tmp that anybody can have made", async () => {
    await inFolder(async (folder) => {
      const deep = path.join(folder, "x".repeat(90));
      await systemFiles.makeFolder(deep);
      const platform = platformIn(deep);
      const place = path.dirname(socketOf(path.join(deep, "supervisor")));
      const target = path.join(folder, "target");
      await mkdir(target, { mode: 0o700 });
      const server = createServer((connection) => connection.end('{"pid":1}\n'));
      server.listen(path.join(target, "control.sock"));
      await once(server, "listening");
      await symlink(target, place);
      try {
        const foreign = (error: unknown): boolean => isLifeboatError(error, "platform.folder-foreign");
        await assert.rejects(platform.state({}), foreign);
        await assert.rejects(platform.start(scriptSpec(folder, "one", "exec sleep 1000"), {}), foreign);
        await assert.rejects(platform.fence("one", {}), foreign);
      } finally {
        server.close();
        await rm(place);
      }
    });
  });

  test("that hangs is named with what ends it; after that another one takes over what runs", async () => {
    await inFolder(async (folder) => {
      const platform = platformIn(folder, 200);
      await platform.start(scriptSpec(folder, "one", "echo $$ >> pids; exec sleep 1000"), {});
      const hanging = await supervisorOf(folder);
      process.kill(hanging, "SIGSTOP");
      try {
        const asked = [
          () => platform.state({}),
          () => platform.restart("one", {}),
          () => platform.ensureSupervisor({}),
        ];
        for (const ask of asked) {
          await assert.rejects(ask, (error) => {
            assert.ok(isLifeboatError(error, "platform.no-answer"));
            assert.match(error.message, new RegExp(`the supervisor, process ${hanging}, has its place .* is halted$`));
            assert.match(error.remedy, new RegExp(`\`kill -9 ${hanging}\``));
            return true;
          });
        }
      } finally {
        await killed(hanging);
      }
      assert.deepEqual(
        (await platformIn(folder).state({})).map(({ name, mode, adopted }) => [name, mode, adopted]),
        [["one", "running", true]],
      );
      assert.equal((await readFile(path.join(folder, "pids"), "utf8")).trim().split("\n").length, 1);
    });
  });

  test("says why it does not come up", async () => {
    await inFolder(async (folder) => {
      const record = path.join(folder, "supervisor/components.json");
      await systemFiles.makeFolder(path.dirname(record));
      await writeFile(record, "{");
      await assert.rejects(platformIn(folder).state({}), { code: "platform.supervisor-record" });
      await assert.rejects(platformIn(folder).start(scriptSpec(folder, "one", "exec sleep 1"), {}), (error: Error) => {
        assert.match(error.message, /did not come up; its log ends: .*components\.json cannot be read/);
        return true;
      });
      await rm(record);
    });
  });
});

test("a log that grew too long is set aside, and what is appended goes on in a new one", async () => {
  await inFolder(async (folder) => {
    const log = path.join(folder, "log");
    await writeFile(log, `${"x".repeat(LOG_BYTES_MAX)}\nlast\n`);
    await trimLog(systemFiles, log);
    assert.equal((await stat(log)).size, 0);
    assert.deepEqual(await lastLinesOf(systemFiles, asideOf(log), 1), ["last"]);
    await writeFile(log, "one\ntwo\nthr", { flag: "a" });
    assert.deepEqual(await lastLinesOf(systemFiles, log, 2), ["two", "thr"]);
    await trimLog(systemFiles, log);
    assert.equal((await stat(log)).size, 11);
  });
});

async function pidIn(folder: string): Promise<number> {
  return Number(await readFile(path.join(folder, "pid"), "utf8").catch(() => "0"));
}
