/**
 * A whole stack of real programs: brought up from nothing, written to while its parts are killed, killed as a whole, brought
 * up again, and taken down.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { readBalancer } from "../../src/balancer/ask.ts";
import { isLifeboatError } from "../../src/errors/error.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { isPortFree } from "../../src/platform/free-port.ts";
import { systemLocks } from "../../src/platform/lock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import { ProbeProcess } from "../../src/probe/process.ts";
import { readBack } from "../../src/probe/read-back.ts";
import { makeWriteTable } from "../../src/probe/write-table.ts";
import { runStackDown } from "../../src/stack/down.ts";
import { nodeAddress, withNode } from "../../src/stack/nodes.ts";
import { UP_STEPS } from "../../src/stack/plan.ts";
import { settlePorts } from "../../src/stack/ports.ts";
import { findPrograms, SYSTEM_FOLDERS } from "../../src/stack/programs.ts";
import { lifeboatConfigFile } from "../../src/stack/receiver-config.ts";
import { statsSocketOf } from "../../src/stack/render.ts";
import { readSecrets } from "../../src/stack/secrets.ts";
import type { StackDescription } from "../../src/stack/stack.ts";
import { runningComponents, type StackTools } from "../../src/stack/tools.ts";
import { runStackUp, type UpResult } from "../../src/stack/up.ts";
import { CommandLine } from "../support/command-line.ts";
import { PlainPlatform, processesOf } from "../support/plain-platform.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS, serverUser } from "../support/servers.ts";
import { testStack } from "../support/stacks.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

/** What we promise of a first start; it takes about ten seconds on two cores. */
const UP_MAX_MS = 60_000;

const RATE_PER_SECOND = 200;

/** How long the client writes before a kill and behind it. */
const WHILE_MS = 1_000;

/** The status of every answer to a request after another, until the signal; a request that gets none is a 0. */
async function askAll(port: number, url: string, signal: AbortSignal): Promise<readonly number[]> {
  const statuses: number[] = [];
  while (!signal.aborted) {
    // A connection of its own for each, as many clients have.
    const answer = await fetch(`http://127.0.0.1:${port}${url}`, { headers: { connection: "close" } }).catch(
      () => undefined,
    );
    statuses.push(answer?.status ?? 0);
  }
  return statuses;
}

/** A stack with everything it needs, in a folder of its own. */
class RealStack {
  readonly stack: StackDescription;
  readonly platform: PlainPlatform;
  readonly #tools: StackTools;
  recoveryKeys: readonly string[] = [];

  private constructor(stack: StackDescription, tools: StackTools, platform: PlainPlatform) {
    this.stack = stack;
    this.#tools = tools;
    this.platform = platform;
  }

  /** The stack of this name; one that was there before is found as it is, by a platform that knows of nothing. */
  static async open(stacksFolder: string, name: string): Promise<RealStack> {
    const machine = { ...PORTS, locks: systemLocks, random: systemRandom };
    const stack = await settlePorts(machine, testStack({ stacksFolder, name, api: [] }), "auto", {});
    const user = await serverUser();
    const lifeboat = {
      command: process.execPath,
      args: ["--disable-warning=ExperimentalWarning", path.join(ROOT, "src/cli/main.ts")],
    };
    const folders = [...(process.env["LIFEBOAT_TEST_PROGRAMS"] ?? "").split(":"), ...SYSTEM_FOLDERS];
    const programs = await findPrograms(machine, stack, { user, folders, lifeboat, unique: "test" }, {});
    const platform = new PlainPlatform(stack.place);
    return new RealStack(stack, { ...machine, user, programs, platform }, platform);
  }

