/** All ports of failover into the simulation, as seen from one controller's process. */
import type {
  Call,
  Done,
  Epoch,
  FailoverPorts,
  HeldWal,
  JournalEntry,
  NotDrained,
  PoolerPort,
  StaleEpoch,
  WitnessPort,
  WitnessView,
} from "../../src/failover/ports.ts";
import { Lease, type LeaseStore } from "../../src/lease/lease.ts";
import { abortedError, type Clock, type Instant, type Monotonic } from "../../src/platform/clock.ts";
import type { SystemId, Timeline } from "../../src/postgres/lsn.ts";
import { lsnOf, machinePort, nodePort } from "./node-ports.ts";
import type { Pooler } from "./pooler.ts";
import type { Stack } from "./stack.ts";
import type { Process } from "./world.ts";

const DONE: Done = { kind: "done" };
/** How long a lease lasts without renewal. */
export const LEASE_MS = 2_500;

/** What the simulation does at a line of the journal: nothing, or end the controller there. */
export type JournalWatch = (entry: JournalEntry) => boolean;

/** A controller's own clock: time since it was started at its own rate, and a wall clock that can be set. */
export type OwnClock = { readonly process: Process; wallOffsetMs: number };

/** The ports of one life of a controller. */
export function portsOf(stack: Stack, own: OwnClock, journal: JournalWatch): FailoverPorts {
  const { process } = own;
  const clock = clockOf(stack, own);
  const { chance } = stack.world;
  return {
    clock,
    random: (length) => Buffer.alloc(length, chance.whole(0, 255)),
    nodes: stack.servers.map((server) => nodePort(stack, process, server)),
    machines: machinePort(stack, process),
    witness: witnessPort(stack, process),
    poolers: stack.poolers.map((pooler) => poolerPort(stack, process, pooler)),
    lease: leasePort(stack, process, clock),
    record: {
      read: ({ timeoutMs }) =>
        stack.world.call(process, stack.store.process, timeoutMs, (reply) => {
          const { version, recordEpoch, record } = stack.store;
          reply({ version, epoch: recordEpoch as Epoch, record });
        }),
      write: ({ epoch, over, record }, { timeoutMs }) =>
        stack.world.call(
          process,
          stack.store.process,
          timeoutMs,
          (reply) => {
            const answer = stack.store.write({ epoch, over, record });
            reply(answer.kind === "stale" ? { kind: "stale-epoch", seen: stack.store.recordEpoch as Epoch } : answer);
          },
          "order",
        ),
    },
    journal: {
      // A controller that ends here never hears of it.
      append: (entry) => (journal(entry) ? new Promise<void>(() => undefined) : Promise.resolve()),
    },
    hooks: { tell: () => undefined },
  };
}

/** The clock of a process. */
export function clockOf(stack: Stack, own: OwnClock): Clock {
  const { world } = stack;
  const { process } = own;
  const monotonic = (): Monotonic => (world.now * process.rate) as Monotonic;
  return {
    monotonic,
    now: () => (1_700_000_000_000 + monotonic() + own.wallOffsetMs) as Instant,
    sleep: (durationMs, { signal }) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          world.woken = true;
          reject(abortedError("waiting", signal?.reason));
        };
        if (signal?.aborted === true) {
          stop();
          return;
        }
        const stops = signal === undefined ? undefined : stopsOf(signal);
        stops?.add(stop);
        world.after(process, Math.max(0, durationMs) / process.rate, () => {
          stops?.delete(stop);
          world.woken = true;
          resolve();
        });
      }),
  };
}

/** What is to be done when a signal aborts. A listener for each sleep would cost more than all that sleeps are simulated by. */
const STOPS = new WeakMap<AbortSignal, Set<() => void>>();

function stopsOf(signal: AbortSignal): Set<() => void> {
  const known = STOPS.get(signal);
  if (known !== undefined) return known;
  const stops = new Set<() => void>();
  STOPS.set(signal, stops);
  const stopAll = (): void => {
    for (const stop of stops) stop();
    stops.clear();
  };
  signal.addEventListener("abort", stopAll, { once: true });
  return stops;
}

function witnessPort(stack: Stack, from: Process): WitnessPort {
  const { witness, world } = stack;
  const stale = (): StaleEpoch => ({ kind: "stale-epoch", seen: witness.epoch as Epoch });
  const call = <T>({ timeoutMs }: Call, answer: () => T): Promise<T> =>
    world.call<T>(
      from,
      witness.process,
      timeoutMs,
      (reply) => {
        // Durable before it is answered: a sync.
        world.after(witness.process, 0.3 + world.chance.next(), () => reply(answer()));
      },
      "order",
    );
  return {
    status: ({ timeoutMs }) => world.call(from, witness.process, timeoutMs, (reply) => reply(witnessView(stack))),
    withdraw: ({ epoch }, options) =>
      call(options, () => (witness.withdraw(epoch) ? { kind: "withdrawn", held: heldOf(stack) } : stale())),
    grant: ({ epoch, reign, lifetime, contiguousWith }, options) =>
      call(options, () => {
        const leased = lifetime === "lasting" ? { ticket: witness.clock, durationMs: 1e12 } : lifetime;
        const answer = witness.grant({
          epoch,
          reign,
          ticket: Number(leased.ticket),
          durationMs: leased.durationMs,
          contiguousWith: contiguousWith === undefined ? undefined : Number(contiguousWith),
        });
        return answer === "stale" ? stale() : answer === "done" ? DONE : { kind: "not-following" };
      }),
    fillGap: ({ epoch, candidate, flushed }, options) =>
      call(options, () => {
        const found = witness.fillGap({ epoch, candidate: stack.server(candidate), flushed: Number(flushed) });
        switch (found) {
          case "stale":
            return stale();
          case "serving":
            return { kind: "serving", recordEnd: lsnOf(witness.recordEnd) };
          case "diverged":
            return { kind: "diverged", at: flushed };
          case "hole":
            return { kind: "hole", from: flushed, to: lsnOf(witness.from) };
          case "nothing-to-add":
          case "not-withdrawn":
            return { kind: found };
        }
      }),
    follow: ({ epoch, upstream, timeline, timelineStart }, options) =>
      call(options, () => {
        const order = { epoch, upstream, timeline, timelineStart: Number(timelineStart ?? 0n) };
        return witness.follow(order) ? DONE : stale();
      }),
  };
}

