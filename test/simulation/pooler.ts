/** A simulated PgBouncer: sends writes to one server, can be paused for ever, forgets a pause in a restart, not its file. */
import type { Server, WriteAnswer } from "./server.ts";
import type { Stack } from "./stack.ts";
import { Process } from "./world.ts";

type Waiting = { readonly write: number; readonly reply: (answer: WriteAnswer) => void };
type UnderWay = { readonly server: Server; readonly life: number };

/** The pooler. */
export class Pooler {
  readonly name: string;
  readonly stack: Stack;
  readonly process: Process;
  mode: "serving" | "paused" = "serving";
  /** In its include file. */
  epoch = 1;
  target = "a";
  #queue: Waiting[] = [];
  #underWay = new Set<UnderWay>();

  constructor(stack: Stack, name: string) {
    this.stack = stack;
    this.name = name;
    this.process = new Process(name, stack.world.machine(name));
  }

  /** A client's write has come. */
  submit(write: number, reply: (answer: WriteAnswer) => void): void {
    if (this.mode === "paused") this.#queue.push({ write, reply });
    else this.#forward({ write, reply });
  }

  #forward({ write, reply }: Waiting): void {
    const server = this.stack.server(this.target);
    const { world } = this.stack;
    if (!server.process.running) {
      reply("failed");
      return;
    }
    const way = { server, life: server.process.life };
    this.#underWay.add(way);
    world.send(this.process, server.process, () =>
      server.write(write, (answer) =>
        world.send(server.process, this.process, () => {
          this.#underWay.delete(way);
          reply(answer);
        }),
      ),
    );
  }

  /** Whether a statement runs on a server that lives. */
  get busy(): boolean {
    for (const way of this.#underWay) {
      if (way.server.process.running && way.server.process.life === way.life) return true;
      this.#underWay.delete(way);
    }
    return false;
  }

  accepts(epoch: number): boolean {
    if (!this.stack.settings.without.has("epoch check") && epoch < this.epoch) return false;
    this.epoch = Math.max(this.epoch, epoch);
    return true;
  }

  resume(): void {
    this.mode = "serving";
    const queue = this.#queue;
    this.#queue = [];
    for (const each of queue) this.#forward(each);
  }

  repoint(node: string): void {
    this.target = node;
  }

  dropDead(node: string): void {
    for (const way of this.#underWay) if (way.server.name === node) this.#underWay.delete(way);
  }

  crash(): void {
    this.stack.world.kill(this.process);
    this.#queue = [];
    this.#underWay.clear();
  }

  start(): void {
    if (this.process.alive || !this.process.machine.up) return;
    this.process.alive = true;
    this.mode = "serving";
  }
}
