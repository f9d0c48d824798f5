/** One seed: its script is acted out event by event, and the end is judged. */
import type { JournalEntry } from "../../src/failover/ports.ts";
import { Chance } from "./chance.ts";
import { SimulatedController } from "./controllers.ts";
import { destroyDisk, healAll, type Place, strike } from "./faults.ts";
import type { Violation } from "./history.ts";
import type { Rule } from "./rules.ts";
import type { Cut, Script } from "./script.ts";
import type { Server, WriteAnswer } from "./server.ts";
import { Stack } from "./stack.ts";
import { canTakeOver, isSettled, judgeEnd } from "./verdict.ts";

/** What a seed came to. */
export type SeedResult = {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly counts: ReadonlyMap<string, number>;
  readonly events: number;
  readonly simulatedMs: number;
};

/** Between its look at the clock and the order. */
const ASLEEP = "controller asleep with an order on its tongue";
/** Whoever needs longer after everything was healed does not come back by itself. */
const SETTLE_MS = 40_000;
const LOOK_MS = 300;
/** How often a client sends again what it has no answer for. */
const REPEATS = 2;
/** Where the recorded primary's data is gone, nobody takes over later than that. */
const LOST_MS = 6_000;

/** One seed. */
export class Scenario {
  readonly seed: number;
  readonly stack: Stack;
  readonly #place: Place;
  readonly #chance: Chance;
  readonly #script: Script;
  readonly #cuts: Cut[];
  /** What strikes once, when its line of the journal comes. */
  readonly #once = new Set(["withdrawal", "promotion", "hold back", "candidate", "sleep", "wake"]);
  #lossAcceptedUpTo = 0;
  #blockedSince: number | undefined;
  #end: number;
  #settled = false;
  #ended = false;

