/**
 * The commands that run where a component runs.
 *
 * Invariants: they end with the component and with the supervisor, whatever ends it, so that a component that is down has
 * nothing left that works on its files; they are bounded in number, time and output.
 */
import path from "node:path";
import { LifeboatError } from "../../errors/error.ts";
import { throwIfAborted } from "../clock.ts";
import { type ComponentSpec, EXEC_OUTPUT_BYTES_MAX, type ExecRequest, type ExecResult } from "../components.ts";
import type { Processes } from "../processes.ts";

/** A few people and a controller; whoever asks for more has lost count. */
const COMMANDS_MAX = 16;

/** With the programs beside the component's own before all others. */
const BESIDE = 'PATH="$0:$PATH" && exec "$@"';

/** What runs where one component runs. */
export class Executions {
  readonly #processes: Pick<Processes, "run">;
  readonly #running = new Map<AbortController, Promise<unknown>>();

  constructor(processes: Pick<Processes, "run">) {
    this.#processes = processes;
  }

  /**
   * Runs a command to its end. Rejects with `platform.component-failed` when it was ended by `end`, with
   * `platform.process-timeout` or `platform.aborted`.
   */
  async run(spec: ComponentSpec, request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
    throwIfAborted(signal, `running ${request.program}`);
    if (this.#running.size >= COMMANDS_MAX) throw failed(spec.name, `runs ${COMMANDS_MAX} commands already`);
    const ended = new AbortController();
    const work = this.#processes.run({
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
    this.#running.set(ended, work);
    try {
      return await work;
    } catch (error) {
      if (ended.signal.aborted) throw failed(spec.name, `ended, and ${request.program} with it`);
      throw error;
    } finally {
      this.#running.delete(ended);
    }
  }

  /** Kills all, and returns when they are gone. */
  async end(): Promise<void> {
    const all = [...this.#running];
    for (const [controller] of all) controller.abort();
    await Promise.allSettled(all.map(([, work]) => work));
  }
}

function failed(component: string, what: string): LifeboatError {
  return new LifeboatError("platform.component-failed", {
    message: `${component} ${what}`,
    remedy: "`lifeboat ps` shows what runs; `lifeboat logs` shows what it said.",
  });
}
