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
      () => this.server(this.store.record.primary),
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

  /** Makes a node follow: started as it is where its WAL is a part of the upstream's, else made anew from a backup. */
  rejoin(server: Server, upstream: Server): void {
    if (server.cloning) return;
    if (server.process.alive) server.crash(false);
    server.fenced = false;
    server.standby = true;
    server.upstream = upstream.name;
    const shared = server.records.at(-1);
    const follows = server.hasData && (shared === undefined || upstream.records.includes(shared));
    if (follows && server.timeline <= upstream.timeline) {
      server.start();
      return;
    }
    server.cloning = true;
    const { epoch } = server;
    this.world.after(server.agent, this.world.chance.between(200, 1_000), () => {
      // An order of a greater epoch has come since: whoever sent it did not know of this.
      if (server.epoch === epoch) this.#finishClone(server, upstream);
      else server.cloning = false;
    });
  }

  /** From the vault where it has everything, else from the upstream. A clone that fails leaves nothing that can start. */
  #finishClone(server: Server, upstream: Server): void {
    const { world, witness } = this;
    server.cloning = false;
    const fromVault =
      witness.from === 0 &&
      witness.process.running &&
      world.travel(witness.process.machine, server.agent.machine) !== undefined;
    const fromUpstream =
      upstream.process.running && world.travel(upstream.process.machine, server.agent.machine) !== undefined;
    const source = fromVault ? witness : fromUpstream ? upstream : undefined;
    if (source === undefined) return;
    server.records = [];
    server.flushed = wholeEnd(source.records, source.flushed);
    copyOnto(server.records, source.records, { from: 0, to: server.flushed });
    server.received = server.flushed;
    server.timeline = source.timeline;
    server.timelineStart = undefined;
    server.slots.clear();
    server.hasData = true;
    server.start();
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
