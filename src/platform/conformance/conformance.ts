/** What every platform does, whatever runs the components. Each driver's test calls this with a platform of its own. */
import assert from "node:assert/strict";
import { readFile, realpath, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { eventually } from "../../../test/support/receivers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import {
  type ComponentMode,
  type ComponentSpec,
  EXEC_OUTPUT_BYTES_MAX,
  type ExecRequest,
  type Platform,
} from "../components.ts";
import { systemProcesses } from "../processes.ts";

/** A platform to be tested, and a folder that its components see as this process does. */
export type PlatformUnderTest = {
  readonly platform: Platform;
  readonly folder: string;
};

/** Runs `work` with a platform that runs nothing, and takes away what it left running. */
export type WithPlatform = (work: (under: PlatformUnderTest) => Promise<void>) => Promise<void>;

/** A component that runs a shell script with $PWD as its folder. */
export function scriptSpec(
  folder: string,
  name: string,
  script: string,
  changes: Partial<ComponentSpec> = {},
): ComponentSpec {
  const mark = process.env["LIFEBOAT_TEST_FILE"];
  return {
    name,
    program: "/bin/sh",
    arguments: ["-c", script],
    environment: mark === undefined ? {} : { LIFEBOAT_TEST_FILE: mark },
    workFolder: folder,
    runAs: undefined,
    ports: [],
    restart: "never",
    stop: { signal: "SIGTERM", timeoutMs: 5_000 },
    ...changes,
  };
}

/** A script that counts its starts in a file and then stays. */
export const COUNTS_AND_STAYS = "echo started; echo x >> starts; exec sleep 1000";

/** How often a component of these scripts was started. */
export async function startsIn(folder: string): Promise<number> {
  const text = await readFile(path.join(folder, "starts"), "utf8").catch(() => "");
  return text.split("\n").length - 1;
}

/** What a component is doing now. */
export async function modeOf(platform: Platform, name: string): Promise<ComponentMode | undefined> {
  return (await platform.state({})).find((each) => each.name === name)?.mode;
}

/** Waits until a component is as wanted. */
export async function untilMode(platform: Platform, name: string, wanted: ComponentMode): Promise<void> {
  await eventually(`${name} is ${wanted}`, async () => (await modeOf(platform, name)) === wanted);
}

/** Declares the tests. */
export function platformConformance(withPlatform: WithPlatform): void {
  startAndStopConformance(withPlatform);
  restartConformance(withPlatform);
  fenceConformance(withPlatform);
  epochConformance(withPlatform);
  execConformance(withPlatform);
}

