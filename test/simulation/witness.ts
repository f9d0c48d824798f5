/** The simulated receiver of the vault: spool, mandate, grants, serving WAL. Keeps the rules unless told to go without. */
import type { Server } from "./server.ts";
import type { Stack } from "./stack.ts";
import { Stream } from "./stream.ts";
import { copyOnto, cutAt, differAt, SEGMENT_BYTES, segmentOf, type WalRecord, wholeEnd } from "./wal.ts";
import { Process } from "./world.ts";

/** Whom it follows, or that it follows nobody. Durable. */
type Mandate =
  | { readonly kind: "following"; readonly upstream: string; readonly reign: number }
  | { readonly kind: "withdrawn"; readonly by: number };

/** What a standby gets from the archive. */
export type Found = { readonly records: readonly WalRecord[]; readonly end: number };

/** What comes of a gap that is to be filled. */
export type GapFound = "nothing-to-add" | "serving" | "diverged" | "hole" | "not-withdrawn";

const CONNECT_MS = 150;
/** Questions to the archive that go without an answer. */
const UNKNOWN_SHARE = 0.25;

/** The receiver. */
export class Witness {
  readonly stack: Stack;
  readonly process: Process;
  records: WalRecord[] = [];
  /** Histories of timelines in the vault: of the role's own lineage, or a stray one, of nobody who ever had the role (rule B10). */
  readonly histories = new Map<number, "ours" | "stray">();
  /** What lies before a gap: still in the vault, of no use to a replica. */
  readonly older: WalRecord[] = [];
  timeline = 1;
  /** The gap-free range that it holds. */
  from = 0;
  flushed = 0;
  received = 0;
  epoch = 1;
  mandate: Mandate = { kind: "following", upstream: "a", reign: 1 };
  /** What a receiver that forgot a withdrawal would go back to. */
  #followed: Extract<Mandate, { kind: "following" }> = { kind: "following", upstream: "a", reign: 1 };
  incoming: Stream | undefined;
  diskFull = false;
  #grant: { readonly reign: number; readonly until: number } | undefined;
  /** Whether its range begins before the end of the replica, as last compared (B9). */
  #contiguous = true;
  #serves: { readonly candidate: string; readonly epoch: number } | undefined;
  /** The position it told last: repeated while it may not confirm. */
  #told = 0;
  #connecting = false;

  constructor(stack: Stack) {
    this.stack = stack;
    const { vaultBeside } = stack.settings;
    const machine =
      vaultBeside === undefined ? stack.world.machine("vault") : stack.server(vaultBeside).process.machine;
    this.process = new Process("witness", machine);
  }

  /** Its own monotonic clock. */
  get clock(): number {
    return this.stack.world.now * this.process.rate;
  }

