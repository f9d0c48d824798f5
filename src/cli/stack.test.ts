import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs, type Engines } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { EXIT } from "../errors/entry.ts";
import type { Instant } from "../platform/clock.ts";
import type { ComponentState, ExecResult } from "../platform/components.ts";
import { COMPONENT_NAMES } from "../stack/component-names.ts";
import type { Prompt } from "./prompt.ts";
import type { StackSeen } from "./ps.ts";
import { runCli } from "./run.ts";
import type { StackOverview } from "./stack-overview.ts";

async function keeps(golden: string, line: string, engines: Partial<Engines>): Promise<number> {
  const people = recordedFrame();
  const status = await runCli(line.split(" "), allVerbs(engines), people);
  assert.equal(people.stderr.written(), "");
  matchesGolden(`results/${golden}.txt`, people.stdout.written());
  const programs = recordedFrame();
  assert.equal(await runCli([...line.split(" "), "--json"], allVerbs(engines), programs), status);
  matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.stdout.written()), null, 2)}\n`);
  return status;
}

const NOW = Date.UTC(2026, 0, 2) as Instant;

const stack: StackOverview = {
  name: "catalog",
  folder: "/var/lib/lifeboat/stacks/catalog",
  ports: { front: 8000, mcp: 8080, pgbouncer: 5435, db: 5432, dbReplica: 5433, reads: 5434, redis: 6379 },
  database: "catalog",
  applicationRole: "buywhere",
  passwordFile: "/var/lib/lifeboat/stacks/catalog/secrets/application",
  configFile: "/var/lib/lifeboat/stacks/catalog/config/receiver/lifeboat.yaml",
  command: "lifeboat",
  service: true,
  apiCount: 0,
};

test("up says what it made, where to connect, and the recovery key, which is nowhere else", async () => {
  const steps = [
    { step: "db-start", effect: "the primary accepts connections", durationMs: 812 },
    { step: "vault", effect: "the vault is made", durationMs: 93 },
  ];
  const made = { stack, steps, durationMs: 9_800, recoveryKey: "ABCD-EFGH-JKMN" };
  const notGiven = async (): Promise<never> => assert.fail();
  assert.equal(await keeps("up", "up", { up: { run: async () => made, plan: notGiven } }), 0);
  const there = { stack: { ...stack, apiCount: 2 }, steps: [], durationMs: 300, recoveryKey: undefined };
  assert.equal(await keeps("up-again", "up", { up: { run: async () => there, plan: notGiven } }), 0);
});

test("a dry run says each step in its order and the ports, or that nothing is to be done", async () => {
  const steps = [
    { step: "folders", effect: "the stack's folders are there" },
    { step: "db-data", effect: "the primary has a data directory with checksums" },
  ];
  const run = async (): Promise<never> => assert.fail();
  const plan = (portsToChoose: boolean, of: typeof steps) => ({
    up: { run, plan: async () => ({ stack, portsToChoose, steps: of }) },
  });
  assert.equal(await keeps("up-plan", "up --dry-run", plan(false, steps)), 0);
  assert.equal(await keeps("up-plan-auto", "up --dry-run --ports auto", plan(true, steps)), 0);
  assert.equal(await keeps("up-plan-nothing", "up --dry-run", plan(false, [])), 0);
});

test("down says what stopped, what had to be killed, and where the data is", async () => {
  const stopped = [
    { component: "haproxy", durationMs: 12, killed: false },
    { component: "pgbouncer", durationMs: 3_010, killed: true },
  ];
  const taken = { stack, stopped, durationMs: 3_100 };
  assert.equal(await keeps("down", "down", { takeDown: async () => taken }), 0);
  assert.equal(await keeps("down-again", "down", { takeDown: async () => ({ ...taken, stopped: [] }) }), 0);
});

function running(name: string, different: Partial<ComponentState> = {}): ComponentState {
  const since = (NOW - 3_725_000) as Instant;
  const ports = [{ name, port: 5432 }];
  return { name, mode: "running", since, adopted: false, lastEnd: undefined, restarts: 0, ports, ...different };
}

const undescribed = {
  component: "pgbouncer",
  name: "pgbouncer_2",
  state: running("pgbouncer"),
  works: true,
  described: false,
} as const;

test("ps shows a stack that is up with status 0, and otherwise what is wrong with each component, with status 6", async () => {
  const all = (of: (name: (typeof COMPONENT_NAMES)[number]) => StackSeen["components"][number]): StackSeen => ({
    stack,
    now: NOW,
    components: COMPONENT_NAMES.map(of),
    notes: [],
  });
  const well = all((component) => ({ component, name: component, state: running(component), works: true }));
  assert.equal(await keeps("ps", "ps", { lookAtStack: async () => well }), 0);
  const daemons = { lookAtStack: async () => ({ ...well, components: [...well.components, undescribed] }) };
  assert.equal(await keeps("ps-undescribed", "ps", daemons), 0);
  const ill = new Map([
    ["db", running("db", { mode: "ended", lastEnd: "it was ended by SIGKILL" })],
    ["receiver", running("receiver", { adopted: true })],
    ["redis", running("redis", { restarts: 2, lastEnd: "it ended with status 1" })],
    ["pgbouncer", running("pgbouncer", { mode: "gave-up", restarts: 12, lastEnd: "it ended with status 1" })],
    ["haproxy", running("haproxy", { mode: "fenced" })],
  ]);
  const wrong = all((component) => ({
    component,
    name: component,
    state: ill.get(component),
    works: component === "redis",
  }));
  assert.equal(await keeps("ps-wrong", "ps", { lookAtStack: async () => wrong }), EXIT.world);
  // A node that ended is its daemon's.
  const dead = all((component) => {
    const duty = component === "daemon" ? { duty: "controls" as const } : {};
    const state = running(component, component === "db" ? { mode: "ended", lastEnd: "it was ended by SIGKILL" } : {});
    return { component, name: component, state, works: component !== "db", ...duty };
  });
  const paused = { lookAtStack: async () => ({ ...dead, failoverPaused: true }) };
  assert.equal(await keeps("ps-paused", "ps", paused), EXIT.world);
  const note = { message: "the file system of /s has 12 MiB free", remedy: "make room there" };
  const blind = all((component) => ({
    component,
    name: component,
    state: running(component),
    works: false,
    wasAsked: false,
  }));
  assert.equal(
    await keeps("ps-not-asked", "ps", { lookAtStack: async () => ({ ...blind, notes: [note] }) }),
    EXIT.world,
  );
  assert.equal(await keeps("ps-noted", "ps", { lookAtStack: async () => ({ ...well, notes: [note] }) }), EXIT.world);
  const down = all((component) => ({ component, name: component, state: undefined, works: false }));
  assert.equal(await keeps("ps-down", "ps", { lookAtStack: async () => down }), EXIT.world);
});

test("logs are shown with the names of who wrote them, one log without, and what is followed line by line", async () => {
  const open = (names: readonly string[]) => ({
    logs: names.map((name) => ({ name, lines: name === "db" ? ["LOG:  ready", "bell \u0007"] : [] })),
    follow: async (onLine: (name: "db", line: string) => void) => onLine("db", "LOG:  more"),
  });
  const readLogs: Engines["readLogs"] = async ({ names }) => open(names);
  assert.equal(await keeps("logs", "logs", { readLogs }), 0);
  assert.equal(await keeps("logs-db", "logs db", { readLogs }), 0);
  const people = recordedFrame();
  assert.equal(await runCli(["logs", "db", "-f"], allVerbs({ readLogs }), people), 0);
  assert.equal(people.stdout.written(), "LOG:  ready\nbell \\x07\nLOG:  more\n");
  const programs = recordedFrame();
  await runCli(["logs", "--follow", "--json"], allVerbs({ readLogs }), programs);
  const lines = programs.stdout.written().trimEnd().split("\n");
  assert.deepEqual(JSON.parse(lines.at(-1) ?? ""), { name: "db", line: "LOG:  more" });
  assert.equal(lines.length, 3);
  const nothing = recordedFrame();
  assert.equal(await runCli(["logs", "redis"], allVerbs({ readLogs }), nothing), 0);
  assert.equal(nothing.stderr.written(), "Nothing was logged yet.\n");
});

test("scale says how many there are now and were before, and that a stack that is down comes up with them", async () => {
  const scale = (different: object): Partial<Engines> => ({
    scale: async ({ component, count }) => ({ component, was: 1, count, applied: true, durationMs: 420, ...different }),
  });
  assert.equal(await keeps("scale", "scale pgbouncer 2", scale({})), 0);
  assert.equal(await keeps("scale-same", "scale pgbouncer 2", scale({ was: 2 })), 0);
  assert.equal(await keeps("scale-down", "scale pgbouncer 2", scale({ applied: false })), 0);
  for (const line of ["scale", "scale pgbouncer", "scale db 2", "scale pgbouncer 0", "scale pgbouncer 17"]) {
    assert.equal(await runCli(line.split(" "), allVerbs(scale({})), recordedFrame()), EXIT.usage, line);
  }
});

test("exec tells what a command wrote and ends with its status, or with that of a signal as shells do", async () => {
  const asked: object[] = [];
  const exec =
    (different: Partial<ExecResult>): Engines["exec"] =>
    async ({ component, program, args, timeoutMs }) => {
      asked.push([component, program, args, timeoutMs]);
      return { exit: { kind: "exited", status: 0 }, stdout: "16.4\n", stderr: "", truncated: false, ...different };
    };
  const words = ["exec", "db", "--", "postgres", "--version", "--json"];
  const people = recordedFrame();
  assert.equal(await runCli(words, allVerbs({ exec: exec({}) }), people), 0);
  assert.deepEqual([people.stdout.written(), people.stderr.written()], ["16.4\n", ""]);
  assert.deepEqual(asked, [["db", "postgres", ["--version", "--json"], 60_000]]);
  const programs = recordedFrame();
  assert.equal(await runCli(["--json", ...words], allVerbs({ exec: exec({}) }), programs), 0);
  const { exit, stdout, stderr } = await JSON.parse(programs.stdout.written());
  assert.deepEqual([exit, stdout, stderr], [{ kind: "exited", status: 0 }, "16.4\n", ""]);
  const failed = { exit: { kind: "exited", status: 7 }, stdout: "", stderr: "no\n", truncated: true } as const;
  const frame = recordedFrame();
  const odd = ["exec", "redis", "--timeout", "5s", "--", "sh", "", "a\nb"];
  assert.equal(await runCli(odd, allVerbs({ exec: exec(failed) }), frame), 7);
  assert.match(frame.stderr.written(), /^no\nThe command wrote more/);
  assert.deepEqual(asked.at(-1), ["redis", "sh", ["", "a\nb"], 5_000]);
  const killed = exec({ exit: { kind: "signalled", signal: "SIGKILL" } });
  assert.equal(await runCli(["exec", "db", "--", "x"], allVerbs({ exec: killed }), recordedFrame()), 137);
  for (const line of ["exec", "exec db", "exec nobody -- true", "exec db ls -l"]) {
    assert.equal(await runCli(line.split(" "), allVerbs({ exec: exec({}) }), recordedFrame()), EXIT.usage, line);
  }
});

test("the primary is restarted only when a person at the terminal, or the command line, accepts the outage", async () => {
  const asked: string[] = [];
  const restarted: string[] = [];
  const restart: Engines["restart"] = async ({ component, acceptOutage }) => {
    if (component === "db_replica") await acceptOutage();
    restarted.push(component);
    return { component, durationMs: 1_234 };
  };
  const prompt: Prompt = {
    secret: async () => assert.fail(),
    newSecret: async () => assert.fail(),
    confirm: async ({ what, word }) => void asked.push(`${what} ${word}`),
  };
  assert.equal(await keeps("restart", "restart redis", { restart }), 0);
  const silent = recordedFrame();
  assert.equal(await runCli(["restart", "db_replica"], allVerbs({ restart }), silent), EXIT.refused);
  assert.ok(silent.stderr.written().includes("code: stack.outage-not-accepted"));
  assert.deepEqual([restarted, asked], [["redis", "redis"], []]);
  const terminal = recordedFrame({ prompt: () => prompt });
  assert.equal(await runCli(["restart", "db_replica"], allVerbs({ restart }), terminal), 0);
  assert.equal(await runCli(["restart", "db_replica", "--accept-outage"], allVerbs({ restart }), terminal), 0);
  assert.equal(asked.length, 1);
  assert.match(asked[0] ?? "", /interrupts every write.* db_replica$/);
  assert.deepEqual(restarted, ["redis", "redis", "db_replica", "db_replica"]);
});