  /** `seed`: of all chance that the script leaves. */
  constructor(
    { seed, script }: { readonly seed: number; readonly script: Script },
    without: ReadonlySet<Rule>,
    tell?: (atMs: number, what: string) => void,
  ) {
    const chance = new Chance(~seed);
    this.seed = seed;
    this.#chance = chance;
    this.#script = script;
    this.#cuts = [...script.cuts];
    this.#end = script.healMs + SETTLE_MS;
    this.stack = new Stack(chance, { ...script.settings, without }, tell);
    const controllers = ["controller1", "controller2"].map(
      (name) => new SimulatedController(this.stack, name, (self, entry) => this.#watchJournal(self, entry)),
    );
    this.#place = { stack: this.stack, controllers };
    this.#begin();
  }

  /** Runs events until waiting code was woken; false when the seed has ended. */
  step(): boolean {
    if (this.#ended) return false;
    this.stack.world.step(this.#end);
    if (this.stack.world.now >= this.#end) this.#finish();
    return !this.#ended;
  }

  get result(): SeedResult {
    const { history, counts, world } = this.stack;
    const { violations } = history;
    return { seed: this.seed, violations, counts: counts.all, events: world.events, simulatedMs: world.now };
  }

  #begin(): void {
    const { stack } = this;
    const { world, counts } = stack;
    const chance = this.#chance;
    stack.bringUp();
    const { controllers } = this.#place;
    for (const { process } of [...controllers, stack.witness, stack.store]) process.rate = chance.between(0.98, 1.02);
    counts.note("clocks drift");
    for (const [index, controller] of controllers.entries()) world.at(15 + index * 50, () => controller.start());
    this.#writeOn();
    for (const { name, atMs, durationMs } of this.#script.faults) {
      world.at(atMs, () => strike(this.#place, name, durationMs));
    }
    const { destroyAtMs } = this.#script;
    if (destroyAtMs !== undefined) world.at(destroyAtMs, () => destroyDisk(this.#place, chance.pick(stack.servers)));
    world.at(this.#script.healMs, () => healAll(this.#place));
    world.at(this.#script.healMs + LOOK_MS, () => this.#lookWhetherSettled());
    world.at(1_000, () => this.#operate());
  }

  /** Clients: through the poolers, and from sessions that were opened on the servers themselves before anything happened. */
  #writeOn(): void {
    const { stack } = this;
    const { world } = stack;
    const chance = this.#chance;
    const write = (): void => {
      if (this.#ended) return;
      this.#submit(stack.history.begin(), chance.often(0.25) ? REPEATS : 0);
      world.at(world.now + (chance.often(0.3) ? chance.between(0, 5) : chance.between(50, 300)), write);
    };
    world.at(20, write);
  }

  /** Some clients do not leave it at no answer: they cancel what they wait for, and send it again (rule B11). */
  #submit(write: number, repeats: number): void {
    const { stack } = this;
    const { world, client } = stack;
    let done = false;
    const told = (answer: WriteAnswer): void => {
      done = answer === "acknowledged";
    };
    const pooler = this.#chance.often(0.7) ? this.#chance.pick(stack.poolers) : undefined;
    const server = this.#chance.pick(stack.servers);
    if (pooler !== undefined) world.send(client, pooler.process, () => pooler.write(write, told));
    else world.send(client, server.process, () => server.write(write, told));
    if (repeats === 0) return;
    world.at(world.now + this.#chance.between(500, 1_500), () => {
      if (done || this.#ended) return;
      stack.history.repeat(write);
      if (pooler === undefined) world.send(client, server.process, () => server.cancelWait(write));
      this.#submit(write, repeats - 1);
    });
  }

  /** The person on call: resumes and pauses failover as it is wanted, and accepts a loss where the failover has been blocked for a while. */
  #operate(): void {
    const { world, settings, store, counts, wantsMaintenance } = this.stack;
    const holding = this.#place.controllers.find(
      ({ controller, process }) => controller?.state.epoch !== undefined && process.haltedUntil <= world.now,
    );
    if (wantsMaintenance !== store.record.maintenance) void holding?.setMaintenance(wantsMaintenance);
    const holder = holding?.controller;
    const decision = holder?.state.decision;
    const offered = decision?.kind === "blocked" && decision.offers.some(({ kind }) => kind === "accept-loss");
    if (!offered) this.#blockedSince = undefined;
    else {
      this.#blockedSince ??= world.now;
      if (settings.acceptsLoss && world.now - this.#blockedSince > 700) {
        holder?.acceptLoss({ bytesMax: Number.POSITIVE_INFINITY });
        this.#lossAcceptedUpTo = Math.max(this.#lossAcceptedUpTo, store.record.timeline);
        counts.note("loss accepted");
      }
    }
    if (!this.#ended) world.at(world.now + 400, () => this.#operate());
  }

  /** Cuts the controller at its step, and strikes where it hurts most. True: the controller has ended at this line. */
  #watchJournal(self: SimulatedController, entry: JournalEntry): boolean {
    const { stack } = this;
    const { world } = stack;
    stack.tell(() => `${self.process.name} ${entry.kind} ${entry.name} ${factsOf(entry)}`);
    if (world.now > this.#script.healMs) return false;
    this.#strikeAt(self, entry);
    const [cut] = this.#cuts;
    if (cut === undefined || cut.step !== entry.name) return false;
    if (entry.kind !== (cut.at === "outcome" ? "outcome" : "intent")) return false;
    this.#cuts.shift();
    stack.counts.note(`cut at ${cut.step}, ${cut.at}`);
    if (cut.at === "midway") {
      world.after(self.process, this.#chance.between(0, 60), () => this.#restart(self));
      return false;
    }
    this.#restart(self);
    return true;
  }

  #restart(self: SimulatedController): void {
    const { world } = this.stack;
    self.crash();
    world.at(world.now + this.#chance.between(100, 2_500), () => self.start());
  }

  #strikeAt(self: SimulatedController, { kind, name }: JournalEntry): void {
    const { afterWithdrawal, afterPromotion, candidateLost, holdBackAt, asleepAt } = this.#script;
    const { counts, world } = this.stack;
    if (kind === "intent" && name === holdBackAt?.step && this.#once.delete("hold back")) {
      counts.note("order on its way too long");
      world.holdBack = { process: self.process, delayMs: holdBackAt.delayMs };
    }
    if (kind === "intent" && name === asleepAt?.step && this.#once.delete("sleep")) {
      counts.note(ASLEEP);
      world.holdBack = { process: self.process, delayMs: "asleep" };
    }
    if (kind !== "outcome") return;
    if (name === asleepAt?.untilStep && !this.#once.has("sleep") && this.#once.delete("wake")) {
      counts.note("controller wakes with an order on its tongue");
      world.wake();
      for (const server of this.stack.servers) this.#oldSessionsWrite(server);
    }
    if (name === afterWithdrawal?.step && this.#once.delete("withdrawal")) {
      counts.note("receiver and replica restarted after the withdrawal");
      world.at(world.now, () => this.#restartBoth(afterWithdrawal.primaryReturns));
    }
    if (name === "promote" && candidateLost && this.#once.delete("candidate")) {
      world.at(world.now + this.#chance.between(0, 100), () => this.#strikeCandidate());
    }
    if (name === "note-primary" && afterPromotion !== "nothing" && this.#once.delete("promotion")) {
      world.at(world.now + this.#chance.between(0, 1_500), () => this.#strikeNewPrimary(afterPromotion === "destroy"));
    }
  }

  #restartBoth(primaryReturns: boolean): void {
    const { stack } = this;
    const { world } = stack;
    const old = stack.server(stack.store.record.primary);
    if (primaryReturns) {
      stack.counts.note("old primary returns during the action");
      world.healLinks();
      world.thaw(old.process);
      this.#oldSessionsWrite(old);
    }
    strike(this.#place, "receiver restarted", this.#chance.between(2, 60));
    for (const replica of stack.servers) {
      if (replica === old || !replica.process.alive || !this.#chance.often(0.4)) continue;
      replica.crash(false);
      world.after(replica.agent, this.#chance.between(20, 300), () => replica.start());
    }
  }

  /** Sessions that were opened on it before have had to wait, and now do not. */
  #oldSessionsWrite(server: Server): void {
    const { world, client, history } = this.stack;
    for (let delay = 20; delay < 400; delay += 40) {
      world.at(world.now + delay, () => {
        const number = history.begin();
        world.send(client, server.process, () => server.write(number, () => undefined));
      });
    }
  }

  #strikeCandidate(): void {
    const { stack } = this;
    const { action, primary } = stack.store.record;
    if (action === undefined) return;
    stack.counts.note("candidate lost in its promotion");
    const candidate = stack.server(action.to);
    if (candidate.process.alive) candidate.crash(this.#chance.often(0.5));
    if (this.#chance.often(0.7)) destroyDisk(this.#place, stack.server(primary));
  }

  #strikeNewPrimary(destroy: boolean): void {
    const { stack } = this;
    if (stack.world.now > this.#script.healMs) return;
    const server = stack.server(stack.store.record.primary);
    stack.counts.note("new primary lost right after its promotion");
    if (destroy) destroyDisk(this.#place, server);
    else if (server.process.alive) server.crash(this.#chance.often(0.5));
  }

  #lookWhetherSettled(): void {
    const { world, store } = this.stack;
    const { hasData } = this.stack.server(store.record.primary);
    const lost = !hasData && !canTakeOver(this.stack) && world.now > this.#script.healMs + LOST_MS;
    this.#settled = isSettled(this.stack);
    if (this.#settled || lost) this.#end = world.now;
    else world.at(world.now + LOOK_MS, () => this.#lookWhetherSettled());
  }

  #finish(): void {
    this.#ended = true;
    judgeEnd(this.stack, {
      settled: this.#settled,
      lossAcceptedUpTo: this.#lossAcceptedUpTo,
      controllers: this.#place.controllers,
    });
  }
}

function factsOf({ facts }: JournalEntry): string {
  const plain = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);
  return JSON.stringify(facts, plain).slice(0, 250);
}
