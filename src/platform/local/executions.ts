/**
 * The commands that run where a component runs.
 *
 * Invariants: what ends the component kills a command with its tree, and what ends the supervisor kills its process group;
 * nothing waits for long until they are gone; they are bounded in number, time and output.
 * Not held: what made a session of its own and whose parent has ended (`pg_ctl start`) is in no tree any more and runs on,
 * and so does, where the supervisor was killed, all that made a session of its own.
 */
import path from "node:path";
import { LifeboatError } from "../../errors/error.ts";
import { type Clock, throwIfAborted } from "../clock.ts";
import { type ComponentSpec, EXEC_OUTPUT_BYTES_MAX, type ExecRequest, type ExecResult } from "../components.ts";
import type { Processes } from "../processes.ts";

/** A few people and a controller; whoever asks for more has lost count. */
const COMMANDS_MAX = 16;

/** Killed is gone, in milliseconds; what waits for a disk must not keep a fence waiting. */
const END_TIMEOUT_MS = 2_000;

/** With the programs beside the component's own before all others. */
const BESIDE = 'PATH="$0:$PATH" && exec "$@"';

type Running = { readonly program: string; readonly work: Promise<unknown> };

/** What commands need. */
export type ExecutionTools = {
  readonly processes: Pick<Processes, "run">;
  readonly clock: Pick<Clock, "sleep">;
};

/** What runs where one component runs. */
export class Executions {
  readonly #tools: ExecutionTools;
  readonly #running = new Map<AbortController, Running>();

  constructor(tools: ExecutionTools) {
    this.#tools = tools;
  }

  /**
   * Runs a command to its end. Rejects with `platform.component-failed` when it was ended by `end`, with
   * `platform.process-timeout` or `platform.aborted`.
   */
  async run(spec: ComponentSpec, request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
    throwIfAborted(signal, `running ${request.program}`);
    if (this.#running.size >= COMMANDS_MAX) throw componentFailed(spec.name, `runs ${COMMANDS_MAX} commands already`);
    const ended = new AbortController();
    const work = this.#tools.processes.run({
      command: "/bin/sh",
      args: ["-c", BESIDE, path.dirname(spec.program), request.program, ...request.arguments],
      folder: spec.workFolder,
      environment: spec.environment,
      user: spec.runAs,
      timeoutMs: request.timeoutMs,
      outputBytesMax: EXEC_OUTPUT_BYTES_MAX,
      endsWithUs: true,
      signal: AbortSignal.any([signal, ended.signal]),
    });
    this.#running.set(ended, { program: request.program, work });
    try {
      return await work;
    } catch (error) {
      if (ended.signal.aborted) throw componentFailed(spec.name, `ended, and ${request.program} was killed with it`);
      throw error;
    } finally {
      this.#running.delete(ended);
    }
  }

  /** Kills all, and returns when they are gone, or after END_TIMEOUT_MS with what is left. Never rejects. */
  async end(): Promise<readonly string[]> {
    const left = new Map(this.#running);
    if (left.size === 0) return [];
    const gone = [...left].map(async ([controller, { work }]) => {
      controller.abort();
      await work.catch(() => undefined);
      left.delete(controller);
    });
    const waiting = new AbortController();
    const late = this.#tools.clock.sleep(END_TIMEOUT_MS, { signal: waiting.signal }).catch(() => undefined);
    await Promise.race([Promise.all(gone), late]);
    waiting.abort();
    return [...left.values()].map(({ program }) => program);
  }
}

/** The error of a component that cannot do what is asked of it. */
export function componentFailed(component: string, what: string): LifeboatError {
  return new LifeboatError("platform.component-failed", {
    message: `${component} ${what}`,
    remedy: "`lifeboat ps` shows what runs; `lifeboat logs` shows what it said.",
  });
}