  get mayConfirm(): boolean {
    const { without, leased } = this.stack.settings;
    if (without.has("B5") && this.mandate.kind === "following") return this.#contiguous;
    const { mandate } = this;
    if (mandate.kind !== "following") return without.has("withdraw");
    if (this.#grant?.reign !== mandate.reign || !this.#contiguous) return false;
    return !leased || this.#grant.until > this.clock;
  }

  /** What it tells its upstream. */
  readonly reported = (): number => {
    if (this.mayConfirm) this.#told = this.flushed;
    return this.#told;
  };

  /** End of its last whole record. */
  get recordEnd(): number {
    if (this.stack.settings.without.has("replay wait")) return 0;
    return this.stack.settings.without.has("B8") ? this.flushed : wholeEnd(this.records, this.flushed);
  }

  get heardAgoMs(): number | undefined {
    return this.incoming === undefined ? undefined : this.stack.world.now - this.incoming.heardAt;
  }

  // ---------------------------------------------------------------------------------------------------- orders

  /** False when a greater epoch was seen; else remembers this one. */
  accepts(epoch: number): boolean {
    if (!this.stack.settings.without.has("epoch check") && epoch < this.epoch) return false;
    this.epoch = Math.max(this.epoch, epoch);
    return true;
  }

  withdraw(epoch: number): boolean {
    if (!this.accepts(epoch)) return false;
    if (this.mandate.kind === "following" && this.mandate.reign === epoch) return false;
    this.stack.tell(() => `witness withdrawn e${epoch} at ${this.flushed}`);
    if (this.stack.settings.without.has("withdraw")) return true;
    this.mandate = { kind: "withdrawn", by: epoch };
    this.#grant = undefined;
    this.received = this.flushed;
    this.incoming?.close();
    cutAt(this.records, this.flushed);
    return true;
  }

  grant(grant: {
    readonly epoch: number;
    readonly reign: number;
    readonly ticket: number;
    readonly durationMs: number;
    readonly contiguousWith: number | undefined;
  }): "done" | "stale" | "not-following" {
    if (!this.accepts(grant.epoch)) return "stale";
    if (this.mandate.kind !== "following" || this.mandate.reign !== grant.reign) return "not-following";
    this.#grant = { reign: grant.reign, until: grant.ticket + grant.durationMs };
    if (grant.contiguousWith !== undefined) this.#contiguous = this.from <= grant.contiguousWith;
    return "done";
  }

  follow(order: {
    readonly epoch: number;
    readonly upstream: string;
    readonly timeline: number;
    readonly timelineStart: number;
  }): boolean {
    if (!this.accepts(order.epoch)) return false;
    const { mandate } = this;
    if (mandate.kind === "following" && mandate.reign === order.epoch) return mandate.upstream === order.upstream;
    this.stack.tell(
      () => `witness follows ${order.upstream} e${order.epoch} t${order.timeline} from ${order.timelineStart}`,
    );
    this.#followed = { kind: "following", upstream: order.upstream, reign: order.epoch };
    this.mandate = this.#followed;
    this.histories.set(order.timeline, "ours");
    this.#grant = undefined;
    this.#serves = undefined;
    this.#told = 0;
    this.incoming?.close();
    this.received = this.flushed;
    if (order.timeline !== this.timeline) this.#switchTo(order.timeline, order.timelineStart);
    this.receiveAgain();
    return true;
  }

  /** Its tail beyond the switch point belongs to the old timeline: kept apart, and no longer counted (B3). */
  #switchTo(timeline: number, start: number): void {
    this.timeline = timeline;
    if (this.stack.settings.without.has("B3")) return;
    cutAt(this.records, start);
    this.flushed = Math.min(this.flushed, start);
    this.received = this.flushed;
  }

  fillGap(order: { readonly epoch: number; readonly candidate: Server; readonly flushed: number }): GapFound | "stale" {
    const { without } = this.stack.settings;
    if (!this.accepts(order.epoch)) return "stale";
    if (without.has("gap fill")) return "nothing-to-add";
    if (!without.has("withdraw") && (this.mandate.kind !== "withdrawn" || this.mandate.by !== order.epoch)) {
      return "not-withdrawn";
    }
    if (this.flushed <= order.flushed) return "nothing-to-add";
    if (this.from > order.flushed) return "hole";
    const common = { records: order.candidate.records, end: order.flushed };
    if (differAt(this, common, Math.max(this.from, segmentOf(order.flushed))) !== undefined) return "diverged";
    this.stack.tell(() => `witness serves ${order.candidate.name} from ${order.flushed} to ${this.flushed}`);
    this.#serves = { candidate: order.candidate.name, epoch: order.epoch };
    return "serving";
  }

  /** Whether a server that asks the archive finds a timeline's history: what cannot be told is none (B2). */
  tellsHistory(server: Server, timeline: number): boolean {
    return this.histories.has(timeline) && this.#answers(server);
  }

  /** A timeline beyond its own that a standby would follow. */
  strayBeyond(server: Server): number | undefined {
    const stray = [...this.histories].find(([timeline, of]) => of === "stray" && timeline > server.timeline);
    return stray !== undefined && this.#answers(server) ? stray[0] : undefined;
  }

