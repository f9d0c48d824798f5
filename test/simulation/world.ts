/**
 * Simulated time, machines and network: a queue of events, one seed.
 *
 * Nouns: a *machine* is what a network connects and a power cut takes; a *process* runs on one, can be halted (what comes
 * meanwhile waits) and dies with what it had in memory: its *life* counts up; a *call* is a question with an answer, either of
 * which can be lost.
 * Invariant: nothing here asks the real clock or a random source, so a seed replays exactly. Code that waits in promises is
 * let run to its next wait after each event that woke it, before the next event.
 */
import { LifeboatError } from "../../src/errors/error.ts";
import type { Chance } from "./chance.ts";

type Event = { readonly at: number; readonly order: number; readonly run: () => void };

/** A machine; links between machines can be cut in one direction, slowed, or lossy. */
export type Machine = { readonly name: string; readonly index: number; up: boolean };

/** A process of a machine. */
export class Process {
  readonly name: string;
  readonly machine: Machine;
  alive = true;
  life = 1;
  haltedUntil = 0;
  /** Own monotonic clock: runs at this rate. */
  rate = 1;
  waiting: (() => void)[] = [];

  constructor(name: string, machine: Machine) {
    this.name = name;
    this.machine = machine;
  }

  get running(): boolean {
    return this.alive && this.machine.up;
  }
}

/** How a link fares. */
export type Link = { cut: boolean; delayMs: number; loss: number };

/** What was not answered. */
export class NoAnswer extends LifeboatError {
  readonly why: "timeout" | "refused";

  constructor(why: "timeout" | "refused") {
    super("platform.no-answer", { message: `no answer: ${why}`, remedy: "Wait.", retryable: true });
    this.why = why;
  }
}

/** The simulated world. */
export class World {
  readonly chance: Chance;
  now = 0;
  /** Set when an event has woken code that waits in promises. */
  woken = false;
  readonly machines: Machine[] = [];
  readonly #links = new Map<number, Link>();
  readonly #heap: Event[] = [];
  #order = 0;
  events = 0;
  /** The next order of this process is so much longer on its way, as the network was; or its sender falls asleep right before it. */
  holdBack: { readonly process: Process; readonly delayMs: number | "asleep" } | undefined;
  /** What those who are asleep do when they wake. */
  #held: (() => void)[] = [];

  constructor(chance: Chance) {
    this.chance = chance;
  }

  machine(name: string): Machine {
    const made = { name, index: this.machines.length, up: true };
    this.machines.push(made);
    return made;
  }

