/**
 * Tells the outside what happened: a webhook and a command, as a service.
 *
 * Invariants: whoever tells never waits and never fails by it; events go out in their order, each hook on its own; what cannot
 * be delivered is said in the log and forgotten. What is told is in the journal anyway.
 */
import { errorText } from "../errors/error-text.ts";
import type { HookPort } from "../failover/ports.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import type { Processes } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import { retry } from "../platform/retry.ts";
import { toPlainJson } from "./plain-json.ts";
import type { Service } from "./service.ts";

/** What is told, and where. */
export type HookChoice = {
  /** Undefined: no webhook. */
  readonly webhook: string | undefined;
  /** A shell command, given the event as JSON on its input and its kind in LIFEBOAT_EVENT. Undefined: none. */
  readonly command: string | undefined;
  /** In every event: which stack. */
  readonly stack: string;
};

/** What hooks need of the machine. */
export type HookTools = {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly processes: Processes;
  readonly fetch: typeof fetch;
  readonly notice: (message: string) => void;
};

type HookEvent = Parameters<HookPort["tell"]>[0];

/** More wait only when a hook is stuck; the oldest are forgotten. */
const WAITING_MAX = 100;
const WEBHOOK_TIMEOUT_MS = 5_000;
const COMMAND_TIMEOUT_MS = 60_000;
/** Some seconds of a restart of whoever listens; an event is of no use an hour later. */
const ATTEMPTS = { attemptsMax: 5, delayMinMs: 500, delayMaxMs: 8_000 };

/** The hooks of a stack. `stop` gives what waits a moment to go out. */
export function hookService(tools: HookTools, choice: HookChoice): Service & HookPort {
  const deliveries: Delivery[] = [];
  const { webhook, command } = choice;
  if (webhook !== undefined) deliveries.push(new Delivery(tools, "webhook", (body) => post(tools, webhook, body)));
  if (command !== undefined) {
    deliveries.push(new Delivery(tools, "hook command", (body, event) => run(tools, command, { body, event })));
  }
  return {
    name: "hooks",
    tell: (event) => {
      const body = toPlainJson({
        stack: choice.stack,
        kind: event.kind,
        at: formatInstant(event.at),
        facts: event.facts,
      });
      for (const delivery of deliveries) delivery.add(event, body);
    },
    start: async () => undefined,
    stop: async () => {
      await Promise.all(deliveries.map((delivery) => delivery.end()));
    },
  };
}

/** What one hook has still to be told. */
class Delivery {
  readonly #tools: HookTools;
  readonly #name: string;
  readonly #deliver: (body: string, event: HookEvent) => Promise<void>;
  readonly #ending = new AbortController();
  #waiting: { readonly event: HookEvent; readonly body: string }[] = [];
  #working: Promise<void> | undefined;

  constructor(tools: HookTools, name: string, deliver: (body: string, event: HookEvent) => Promise<void>) {
    this.#tools = tools;
    this.#name = name;
    this.#deliver = deliver;
  }

  add(event: HookEvent, body: string): void {
    this.#waiting.push({ event, body });
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
    this.#working ??= this.#work();
  }

  /** Retries no more, and returns when the attempt under way has ended. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      const { signal } = this.#ending;
      try {
        // The last attempt of those that still wait when the daemon ends is their first.
        if (signal.aborted) await this.#deliver(next.body, next.event);
        else
          await retry(this.#tools, ATTEMPTS, () => this.#deliver(next.body, next.event), {
            signal,
            permanent: () => false,
          });
      } catch (error) {
        const why = errorText(error);
        this.#tools.notice(`the ${this.#name} was not told of ${next.event.kind}: ${why}`);
      }
    }
    this.#working = undefined;
  }
}

async function post(tools: HookTools, url: string, body: string): Promise<void> {
  const signal = AbortSignal.timeout(WEBHOOK_TIMEOUT_MS);
  const headers = { "content-type": "application/json" };
  const response = await tools.fetch(url, { method: "POST", headers, body, signal });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`it answered ${response.status}`);
}

async function run(
  tools: HookTools,
  command: string,
  { body, event }: { readonly body: string; readonly event: HookEvent },
): Promise<void> {
  const { exit, stderr } = await tools.processes.run({
    command: "/bin/sh",
    args: ["-c", command],
    environment: { LIFEBOAT_EVENT: event.kind },
    input: `${body}\n`,
    timeoutMs: COMMAND_TIMEOUT_MS,
  });
  if (exit.kind === "exited" && exit.status === 0) return;
  const how = exit.kind === "exited" ? `status ${exit.status}` : exit.signal;
  throw new Error(`it ended with ${how}: ${stderr.trim().slice(-200)}`);
}