  #answers({ process: { machine } }: Server): boolean {
    const { process } = this;
    const { world } = this.stack;
    if (!process.running || process.haltedUntil > world.now) return false;
    return world.travel(machine, process.machine) !== undefined && world.travel(process.machine, machine) !== undefined;
  }

  get end(): number {
    return this.flushed;
  }

  /** A standby's restore_command: complete segments always, a partial one under rule B1; what is lost is "not found" (B2). */
  fetch(server: Server, answer: (found: Found | undefined) => void): void {
    const { world, settings } = this.stack;
    const there = world.travel(server.process.machine, this.process.machine);
    if (there === undefined) return;
    const { life } = this.process;
    world.at(world.now + there, () =>
      world.inside(this.process, life, () => {
        const found = this.#find(server, settings.without.has("B1"));
        const back = world.travel(this.process.machine, server.process.machine);
        // What could not be told is "not found" to a standby (B2): now and then it cannot be told.
        if (found === undefined || back === undefined || world.chance.often(UNKNOWN_SHARE)) return;
        const serverLife = server.process.life;
        world.at(world.now + back, () => world.inside(server.process, serverLife, () => answer(found)));
      }),
    );
  }

  #find(server: Server, anyPartial: boolean): Found | undefined {
    const start = segmentOf(server.flushed);
    if (server.timeline !== this.timeline || this.flushed <= start || this.from > server.flushed) return undefined;
    const serves = this.#serves?.candidate === server.name && this.flushed > server.flushed;
    const end = Math.min(this.flushed, start + SEGMENT_BYTES);
    if (serves) {
      // The union: what the standby has before our beginning is its own.
      const own = server.records.filter((record) => record.start < this.from);
      return { records: [...own, ...this.records], end };
    }
    if (this.from > start || (end < start + SEGMENT_BYTES && !anyPartial)) return undefined;
    return { records: [...this.records], end };
  }

  // -------------------------------------------------------------------------------------------------- receiving

  receiveAgain(): void {
    if (this.#connecting) return;
    this.#connecting = true;
    const { world } = this.stack;
    const turn = (): void => {
      const { mandate } = this;
      if (
        this.incoming !== undefined ||
        (mandate.kind !== "following" && !this.stack.settings.without.has("withdraw"))
      ) {
        this.#connecting = false;
        return;
      }
      this.#connect();
      world.after(this.process, CONNECT_MS, turn);
    };
    world.after(this.process, 5, turn);
  }

  #connect(): void {
    const { mandate } = this;
    const { world } = this.stack;
    if (mandate.kind !== "following" || this.diskFull) return;
    const server = this.stack.servers.find(({ name }) => name === mandate.upstream);
    if (server === undefined || !server.process.running || server.process.haltedUntil > world.now) return;
    if (world.travel(this.process.machine, server.process.machine) === undefined) return;
    if (server.mode !== "primary" || server.timeline !== this.timeline) return;
    // Its last page is compared with the server's (A5); where B3 is not kept, nobody noticed what it is.
    if (this.flushed > server.flushed) return;
    if (server.keptFrom > this.flushed) this.#jumpTo(server.keptFrom);
    this.stack.tell(() => `witness streams from ${server.name} at ${this.flushed}`);
    this.incoming = new Stream(this.stack, server, this, `lifeboat_vault_e${mandate.reign}`);
  }

  /** What it needed is gone from the server: a gap, after which it begins anew (B9). */
  #jumpTo(start: number): void {
    this.older.push(...this.records);
    this.records = [];
    this.flushed = start;
    this.received = start;
    this.stack.counts.note("gap in the vault's WAL");
    if (this.stack.settings.without.has("B9")) return;
    this.from = start;
    this.#contiguous = false;
  }

  receive(source: readonly WalRecord[], to: number, synced: () => void): void {
    if (this.diskFull) {
      // A failed sync drops the connection: never tried again and confirmed (B9).
      this.incoming?.close();
      return;
    }
    const { world } = this.stack;
    copyOnto(this.records, source, { from: this.received, to });
    this.received = to;
    const { life } = this.process;
    const mandate = this.mandate;
    world.after(this.process, 0.3 + world.chance.next() * 2, () => {
      if (this.process.life !== life || this.mandate !== mandate) return;
      if (to > this.flushed) this.flushed = to;
      synced();
    });
  }

  /** Ends it; what was not synced is lost. */
  crash(): void {
    this.stack.world.kill(this.process);
    this.incoming?.close();
    this.incoming = undefined;
    this.received = this.flushed;
    cutAt(this.records, this.flushed);
    if (this.stack.settings.leased) this.#grant = undefined;
    this.#serves = undefined;
    this.#connecting = false;
    this.#told = 0;
  }

  start(): void {
    if (this.process.alive || !this.process.machine.up) return;
    this.process.alive = true;
    if (this.stack.settings.without.has("withdraw durability")) this.#forget();
    this.receiveAgain();
  }

  /** As a receiver would that keeps in memory that it was withdrawn, and from which epoch on. */
  #forget(): void {
    this.mandate = this.#followed;
    this.epoch = this.#followed.reign;
    if (!this.stack.settings.leased) this.#grant = { reign: this.epoch, until: Number.POSITIVE_INFINITY };
  }
}
