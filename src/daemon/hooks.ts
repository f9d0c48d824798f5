/**
 * Tells the outside what happened: a webhook and a command, as a service.
 *
 * Invariants: whoever tells never waits and never fails by it; events go out in their order, each hook on its own; what cannot
 * be delivered is said in the log and forgotten, and the next event that is delivered has its count. What may have been
 * delivered is not sent again, and is said as that. What is told is in the journal anyway.
 */
import { errorText } from "../errors/error-text.ts";
import type { HookPort } from "../failover/ports.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import type { Processes } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import { retry } from "../platform/retry.ts";
import { startTimer } from "../platform/timer.ts";
import { isWebAddress } from "../platform/web-address.ts";
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
  /** How long `stop` takes at the most. What is under way then is ended. */
  readonly stopMaxMs: number;
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

/** The hooks of a stack. `stop` gives what waits a moment to go out, and says what did not. */
export function hookService(tools: HookTools, choice: HookChoice): Service & HookPort {
  const deliveries: Delivery[] = [];
  const { webhook, command, stack } = choice;
  if (webhook !== undefined)
    deliveries.push(
      new Delivery(tools, { name: "webhook", stack }, (body, call) => post(tools, webhook, { body, ...call })),
    );
  if (command !== undefined) {
    deliveries.push(
      new Delivery(tools, { name: "hook command", stack }, (body, call) => run(tools, command, { body, ...call })),
    );
  }
  return {
    name: "hooks",
    tell: (event) => {
      for (const delivery of deliveries) delivery.add(event);
    },
    start: async () => undefined,
    stop: async () => {
      await Promise.all(deliveries.map((delivery) => delivery.end(choice.stopMaxMs)));
    },
  };
}

type Call = { readonly event: HookEvent; readonly signal: AbortSignal };

/** What one hook has still to be told. */
class Delivery {
  readonly #tools: HookTools;
  readonly #name: string;
  readonly #stack: string;
  readonly #deliver: (body: string, call: Call) => Promise<void>;
  /** Aborted first: nothing is tried again. Then, when the time is over: nothing is tried at all. */
  readonly #ending = new AbortController();
  readonly #over = new AbortController();
  #waiting: HookEvent[] = [];
  #working: Promise<void> | undefined;
  /** What was forgotten for want of room, by its kind, and not said yet. */
  #forgotten = new Map<string, number>();
  /** How many events the hook was not told of since the last one that it was. */
  #untoldCount = 0;

  constructor(
    tools: HookTools,
    of: { readonly name: string; readonly stack: string },
    deliver: (body: string, call: Call) => Promise<void>,
  ) {
    this.#tools = tools;
    this.#name = of.name;
    this.#stack = of.stack;
    this.#deliver = deliver;
  }

  add(event: HookEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length > WAITING_MAX) this.#forget(this.#waiting.shift());
    if (this.#over.signal.aborted) this.#forgetAll();
    else this.#working ??= this.#work();
  }

