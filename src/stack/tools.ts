/** What bringing a stack up and down needs of the machine. */
import type { Clock } from "../platform/clock.ts";
import type { ComponentMode, Platform } from "../platform/components.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { Processes, ProcessUser } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import type { Installation } from "../postgres/installation.ts";

/** What is called of the platform. */
export type StackPlatform = Pick<Platform, "start" | "stop" | "restart" | "state" | "lastLines">;

/** Modes in which a component has a process, or will have one in a moment. */
const STANDING: ReadonlySet<ComponentMode> = new Set(["running", "frozen", "backing-off"]);

/** The components that run now. */
export async function runningComponents(
  platform: Pick<StackPlatform, "state">,
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const states = await platform.state(options);
  return new Set(states.filter(({ mode }) => mode === "running").map(({ name }) => name));
}

/** The components that are to be stopped when the stack goes down: also what is frozen, or about to start again. */
export async function standingComponents(
  platform: Pick<StackPlatform, "state">,
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const states = await platform.state(options);
  return new Set(states.filter(({ mode }) => STANDING.has(mode)).map(({ name }) => name));
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

/** Where the programs of the service lie. The stack knows them by path and configuration alone. */
export type ServicePrograms = {
  readonly command: string;
  readonly args: readonly string[];
  /** One instance of the API. */
  readonly api: string;
  readonly mcp: string;
  readonly scraper: string;
  /** What brings the database to the newest schema, and ends. */
  readonly schema: string;
};

/** The programs, found and tried. */
export type StackPrograms = {
  readonly postgres: Installation;
  readonly redis: string;
  readonly pgbouncer: string;
  readonly haproxy: string;
  /** How this program is started again: `command` with `args` before its own. */
  readonly lifeboat: { readonly command: string; readonly args: readonly string[] };
  /** The programs of the service: `command` with `args`, one of the files, and its own arguments. */
  readonly service: ServicePrograms;
  /** False when the unprivileged user cannot reach Lifeboat's own program, which then runs as we do. */
  readonly lifeboatAsUser: boolean;
};