  up(
    different: { readonly stack?: StackDescription; readonly onStep?: (step: string) => void } = {},
  ): Promise<UpResult> {
    const cutting = new AbortController();
    return runStackUp(this.#tools, different.stack ?? this.stack, {
      signal: cutting.signal,
      onEvent: (event) => {
        if (event.kind === "recovery-key") this.recoveryKeys = [...this.recoveryKeys, event.recoveryKey];
        else if (event.acted && different.onStep !== undefined) {
          different.onStep(event.step);
          cutting.abort();
        }
      },
    });
  }

  down(): Promise<unknown> {
    return runStackDown(this.#tools, this.stack, { onEvent: () => undefined });
  }

  async application(): Promise<ConnectOptions> {
    const secrets = await readSecrets(this.#tools.files, this.stack.place);
    const user = this.stack.applicationRole;
    const { database } = this.stack;
    return {
      ...nodeAddress(this.stack, secrets, "db"),
      host: "127.0.0.1",
      user,
      password: secrets.application,
      database,
    };
  }

  async ask(node: "db" | "db_replica", sql: string): Promise<string> {
    const secrets = await readSecrets(this.#tools.files, this.stack.place);
    const [row] = await withNode(nodeAddress(this.stack, secrets, node), {}, ({ run }) => run(sql));
    return String(Object.values(row ?? {})[0]);
  }

  /** A client that writes to the primary, in a process of its own. */
  async client(ledgerFile: string): Promise<ProbeProcess> {
    return await ProbeProcess.start(PORTS.processes, {
      node: process.execPath,
      entry: path.join(ROOT, "src/probe/main.ts"),
      ledgerFile,
      probe: {
        connect: { ...(await this.application()), applicationName: "client" },
        clientId: systemRandom(16).toString("hex"),
        writesPerSecond: RATE_PER_SECOND,
        readsPerSecond: 0,
        laneCount: 16,
        queueDeadlineMs: 5_000,
        answerDeadlineMs: 10_000,
      },
    });
  }
}

let folder = "";
let one: RealStack;
let two: RealStack;

const portsOf = ({ stack }: RealStack) => Object.values(stack.ports);

before(async () => {
  folder = await mkdtemp("/tmp/stack-");
  await chmod(folder, 0o755);
  one = await RealStack.open(folder, "one");
});

after(async () => {
  for (const line of await processesOf(folder)) process.kill(Number.parseInt(line, 10), "SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

test("from nothing to all healthy in under a minute, with a recovery key shown once; up again changes nothing", async (t) => {
  const { durationMs, acted } = await one.up();
  t.diagnostic(`up from nothing: ${durationMs} ms`);
  assert.ok(durationMs < UP_MAX_MS, `${durationMs} ms`);
  assert.equal(acted.length, 15);
  assert.equal(one.recoveryKeys.length, 1);
  assert.equal(await one.ask("db", "SHOW synchronous_standby_names"), "ANY 1 (db_replica, lifeboat_vault)");
  const states = "SELECT string_agg(sync_state, ',' ORDER BY application_name) FROM pg_stat_replication";
  assert.equal(await one.ask("db", states), "quorum,quorum");
  assert.equal(await one.ask("db_replica", "SELECT pg_is_in_recovery()::text"), "true");
  assert.deepEqual((await one.up()).acted, []);
  assert.equal(one.recoveryKeys.length, 1);
});

test("secrets lie in files that only their owner can read, and in no argument, log or configuration that others can read", async () => {
  const { place } = one.stack;
  const user = await serverUser();
  const secrets = await readSecrets(PORTS.files, place);
  for (const name of await readdir(place.secrets)) {
    const facts = await stat(path.join(place.secrets, name));
    assert.equal(facts.mode & 0o777, 0o600, name);
    assert.equal(facts.uid, user?.uid ?? process.getuid?.(), name);
  }
  const commands = (await processesOf(folder)).join("\n");
  for (const log of await readdir(place.logs)) {
    const said = (await PORTS.files.readFile(path.join(place.logs, log))).toString("utf8");
    for (const [name, secret] of Object.entries(secrets)) {
      assert.equal(said.includes(secret), false, `${name} in ${log}`);
      assert.equal(commands.includes(secret), false, name);
    }
  }
});

test("the balancer leads reads to the replica, and says that no instance of the API is there", async () => {
  await eventually("the balancer has checked its servers", async () => {
    const states = await readBalancer(statsSocketOf(one.stack), {});
    return states.map(({ server, status }) => `${server} ${status}`).join(", ") === "db_replica UP, db UP";
  });
  const application = await one.application();
  const reads = { ...application, port: one.stack.ports.reads };
  await withNode(reads, {}, async ({ run }) => {
    const [row] = await run("SELECT pg_is_in_recovery() AS standby");
    assert.equal(row?.["standby"], true);
  });
  const answer = await fetch(`http://127.0.0.1:${one.stack.ports.front}/health`);
  assert.equal(answer.status, 503);
});

test("an instance of the API that is described later is led to without a request being refused meanwhile", async () => {
  const instance = createServer((request, response) => response.end(request.url));
  await new Promise<void>((resolve) => instance.listen(0, "127.0.0.1", resolve));
  const address = instance.address();
  assert(typeof address === "object" && address !== null);
  const stack = { ...one.stack, api: [{ host: "127.0.0.1", port: address.port }] };
  const asking = new AbortController();
  const answers = askAll(one.stack.ports.front, "/balancer/health", asking.signal);
  try {
    const { acted } = await one.up({ stack });
    assert.deepEqual(acted, ["config"]);
    await eventually("the front leads to the instance", async () => {
      const answer = await fetch(`http://127.0.0.1:${one.stack.ports.front}/products`);
      return answer.status === 200 && (await answer.text()) === "/products";
    });
    asking.abort();
    const statuses = await answers;
    assert.ok(statuses.length > 20, `${statuses.length}`);
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.deepEqual((await one.up({ stack })).acted, []);
  } finally {
    asking.abort();
    instance.close();
    instance.closeAllConnections();
    await one.up();
  }
});

test("a backup that we take leaves nothing in the vault that the receiver's user could not remove", async () => {
  const cli = new CommandLine(path.join(folder, "cli"));
  await cli.expect(0, `backup --config ${lifeboatConfigFile(one.stack)}`);
  const user = await serverUser();
  for (const name of await readdir(one.stack.place.vault, { recursive: true })) {
    const facts = await stat(path.join(one.stack.place.vault, name));
    assert.equal(facts.uid, user?.uid ?? process.getuid?.(), name);
  }
});

test("under 200 writes a second, killing the replica, the receiver and redis, one after another, fails no write", async (t) => {
  await makeWriteTable(await one.application(), {});
  const ledgerFile = path.join(folder, "ledger-1");
  const client = await one.client(ledgerFile);
  try {
    for (const name of ["db_replica", "receiver", "redis"]) {
      await systemClock.sleep(WHILE_MS, {});
      await one.platform.kill(name);
      await systemClock.sleep(WHILE_MS, {});
      await one.up();
      assert.equal((await runningComponents(one.platform, {})).has(name), true);
    }
    await systemClock.sleep(WHILE_MS, {});
    const report = await client.stop({});
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual([report.writes.failedCount, report.writes.unknownCount], [0, 0]);
    assert.ok(report.writes.okCount > 1_000, `${report.writes.okCount}`);
  } finally {
    await client.kill();
  }
  const { present, missing, damaged } = await readBack(PORTS.files, { connect: await one.application(), ledgerFile });
  assert.ok(present > 1_000);
  assert.deepEqual([missing, damaged], [[], []]);
});

test("after a kill of every process the next up goes on with everything that was acknowledged, on the same ports", async (t) => {
  const ledgerFile = path.join(folder, "ledger-2");
  const client = await one.client(ledgerFile);
  await systemClock.sleep(WHILE_MS, {});
  await one.platform.killAll();
  await client.kill();
  assert.deepEqual(await processesOf(one.stack.place.folder), []);
  const again = await RealStack.open(folder, "one");
  assert.deepEqual(again.stack.ports, one.stack.ports);
  one = again;
  const { durationMs } = await one.up();
  t.diagnostic(`up after a kill of everything: ${durationMs} ms`);
  const { acknowledged, missing, damaged } = await readBack(PORTS.files, {
    connect: await one.application(),
    ledgerFile,
  });
  assert.ok(acknowledged > 50, `${acknowledged}`);
  assert.deepEqual([missing, damaged], [[], []]);
  assert.deepEqual((await one.up()).acted, []);
});

test("a second stack comes up beside the first though each of its starts is cut short after one step", async () => {
  two = await RealStack.open(folder, "two");
  assert.equal(new Set([...portsOf(one), ...portsOf(two)]).size, 12);
  // What an initdb that was killed leaves.
  const { place } = two.stack;
  await mkdir(`${place.dataOf("db")}.making`, { recursive: true });
  const steps: string[] = [];
  const last = UP_STEPS.at(-2);
  while (steps.at(-1) !== last) {
    const cut = two.up({ onStep: (step) => steps.push(step) });
    await assert.rejects(cut, (error) => isLifeboatError(error, "platform.aborted"));
  }
  assert.deepEqual(steps, UP_STEPS.slice(0, -1));
  assert.equal(two.recoveryKeys.length, 1);
  assert.deepEqual((await two.up()).acted, []);
  assert.equal(await two.ask("db_replica", "SELECT count(*)::text FROM pg_stat_wal_receiver"), "1");
});

test("each stack goes down alone and leaves nothing but its folder", async (t) => {
  const begun = systemClock.monotonic();
  await one.down();
  t.diagnostic(`down: ${Math.round(systemClock.monotonic() - begun)} ms`);
  assert.deepEqual(await processesOf(one.stack.place.folder), []);
  for (const port of portsOf(one)) assert.equal(await isPortFree(port), true, `port ${port}`);
  assert.deepEqual(await readdir(one.stack.place.sockets), []);
  assert.equal(await two.ask("db", "SELECT 1"), "1");
  await two.down();
  assert.deepEqual(await processesOf(folder), []);
  await one.up();
  assert.equal(await one.ask("db_replica", "SELECT count(*)::text FROM pg_stat_wal_receiver"), "1");
  await one.down();
});
