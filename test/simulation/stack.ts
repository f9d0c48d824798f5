/** The simulated stack: two servers, the witness, poolers, the store, and what is known of all by the simulation alone. */
import { synchronousNamesOf } from "../../src/failover/decide.ts";
import type { ClusterRecord, Durability, Epoch } from "../../src/failover/ports.ts";
import type { SystemId, Timeline } from "../../src/postgres/lsn.ts";
import type { Chance } from "./chance.ts";
import { Counts } from "./counts.ts";
import { History } from "./history.ts";
import { Pooler } from "./pooler.ts";
import type { Rule } from "./rules.ts";
import { Server } from "./server.ts";
import { Store } from "./stores.ts";
import { copyOnto, wholeEnd } from "./wal.ts";
import { Witness } from "./witness.ts";
import { Process, World } from "./world.ts";

/** What differs between seeds, and what a test takes out. */
export type Settings = {
  readonly without: ReadonlySet<Rule>;
  readonly durability: Durability;
  /** Whether the witness's right to confirm ends by itself. */
  readonly leased: boolean;
  readonly poolers: number;
  /** A person accepts any loss after some seconds of a blocked failover. */
  readonly acceptsLoss: boolean;
};

/** A node that is being made anew. */
type Clone = {
  readonly server: Server;
  readonly upstream: Server;
  /** What the upstream had when it was asked: a copy with less would be taken for one that has what the node has confirmed. */
  readonly needed: number;
  readonly timeline: number;
  readonly epoch: number;
  readonly until: number;
};

/** For a vault to have what the upstream has. */
const CATCH_UP_MS = 2_000;
const CATCH_UP_LOOK_MS = 50;

/** The stack. */
export class Stack {
  readonly world: World;
  readonly settings: Settings;
  readonly counts: Counts;
  /** Told of what happens, for who replays a seed. */
  readonly tell: (what: () => string) => void;
  readonly history: History;
  readonly servers: readonly Server[];
  readonly witness: Witness;
  readonly poolers: readonly Pooler[];
  readonly store: Store;
  readonly client: Process;
  #timeline = 1;

  constructor(chance: Chance, settings: Settings, tell: ((atMs: number, what: string) => void) | undefined) {
    this.world = new World(chance);
    this.tell = (what) => tell?.(this.world.now, what());
    this.counts = new Counts(this.tell);
    this.settings = settings;
    this.history = new History(
      () => this.world.now,
      () => this.store.record,
    );
    this.history.tell = this.tell;
    this.servers = [new Server(this, "a"), new Server(this, "b")];
    this.witness = new Witness(this);
    this.poolers = Array.from({ length: settings.poolers }, (_, index) => new Pooler(this, `pooler${index + 1}`));
    this.store = new Store(this, firstRecord(settings.durability));
    this.client = new Process("client", this.world.machine("client"));
  }

  server(name: string): Server {
    const found = this.servers.find((server) => server.name === name);
    if (found === undefined) throw new Error(`there is no server ${name}`);
    return found;
  }

  /** A promotion never takes a number that was used. */
  nextTimeline(): number {
    this.#timeline += 1;
    return this.#timeline;
  }

  /** Everything runs as it does on a good day. */
  bringUp(): void {
    const [a, b] = this.servers;
    if (a === undefined || b === undefined) throw new Error("a stack has two servers");
    const { durability } = this.settings;
    for (const server of [a, b]) {
      server.process.alive = true;
      server.epoch = 1;
    }
    a.mode = "primary";
    a.setNames(synchronousNamesOf({ durability, primary: "a", nodes: ["a", "b"], reign: 1 }));
    a.slots.add("lifeboat_vault");
    b.mode = "standby";
    b.standby = true;
    b.upstream = "a";
    b.receiveAgain();
    this.witness.grant({ epoch: 1, reign: 1, ticket: this.witness.clock, durationMs: 5_000, contiguousWith: 0 });
    this.witness.receiveAgain();
  }

