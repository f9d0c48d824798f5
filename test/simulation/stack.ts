/** The simulated stack: two or three servers, the witness, poolers, the store, and what is known of all by the simulation alone. */
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
  readonly nodes: 2 | 3;
  /** The receiver runs on this server's machine, or on one of its own (rule B12). */
  readonly vaultBeside: string | undefined;
  readonly poolers: number;
  /** A person accepts any loss after some seconds of a blocked failover. */
  readonly acceptsLoss: boolean;
  /** What a full disk of the primary means, as in the policy. */
  readonly diskFull: "hold" | "failover";
  /** Servers' checkpointers are in the middle of a checkpoint most of the time. */
  readonly checkpointersBusy?: boolean;
};

/** A good day's: what a test that draws nothing simulates. */
export const PLAIN: Settings = {
  without: new Set(),
  durability: "quorum",
  leased: false,
  nodes: 2,
  vaultBeside: undefined,
  poolers: 1,
  acceptsLoss: false,
  diskFull: "hold",
};

/** All that there may be. */
const NODE_NAMES = ["a", "b", "c"] as const;

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
  /** Whether the operator wants no failover to begin by itself: `lifeboat failover pause`. */
  wantsMaintenance = false;

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
    this.history.note = (name) => this.counts.note(name);
    this.servers = NODE_NAMES.slice(0, settings.nodes).map((name) => new Server(this, name));
    this.witness = new Witness(this);
    this.poolers = Array.from({ length: settings.poolers }, (_, index) => new Pooler(this, `pooler${index + 1}`));
    this.store = new Store(this, firstRecord(settings));
    this.client = new Process("client", this.world.machine("client"));
  }

  server(name: string): Server {
    const found = this.servers.find((server) => server.name === name);
    if (found === undefined) throw new Error(`there is no server ${name}`);
    return found;
  }

  /**
   * A copy of a replica's data starts elsewhere: a sandbox, or a backup of its machine. Whom it would stream from, and under
   * what name, is taken out of it first (rule B12).
   */
  startCopy(of: Server): Server {
    const copy = new Server(this, `copy of ${of.name}`, of.applicationName);
    copyOnto(copy.records, of.records, { from: 0, to: of.flushed });
    copy.flushed = of.flushed;
    copy.timeline = of.timeline;
    copy.standby = true;
    if (this.settings.without.has("B12")) copy.upstream = this.store.record.primary;
    copy.start();
    return copy;
  }

  /** A copy that becomes a primary on a timeline of its own, of which nobody else must hear (rule B10). */
  promoteCopy(copy: Server): void {
    copy.promote();
    if (!this.settings.without.has("B10")) return;
    this.world.after(copy.process, 200, () => {
      if (copy.mode === "primary") this.witness.histories.set(copy.timeline, "stray");
    });
  }

  /** Everything runs as it does on a good day. */
  bringUp(): void {
    const { durability } = this.settings;
    const nodes = this.servers.map(({ name }) => name);
    for (const server of this.servers) {
      server.process.alive = true;
      if (server.name === "a") {
        server.mode = "primary";
        server.setNames(synchronousNamesOf({ durability, primary: "a", nodes, reign: 1 }));
        server.commitsWait = server.names !== "";
        server.slots.add("lifeboat_vault");
        continue;
      }
      server.mode = "standby";
      server.follow("a");
      server.commitsWait = server.names !== "";
      server.receiveAgain();
    }
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
      if (!server.standby) return;
      this.counts.note("a replica is started as it is: its primary does not answer");
      startReplica(server);
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
    for (const [timeline, of] of this.witness.histories) if (of === "ours") server.histories.add(timeline);
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
  server.follow(upstream.name);
  startReplica(server);
}

function startReplica(server: Server): void {
  server.fenced = false;
  server.start();
}

function firstRecord({ durability, nodes }: Settings): ClusterRecord {
  return {
    systemId: "1" as SystemId,
    primary: "a",
    reign: 1 as Epoch,
    timeline: 1 as Timeline,
    durability,
    joined: NODE_NAMES.slice(1, nodes),
    action: undefined,
    maintenance: false,
  };
}