  /** The link in one direction. */
  link(from: Machine, to: Machine): Link {
    const key = from.index * 64 + to.index;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = { cut: false, delayMs: 0, loss: 0 };
      this.#links.set(key, link);
    }
    return link;
  }

  healLinks(): void {
    this.#links.clear();
  }

  /** Runs at a moment, whatever lives. */
  at(time: number, run: () => void): void {
    this.#push({ at: Math.max(time, this.now), order: this.#order++, run });
  }

  /** Runs in a process after a while, unless it has died since; waits while it is halted. */
  after(process: Process, delayMs: number, run: () => void): void {
    const { life } = process;
    this.at(this.now + delayMs, () => this.inside(process, life, run));
  }

  /** Runs in a process now, or when it goes on. */
  inside(process: Process, life: number, run: () => void): void {
    if (!process.running || process.life !== life) return;
    if (process.haltedUntil > this.now) {
      process.waiting.push(() => this.inside(process, life, run));
      return;
    }
    run();
  }

  /** Halts a process: it neither does nor answers anything until then. */
  halt(process: Process, untilTime: number): void {
    process.haltedUntil = Math.max(process.haltedUntil, untilTime);
    this.at(process.haltedUntil, () => this.#goOn(process));
  }

  #goOn(process: Process): void {
    if (process.haltedUntil > this.now) return;
    const waiting = process.waiting;
    process.waiting = [];
    for (const run of waiting) this.at(this.now, run);
  }

  /** Lets a halted process go on at once. */
  thaw(process: Process): void {
    process.haltedUntil = 0;
    this.#goOn(process);
  }

  /** Ends a process with all it had in memory. */
  kill(process: Process): void {
    process.alive = false;
    process.life += 1;
    process.waiting = [];
    process.haltedUntil = 0;
  }

  /** How long a message takes; undefined when it is lost. */
  travel(from: Machine, to: Machine): number | undefined {
    if (!from.up || !to.up) return undefined;
    if (from === to) return 0.05;
    const link = this.link(from, to);
    if (link.cut || (link.loss > 0 && this.chance.often(link.loss))) return undefined;
    return 0.2 + this.chance.next() + (link.delayMs > 0 ? link.delayMs * (0.5 + this.chance.next()) : 0);
  }

  /** A message between processes; nothing tells its sender of its fate. */
  send(from: Process, to: Process, run: () => void): void {
    const delay = this.travel(from.machine, to.machine);
    if (delay === undefined) return;
    const { life } = to;
    this.at(this.now + delay, () => this.inside(to, life, run));
  }

  /**
   * A question. `answer` runs in the asked process and replies when it likes. Nobody listening there is told at once, the
   * machine being up; else nothing within the time is a rejection. An order may be held back.
   */
  call<T>(
    from: Process,
    to: Process,
    timeoutMs: number,
    answer: (reply: (value: T) => void) => void,
    kind: "question" | "order" = "question",
  ): Promise<T> {
    const heldMs = kind === "order" ? this.#heldBack(from) : 0;
    return new Promise<T>((resolve, reject) => {
      const { life } = from;
      let settled = false;
      const settle = (run: () => void): void => {
        this.inside(from, life, () => {
          if (settled) return;
          settled = true;
          this.woken = true;
          run();
        });
      };
      this.at(this.now + timeoutMs, () => settle(() => reject(new NoAnswer("timeout"))));
      const reply = (value: T): void => {
        const back = this.travel(to.machine, from.machine);
        if (back !== undefined) this.at(this.now + back, () => settle(() => resolve(value)));
      };
      const there = this.travel(from.machine, to.machine);
      if (there === undefined) return;
      const arrive = (): void => {
        if (!to.machine.up) return;
        if (!to.alive) {
          const back = this.travel(to.machine, from.machine);
          if (back !== undefined) this.at(this.now + back, () => settle(() => reject(new NoAnswer("refused"))));
          return;
        }
        this.inside(to, to.life, () => answer(reply));
      };
      if (heldMs === "asleep") this.#held.push(() => this.at(this.now + there, arrive));
      else this.at(this.now + there + heldMs, arrive);
    });
  }

  #heldBack(process: Process): number | "asleep" {
    if (this.holdBack?.process !== process) return 0;
    const { delayMs } = this.holdBack;
    this.holdBack = undefined;
    if (delayMs === "asleep") this.sleep(process);
    return delayMs;
  }

  /** Halts it until `wake`. */
  sleep(process: Process): void {
    process.haltedUntil = Number.MAX_SAFE_INTEGER;
    this.#held.push(() => this.thaw(process));
  }

  /** Whoever is asleep goes on, and first does what it was about to do. */
  wake(): void {
    const held = this.#held;
    this.#held = [];
    for (const go of held) go();
  }

  /** Runs events until one has woken waiting code, or until a moment. False: nothing is left to do before it. */
  step(untilTime: number): boolean {
    this.woken = false;
    while (!this.woken) {
      const event = this.#heap[0];
      if (event === undefined || event.at > untilTime) {
        this.now = untilTime;
        return false;
      }
      this.#pop();
      this.now = event.at;
      this.events += 1;
      event.run();
    }
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || before(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let least = left;
      const [onLeft, onRight] = [heap[left], heap[right]];
      if (onLeft === undefined) break;
      if (onRight !== undefined && before(onRight, onLeft)) least = right;
      const child = heap[least];
      if (child === undefined || before(last, child)) break;
      heap[index] = child;
      index = least;
    }
    heap[index] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
