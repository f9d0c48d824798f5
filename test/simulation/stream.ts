/** WAL from a primary to one receiver: chunks that end anywhere, confirmations back, and silence that ends it. */
import type { Server } from "./server.ts";
import type { Stack } from "./stack.ts";
import type { WalRecord } from "./wal.ts";
import type { Process } from "./world.ts";

/** Who receives: a standby or the witness. */
export type Receiver = {
  readonly process: Process;
  readonly received: number;
  readonly flushed: number;
  /** The position it tells; 0: none. */
  readonly reported?: () => number;
  incoming: Stream | undefined;
  receive(source: readonly WalRecord[], to: number, synced: () => void): void;
  receiveAgain(): void;
};

/** Between two signs of life. */
const PULSE_MS = 600;
/** wal_receiver_timeout and wal_sender_timeout of our stacks. */
const SILENCE_MS = 1_500;

/** A replication connection. */
export class Stream {
  readonly stack: Stack;
  readonly server: Server;
  readonly receiver: Receiver;
  /** application_name. */
  readonly name: string;
  /** What the server knows of it. */
  confirmed = 0;
  delivered = 0;
  /** When the receiver last heard from the server. */
  heardAt: number;
  #heardByServerAt: number;
  /** The receiver has not ended it. */
  #open = true;
  /** The server has not seen its end. */
  #known = true;
  #underWay = false;

  constructor(stack: Stack, server: Server, receiver: Receiver, name: string) {
    this.stack = stack;
    this.server = server;
    this.receiver = receiver;
    this.name = name;
    this.heardAt = stack.world.now;
    this.#heardByServerAt = stack.world.now;
    server.outgoing.push(this);
    this.delivered = receiver.received;
    this.#report();
    this.push();
    this.#pulse();
  }

  /** Sends the next chunk when there is something and none is under way. */
  push(): void {
    const { receiver, server, stack } = this;
    if (!this.#open || this.#underWay || server.flushed <= receiver.received) return;
    const { chance } = stack.world;
    const left = server.flushed - receiver.received;
    const bytes = chance.often(0.35) ? chance.whole(1, left) : left;
    const to = receiver.received + bytes;
    this.#underWay = true;
    const { records } = server;
    this.#message(server.process, receiver.process, () => {
      this.heardAt = stack.world.now;
      receiver.receive(records, to, () => {
        if (!this.#open) return;
        this.#report();
        this.#underWay = false;
        this.push();
      });
      this.delivered = Math.max(this.delivered, to);
    });
  }

  /** Tells the server how far the receiver is. */
  #report(): void {
    const position = this.receiver.reported?.() ?? this.receiver.flushed;
    this.#message(this.receiver.process, this.server.process, () => {
      this.#heardByServerAt = this.stack.world.now;
      this.confirmed = position;
      this.server.releaseCommits();
    });
  }

  /** As TCP does: what is lost is sent again, until one side has waited too long. */
  #message(from: Process, to: Process, run: () => void): void {
    const { world } = this.stack;
    const delay = world.travel(from.machine, to.machine);
    if (delay === undefined) {
      world.at(world.now + 200, () => {
        if (this.#known) this.#message(from, to, run);
      });
      return;
    }
    const { life } = to;
    const arrive = (): void => {
      // A report that was under way when its sender closed still counts at a server that has not seen the end yet.
      if (to === this.server.process ? this.#known : this.#open) run();
    };
    world.at(world.now + delay, () => world.inside(to, life, arrive));
  }

  #pulse(): void {
    const { world } = this.stack;
    world.at(world.now + PULSE_MS, () => {
      if (!this.#known) return;
      const { server, receiver } = this;
      const { now } = world;
      const [serverGoes, receiverGoes] = [server.process.haltedUntil <= now, receiver.process.haltedUntil <= now];
      if (receiverGoes && now - this.heardAt > SILENCE_MS) this.close();
      if (serverGoes && now - this.#heardByServerAt > SILENCE_MS) this.end();
      if (this.#open && serverGoes) {
        world.send(server.process, receiver.process, () => {
          this.heardAt = world.now;
        });
      }
      if (this.#open && receiverGoes) this.#sendPosition();
      this.#pulse();
    });
  }

  #sendPosition(): void {
    const { world } = this.stack;
    const position = this.receiver.reported?.() ?? this.receiver.flushed;
    world.send(this.receiver.process, this.server.process, () => {
      if (!this.#known) return;
      this.#heardByServerAt = world.now;
      this.confirmed = position;
      this.server.releaseCommits();
    });
  }

  /** The receiver ends it; the server sees that when it hears of it, or after a silence. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.receiver.incoming === this) {
      this.receiver.incoming = undefined;
      this.receiver.receiveAgain();
    }
    this.#message(this.receiver.process, this.server.process, () => this.end());
  }

  /** The server ends it, or has died. */
  end(): void {
    if (!this.#known) return;
    this.#known = false;
    const { outgoing } = this.server;
    const index = outgoing.indexOf(this);
    if (index >= 0) outgoing.splice(index, 1);
    if (!this.#open) return;
    const delay = this.stack.world.travel(this.server.process.machine, this.receiver.process.machine);
    // Where no word of it arrives, the receiver finds out by the silence.
    const { world } = this.stack;
    const { life } = this.receiver.process;
    const wait = delay ?? SILENCE_MS - (world.now - this.heardAt);
    world.at(world.now + Math.max(0, wait), () => world.inside(this.receiver.process, life, () => this.close()));
  }
}
