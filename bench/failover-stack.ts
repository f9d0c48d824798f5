/**
 * The stack of `bench failover`: brought up and healed by Lifeboat's command lines, disturbed by signals.
 *
 * Invariants: everything of it lies in one folder of the cache folder; it never outlives the benchmark, and what a killed
 * one left is taken down by the next; only processes of this stack are signalled, by the numbers its supervisor recorded.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { configuredStack } from "../src/cli/engine-stack.ts";
import { loadSettings } from "../src/config/load.ts";
import { configOf } from "../src/config/resolve.ts";
import { systemFiles } from "../src/platform/files.ts";
import { readRecord } from "../src/platform/local/record.ts";
import { type Command, systemProcesses } from "../src/platform/processes.ts";
import { systemRandom } from "../src/platform/random.ts";
import { findInstallation, type Installation } from "../src/postgres/installation.ts";
import type { ConnectOptions } from "../src/postgres/replication.ts";
import { type DaemonDuty, dutyOf } from "../src/stack/daemon-config.ts";
import type { NodeName } from "../src/stack/node-settings.ts";
import { nodeAddress, withNode } from "../src/stack/nodes.ts";
import { readSecrets, secretFile } from "../src/stack/secrets.ts";
import type { StackDescription } from "../src/stack/stack.ts";
import { launcherIn } from "./backup-tools/lifeboat-package.ts";
import { newestEvent, newestRebuild } from "./failover-events.ts";
import { type EventFacts, type FailoverRequest, type FaultName, PAUSE_MS, type Rebuild } from "./failover-plan.ts";
import { must, Stop } from "./machine.ts";
import { WalDisks } from "./wal-disks.ts";
import { BIN_FOLDER, type Place } from "./workload.ts";

const STACK_NAME = "bench";
const MAJOR = 16 as const;
const FOLDER_NAME = "failover-stack";
const NODES: readonly NodeName[] = ["db", "db_replica"];
/** Of these one decides on failovers, and the other stands by. */
const CONTROLLERS = ["daemon", "daemon_2"];
/** Faults that leave something down which no failover replaces. */
const RESTARTED: readonly FaultName[] = [
  "killed",
  "killed-with-controller",
  "frozen",
  "diverged",
  "replica",
  "receiver",
  "redis",
];
const CATALOG_FILE = path.join(import.meta.dirname, "catalog-2gib", "make-catalog.sql");
/** Of their own: the application's database has tables of these names that look different. */
const PRODUCTS_DATABASE = "bench_products";
const UPDATE_FILE = path.join(import.meta.dirname, "catalog-2gib", "update-share.sql");
/** 2 GiB take some five minutes with a receiver and a replica on two cores. */
const FILL_TIMEOUT_MS = 3_600_000;
const LOOK_MS = 50;
/** A rebuild of a few MiB takes seconds. */
const WHOLE_TIMEOUT_MS = 120_000;
/** The controller makes the old primary a replica by itself. */
const SELF_HEAL_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 2_000;

type Call = { readonly signal: AbortSignal };

/** A stack under test. */
export class FailoverStack {
  readonly #place: Place;
  readonly #folder: string;
  readonly #disks: WalDisks;
  #stack: StackDescription | undefined;

  private constructor(place: Place) {
    this.#place = place;
    this.#folder = path.join(place.cacheFolder, FOLDER_NAME);
    this.#disks = new WalDisks(this.#folder);
  }

  /** PostgreSQL of the stack. The package in the run folder has no servers beside it. */
  static async installation({ user }: Place, call: Call): Promise<Installation> {
    const ports = { files: systemFiles, processes: systemProcesses };
    return await findInstallation(ports, { wanted: { major: MAJOR }, user, unique: "bench", ...call });
  }

