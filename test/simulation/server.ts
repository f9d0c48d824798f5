/**
 * A simulated PostgreSQL server: WAL, streaming, commits that wait for standbys, crashes, promotion.
 *
 * What is like the real one, because rules rest on it: a commit is acknowledged when enough connections whose names are in
 * synchronous_standby_names have confirmed its end; where there were no names before, commits wait for nobody until the checkpointer
 * has read them, a moment later or much later; a crash loses what was not synced, and shows commits afterwards that were
 * never acknowledged; a standby's flushed position can lie inside a record (B8), and it replays whole records only; clearing
 * primary_conninfo ends its receiver later than at once (B7); a segment from the archive replaces its own, also by a
 * shorter one (B1); a promotion looks into the archive once, takes what it finds, and goes without what it does not find.
 */
import { HELD_NAMES } from "../../src/durability/names.ts";
import type { Stack } from "./stack.ts";
import { Stream } from "./stream.ts";
import { copyOnto, cutAt, differAt, segmentOf, type WalRecord, wholeEnd } from "./wal.ts";
import { Process } from "./world.ts";

/** What came of a client's write; what was acknowledged is in the history. */
export type WriteAnswer = "acknowledged" | "failed";

type Waiter = { readonly end: number; readonly write: number; readonly reply: (answer: WriteAnswer) => void };

/** How often a checkpoint keeps the checkpointer from reading what was set. */
const LATE_READS = 0.1;
const LATE_READS_BUSY = 0.8;
/** Between two looks of a standby into the archive, and between two attempts to connect. */
const LOOK_MS = 120;

/** A server with its data directory. */
export class Server {
  readonly name: string;
  /** application_name in primary_conninfo: a copy of a data directory has that of the original. */
  readonly applicationName: string;
  readonly stack: Stack;
  readonly process: Process;
  readonly agent: Process;
  records: WalRecord[] = [];
  timeline = 1;
  timelineStart: number | undefined = undefined;
  /** Synced. */
  flushed = 0;
  /** Written, on a standby: may be lost by a crash. */
  received = 0;
  replayed = 0;
  mode: "stopped" | "starting" | "primary" | "standby" = "stopped";
  /** How it starts: standby.signal is there or not. */
  standby = false;
  hasData = true;
  cloning = false;
  /** primary_conninfo: durable. */
  upstream: string | undefined;
  names = "";
  /** The epoch in its confirmers' names. */
  reign: number | undefined;
  /** Greatest epoch seen: durable. Of each controller alone, where those remember for themselves what they told. */
  readonly #epochs = new Map<string, number>();
  fenced = false;
  slots = new Set<string>();
  /** Timelines whose history lies in its pg_wal. */
  readonly histories = new Set<number>();
  /** WAL before it is no longer there for whoever has no slot. */
  keptFrom = 0;
  diskFull = false;
  stuckUntil = 0;
  replayDelayMs = 5;
  /** The stream it receives by. */
  incoming: Stream | undefined;
  connecting = false;
  /** Streams it sends. */
  outgoing: Stream[] = [];
  #waiters: Waiter[] = [];
  #required = 0;
  /** Whether the checkpointer knows that there are names. */
  commitsWait = false;
  #named = new Set<string>();
  #looking = false;

  constructor(stack: Stack, name: string, applicationName = name) {
    this.stack = stack;
    this.name = name;
    this.applicationName = applicationName;
    const machine = stack.world.machine(name);
    this.process = new Process(name, machine);
    this.agent = new Process(`agent of ${name}`, machine);
    this.process.alive = false;
  }

  get isCopy(): boolean {
    return this.name !== this.applicationName;
  }

  get end(): number {
    return this.records.at(-1)?.end ?? 0;
  }

  /** The greatest epoch that gave it an order. */
  get epoch(): number {
    return Math.max(0, ...this.#epochs.values());
  }

  /** The same, as an order of this controller is compared with it. */
  epochFor(controller: Process): number {
    return this.#epochs.get(this.#memoryOf(controller)) ?? 0;
  }

  /** An order of this epoch has come. */
  hear(controller: Process, epoch: number): void {
    this.#epochs.set(this.#memoryOf(controller), Math.max(this.epochFor(controller), epoch));
  }

  #memoryOf({ name }: Process): string {
    return this.stack.settings.without.has("epoch at the node") ? name : this.name;
  }

