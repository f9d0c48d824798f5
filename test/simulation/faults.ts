/** What goes wrong: each fault begins at a moment, lasts a while, and is counted by its name when it begins. */
import { BEYOND_LEASE_MS, type SimulatedController } from "./controllers.ts";
import type { Server } from "./server.ts";
import type { Stack } from "./stack.ts";
import { wholeEnd } from "./wal.ts";
import type { Machine, Process } from "./world.ts";

/** Where faults happen. */
export type Place = { readonly stack: Stack; readonly controllers: readonly SimulatedController[] };

/** A fault: begins at once, and returns what ends it. */
type Fault = (place: Place) => (() => void) | undefined;

function primaryOf({ stack }: Place): Server {
  return stack.server(stack.store.record.primary);
}

function replicaOf({ stack }: Place): Server {
  const { primary } = stack.store.record;
  return stack.servers.find(({ name }) => name !== primary) ?? stack.server(primary);
}

function powerCut({ stack, controllers }: Place, machine: Machine): () => void {
  machine.up = false;
  for (const server of stack.servers) if (server.process.machine === machine) server.losePower();
  if (stack.witness.process.machine === machine) stack.witness.crash();
  for (const { process } of controllers) if (process.machine === machine) stack.world.kill(process);
  return () => {
    machine.up = true;
    if (stack.witness.process.machine === machine) stack.witness.start();
  };
}

function crashed(server: Server): undefined {
  if (server.process.alive) server.crash(false);
  return undefined;
}

function frozen({ stack }: Place, process: Process): (() => void) | undefined {
  if (!process.alive) return undefined;
  stack.world.halt(process, stack.world.now + 60_000);
  return () => stack.world.thaw(process);
}

/** Everybody on one side cannot reach the other side; one-way: only from it. */
function cut({ stack }: Place, side: readonly Machine[], ways: "both" | "from"): () => void {
  const { world } = stack;
  const inside = new Set(side);
  const links = world.machines.flatMap((a) =>
    world.machines
      .filter((b) => inside.has(a) && !inside.has(b))
      .flatMap((b) => {
        const from = world.link(a, b);
        return ways === "both" ? [from, world.link(b, a)] : [from];
      }),
  );
  for (const link of links) link.cut = true;
  return () => {
    for (const link of links) link.cut = false;
  };
}

function someMachines({ stack }: Place): readonly Machine[] {
  const { chance, machines } = stack.world;
  const count = chance.whole(1, 3);
  const first = chance.whole(0, machines.length - 1);
  return machines.filter((_, index) => (index - first + machines.length) % machines.length < count);
}

function allLinks({ stack }: Place, change: { readonly delayMs?: number; readonly loss?: number }): () => void {
  const { world } = stack;
  const from = world.chance.pick(world.machines);
  const links = world.machines
    .filter((to) => to !== from)
    .flatMap((to) => [world.link(from, to), world.link(to, from)]);
  for (const link of links) Object.assign(link, change);
  return () => {
    for (const link of links) Object.assign(link, { delayMs: 0, loss: 0 });
  };
}

function holder({ controllers, stack }: Place): SimulatedController {
  const found = controllers.find(({ controller }) => controller?.state.epoch !== undefined);
  return found ?? stack.world.chance.pick(controllers);
}

/** Old sessions and poolers still reach it; nobody else does. */
function cutOffButClients(place: Place, side: readonly Machine[]): () => void {
  const { world, client, poolers } = place.stack;
  const heal = cut(place, side, "both");
  for (const { machine } of [client, ...poolers.map(({ process }) => process)]) {
    for (const inside of side) {
      world.link(machine, inside).cut = false;
      world.link(inside, machine).cut = false;
    }
  }
  return heal;
}

/** What rule B9 is for: commits that only the vault could confirm, of which it lacks some, and nobody else has them. */
function gapThenLoss(place: Place): () => void {
  const { stack } = place;
  const { world } = stack;
  const server = primaryOf(place);
  const returns = powerCut(place, replicaOf(place).process.machine);
  stack.witness.crash();
  world.at(world.now + world.chance.between(600, 1_500), () => {
    server.keptFrom = server.flushed;
    stack.witness.start();
  });
  world.at(world.now + world.chance.between(1_600, 2_600), () => {
    if (world.chance.often(0.5)) destroyDisk(place, server);
    else if (server.process.alive) server.crash(true);
  });
  return returns;
}

/** Waits for the moment that hurts most, not for ever. */
function atWorst(place: Place, run: () => void): void {
  const { stack } = place;
  const { world, witness } = stack;
  const wanted = world.chance.pick(["torn", "vault ahead", "replica ahead", "any"] as const);
  const deadline = world.now + 500;
  const look = (): void => {
    const replica = replicaOf(place);
    const torn = witness.flushed > replica.flushed && wholeEnd(witness.records, witness.flushed) < witness.flushed - 60;
    const now =
      wanted === "any" ||
      (wanted === "torn" && torn) ||
      (wanted === "vault ahead" && witness.flushed > replica.flushed + 60) ||
      (wanted === "replica ahead" && replica.flushed > witness.flushed + 60);
    if (now || world.now >= deadline) run();
    else world.at(world.now + 0.7, look);
  };
  look();
}