  /** Tries nothing again, and returns when all was tried once, or the time is over. */
  async end(maxMs: number): Promise<void> {
    this.#ending.abort();
    const cancel = startTimer(maxMs, () => this.#over.abort(new Error("this process ends")));
    await this.#working;
    cancel();
  }

  async #work(): Promise<void> {
    for (;;) {
      this.#sayForgotten(`more than ${WAITING_MAX} waited`);
      if (this.#over.signal.aborted) break;
      const next = this.#waiting.shift();
      if (next === undefined) break;
      try {
        const toldCount = await this.#try(next);
        // Some may have been forgotten while it was on its way.
        this.#untoldCount -= toldCount;
      } catch (error) {
        if (error instanceof AnsweredElsewhere) {
          this.#tools.notice(`whether the ${this.#name} was told of ${next.kind} is not known: ${error.message}`);
          continue;
        }
        this.#untoldCount += 1;
        this.#tools.notice(`the ${this.#name} was not told of ${next.kind}: ${errorText(error)}`);
      }
    }
    this.#forgetAll();
    this.#working = undefined;
  }

  #forgetAll(): void {
    for (const each of this.#waiting.splice(0)) this.#forget(each);
    this.#sayForgotten("they still waited at the end");
  }

  /** Resolves to how many events the hook heard that it was not told of. */
  async #try(event: HookEvent): Promise<number> {
    const signal = this.#over.signal;
    const deliver = async () => {
      const untoldCount = this.#untoldCount;
      const { kind, at, facts } = event;
      const notTold = untoldCount === 0 ? undefined : untoldCount;
      const body = toPlainJson({ stack: this.#stack, kind, at: formatInstant(at), facts, notTold });
      await this.#deliver(body, { event, signal });
      return untoldCount;
    };
    // The last attempt of those that still wait when the daemon ends is their first.
    if (this.#ending.signal.aborted) return await deliver();
    const permanent = (error: unknown): boolean => error instanceof AnsweredElsewhere;
    return await retry(this.#tools, ATTEMPTS, deliver, { signal: this.#ending.signal, permanent });
  }

  #forget(event: HookEvent | undefined): void {
    if (event === undefined) return;
    this.#untoldCount += 1;
    this.#forgotten.set(event.kind, (this.#forgotten.get(event.kind) ?? 0) + 1);
  }

  /** In one line: there may be thousands, and the journal has each. */
  #sayForgotten(why: string): void {
    if (this.#forgotten.size === 0) return;
    const kinds = [...this.#forgotten].map(([kind, count]) => `${count} ${kind}`).join(", ");
    this.#forgotten = new Map();
    this.#tools.notice(`the ${this.#name} was not told of earlier events (${kinds}): ${why}`);
  }
}

/** Enough for a service that moved, and from http to https. */
const REDIRECTIONS_MAX = 3;
/** Who is redirected by any other status asks there by GET, without the event: then a login page would count as told. */
const METHOD_KEPT: readonly number[] = [307, 308];

/**
 * Redirected by a status that does not keep the event. A web app that took the event answers so, with the address of its result, and
 * so does one that wants a login first: sent again, the event would page somebody once more, or be refused once more.
 */
class AnsweredElsewhere extends Error {}

async function post(tools: HookTools, url: string, { body, signal }: Call & { readonly body: string }): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(WEBHOOK_TIMEOUT_MS)]);
  const headers = { "content-type": "application/json" };
  const request = { method: "POST", headers, body, signal: limit, redirect: "manual" } as const;
  let address = url;
  for (let redirections = 0; ; redirections += 1) {
    const response = await tools.fetch(address, request);
    await response.arrayBuffer();
    if (response.ok) return;
    const location = response.headers.get("location");
    const there = location === null ? null : URL.parse(location, address);
    if (there === null) throw new Error(`it answered ${response.status}`);
    // What follows the host may be a secret.
    const answered = `it answered ${response.status}, a redirection to ${there.origin}`;
    if (!METHOD_KEPT.includes(response.status)) {
      throw new AnsweredElsewhere(
        `${answered}, and may have taken the event before: if not, set failover.webhook to the address that takes events`,
      );
    }
    if (!isWebAddress(there.href) || redirections >= REDIRECTIONS_MAX) {
      throw new Error(`${answered}: set failover.webhook to the address that takes events`);
    }
    address = there.href;
  }
}

async function run(
  tools: HookTools,
  command: string,
  { body, event, signal }: Call & { readonly body: string },
): Promise<void> {
  const { exit, stderr } = await tools.processes.run({
    command: "/bin/sh",
    args: ["-c", command],
    environment: { LIFEBOAT_EVENT: event.kind },
    input: `${body}\n`,
    timeoutMs: COMMAND_TIMEOUT_MS,
    signal,
  });
  if (exit.kind === "exited" && exit.status === 0) return;
  const how = exit.kind === "exited" ? `status ${exit.status}` : exit.signal;
  throw new Error(`it ended with ${how}: ${stderr.trim().slice(-200)}`);
}