function startAndStopConformance(withPlatform: WithPlatform): void {
  test("a component is started once, however often it is asked for, and shows in the state with its ports", async () => {
    await withPlatform(async ({ platform, folder }) => {
      assert.deepEqual(await platform.state({}), []);
      const spec = scriptSpec(folder, "one", COUNTS_AND_STAYS, { ports: [{ name: "front", port: 12_345 }] });
      await platform.start(spec, {});
      await platform.start(spec, {});
      await eventually("it has started", async () => (await startsIn(folder)) === 1);
      const [state, ...others] = await platform.state({});
      assert.deepEqual(others, []);
      assert.deepEqual(
        [state?.name, state?.mode, state?.ports, state?.lastEnd, state?.restarts],
        ["one", "running", [{ name: "front", port: 12_345 }], undefined, 0],
      );
      await eventually("its log says so", async () =>
        (await platform.lastLines("one", 10, {})).some((line) => line === "started"),
      );
      assert.equal(await startsIn(folder), 1);
    });
  });

  test("one that stops on request is not killed, one that does not is, and both stay down", async () => {
    await withPlatform(async ({ platform, folder }) => {
      const polite = "trap 'echo bye > said; exit 0' TERM; echo ready > ready; while :; do sleep 0.05; done";
      await platform.start(scriptSpec(folder, "polite", polite, { restart: "on-failure" }), {});
      await eventually(
        "it is ready",
        async () => (await readFile(path.join(folder, "ready"), "utf8").catch(() => "")) !== "",
      );
      assert.deepEqual(await platform.stop("polite", {}), { killed: false });
      assert.equal(await readFile(path.join(folder, "said"), "utf8"), "bye\n");
      const deaf = "trap '' TERM; echo x >> starts; while :; do sleep 0.05; done";
      const stop = { signal: "SIGTERM", timeoutMs: 100 } as const;
      await platform.start(scriptSpec(folder, "deaf", deaf, { restart: "on-failure", stop }), {});
      await eventually("it has started", async () => (await startsIn(folder)) === 1);
      assert.deepEqual(await platform.stop("deaf", {}), { killed: true });
      assert.deepEqual([await modeOf(platform, "polite"), await modeOf(platform, "deaf")], ["stopped", "stopped"]);
      assert.match((await platform.state({})).find(({ name }) => name === "deaf")?.lastEnd ?? "", /killed/);
      assert.deepEqual(await platform.stop("deaf", {}), { killed: false });
    });
  });

  test("killing takes all that a component started, and it stays down", async () => {
    await withPlatform(async ({ platform, folder }) => {
      const family = "(trap '' HUP TERM INT; setsid sleep 1000 & echo $! > child; wait) & echo x >> starts; wait";
      await platform.start(scriptSpec(folder, "family", family, { restart: "on-failure" }), {});
      await eventually("its child is there", async () =>
        (await readFile(path.join(folder, "child"), "utf8").catch(() => "")).endsWith("\n"),
      );
      const child = Number(await readFile(path.join(folder, "child"), "utf8"));
      await platform.kill("family", {});
      assert.equal(
        await readFile(`/proc/${child}/stat`, "utf8").then(
          (text) => / Z /.test(text),
          () => true,
        ),
        true,
      );
      assert.equal(await modeOf(platform, "family"), "stopped");
      assert.equal(await startsIn(folder), 1);
    });
  });
}

function restartConformance(withPlatform: WithPlatform): void {
  test("what ends by itself is started again where its spec says so, and left where not", async () => {
    await withPlatform(async ({ platform, folder }) => {
      const dies = "echo x >> starts; exit 3";
      await platform.start(scriptSpec(folder, "node", dies), {});
      await untilMode(platform, "node", "ended");
      const [node] = await platform.state({});
      assert.match(node?.lastEnd ?? "", /status 3/);
      assert.equal(await startsIn(folder), 1);
      const diesTwice = '[ "$(wc -l < starts)" -ge 3 ] && exec sleep 1000; echo x >> starts; exit 0';
      await platform.start(scriptSpec(folder, "program", diesTwice, { restart: "on-failure" }), {});
      await eventually("it runs for good", async () => {
        const state = (await platform.state({})).find(({ name }) => name === "program");
        return state?.mode === "running" && state.restarts === 2;
      });
      assert.equal(await startsIn(folder), 3);
    });
  });

  test("a frozen component does nothing until it is thawed, and can be stopped all the same", async () => {
    await withPlatform(async ({ platform, folder }) => {
      const ticks = "while :; do echo x >> starts; sleep 0.01; done";
      await platform.start(scriptSpec(folder, "ticking", ticks), {});
      await eventually("it ticks", async () => (await startsIn(folder)) > 2);
      await platform.freeze("ticking", {});
      const frozenAt = await startsIn(folder);
      assert.equal(await modeOf(platform, "ticking"), "frozen");
      await platform.state({});
      assert.equal(await startsIn(folder), frozenAt);
      await platform.thaw("ticking", {});
      await eventually("it ticks again", async () => (await startsIn(folder)) > frozenAt + 2);
      await platform.freeze("ticking", {});
      assert.deepEqual(await platform.stop("ticking", {}), { killed: false });
    });
  });

  test("a restart takes the spec that was given last", async () => {
    await withPlatform(async ({ platform, folder }) => {
      await platform.start(scriptSpec(folder, "one", "echo old > which; exec sleep 1000"), {});
      await platform.start(scriptSpec(folder, "one", "echo new > which; exec sleep 1000"), {});
      await platform.restart("one", {});
      await eventually(
        "the new one runs",
        async () => (await readFile(path.join(folder, "which"), "utf8").catch(() => "")) === "new\n",
      );
    });
  });
}