  /**
   * Makes a node follow, as `src/stack/rejoin.ts` does: down first; the upstream is asked what it has; one whose WAL is a part of
   * that starts as it is, and so does a standby whose upstream does not answer; all others are made anew, from a copy that has
   * all that the upstream had when it was asked.
   */
  rejoin(server: Server, upstream: Server): void {
    if (server.cloning) return;
    if (server.process.alive) server.crash(false);
    server.fenced = true;
    if (!this.#reaches(server, upstream)) {
      if (server.standby) startReplica(server);
      return;
    }
    if (upstream.mode !== "primary") return;
    const shared = server.records.at(-1);
    const follows = server.hasData && (shared === undefined || upstream.records.includes(shared));
    if (follows && server.timeline <= upstream.timeline) {
      startFollowing(server, upstream);
      return;
    }
    server.cloning = true;
    const { flushed: needed, timeline } = upstream;
    this.#awaitCopy({ server, upstream, needed, timeline, epoch: server.epoch, until: this.world.now + CATCH_UP_MS });
  }

  #reaches({ agent }: Server, { process }: Server): boolean {
    const { world } = this;
    if (!process.running || process.haltedUntil > world.now) return false;
    return (
      world.travel(agent.machine, process.machine) !== undefined &&
      world.travel(process.machine, agent.machine) !== undefined
    );
  }

  /** Nothing of the node is touched before there is a copy that has enough. */
  #awaitCopy(clone: Clone): void {
    const { world } = this;
    const { server } = clone;
    world.after(server.agent, CATCH_UP_LOOK_MS, () => {
      if (!this.#goesOn(clone)) return;
      if (this.#copyOf(clone) === undefined) {
        if (world.now < clone.until) this.#awaitCopy(clone);
        else server.cloning = false;
        return;
      }
      world.after(server.agent, world.chance.between(200, 1_000), () => {
        if (this.#goesOn(clone)) this.#finishClone(clone);
      });
    });
  }

  /** A power cut ends it; so does an order of a greater epoch: whoever sent it did not know of this. */
  #goesOn({ server, epoch }: Clone): boolean {
    if (server.cloning && server.epoch === epoch) return true;
    server.cloning = false;
    return false;
  }

  /** The vault's, where it has everything; where it has a gap, what stands for a new backup of the upstream. */
  #copyOf({ server, upstream, needed, timeline }: Clone): Witness | Server | undefined {
    const { world, witness } = this;
    if (witness.from > 0) {
      return this.#reaches(server, upstream) && upstream.mode === "primary" ? upstream : undefined;
    }
    if (!witness.process.running || witness.timeline !== timeline || witness.flushed < needed) return undefined;
    return world.travel(witness.process.machine, server.agent.machine) === undefined ? undefined : witness;
  }

  /** A clone that fails leaves what was there before. */
  #finishClone(clone: Clone): void {
    const { server, upstream } = clone;
    server.cloning = false;
    const source = this.#copyOf(clone);
    if (source === undefined) return;
    server.records = [];
    server.flushed = wholeEnd(source.records, source.flushed);
    copyOnto(server.records, source.records, { from: 0, to: server.flushed });
    server.received = server.flushed;
    server.timeline = source.timeline;
    server.timelineStart = undefined;
    server.slots.clear();
    server.hasData = true;
    startFollowing(server, upstream);
  }

  /** Told by the store. */
  recordWritten(): void {
    const { primary, reign, timeline, joined, action } = this.store.record;
    this.tell(
      () =>
        `record: ${primary} e${reign} t${timeline} joined ${joined.join()} ${action?.kind ?? ""} ${action?.phase ?? ""}`,
    );
  }
}

function startFollowing(server: Server, upstream: Server): void {
  server.standby = true;
  server.upstream = upstream.name;
  startReplica(server);
}

function startReplica(server: Server): void {
  server.fenced = false;
  server.start();
}

function firstRecord(durability: Durability): ClusterRecord {
  return {
    systemId: "1" as SystemId,
    primary: "a",
    reign: 1 as Epoch,
    timeline: 1 as Timeline,
    durability,
    joined: ["b"],
    action: undefined,
    maintenance: false,
  };
}
