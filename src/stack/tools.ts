/** What bringing a stack up and down needs of the machine. */
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { Processes, ProcessUser } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import type { Installation } from "../postgres/installation.ts";

/** A program to run. */
export type ComponentSpec = {
  readonly name: string;
  readonly program: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workFolder: string;
  readonly runAs: ProcessUser | undefined;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly restart: "never" | "on-failure";
  readonly stop: { readonly signal: NodeJS.Signals; readonly timeoutMs: number };
};

/** What is called of the platform. */
export interface StackPlatform {
  /** Resolves when the component runs; whether it is ready is looked at by the caller. One that runs already is left. */
  start(spec: ComponentSpec, options: CallOptions): Promise<void>;
  stop(name: string, options: CallOptions): Promise<unknown>;
  restart(name: string, options: CallOptions): Promise<void>;
  /** What every component is doing that was ever started; it runs when its mode says `running`. */
  state(options: CallOptions): Promise<readonly { readonly name: string; readonly mode: string }[]>;
  /** The last lines of a component's log; empty when there are none. */
  lastLines(name: string, lines: number, options: CallOptions): Promise<readonly string[]>;
}

/** The components that run now. */
export async function runningComponents(
  platform: Pick<StackPlatform, "state">,
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const states = await platform.state(options);
  return new Set(states.filter(({ mode }) => mode === "running").map(({ name }) => name));
}

/** A call that can be cut short. */
export type CallOptions = { readonly signal?: AbortSignal | undefined };

/** The ports and programs. */
export type StackTools = {
  readonly files: Files;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly locks: Locks;
  readonly random: RandomSource;
  readonly platform: StackPlatform;
  /** Who runs the programs; undefined for ourselves. */
  readonly user: ProcessUser | undefined;
  readonly programs: StackPrograms;
};

/** The programs, found and tried. */
export type StackPrograms = {
  readonly postgres: Installation;
  readonly redis: string;
  readonly pgbouncer: string;
  readonly haproxy: string;
  /** How this program is started again: `command` with `args` before its own. */
  readonly lifeboat: { readonly command: string; readonly args: readonly string[] };
  /** False when the unprivileged user cannot reach Lifeboat's own program, which then runs as we do. */
  readonly lifeboatAsUser: boolean;
};
