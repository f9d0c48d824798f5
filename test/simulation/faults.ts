/** What goes wrong: each fault begins at a moment, lasts a while, and is counted by its name when it begins. */
import { BEYOND_LEASE_MS, type SimulatedController } from "./controllers.ts";
import type { Server } from "./server.ts";
import type { Stack } from "./stack.ts";
import { wholeEnd } from "./wal.ts";
import type { Witness } from "./witness.ts";
import type { Machine, Process } from "./world.ts";

/** Where faults happen. */
export type Place = { readonly stack: Stack; readonly controllers: readonly SimulatedController[] };

/** A fault: begins at once, and returns what ends it. */
type Fault = (place: Place) => (() => void) | undefined;

function primaryOf({ stack }: Place): Server {
  return stack.server(stack.store.record.primary);
}

function replicasOf({ stack }: Place): readonly Server[] {
  const { primary } = stack.store.record;
  return stack.servers.filter(({ name }) => name !== primary);
}

function replicaOf(place: Place): Server {
  return place.stack.world.chance.pick(replicasOf(place));
}

function allOf(ends: readonly (() => void)[]): () => void {
  return () => {
    for (const end of ends) end();
  };
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

function allLinks(
  { stack }: Place,
  change: { readonly delayMs?: number; readonly loss?: number },
  from = stack.world.chance.pick(stack.world.machines),
): () => void {
  const { world } = stack;
  const links = world.machines
    .filter((to) => to !== from)
    .flatMap((to) => [world.link(from, to), world.link(to, from)]);
  for (const link of links) Object.assign(link, change);
  return () => {
    for (const link of links) Object.assign(link, { delayMs: 0, loss: 0 });
  };
}

function holder({ controllers, stack }: Place): SimulatedController {
  const holding = controllers.filter(({ controller }) => controller?.state.epoch !== undefined);
  const found = holding.find(({ process }) => process.haltedUntil <= stack.world.now) ?? holding[0];
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
  const returns = allOf(replicasOf(place).map(({ process }) => powerCut(place, process.machine)));
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

/** Replica and vault are away for as long as it lasts; the primary is lost before, for good or not. */
function lossWhileAlone(place: Place, after: { readonly fromMs: number; readonly toMs: number }): () => void {
  const { stack } = place;
  const { world, witness } = stack;
  const server = primaryOf(place);
  const ends = replicasOf(place).map(({ process }) => powerCut(place, process.machine));
  witness.crash();
  world.at(world.now + world.chance.between(after.fromMs, after.toMs), () => {
    if (world.chance.often(0.5)) destroyDisk(place, server);
    else if (server.process.alive) server.crash(true);
  });
  return allOf([...ends, () => witness.start()]);
}

/** What rule B11 is for: commits that nobody confirmed are there after a restart, and clients ask for them again. */
function repeatsThenLoss(place: Place): () => void {
  const { world } = place.stack;
  const server = primaryOf(place);
  world.at(world.now + world.chance.between(200, 600), () => crashed(server));
  return lossWhileAlone(place, { fromMs: 2_200, toMs: 3_500 });
}

/** What rule B12 is for: a copy of the replica that would confirm in its name. */
function copyThenLoss(place: Place): () => void {
  const { stack } = place;
  const { world } = stack;
  const [replica] = replicasOf(place);
  if (replica !== undefined) {
    const copy = stack.startCopy(replica);
    world.at(world.now + 2_400, () => copy.losePower());
  }
  return lossWhileAlone(place, { fromMs: 1_200, toMs: 2_400 });
}

/** What rule B10 is for: a copy on a timeline of its own, and a replica that looks into the archive for newer ones. */
function sandboxPromoted(place: Place): undefined {
  const { stack } = place;
  const { world } = stack;
  const replica = replicaOf(place);
  const copy = stack.startCopy(replica);
  const look = (): void => {
    if (copy.mode === "standby") stack.promoteCopy(copy);
    else if (copy.mode === "starting") world.at(world.now + 50, look);
  };
  look();
  world.at(world.now + 1_500, () => crashed(replica));
}

/** What the vault or a replica may have that the others lack; torn: half a record that nobody else has (rule B8). */
type Moment = (typeof MOMENTS)[number];
const MOMENTS = ["torn", "vault ahead", "replica ahead", "any"] as const;

function isTorn({ records, flushed }: Server | Witness, others: number): boolean {
  return flushed > others && wholeEnd(records, flushed) < flushed - 60;
}

/** Waits for the moment that hurts most, not for ever. */
function atWorst(
  place: Place,
  { wanted, withinMs }: { readonly wanted: Moment; readonly withinMs: number },
  run: () => void,
): void {
  const { stack } = place;
  const { world, witness } = stack;
  const deadline = world.now + withinMs;
  const look = (): void => {
    const furthest = Math.max(...replicasOf(place).map(({ flushed }) => flushed));
    const now =
      wanted === "any" ||
      (wanted === "torn" && isTorn(witness, furthest)) ||
      (wanted === "vault ahead" && witness.flushed > furthest + 60) ||
      (wanted === "replica ahead" && furthest > witness.flushed + 60);
    if (now || world.now >= deadline) run();
    else world.at(world.now + 0.7, look);
  };
  look();
}

/** What rule B8 is for: the vault ends inside a record that nobody else has, so nobody can wait for its end. */
function halfThenLoss(place: Place, loss: (server: Server) => void): () => void {
  const { stack } = place;
  const server = primaryOf(place);
  const returns = replicasOf(place).map(({ process }) => cut(place, [process.machine], "both"));
  const heal = allOf(returns);
  atWorst(place, { wanted: "torn", withinMs: 2_400 }, () => {
    // The other half is on its way already, and must not arrive.
    stack.witness.incoming?.close();
    if (server.process.alive) loss(server);
    heal();
  });
  return heal;
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
  "replica and vault away, the primary restarts and clients repeat, then it is lost": repeatsThenLoss,
  "a copy of the replica starts while replica and vault are away, then the primary is lost": copyThenLoss,
  "a copy of a replica is promoted in a sandbox": sandboxPromoted,
  "failover paused": ({ stack }) => {
    stack.wantsMaintenance = true;
    return () => {
      stack.wantsMaintenance = false;
    };
  },
  "primary's disk lost while the vault has half a record": (place) =>
    halfThenLoss(place, (server) => destroyDisk(place, server)),
  "primary lost while the vault has half a record": (place) => halfThenLoss(place, (server) => server.crash(true)),
  "primary cut off one-way": (place) => cut(place, [primaryOf(place).process.machine], "from"),
  "replica killed": (place) => crashed(replicaOf(place)),
  "replica's machine lost power": (place) => powerCut(place, replicaOf(place).process.machine),
  "replica frozen": (place) => frozen(place, replicaOf(place).process),
  // As slow as it may be without being taken for silent.
  "replica's links slow": (place) =>
    allLinks(place, { delayMs: place.stack.world.chance.between(50, 120) }, replicaOf(place).process.machine),
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
  "pause sent late": ({ stack }) => {
    stack.world.chance.pick(stack.poolers).pauseLate();
    return undefined;
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
  const begins = (): void => begin(place, name, durationMs);
  if (name.startsWith("primary") && !name.includes("half a record"))
    atWorst(place, { wanted: place.stack.world.chance.pick(MOMENTS), withinMs: 500 }, begins);
  else begins();
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
  stack.wantsMaintenance = false;
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
  world.wake();
  for (const each of controllers) {
    world.thaw(each.process);
    if (!each.process.alive) each.start();
  }
}
