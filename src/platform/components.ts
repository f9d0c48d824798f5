/**
 * The platform port: what runs the components of a stack.
 *
 * Nouns: a *component* is one program of a stack, known by its name; its *spec* says how it is run; a component that is
 * *fenced* is down and cannot be started until it is unfenced, whatever else happens.
 * Invariants: nothing above this port knows a process id. A platform starts a component again by itself only where its spec
 * says so, which a database node's never does. What was asked for is durable before it is answered: a platform that was
 * killed knows afterwards what it runs, and a fence outlives it. An order that carries an epoch is compared where and when it is
 * carried out, so that who gave it may be halted, or ended, anywhere before.
 */
import type { Instant } from "./clock.ts";
import type { ProcessExit, ProcessUser } from "./processes.ts";

/** A call that can be cut short. */
type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * An order. `epoch`: it is refused with `platform.stale-epoch` (`details.seen`) when one of a greater epoch was carried out, on any
 * component; undefined: of somebody who is asked by a person, and whom nobody has replaced.
 */
export type OrderOptions = CallOptions & { readonly epoch?: number | undefined };

/** How a component is run. */
export type ComponentSpec = {
  readonly name: string;
  readonly program: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workFolder: string;
  /** Undefined: whoever runs the platform. */
  readonly runAs: ProcessUser | undefined;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  /**
   * `on-failure`: again whenever it ended without having been told to, ever later, and not for ever. `unhurried`: the same, and
   * not within a moment, since another one does its work.
   */
  readonly restart: "never" | "on-failure" | "unhurried";
  /** How it is asked to end, and how long it may take before it is killed. */
  readonly stop: { readonly signal: NodeJS.Signals; readonly timeoutMs: number };
};

/** What a component is doing. */
export type ComponentMode =
  | "running"
  /** Halted by `freeze`: it neither answers nor closes its connections. */
  | "frozen"
  /** It ended by itself and is started again in a moment. */
  | "backing-off"
  /** It ended by itself and is left alone: its spec says so. */
  | "ended"
  /** It ended by itself again and again, and is left alone. */
  | "gave-up"
  | "stopped"
  | "fenced";

/** What is known of a component. */
export type ComponentState = {
  readonly name: string;
  readonly mode: ComponentMode;
  /** Since when it is so. */
  readonly since: Instant;
  /** Started by a supervisor that was killed: of its end only the moment will be known. */
  readonly adopted: boolean;
  /** How it ended the last time, in words; undefined when it never did. */
  readonly lastEnd: string | undefined;
  /** How often it was started again by itself since it was last asked to start. */
  readonly restarts: number;
  readonly ports: ComponentSpec["ports"];
};

/** What a fence saw. */
export type FenceAnswer = {
  /** Whether it ran when the fence came. In either case it is down now. */
  readonly ran: boolean;
  readonly at: Instant;
};

/** A command that is run where a component runs. */
export type ExecRequest = {
  /** Of the component. */
  readonly name: string;
  /** Looked for beside the component's own program first. */
  readonly program: string;
  readonly arguments: readonly string[];
  /** When it is over, the command is killed and the call rejects with `platform.process-timeout`. */
  readonly timeoutMs: number;
};

/** How such a command ended. A status other than 0 is an answer; 127 and 126 are a shell's for what cannot be run. */
export type ExecResult = {
  readonly exit: ProcessExit;
  /** The first `EXEC_OUTPUT_BYTES_MAX` of each. */
  readonly stdout: string;
  readonly stderr: string;
  /** True when some output was dropped. */
  readonly truncated: boolean;
};

/** Far more than a person reads; whoever wants more writes it to a file there. */
export const EXEC_OUTPUT_BYTES_MAX = 1024 * 1024;

/** The platform port. Every call but `start` rejects with `platform.component-unknown` for a name it was never given. */
export interface Platform {
  /**
   * Resolves when the component runs; whether it is ready is for the caller to look at. One that runs is left, and its new
   * spec counts from its next start on. Rejects with `platform.component-fenced`.
   */
  start(spec: ComponentSpec, options: OrderOptions): Promise<void>;
  /** Asks it to end, kills it when its time is over, and returns when it is gone. It stays down. */
  stop(name: string, options: OrderOptions): Promise<{ readonly killed: boolean }>;
  /** Ends it with all it started at once, as the loss of its machine would. It stays down. */
  kill(name: string, options: CallOptions): Promise<void>;
  freeze(name: string, options: CallOptions): Promise<void>;
  thaw(name: string, options: CallOptions): Promise<void>;
  /** Stops it and starts it as it was described last. */
  restart(name: string, options: CallOptions): Promise<void>;
  /** Has it down for sure, and keeps it down: durable before anything is killed. Also for a name never heard of. */
  fence(name: string, options: OrderOptions): Promise<FenceAnswer>;
  /** Lets it be started again; does not start it. */
  unfence(name: string, options: OrderOptions): Promise<void>;
  /**
   * Runs a command as the component's user, in its folder, with its environment and no input, and returns when it has ended.
   * Whatever ends the component ends the command too, and its call rejects with `platform.component-failed`, as for a
   * component that does not run. An abort kills it.
   */
  exec(request: ExecRequest, options: CallOptions): Promise<ExecResult>;
  /** All components that were ever started, by their names. */
  state(options: CallOptions): Promise<readonly ComponentState[]>;
  /** The last lines that a component wrote; empty when there are none. */
  lastLines(name: string, lines: number, options: CallOptions): Promise<readonly string[]>;
}