function fenceConformance(withPlatform: WithPlatform): void {
  test("a fenced component is down and is not started until it is unfenced", async () => {
    await withPlatform(async ({ platform, folder }) => {
      const spec = scriptSpec(folder, "db", COUNTS_AND_STAYS);
      await platform.start(spec, {});
      await eventually("it has started", async () => (await startsIn(folder)) === 1);
      assert.equal((await platform.fence("db", {})).ran, true);
      assert.equal(await modeOf(platform, "db"), "fenced");
      await assert.rejects(platform.start(spec, {}), { code: "platform.component-fenced" });
      await assert.rejects(platform.restart("db", {}), { code: "platform.component-fenced" });
      assert.equal((await platform.fence("db", {})).ran, false);
      assert.equal(await startsIn(folder), 1);
      await platform.unfence("db", {});
      assert.equal(await modeOf(platform, "db"), "stopped");
      await platform.start(spec, {});
      await eventually("it has started again", async () => (await startsIn(folder)) === 2);
      // A name that was never heard of: whatever comes under it must not start.
      await platform.fence("db_new", {});
      await assert.rejects(platform.start({ ...spec, name: "db_new" }, {}), { code: "platform.component-fenced" });
    });
  });

  test("names that are not known, programs that are not there and things that do not run are told", async () => {
    await withPlatform(async ({ platform, folder }) => {
      await assert.rejects(platform.stop("nobody", {}), { code: "platform.component-unknown" });
      await platform.start({ ...scriptSpec(folder, "gone", ""), program: "/nowhere/program" }, {});
      await untilMode(platform, "gone", "ended");
      assert.ok((await platform.lastLines("gone", 5, {})).some((line) => /\/nowhere\/program.*not found/.test(line)));
      await assert.rejects(platform.freeze("gone", {}), { code: "platform.component-failed" });
      await assert.rejects(platform.kill("nobody", {}), { code: "platform.component-unknown" });
      await writeFile(path.join(folder, "done"), "");
    });
  });
}

const ENDLESS = "setsid sleep 1000 & echo $! > command; wait";

/** A command of a component `one`. */
function shell(script: string, timeoutMs = 60_000): ExecRequest {
  return { name: "one", program: "/bin/sh", arguments: ["-c", script], timeoutMs };
}

async function runsOne({ platform, folder }: PlatformUnderTest, changes: Partial<ComponentSpec> = {}): Promise<void> {
  await platform.start(scriptSpec(folder, "one", "exec sleep 1000", changes), {});
}

/** The process that ENDLESS has begun. */
async function commandRuns(folder: string): Promise<number> {
  const file = path.join(folder, "command");
  await eventually("the command runs", async () => (await readFile(file, "utf8").catch(() => "")).endsWith("\n"));
  return Number(await readFile(file, "utf8"));
}