/** All faults by name. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  "primary killed": (place) => crashed(primaryOf(place)),
  "primary's machine lost power": (place) => powerCut(place, primaryOf(place).process.machine),
  "primary frozen": (place) => frozen(place, primaryOf(place).process),
  "primary's disk full": (place) => {
    const server = primaryOf(place);
    server.diskFull = true;
    return () => {
      server.diskFull = false;
    };
  },
  "primary's disk stuck": (place) => {
    const server = primaryOf(place);
    server.stuckUntil = place.stack.world.now + 20_000;
    return () => {
      server.stuckUntil = 0;
    };
  },
  "primary cut off": (place) => cut(place, [primaryOf(place).process.machine], "both"),
  "primary cut off from all but clients": (place) => cutOffButClients(place, [primaryOf(place).process.machine]),
  "primary and vault cut off together": (place) =>
    cutOffButClients(place, [primaryOf(place).process.machine, place.stack.witness.process.machine]),
  "vault's WAL has a gap while the replica is away, then the primary is lost": gapThenLoss,
  "primary cut off one-way": (place) => cut(place, [primaryOf(place).process.machine], "from"),
  "replica killed": (place) => crashed(replicaOf(place)),
  "replica's machine lost power": (place) => powerCut(place, replicaOf(place).process.machine),
  "replica frozen": (place) => frozen(place, replicaOf(place).process),
  "replica cut off": (place) => cut(place, [replicaOf(place).process.machine], "both"),
  "replay lags": (place) => {
    const server = replicaOf(place);
    server.replayDelayMs = place.stack.world.chance.between(200, 2_000);
    return () => {
      server.replayDelayMs = 5;
    };
  },
  "receiver restarted": ({ stack }) => {
    stack.witness.crash();
    return () => stack.witness.start();
  },
  "vault's machine lost power": (place) => powerCut(place, place.stack.witness.process.machine),
  "receiver frozen": (place) => frozen(place, place.stack.witness.process),
  "vault cut off": (place) => cut(place, [place.stack.witness.process.machine], "both"),
  "vault's disk full": ({ stack }) => {
    stack.witness.diskFull = true;
    return () => {
      stack.witness.diskFull = false;
    };
  },
  "vault's slot lost": (place) => {
    const server = primaryOf(place);
    place.stack.witness.crash();
    return () => {
      server.keptFrom = server.flushed;
      place.stack.witness.start();
    };
  },
  "controller killed": (place) => {
    const controller = holder(place);
    controller.crash();
    return () => controller.start();
  },
  "controller asleep beyond its lease": (place) => {
    const { process } = holder(place);
    place.stack.world.halt(
      process,
      place.stack.world.now + BEYOND_LEASE_MS + place.stack.world.chance.between(0, 3_000),
    );
    return undefined;
  },
  "controller cut off": (place) => cut(place, [holder(place).process.machine], "both"),
  "order on its way too long": (place) => {
    place.stack.world.holdBack = {
      process: holder(place).process,
      delayMs: place.stack.world.chance.between(1_000, 9_000),
    };
    return undefined;
  },
  "wall clock set": (place) => {
    holder(place).wallOffsetMs += place.stack.world.chance.pick([-3_600_000, 3_600_000]);
    return undefined;
  },
  "machines cut apart": (place) => cut(place, someMachines(place), "both"),
  "machines cut apart one-way": (place) => cut(place, someMachines(place), "from"),
  "links slow": (place) => allLinks(place, { delayMs: place.stack.world.chance.between(50, 900) }),
  "links lossy": (place) => allLinks(place, { loss: place.stack.world.chance.between(0.05, 0.4) }),
  "pooler restarted": ({ stack }) => {
    const pooler = stack.world.chance.pick(stack.poolers);
    pooler.crash();
    return () => pooler.start();
  },
  "store away": ({ stack }) => {
    stack.world.kill(stack.store.process);
    return () => {
      stack.store.process.alive = true;
    };
  },
  "switchover asked for": (place) => {
    const { controller } = holder(place);
    if (controller === undefined || controller.state.plan !== undefined) return undefined;
    const { name } = replicaOf(place);
    if (!controller.hasWish) void controller.switchOver(name);
    return undefined;
  },
};

/** Data that is gone for good, once in a seed: its node must be made anew. */
export function destroyDisk(place: Place, server: Server): void {
  if (place.stack.servers.some(({ hasData, cloning }) => !hasData || cloning)) return;
  if (server.process.alive) server.crash(true);
  server.hasData = false;
  server.records = [];
  server.flushed = 0;
  server.received = 0;
  server.replayed = 0;
  place.stack.counts.note("disk destroyed");
}

/** Begins a fault now and ends it after a while. */
export function strike(place: Place, name: string, durationMs: number): void {
  if (name.startsWith("primary")) atWorst(place, () => begin(place, name, durationMs));
  else begin(place, name, durationMs);
}

function begin(place: Place, name: string, durationMs: number): void {
  const fault = FAULTS[name];
  if (fault === undefined) throw new Error(`there is no fault ${name}`);
  const { world, counts } = place.stack;
  counts.note(name);
  const end = fault(place);
  if (end !== undefined) world.at(world.now + durationMs, end);
}

/** Ends everything that is still wrong; what nobody but a controller may start stays down. */
export function healAll({ stack, controllers }: Place): void {
  const { world } = stack;
  world.healLinks();
  world.holdBack = undefined;
  for (const machine of world.machines) machine.up = true;
  for (const server of stack.servers) {
    server.diskFull = false;
    server.stuckUntil = 0;
    server.replayDelayMs = 5;
    world.thaw(server.process);
  }
  stack.witness.diskFull = false;
  world.thaw(stack.witness.process);
  stack.witness.start();
  for (const pooler of stack.poolers) if (!pooler.process.alive) pooler.start();
  stack.store.process.alive = true;
  for (const each of controllers) {
    world.thaw(each.process);
    if (!each.process.alive) each.start();
  }
}
