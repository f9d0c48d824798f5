/**
 * Runs the components of a stack as child processes of a test: the least that a stack needs of its platform. It starts
 * nothing again by itself. What a stack left behind is found by its folder.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import path from "node:path";
import { systemFiles } from "../../src/platform/files.ts";
import { type RunningProcess, systemProcesses } from "../../src/platform/processes.ts";
import type { StackPlace } from "../../src/stack/stack.ts";
import type { ComponentSpec, StackPlatform } from "../../src/stack/tools.ts";

type Started = { readonly process: RunningProcess; readonly spec: ComponentSpec };

const MARK = process.env["LIFEBOAT_TEST_FILE"];

/** The platform of one stack. */
export class PlainPlatform implements StackPlatform {
  readonly #place: StackPlace;
  readonly #running = new Map<string, Started>();

  constructor(place: StackPlace) {
    this.#place = place;
  }

  async start(spec: ComponentSpec): Promise<void> {
    if (this.#running.has(spec.name)) return;
    const process = await systemProcesses.start({
      command: spec.program,
      args: spec.arguments,
      folder: spec.workFolder,
      environment: { ...spec.environment, ...(MARK === undefined ? {} : { LIFEBOAT_TEST_FILE: MARK }) },
      user: spec.runAs,
      output: { kind: "file", file: path.join(this.#place.logs, `${spec.name}.log`) },
      input: "none",
      detached: true,
    });
    const started = { process, spec };
    this.#running.set(spec.name, started);
    void process.exited.then(() => {
      if (this.#running.get(spec.name) === started) this.#running.delete(spec.name);
    });
  }

  async stop(name: string): Promise<void> {
    const started = this.#running.get(name);
    started?.process.kill(started.spec.stop.signal);
    await started?.process.exited;
  }

  async restart(name: string): Promise<void> {
    const started = this.#running.get(name);
    await this.stop(name);
    if (started !== undefined) await this.start(started.spec);
  }

  async state(): Promise<readonly { readonly name: string; readonly mode: string }[]> {
    return [...this.#running.keys()].map((name) => ({ name, mode: "running" }));
  }

  async lastLines(name: string, lines: number): Promise<readonly string[]> {
    const log = await systemFiles.readFile(path.join(this.#place.logs, `${name}.log`));
    return log.toString("utf8").trimEnd().split("\n").slice(-lines);
  }

  /** Kills a component with all it started, as the loss of its machine would. */
  async kill(name: string): Promise<void> {
    const started = this.#running.get(name);
    if (started === undefined) throw new Error(`${name} does not run`);
    await systemProcesses.killTree(started.process.pid);
    await started.process.exited;
  }

  /** Kills all of them. */
  async killAll(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.kill(name)));
  }
}

/** Every process that works in a folder or names it in its arguments. */
export async function processesOf(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (`${cwd}/`.startsWith(`${folder}/`) || command.includes(`${folder}/`)) found.push(`${pid} ${command}`);
  }
  return found;
}