function execConformance(withPlatform: WithPlatform): void {
  test("a command runs in a component's folder and environment, and its end and both streams are told", async () => {
    await withPlatform(async (under) => {
      const { platform, folder } = under;
      await runsOne(under, { environment: { ...scriptSpec(folder, "one", "").environment, WHO: "one" } });
      const script = "pwd -P; echo $WHO; cat; echo trouble >&2; exit 7";
      assert.deepEqual(await platform.exec(shell(script), {}), {
        exit: { kind: "exited", status: 7 },
        stdout: `${await realpath(folder)}\none\n`,
        stderr: "trouble\n",
        truncated: false,
      });
      assert.deepEqual((await platform.exec(shell("kill -9 $$"), {})).exit, { kind: "signalled", signal: "SIGKILL" });
      const missing = await platform.exec({ ...shell(""), program: "no-such-program" }, {});
      assert.deepEqual(missing.exit, { kind: "exited", status: 127 });
      // Arguments are words, whatever is in them.
      const words = { ...shell(""), program: "echo", arguments: ["$WHO; exit 3", 'a "b"\nc'] };
      assert.equal((await platform.exec(words, {})).stdout, '$WHO; exit 3 a "b"\nc\n');
      const much = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero | tr '\\0' x >&2";
      const { stdout, stderr, truncated } = await platform.exec(shell(much), {});
      assert.deepEqual([stdout.length, stderr.length, truncated], [EXEC_OUTPUT_BYTES_MAX, EXEC_OUTPUT_BYTES_MAX, true]);
    });
  });

  test("a command that takes too long, or that nobody waits for, is killed with all it started", async () => {
    await withPlatform(async (under) => {
      const { platform, folder } = under;
      await runsOne(under);
      await assert.rejects(platform.exec(shell(ENDLESS, 500), {}), { code: "platform.process-timeout" });
      const leftover = await commandRuns(folder);
      await eventually("it is gone", async () => !(await systemProcesses.isAlive(leftover)));
      await rm(path.join(folder, "command"));
      const waiting = new AbortController();
      const endless = platform.exec(shell(ENDLESS), { signal: waiting.signal });
      const pid = await commandRuns(folder);
      waiting.abort();
      await assert.rejects(endless, { code: "platform.aborted" });
      await eventually("it is gone", async () => !(await systemProcesses.isAlive(pid)));
      assert.equal(await modeOf(platform, "one"), "running");
    });
  });

  test("a command ends with its component, and none runs where the component does not", async () => {
    await withPlatform(async (under) => {
      const { platform, folder } = under;
      await assert.rejects(platform.exec(shell("true"), {}), { code: "platform.component-unknown" });
      await runsOne(under);
      const endless = assert.rejects(platform.exec(shell(ENDLESS), {}), { code: "platform.component-failed" });
      const pid = await commandRuns(folder);
      await platform.fence("one", {});
      assert.equal(await systemProcesses.isAlive(pid), false, "a fenced component has nothing left that runs");
      await endless;
      await assert.rejects(platform.exec(shell("true"), {}), { code: "platform.component-failed" });
      await platform.unfence("one", {});
      await runsOne(under);
      await platform.freeze("one", {});
      await assert.rejects(platform.exec(shell("true"), {}), { code: "platform.component-failed" });
    });
  });
}

function epochConformance(withPlatform: WithPlatform): void {
  test("an order of an earlier epoch than one that was carried out, on whatever component, is refused and changes nothing", async () => {
    await withPlatform(async ({ platform, folder }) => {
      const spec = scriptSpec(folder, "node", COUNTS_AND_STAYS);
      await platform.start(spec, { epoch: 4 });
      await platform.fence("other", { epoch: 6 });
      const late = [
        () => platform.stop("node", { epoch: 5 }),
        () => platform.fence("node", { epoch: 5 }),
        () => platform.unfence("other", { epoch: 5 }),
        () => platform.start(scriptSpec(folder, "third", COUNTS_AND_STAYS), { epoch: 5 }),
      ];
      for (const order of late) {
        await assert.rejects(
          order(),
          (error) => isLifeboatError(error, "platform.stale-epoch") && error.details["seen"] === 6,
        );
      }
      assert.deepEqual([await modeOf(platform, "node"), await modeOf(platform, "other")], ["running", "fenced"]);
      assert.equal(await modeOf(platform, "third"), undefined);
      // One of the same epoch, and one of a person, who has none.
      await platform.unfence("other", { epoch: 6 });
      await platform.stop("node", {});
      assert.equal(await modeOf(platform, "node"), "stopped");
    });
  });
}