  /** Takes down what an earlier benchmark left, and brings up a new one. */
  static async up(
    place: Place,
    request: Pick<FailoverRequest, "durability" | "mib"> & {
      readonly faults: readonly string[];
      /** Default off: nobody asks it, and its instances would share the cores. */
      readonly service?: "on" | "off";
    },
    call: Call,
  ): Promise<FailoverStack> {
    const stack = new FailoverStack(place);
    await stack.#clear(call);
    await mkdir(stack.#folder, { mode: 0o755 });
    const { binFolder } = await FailoverStack.installation(place, call);
    const folder = (name: string) => path.join(stack.#folder, name);
    const configuration = {
      stack: {
        name: STACK_NAME,
        durability: request.durability,
        postgresMajor: String(MAJOR),
        service: request.service ?? "off",
        feeds: "none",
      },
      folders: { state: folder("state"), spool: folder("spool"), sandbox: folder("sandbox") },
      postgres: { binDir: binFolder, ...(place.user === undefined ? {} : { runAs: place.user.name }) },
    };
    // YAML is a superset of JSON.
    await writeFile(stack.#configFile, JSON.stringify(configuration, undefined, 2));
    try {
      await must(stack.command("up", "--ports", "auto"), call);
      stack.#stack = await stack.#describe();
      if (request.faults.includes("disk")) await stack.#giveDisks(call);
      if (request.mib > 0) await stack.#fill(request.mib, call);
      return stack;
    } catch (error) {
      await stack.down();
      throw error;
    }
  }

  /** A command line of Lifeboat for this stack. */
  command(...args: readonly string[]): Command {
    return { command: "sh", args: [launcherIn(this.#place), "--config", this.#configFile, ...args] };
  }

  /** Takes it down and removes it; also what is not whole. */
  async down(): Promise<void> {
    await this.#clear({ signal: new AbortController().signal });
  }

  /** How the application reaches its database. */
  async application(): Promise<ConnectOptions> {
    const { applicationRole, database, ports, place } = this.#described;
    const { application } = await readSecrets(systemFiles, place);
    return {
      host: "127.0.0.1",
      port: ports.pgbouncer,
      user: applicationRole,
      password: application,
      database,
      tls: { mode: "disable" },
      applicationName: "lifeboat_probe",
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    };
  }

  /** Where the service is asked, and the operator's key for it. */
  async service(): Promise<{ readonly front: string; readonly operatorKey: string }> {
    const { ports, place } = this.#described;
    const operatorKey = (await readFile(secretFile(place, "operator"), "utf8")).trim();
    return { front: `http://127.0.0.1:${ports.front}`, operatorKey };
  }

  /** Kills a program of the service; returns when that was, in milliseconds since 1970. Its supervisor starts it again. */
  async killProgram(name: string): Promise<number> {
    return await this.#kill([name]);
  }

  /** The node that is the primary; undefined while none or both say so. */
  async primary(call: Call): Promise<NodeName | undefined> {
    const answers = await Promise.all(
      NODES.map((node) => this.#ask(node, "SELECT NOT pg_is_in_recovery() AS yes", call)),
    );
    const primaries = NODES.filter((_, index) => answers[index]?.["yes"] === true);
    return primaries.length === 1 ? primaries[0] : undefined;
  }

  /**
   * Waits until replica and receiver stream from the primary, commits wait for them as asked for, and a controller stands by;
   * returns it.
   */
  async untilWhole(call: Call, timeoutMs = WHOLE_TIMEOUT_MS): Promise<NodeName> {
    const deadline = performance.now() + timeoutMs;
    // By what they are for, not by their names: the receiver's is another after each failover.
    const states = this.#described.durability === "async" ? "'async'" : "'quorum', 'sync'";
    const sql = `SELECT count(*) >= 2 AS yes FROM pg_stat_replication
      WHERE state = 'streaming' AND sync_state IN (${states})`;
    for (;;) {
      const primary = await this.primary(call);
      const streams = primary !== undefined && (await this.#ask(primary, sql, call))?.["yes"] === true;
      if (streams && (await this.#duties(call)).includes("stands by")) return primary;
      if (performance.now() > deadline) {
        throw new Stop(`the stack is not whole after ${timeoutMs / 1_000} s; look at ${this.#folder}`);
      }
      await sleep(LOOK_MS, undefined, call);
    }
  }

  /** Disturbs it; returns when that was, in milliseconds since 1970, at the end of the disturbance. */
  async inject(fault: FaultName, primary: NodeName, call: Call): Promise<number> {
    switch (fault) {
      case "killed":
        return await this.#kill([primary]);
      case "killed-with-controller":
        return await this.#kill([primary, await this.#controller(call)]);
      case "replica":
        return await this.#kill([otherThan(primary)]);
      case "receiver":
      case "redis":
        return await this.#kill([fault]);
      case "frozen":
        return signalAll(await this.#treeOf(primary), "SIGSTOP");
      case "diverged":
        return await this.#diverge(primary, call);
      case "pause":
        return await this.#halt(await this.#treeOf(primary), call);
      case "silence":
        return await this.#halt(await this.#walProcessesOf(primary, "walsender"), call);
      case "disk": {
        const at = Date.now();
        await this.#disks.hold(primary, this.#described.place.dataOf(primary), PAUSE_MS);
        return at;
      }
      case "switchover": {
        const at = Date.now();
        await must(this.command("switchover", "--to", otherThan(primary)), call);
        return at;
      }
    }
  }

  /** What the controller reported of an event that ended after a moment, in milliseconds since 1970. */
  async eventSince(atMs: number): Promise<EventFacts | undefined> {
    return await newestEvent(path.join(this.#described.place.controller, "reports"), atMs);
  }

  /** How a node was made a replica again after a moment, in milliseconds since 1970. */
  async rebuildSince(node: NodeName, afterMs: number): Promise<Rebuild | undefined> {
    const logs = CONTROLLERS.map((name) => path.join(this.#described.place.supervisor, "logs", `${name}.log`));
    return await newestRebuild(logs, { node, afterMs });
  }

  /** Keeps what its programs and its controller said, for reading after the stack is gone. */
  async keepLogs(): Promise<string> {
    const kept = path.join(this.#place.cacheFolder, "failover-logs");
    await rm(kept, { recursive: true, force: true });
    const { folder } = this.#described.place;
    const told = (await readdir(folder, { recursive: true })).filter((name) =>
      /(^|\/)(logs|reports|journal|supervisor)\/[^/]+$|\.log$/.test(name),
    );
    for (const name of told) {
      await cp(path.join(folder, name), path.join(kept, name), { recursive: true }).catch(() => undefined);
    }
    return kept;
  }

  /** Waits until it is whole again after a fault; what does not heal by itself is helped, and told. */
  async heal(fault: FaultName, before: NodeName, call: Call): Promise<string | undefined> {
    const after = await this.primary(call);
    const moved = after !== undefined && after !== before;
    if (!moved && RESTARTED.includes(fault)) await must(this.command("up"), call);
    try {
      await this.untilWhole(call, moved ? SELF_HEAL_TIMEOUT_MS : WHOLE_TIMEOUT_MS);
    } catch (error) {
      if (!moved || call.signal.aborted) throw error;
      await must(this.command("rebuild", before), call);
      await this.untilWhole(call);
      return `${before} did not come back by itself in ${SELF_HEAL_TIMEOUT_MS / 1_000} s`;
    }
    return undefined;
  }

  get #configFile(): string {
    return path.join(this.#folder, "lifeboat.yaml");
  }

  get #described(): StackDescription {
    if (this.#stack === undefined) throw new Stop("the stack is not up");
    return this.#stack;
  }

  async #describe(): Promise<StackDescription> {
    const home = os.homedir();
    const place = { uid: process.getuid?.() ?? 0, home, stateHome: home, dataHome: home, configHome: home };
    const request = { configFile: this.#configFile, flags: {}, environment: {}, place, workingFolder: this.#folder };
    return await configuredStack(configOf((await loadSettings(systemFiles, request)).rows));
  }

  async #ask(node: NodeName, sql: string, call: Call): Promise<Readonly<Record<string, unknown>> | undefined> {
    const { place } = this.#described;
    try {
      const address = nodeAddress(this.#described, await readSecrets(systemFiles, place), node);
      return await withNode({ ...address, namesOf: "database" }, call, async ({ run }) => (await run(sql))[0]);
    } catch {
      call.signal.throwIfAborted();
      // Down, frozen or starting: it has no say.
      return undefined;
    }
  }

  async #kill(names: readonly string[]): Promise<number> {
    const pids = await Promise.all(names.map((name) => this.#pidOf(name)));
    const at = Date.now();
    await Promise.all(pids.map((pid) => systemProcesses.killTree(pid)));
    return at;
  }

  /** Halts processes for a while. */
  async #halt(pids: readonly number[], call: Call): Promise<number> {
    const at = signalAll(pids, "SIGSTOP");
    try {
      await sleep(PAUSE_MS, undefined, call);
    } finally {
      signalAll(pids, "SIGCONT");
    }
    return at;
  }

  /** All processes of a component, the parent first, so that when it is halted it starts nothing more. */
  async #treeOf(name: string): Promise<readonly number[]> {
    return await systemProcesses.tree(await this.#pidOf(name));
  }

  /** A node's processes that send its WAL, or receive it. */
  async #walProcessesOf(node: NodeName, kind: "walsender" | "walreceiver"): Promise<readonly number[]> {
    const found: number[] = [];
    for (const pid of await this.#treeOf(node)) {
      const title = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (title.startsWith(`postgres: ${kind} `)) found.push(pid);
    }
    if (found.length === 0) throw new Stop(`${node} has no ${kind}`);
    return found;
  }

  /** Changes rows on the primary while nobody receives them, and kills it. */
  async #diverge(primary: NodeName, call: Call): Promise<number> {
    const receiving = [
      ...(await this.#walProcessesOf(otherThan(primary), "walreceiver")),
      ...(await this.#treeOf("receiver")),
    ];
    signalAll(receiving, "SIGSTOP");
    try {
      const seed = systemRandom(2).readUInt16LE(0) / 65_536;
      await this.#psql(primary, ["-v", `seed=${seed}`, "-f", UPDATE_FILE, PRODUCTS_DATABASE], call);
      return await this.#kill([primary]);
    } finally {
      signalAll(receiving, "SIGCONT");
    }
  }

  /** Products, and a backup that has them: what a rebuild keeps pages of. */
  async #fill(mib: number, call: Call): Promise<void> {
    const begun = performance.now();
    console.log(`loading ${mib} MiB of products`);
    await this.#psql("db", ["-c", `CREATE DATABASE ${PRODUCTS_DATABASE}`, "postgres"], call);
    await this.#psql("db", ["-v", `mib=${mib}`, "-f", CATALOG_FILE, PRODUCTS_DATABASE], call);
    const configFile = path.join(this.#described.place.configOf("receiver"), "lifeboat.yaml");
    const args = [launcherIn(this.#place), "--config", configFile, "backup"];
    await must({ command: "sh", args, timeoutMs: FILL_TIMEOUT_MS }, call);
    await this.untilWhole(call, FILL_TIMEOUT_MS);
    console.log(`loaded and backed up in ${Math.round((performance.now() - begun) / 1_000)} s`);
  }

  /** Runs psql as the superuser, whose commits wait for nobody. */
  async #psql(node: NodeName, args: readonly string[], call: Call): Promise<void> {
    const { place } = this.#described;
    const secrets = await readSecrets(systemFiles, place);
    const { host, port, user } = nodeAddress(this.#described, secrets, node);
    await must(
      {
        command: path.join(BIN_FOLDER, "psql"),
        args: ["-X", "-q", "-h", host, "-p", String(port), "-U", user, "-v", "ON_ERROR_STOP=1", ...args],
        environment: { PGPASSWORD: secrets.superuser, PGOPTIONS: "-c synchronous_commit=local" },
        timeoutMs: FILL_TIMEOUT_MS,
      },
      call,
    );
  }

  async #giveDisks(call: Call): Promise<void> {
    await must(this.command("down"), call);
    const { user: owner } = this.#place;
    for (const node of NODES) await this.#disks.give(node, { folder: this.#described.place.dataOf(node), owner }, call);
    await must(this.command("up"), call);
  }

  /** The one of the two that would act now. */
  async #controller(call: Call): Promise<string> {
    const name = CONTROLLERS[(await this.#duties(call)).indexOf("controls")];
    if (name === undefined) throw new Stop("nobody controls the stack");
    return name;
  }

  async #duties(call: Call): Promise<readonly (DaemonDuty | undefined)[]> {
    const record = (await readRecord(systemFiles, this.#described.place.supervisor)).components;
    const pids = CONTROLLERS.map((name) => record.get(name)?.process?.pid);
    return await Promise.all(pids.map((pid) => dutyOf(this.#described, pid, call)));
  }

  async #pidOf(name: string): Promise<number> {
    const recorded = (await readRecord(systemFiles, this.#described.place.supervisor)).components.get(name)?.process;
    if (recorded === undefined || recorded === null) throw new Stop(`the stack runs no ${name}`);
    return recorded.pid;
  }

  async #clear(call: Call): Promise<void> {
    const there = await readFile(this.#configFile, "utf8").catch(() => undefined);
    if (there !== undefined) await must(this.command("down"), call);
    await this.#disks.clear(call);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** When that was, in milliseconds since 1970. */
function signalAll(pids: readonly number[], signal: "SIGSTOP" | "SIGCONT"): number {
  const at = Date.now();
  for (const pid of pids) systemProcesses.signal(pid, signal);
  return at;
}

function otherThan(node: NodeName): NodeName {
  return node === "db" ? "db_replica" : "db";
}
