/**
 * A part of the daemon that runs for as long as the daemon does.
 *
 * Nouns: a *service* is started and stopped; a *loop* is a service that is one function with a signal; a *group* is a service
 * made of others.
 * Invariants: `start` resolves when the service is ready and `stop` when nothing of it is left; both may be called again, and
 * `stop` before `start`. A group starts in order and stops in reverse; stopping tries all, whatever fails.
 */
import { assert } from "../errors/error.ts";

/** A service. */
export interface Service {
  readonly name: string;
  start(options: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  stop(): Promise<void>;
}

/** Told when a loop ended by an error that nobody expected: the daemon must not go on without it. */
export type ServiceFailed = (service: string, error: unknown) => void;

/** A service that is one function, which returns soon after its signal and should not before. */
export function loopService(name: string, run: (signal: AbortSignal) => Promise<void>, failed: ServiceFailed): Service {
  let stopping: AbortController | undefined;
  let running: Promise<void> | undefined;
  return {
    name,
    start: async () => {
      if (running !== undefined) return;
      const own = new AbortController();
      stopping = own;
      running = run(own.signal).then(
        () => {
          if (!own.signal.aborted) failed(name, new Error(`${name} ended by itself`));
        },
        (error: unknown) => {
          if (!own.signal.aborted) failed(name, error);
        },
      );
    },
    stop: async () => {
      stopping?.abort();
      await running;
      running = undefined;
      stopping = undefined;
    },
  };
}

/** Several services as one. */
export class ServiceGroup implements Service {
  readonly name: string;
  readonly #services: readonly Service[];
  #started: Service[] = [];
  #turn: Promise<void> = Promise.resolve();

  constructor(name: string, services: readonly Service[]) {
    this.name = name;
    this.#services = services;
  }

  /** Starts all, in order. Where one fails, those that were started are stopped, and the failure is rejected with. */
  start(options: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    return this.#next(async () => {
      if (this.#started.length > 0) return;
      for (const service of this.#services) {
        try {
          await service.start(options);
        } catch (error) {
          await this.#stopStarted().catch(() => undefined);
          throw error;
        }
        this.#started.push(service);
      }
    });
  }

  /** Stops all, in reverse. Rejects with the first failure when all were tried. */
  stop(): Promise<void> {
    return this.#next(() => this.#stopStarted());
  }

  async #stopStarted(): Promise<void> {
    const failures: unknown[] = [];
    for (;;) {
      const last = this.#started.pop();
      if (last === undefined) break;
      await last.stop().catch((error: unknown) => failures.push(error));
    }
    assert(this.#started.length === 0, "a stopped group has nothing that runs");
    if (failures.length > 0) throw failures[0];
  }

  async #next(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    await mine;
  }
}