  /** As an order does: the checkpointer hears of it later. */
  setNames(names: string): void {
    const { world, settings } = this.stack;
    const { chance } = world;
    this.#readNames(names);
    const readsMs = chance.often(settings.checkpointersBusy === true ? LATE_READS_BUSY : LATE_READS)
      ? chance.between(20, 3_000)
      : chance.between(0, 5);
    world.after(this.process, readsMs, () => this.#checkpointerReads());
  }

  #checkpointerReads(): void {
    this.commitsWait = this.names !== "";
    this.releaseCommits();
  }

  #readNames(names: string): void {
    this.names = names;
    const match = /^ANY (\d+) \((.*)\)$/.exec(names);
    this.reign = names === "" ? undefined : Number(/_e(\d+)/.exec(names)?.[1]);
    this.#required = Number(match?.[1] ?? 0);
    this.#named = new Set((match?.[2] ?? "").split(", "));
    this.releaseCommits();
  }

  // ------------------------------------------------------------------------------------------------ writes

  /** A client's write: inserted, synced, and acknowledged when enough have confirmed it. */
  write(write: number, reply: (answer: WriteAnswer) => void): void {
    if (this.mode !== "primary" || this.diskFull) {
      reply("failed");
      return;
    }
    if (this.#repeats(write, reply)) return;
    const { chance } = this.stack.world;
    // Pages after a checkpoint and the like: records of which a receiver may have half.
    if (chance.often(0.3)) this.#insert(chance.whole(100, 900), 0);
    const { end } = this.#insert(chance.whole(20, 70), write);
    this.#waiters.push({ end, write, reply });
    this.#sync(end, () => undefined);
  }

  /**
   * A write whose key is there: waits for the one that is committing, else it is a write like any other, which updates the
   * key's row (rule B11). Answered without a write, it would be one that nobody may have confirmed.
   */
  #repeats(write: number, reply: (answer: WriteAnswer) => void): boolean {
    if (!this.stack.history.isRepeated(write)) return false;
    const index = this.#waiters.findIndex((waiter) => waiter.write === write);
    const waiter = this.#waiters[index];
    if (waiter !== undefined) {
      const both = (answer: WriteAnswer): void => {
        waiter.reply(answer);
        reply(answer);
      };
      this.#waiters[index] = { ...waiter, reply: both };
      return true;
    }
    if (!this.stack.settings.without.has("B11, repeats")) return false;
    if (!this.records.some((record) => record.write === write && record.end <= this.flushed)) return false;
    this.stack.history.acknowledge(this, write);
    reply("acknowledged");
    return true;
  }

  /** A client cancels a commit's wait: it stays committed, and is answered COMMIT with a warning (rule B11). */
  cancelWait(write: number): void {
    const index = this.#waiters.findIndex((waiter) => waiter.write === write);
    const [waiter] = index < 0 ? [] : this.#waiters.splice(index, 1);
    if (waiter === undefined) return;
    if (this.stack.settings.without.has("B11, cancelled waits")) this.stack.history.acknowledge(this, write);
    waiter.reply("failed");
  }

  /** A probe's write, with synchronous_commit = local. */
  writeLocally(done: (result: "written" | "full") => void): void {
    if (this.diskFull) {
      done("full");
      return;
    }
    const { end } = this.#insert(40, 0);
    this.#sync(end, () => done("written"));
  }

  #insert(bytes: number, write: number): WalRecord {
    const start = this.end;
    const record = { start, end: start + bytes, timeline: this.timeline, write };
    this.records.push(record);
    return record;
  }

  #sync(end: number, done: () => void): void {
    const { world } = this.stack;
    const wait = Math.max(0.3 + world.chance.next() * 2, this.stuckUntil - world.now);
    world.after(this.process, wait, () => {
      if (this.stuckUntil > world.now) {
        this.#sync(end, done);
        return;
      }
      if (end > this.flushed) {
        this.flushed = end;
        for (const stream of this.outgoing) stream.push();
        this.releaseCommits();
      }
      done();
    });
  }

  /** Acknowledges what enough standbys have. */
  releaseCommits(): void {
    if (this.mode !== "primary") return;
    while (this.#waiters.length > 0) {
      const first = this.#waiters[0];
      if (first === undefined || first.end > this.flushed) return;
      if (this.commitsWait && this.#required > 0 && this.#confirmations(first.end) < this.#required) return;
      this.#waiters.shift();
      this.stack.history.acknowledge(this, first.write);
      first.reply("acknowledged");
    }
  }

  #confirmations(end: number): number {
    let count = 0;
    for (const stream of this.outgoing) if (stream.confirmed >= end && this.#named.has(stream.name)) count += 1;
    return count;
  }

  // ------------------------------------------------------------------------------------------ life and death

  /** Ends it as SIGKILL would, or as a power cut: what was written and not synced may be there or not, or is lost. */
  crash(power: boolean): void {
    const { world } = this.stack;
    this.stack.tell(() => `${this.name} ends as ${this.mode} t${this.timeline} f${this.flushed}`);
    world.kill(this.process);
    this.#closeStreams();
    this.#waiters = [];
    this.#looking = false;
    this.connecting = false;
    if (!power && this.mode === "standby" && world.chance.often(0.5)) this.flushed = this.received;
    this.received = this.flushed;
    if (this.mode === "primary") this.flushed = wholeEnd(this.records, this.flushed);
    cutAt(this.records, this.flushed);
    this.replayed = Math.min(this.replayed, wholeEnd(this.records, this.flushed));
    this.mode = "stopped";
    this.stuckUntil = 0;
  }

  /** The whole machine is gone, and with it what was being copied. */
  losePower(): void {
    this.crash(true);
    this.cloning = false;
  }

  /** A fast shutdown: whoever is connected gets everything, with the shutdown checkpoint as the last record. */
  stopClean(done: (shutdownLsn: number | undefined) => void): void {
    const { world } = this.stack;
    if (this.mode !== "primary" || this.stuckUntil > world.now) {
      if (this.stuckUntil <= world.now) this.crash(false);
      done(undefined);
      return;
    }
    this.#waiters = [];
    const { end } = this.#insert(60, 0);
    this.flushed = end;
    for (const stream of this.outgoing) stream.push();
    const deadline = world.now + 400;
    const wait = (): void => {
      const sent = this.outgoing.every((stream) => stream.delivered >= end);
      if (!sent && world.now < deadline) {
        world.after(this.process, 20, wait);
        return;
      }
      this.crash(false);
      done(end);
    };
    wait();
  }

  /** Starts it as its data directory says. */
  start(): void {
    if (this.process.alive || this.fenced || !this.hasData || this.cloning) return;
    const { world } = this.stack;
    this.process.alive = true;
    this.mode = "starting";
    this.stack.tell(() => `${this.name} starts t${this.timeline} f${this.flushed}`);
    const takes = world.chance.often(0.1) ? world.chance.between(1_000, 5_000) : world.chance.between(50, 500);
    world.after(this.process, takes, () => {
      // Read before anything else is begun.
      this.commitsWait = this.names !== "";
      this.mode = this.standby ? "standby" : "primary";
      this.received = this.flushed;
      if (this.standby) {
        this.replayed = wholeEnd(this.records, this.flushed);
        this.receiveAgain();
        return;
      }
      this.#readNames(this.names);
    });
  }

  #closeStreams(): void {
    this.incoming?.close();
    for (const stream of [...this.outgoing]) stream.end();
  }

  // ---------------------------------------------------------------------------------------------- as a standby

  /** What its settings say from the next start on. */
  follow(upstream: string): void {
    this.standby = true;
    this.upstream = upstream;
    this.#readNames(this.stack.settings.without.has("names of a standby") ? "" : HELD_NAMES);
  }

  /** Connects, or looks into the archive, until it streams. */
  receiveAgain(): void {
    if (this.#looking) return;
    this.#looking = true;
    const turn = (): void => {
      if (this.mode !== "standby" || this.incoming !== undefined) {
        this.#looking = false;
        return;
      }
      this.#connect();
      this.lookIntoArchive();
      this.stack.world.after(this.process, LOOK_MS, turn);
    };
    turn();
  }

  #connect(): void {
    const { world } = this.stack;
    const server = this.stack.servers.find(({ name }) => name === this.upstream);
    if (server === undefined || this.connecting) return;
    const there = world.travel(this.process.machine, server.process.machine);
    if (there === undefined) return;
    this.connecting = true;
    world.after(this.process, there * 2, () => {
      this.connecting = false;
      if (this.mode !== "standby" || this.incoming !== undefined || !this.#canFollow(server)) return;
      this.timeline = server.timeline;
      this.stack.tell(() => `${this.name} streams from ${server.name} at ${this.flushed}`);
      this.incoming = new Stream(this.stack, server, this, this.applicationName);
    });
  }

  #canFollow(server: Server): boolean {
    if (!server.process.running || server.process.haltedUntil > this.stack.world.now) return false;
    if (server.mode !== "primary" || server.timeline < this.timeline || server.flushed < this.flushed) return false;
    return (
      differAt({ records: this.records, end: this.flushed }, { records: server.records, end: server.flushed }, 0) ===
      undefined
    );
  }

  /** From its stream: written, synced a moment later, then told. */
  receive(source: readonly WalRecord[], to: number, synced: () => void): void {
    copyOnto(this.records, source, { from: this.received, to });
    this.received = to;
    const { world } = this.stack;
    world.after(this.process, Math.max(0.3 + world.chance.next() * 2, this.stuckUntil - world.now), () => {
      if (to > this.flushed) this.flushed = to;
      this.replayLater();
      synced();
    });
  }

  replayLater(): void {
    this.stack.world.after(this.process, this.replayDelayMs, () => {
      if (this.mode === "standby") this.replayed = Math.max(this.replayed, wholeEnd(this.records, this.flushed));
    });
  }

  get replayIdle(): boolean {
    return this.replayed >= wholeEnd(this.records, this.flushed);
  }

  stopReceiving(): void {
    this.upstream = undefined;
    const { world } = this.stack;
    // Acted on when the startup process has run out of WAL (B7).
    const wait = world.chance.often(0.2) ? world.chance.between(100, 800) : world.chance.between(0, 20);
    world.after(this.process, wait, () => {
      if (this.upstream === undefined) this.incoming?.close();
    });
  }

  /**
   * Asks the archive for the segment that it is in, and takes what comes in place of its own. A receiver that ends syncs
   * first what it has written, and only then does the startup process ask: no sync of what was replaced is under way.
   */
  lookIntoArchive(): void {
    const asked = this.flushed;
    if (this.received > asked) return;
    const stray = this.stack.witness.strayBeyond(this);
    if (stray !== undefined && !this.isCopy) {
      this.stack.history.break("stray timeline followed", `${this.name} follows timeline ${stray}`);
    }
    this.stack.witness.fetch(this, (found) => {
      const here = this.incoming === undefined && (this.mode === "standby" || this.mode === "starting");
      // Where it has received in between, the answer is to a question that a startup process would not have asked.
      if (found !== undefined && here && this.flushed === asked && this.received === asked) {
        this.stack.counts.note("a segment from the archive took the place of a standby's own");
        const from = segmentOf(this.flushed);
        const kept = this.records.filter(({ start }) => start < from);
        this.stack.tell(() => `${this.name} takes a segment to ${found.end}, had ${this.flushed}`);
        this.records = kept;
        copyOnto(this.records, found.records, { from, to: found.end });
        this.flushed = found.end;
        this.received = found.end;
        this.replayed = Math.min(this.replayed, wholeEnd(this.records, found.end));
        this.replayLater();
      }
    });
  }

  /** The next one of which it finds no history, at home or in the archive. */
  #nextTimeline(): number {
    let next = this.timeline + 1;
    while (this.histories.has(next) || this.stack.witness.tellsHistory(this, next)) next += 1;
    this.histories.add(next);
    return next;
  }

  /** Becomes a primary: one last look into the archive, then what is whole here is where the new timeline begins. */
  promote(): void {
    if (this.mode !== "standby") return;
    const { world } = this.stack;
    this.upstream = undefined;
    this.incoming?.close();
    this.lookIntoArchive();
    const become = (): void => {
      if (this.mode !== "standby") return;
      this.incoming?.close();
      // The receiver's last sync comes first here too.
      if (this.received > this.flushed) {
        world.after(this.process, 5, become);
        return;
      }
      const begin = wholeEnd(this.records, this.flushed);
      cutAt(this.records, begin);
      this.timeline = this.#nextTimeline();
      this.stack.tell(() => `${this.name} promoted t${this.timeline} at ${begin}`);
      if (!this.isCopy) this.stack.history.promoted(this.timeline, this.records);
      this.timelineStart = begin;
      this.flushed = begin;
      this.mode = "primary";
      this.standby = false;
      this.keptFrom = this.slots.has("lifeboat_vault") ? 0 : begin;
      this.#readNames(this.names);
      this.#sync(this.#insert(50, 0).end, () => undefined);
    };
    world.after(this.process, world.chance.between(15, 80), become);
  }
}
