/**
 * A stack of real programs, run by the real command line in a folder of its own, as an operator does. What a test needs
 * beside the command line it does through the stack's own platform.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile } from "node:fs/promises";
import path from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { systemClock } from "../../src/platform/clock.ts";
import { LocalPlatform } from "../../src/platform/local/local-platform.ts";
import { systemLocks } from "../../src/platform/lock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import { ProbeProcess } from "../../src/probe/process.ts";
import type { ComponentName } from "../../src/stack/component-names.ts";
import { nodeAddress, withNode } from "../../src/stack/nodes.ts";
import { portsInUse, settlePorts } from "../../src/stack/ports.ts";
import { findPrograms, SYSTEM_FOLDERS } from "../../src/stack/programs.ts";
import { readSecrets } from "../../src/stack/secrets.ts";
import type { StackDescription } from "../../src/stack/stack.ts";
import type { StackTools } from "../../src/stack/tools.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { CommandLine } from "./command-line.ts";
import { processesOf } from "./processes-of.ts";
import { NODE_OPTIONS, PROGRAMS, SERVICE_PROGRAMS } from "./program.ts";
import { eventually } from "./receivers.ts";
import { PORTS, serverUser } from "./servers.ts";
import { testStack } from "./stacks.ts";

const MACHINE = { ...PORTS, locks: systemLocks, random: systemRandom };
const PROGRAMS_FOLDERS = process.env["LIFEBOAT_TEST_PROGRAMS"];

/** What `up --json` answers, as far as tests look. */
export type UpAnswer = {
  readonly steps: readonly { readonly step: string }[];
  readonly durationMs: number;
  readonly recoveryKey: string | null;
};

/** What `ps --json` answers, as far as tests look. */
export type PsAnswer = {
  readonly up: boolean;
  readonly components: readonly {
    readonly component: string;
    readonly name: string;
    readonly mode: string;
    readonly works: boolean;
    readonly restarts: number;
    readonly adopted: boolean;
    readonly lastEnd: string | null;
  }[];
};

/**
 * A new folder for stacks whose disk is not what is tested: in memory where there is room. Where others write too a sync takes seconds
 * at times, a stack waits for it as it must, and its clients with it.
 */
export async function makeStackFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(memoryFolder(), "stack-"));
  // Servers run as another user.
  await chmod(folder, 0o755);
  return folder;
}

/** A stack by its name; several can lie in one folder. */
export class RealStack {
  readonly name: string;
  readonly cli: CommandLine;
  readonly #described: StackDescription;