function witnessView(stack: Stack): WitnessView {
  const { mandate, incoming, epoch, heardAgoMs, mayConfirm, clock } = stack.witness;
  const streaming = incoming !== undefined;
  return {
    epoch: epoch as Epoch,
    systemId: "1" as SystemId,
    mode:
      mandate.kind === "following"
        ? { kind: "following", upstream: mandate.upstream, reign: mandate.reign as Epoch, streaming }
        : { kind: "withdrawn", by: mandate.by as Epoch },
    held: heldOf(stack),
    receivedAgoMs: heardAgoMs,
    mayConfirm,
    ticket: String(clock),
  };
}

function heldOf({ witness }: Stack): HeldWal {
  return {
    timeline: witness.timeline as Timeline,
    from: lsnOf(witness.from),
    flushed: lsnOf(witness.flushed),
    recordEnd: lsnOf(witness.recordEnd),
  };
}

/** A pooler, as seen from one controller. */
export function poolerPort(stack: Stack, from: Process, pooler: Pooler): PoolerPort {
  const { world } = stack;
  const order = <T>(
    epoch: Epoch,
    { timeoutMs }: Call,
    act: (reply: (value: T) => void) => void,
  ): Promise<T | StaleEpoch> =>
    world.call<T | StaleEpoch>(
      from,
      pooler.process,
      timeoutMs,
      (reply) => {
        if (!pooler.accepts(epoch)) reply({ kind: "stale-epoch", seen: pooler.epoch as Epoch });
        else act(reply);
      },
      "order",
    );
  const done = (epoch: Epoch, call: Call, act: () => void): Promise<Done | StaleEpoch> =>
    order<Done>(epoch, call, (reply) => {
      act();
      reply(DONE);
    });
  return {
    name: pooler.name,
    view: ({ timeoutMs }) =>
      world.call(from, pooler.process, timeoutMs, (reply) =>
        reply({ epoch: pooler.epoch, mode: pooler.mode, target: pooler.target }),
      ),
    pause: ({ epoch, ...wish }, call) =>
      order<Done | NotDrained>(epoch, call, (reply) => {
        const because = wish.drain ? "statements-run" : "login-in-flight";
        pooler.pause(wish, (drained) => reply(drained ? DONE : { kind: "not-drained", because }));
      }),
    resume: ({ epoch }, call) => done(epoch, call, () => pooler.resume()),
    repoint: ({ epoch, node }, call) => done(epoch, call, () => pooler.repoint(node)),
    dropDead: ({ epoch, node }, call) => done(epoch, call, () => pooler.dropDead(node)),
    canLogIn: (node, { timeoutMs }) =>
      world.call(from, pooler.process, timeoutMs, (reply) => {
        const server = stack.server(node);
        world.send(pooler.process, server.process, () =>
          world.send(server.process, pooler.process, () => reply(server.mode === "standby")),
        );
      }),
    proveWrite: ({ timeoutMs }) =>
      world.call(from, pooler.process, timeoutMs, (reply) => {
        const write = stack.history.begin();
        pooler.write(write, (answer) => {
          const { timeline } = stack.history.acknowledged.get(write) ?? {};
          if (answer === "acknowledged" && timeline !== undefined) reply({ timeline: timeline as Timeline });
        });
      }),
  };
}

function leasePort(stack: Stack, process: Process, clock: Clock): FailoverPorts["lease"] {
  const { store, world } = stack;
  const timeoutMs = 400;
  const ask = <T>(answer: () => T): Promise<T> =>
    world.call<T>(process, store.process, timeoutMs, (reply) => reply(answer()));
  const leases: LeaseStore = {
    name: "the simulated store",
    durationMs: LEASE_MS,
    claim: async ({ holder, floor }) => {
      const answer = await ask(() => store.claim(holder, floor, LEASE_MS));
      if ("by" in answer) return { kind: "held", by: { holder: answer.by, epoch: answer.epoch as Epoch } };
      const epoch = answer.epoch as Epoch;
      return {
        kind: "granted",
        epoch,
        term: {
          durationMs: LEASE_MS,
          renew: () => ask(() => store.renew(epoch, LEASE_MS)),
          end: () => ask(() => store.end(epoch)),
        },
      };
    },
  };
  return {
    durationMs: LEASE_MS,
    claim: async (floor, { signal }) => {
      const answer = await Lease.claim({ clock, store: leases }, { holder: process.name, floor }, { signal });
      if (answer.kind === "held") return { kind: "held", by: answer.by.holder };
      return answer;
    },
  };
}