  /** `configured`: more of its lifeboat.yaml. Without its service, which most tests do not need, it starts sooner. */
  constructor(
    folder: string,
    name: string,
    daemon: "on" | "off" = "off",
    { configured = "", service = "off" }: { readonly configured?: string; readonly service?: "on" | "off" } = {},
  ) {
    this.name = name;
    this.cli = new CommandLine(path.join(folder, `cli-${name}`));
    const state = path.join(folder, "state");
    const programs = PROGRAMS_FOLDERS === undefined ? "" : `  programsDir: ${PROGRAMS_FOLDERS}\n`;
    this.cli.write(
      "lifeboat.yaml",
      `folders:\n  state: ${state}\nstack:\n  name: ${name}\n  daemon: ${daemon}\n  service: ${service}\n  feeds: none\n${programs}${configured}`,
    );
    this.#described = testStack({
      stacksFolder: path.join(state, "stacks"),
      name,
      release: manifest.version,
      api: [],
      daemon: daemon === "on",
      service: service === "on",
      feeds: "none",
    });
  }

  /** With the ports that it uses. */
  stack(): Promise<StackDescription> {
    return portsInUse(PORTS.files, this.#described);
  }

  /** `lifeboat up` with free ports; it must end well. */
  async up(options = ""): Promise<UpAnswer> {
    return (await this.cli.json(`up --ports auto ${options}`)) as UpAnswer;
  }

  /** `lifeboat ps`, whatever it ends with. */
  async ps(): Promise<PsAnswer> {
    const { out } = await this.cli.run("ps --json");
    return JSON.parse(out) as PsAnswer;
  }

  /** What `ps` says of one component. */
  async look(name: ComponentName): Promise<PsAnswer["components"][number]> {
    const found = (await this.ps()).components.find(({ component }) => component === name);
    assert(found !== undefined);
    return found;
  }

  get platform(): LocalPlatform {
    const supervisor = { command: process.execPath, args: [...NODE_OPTIONS, PROGRAMS.supervisor] };
    return new LocalPlatform({ ...PORTS }, { folder: this.#described.place.supervisor, supervisor });
  }

  /** What bringing it up in this process needs. */
  async tools(): Promise<{ readonly stack: StackDescription; readonly tools: StackTools }> {
    const stack = await settlePorts(MACHINE, this.#described, "auto", {});
    const user = await serverUser();
    const lifeboat = { command: process.execPath, args: [...NODE_OPTIONS, PROGRAMS.lifeboat] };
    const folders = [...(PROGRAMS_FOLDERS ?? "").split(":"), ...SYSTEM_FOLDERS];
    const service = { command: process.execPath, args: NODE_OPTIONS, ...SERVICE_PROGRAMS };
    const programs = await findPrograms(MACHINE, stack, { user, folders, lifeboat, service, unique: "test" }, {});
    return { stack, tools: { ...MACHINE, user, programs, platform: this.platform } };
  }

  /** The process of a component, as its supervisor recorded it. */
  async pidOf(component: string): Promise<number> {
    const file = path.join(this.#described.place.supervisor, "components.json");
    const pid: unknown = JSON.parse(await readFile(file, "utf8")).components[component].process?.pid;
    assert(typeof pid === "number", `${component} has a process`);
    return pid;
  }

  /** The process of its supervisor. */
  async supervisorPid(): Promise<number> {
    const all = await processesOf(this.#described.place.folder);
    const found = all.find(({ command }) => command.includes(PROGRAMS.supervisor));
    assert(found !== undefined, "a supervisor runs");
    return found.pid;
  }

  /** Kills a component with all it started, as a crash would; its supervisor is not asked. */
  async crash(program: string): Promise<void> {
    await PORTS.processes.killTree(await this.pidOf(program));
  }

  /** Kills every process of it at once, the supervisor with the rest. */
  async crashAll(): Promise<void> {
    const { folder } = this.#described.place;
    await eventually("all are gone", async () => {
      const left = await processesOf(folder);
      for (const { pid } of left) PORTS.processes.signal(pid, "SIGKILL");
      return left.length === 0;
    });
  }

  /** Ends and removes nothing but processes: for the end of a test file. */
  async end(): Promise<void> {
    await this.cli.end();
    await this.crashAll();
  }

  /** How the application logs in to the primary. */
  async application(): Promise<ConnectOptions> {
    const stack = await this.stack();
    const secrets = await readSecrets(PORTS.files, stack.place);
    const { database, applicationRole: user } = stack;
    return { ...nodeAddress(stack, secrets, "db"), host: "127.0.0.1", user, password: secrets.application, database };
  }

  /** The first value that a node answers with, as text. */
  async ask(node: "db" | "db_replica", sql: string, database = "postgres"): Promise<string> {
    const stack = await this.stack();
    const secrets = await readSecrets(PORTS.files, stack.place);
    const address = { ...nodeAddress(stack, secrets, node), database, namesOf: "database" } as const;
    const [row] = await withNode(address, {}, ({ run }) => run(sql));
    return String(Object.values(row ?? {})[0]);
  }

  /** A probe that writes to the primary, or through whatever listens at `port`, in a process of its own. */
  async probe(ledgerFile: string, writesPerSecond: number, port?: number): Promise<ProbeProcess> {
    const application = await this.application();
    return await ProbeProcess.start(PORTS.processes, {
      node: process.execPath,
      entry: PROGRAMS.probe,
      ledgerFile,
      probe: {
        connect: { ...application, port: port ?? application.port, applicationName: "probe" },
        clientId: systemRandom(16).toString("hex"),
        writesPerSecond,
        readsPerSecond: 0,
        laneCount: 16,
        queueDeadlineMs: 30_000,
        answerDeadlineMs: 30_000,
      },
    });
  }
}

/** Lets a probe write for a while. */
export async function forAWhile(ms: number): Promise<void> {
  await systemClock.sleep(ms, {});
}
