/**
 * What failover needs of the world: narrow interfaces that drivers and the simulation both implement.
 *
 * Nouns: an *epoch* says who may act on the primary role; an *order* is a request that carries one; a *view* is what one
 * party said of itself in one answer; the *witness* is the vault's receiver, which holds WAL and confirms it; the *record*
 * says which node is the primary and since which epoch (its *reign*), and survives all nodes; a *grant* lets the witness
 * confirm for a while.
 * Invariants, which bind every implementation:
 * - A call settles within its `timeoutMs`. One that rejects may have had its effect, may have it later, or never: whoever
 *   called looks again. A refusal is an answer and never a rejection. `platform.aborted` is the signal's.
 * - An order is refused as `stale-epoch` by a party that has seen a greater epoch, and by one that was restarted since: the
 *   epoch is durable there before the order has its effect, the effect before it is answered.
 * - Orders can be repeated under the same epoch and then change nothing.
 * - Nothing behind these ports acts by itself: it never starts a node, never promotes, never changes durability.
 */
import type { Clock, Instant } from "../platform/clock.ts";
import type { RandomSource } from "../platform/random.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";

/** Says who may act; ever growing, from 1. An action (one failover, one switchover, one repair) has an epoch of its own. */
export type Epoch = number & { readonly brand: "Epoch" };

/** A node of the stack, by its component's name. */
export type NodeName = string;

/** How a call is bounded. */
export type Call = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined };

/** A request that only a current epoch may make. */
export type Order<T = unknown> = { readonly epoch: Epoch } & T;

/** The party has seen a greater epoch: somebody else acts, and the order had no effect. */
export type StaleEpoch = { readonly kind: "stale-epoch"; readonly seen: Epoch };

/** The order has had its effect. */
export type Done = { readonly kind: "done" };

// ---------------------------------------------------------------------------------------------------------- nodes

/** What a walsender of a node says: who is connected, and how far it has confirmed. */
export type ConfirmerView = {
  readonly applicationName: string;
  readonly streaming: boolean;
  /** 0/0 where it has confirmed nothing yet. */
  readonly flushed: Lsn;
};

/** A standby's receiver. Trust `none` only when seen twice: the view is empty while one connects (rule B7). */
export type NodeReceiverView =
  | { readonly kind: "none" }
  | { readonly kind: "connecting" }
  /** `receivedAgoMs`: since its last message from upstream, by the standby's own clock. It says `streaming` long after a freeze. */
  | { readonly kind: "streaming"; readonly receivedAgoMs: number };

/** What a node says of itself, in one answer. */
export type NodeView = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly role:
    | {
        readonly kind: "primary";
        /** pg_current_wal_flush_lsn. */
        readonly flushed: Lsn;
        /** Where its timeline began, from its history; undefined on the first. */
        readonly timelineStart: Lsn | undefined;
        /**
         * A write with its sync and `synchronous_commit = local`, on this connection. `stuck`: the session works and the
         * write does not end within the call. `failed`: its SQLSTATE, 53100 for a full disk.
         */
        readonly write:
          | { readonly kind: "written" }
          | { readonly kind: "stuck" }
          | { readonly kind: "failed"; readonly sqlstate: string };
        readonly confirmers: readonly ConfirmerView[];
        /** `synchronous_commit` of sessions that have none of their own: below `on` a commit waits for nobody's sync. */
        readonly synchronousCommit: string;
      }
    | {
        readonly kind: "standby";
        /** End of what is synced in its pg_wal, streamed or not; may lie inside a record (rule B8). */
        readonly flushed: Lsn;
        /** End of the last record that was replayed. */
        readonly replayed: Lsn;
        /** The startup process has replayed every whole record that it can read and waits for more. */
        readonly replayIdle: boolean;
        readonly receiver: NodeReceiverView;
        /** Whether it is told to stream from somebody: primary_conninfo as the server has loaded it. */
        readonly upstream: boolean;
      };
  /** `synchronous_standby_names`, as the server has loaded it. */
  readonly synchronousNames: string;
  /** Being made from a backup, or rewound: never a candidate (I13). */
  readonly cloning: boolean;
  /** Free space of its data directory. */
  readonly freeBytes: number;
  /** What in its settings or its replay stands in the way of a failover. */
  readonly hindrances: readonly Hindrance[];
};

/** Something that looks well until a failover needs it. */
export type Hindrance =
  /**
   * A standby has less of something than the primary whose WAL it replays: it pauses, goes on receiving and confirming, cannot be
   * promoted, and ends when it is told to go on. `lacks`: which settings, for a person.
   */
  | { readonly kind: "parameters-too-small"; readonly lacks: string }
  /** It takes no ALTER SYSTEM, which every order rests on. */
  | { readonly kind: "no-alter-system" }
  /** A standby that replays so long after it received: made to hurry by an order. */
  | { readonly kind: "replay-delayed"; readonly delay: string }
  /** Somebody has paused replay: resumed by an order. */
  | { readonly kind: "replay-paused" };

/** What came of asking a node on a NEW connection (I10), but for `answered` by one that is well: by one that was new two seconds ago. */
export type NodeProbe =
  | { readonly kind: "answered"; readonly view: NodeView }
  /**
   * It answered with an error: it is alive. 57P03: starting or recovering; 53300: full; 28P01: wrong password. `rebuilding`: it is down
   * instead, while it is made a replica as a person has asked.
   */
  | { readonly kind: "error"; readonly sqlstate: string; readonly rebuilding?: boolean }
  /**
   * The machine answers and nobody listens: the process is gone. `unfinished`: a controller that is gone was writing over its
   * data, and nothing can be started of them.
   */
  | { readonly kind: "nobody-listens"; readonly unfinished?: boolean }
  /** No answer in time, or none can be had from here: dead, frozen or cut off. */
  | { readonly kind: "silent" };

/** One PostgreSQL server. Orders go over SQL or its platform; the epoch is kept with the node. */
export interface NodePort {
  readonly name: NodeName;
  /** Never rejects but with `platform.aborted`. A primary is asked to write. */
  probe(call: Call): Promise<NodeProbe>;
  /** Writes now what a shutdown would otherwise have to write while clients wait. Changes nothing, and needs no epoch. */
  checkpoint(call: Call): Promise<void>;
  /** What runs there for clients, oldest first, at most a few, each as a line for a person. Changes nothing. */
  openTransactions(call: Call): Promise<readonly string[]>;
  /** Sets and loads `synchronous_standby_names`. Never blank while clients run (rule B13). */
  setSynchronousNames(order: Order<{ readonly names: string }>, call: Call): Promise<Done | StaleEpoch>;
  /**
   * Of a primary whose names are in force: whether commits wait for them, which they do only some time later (commit-wait.ts).
   * False: not seen to within the call's time. Has commits of its own, and needs no epoch.
   */
  commitsWait(call: Call): Promise<boolean>;
  /**
   * For a candidate: clears `primary_conninfo`, `wal_retrieve_retry_interval` 100 ms; durable and
   * loaded. The receiver may run for a while longer: watch the view (rule B7). It ends when replay has come to the end of what is
   * there, so what holds up replay is dealt with at once, as by `hurryReplay`: it would go on confirming to a primary that lives.
   */
  stopReceiving(order: Order, call: Call): Promise<Done | StaleEpoch>;
  /**
   * For a candidate whose replay is not through: it waits for no query that it is in conflict with (rule B13), nor for a time after
   * the commit, and goes on where somebody has paused it. Rejects where it paused by itself for want of settings: to go on would
   * end it.
   */
  hurryReplay(order: Order, call: Call): Promise<Done | StaleEpoch>;
  /** Points a running standby at a primary, and lets replay wait for queries again; durable and loaded. */
  receiveFrom(order: Order<{ readonly upstream: NodeName }>, call: Call): Promise<Done | StaleEpoch>;
  /** Makes the physical slots where they are missing, with WAL reserved; works on a standby too (rule B9). */
  makeSlots(order: Order<{ readonly slots: readonly string[] }>, call: Call): Promise<Done | StaleEpoch>;
  /** Of a primary: whether it has the WAL of its timeline from here on still, so that somebody can follow it and confirm. Needs no epoch. */
  hasWalSince(from: Lsn, call: Call): Promise<boolean>;
  /** Asks a standby to become a primary. Whether it did is to be seen in its view (I27). */
  promote(order: Order, call: Call): Promise<Done | StaleEpoch>;
}

/** What runs the nodes: one call for each thing that only the controller may do to a server as a whole. */
export interface MachinePort {
  /** Has the node down for sure, and keeps it down. `unknown`: cannot be said, the machine does not answer. */
  fence(order: Order<{ readonly node: NodeName }>, call: Call): Promise<StopAnswer | StaleEpoch>;
  /** Fast shutdown, which sends all WAL to connected standbys first. Bounded: not ended in time is `unknown`. */
  stop(order: Order<{ readonly node: NodeName }>, call: Call): Promise<StopAnswer | StaleEpoch>;
  /** Lifts the fence and starts the node as it is: for undoing a switchover before its promotion. */
  start(order: Order<{ readonly node: NodeName }>, call: Call): Promise<Done | StaleEpoch>;
  /**
   * Has a node follow the primary by the least force that works, whatever it does now (an old primary that came back may
   * still run): down first, then start as standby, delta restore, restore. Returns once it is under way; ends are seen in
   * the node's view (`cloning`). Refused while one is under way, and for a node that could be the primary. What is under
   * way ends when an order of a greater epoch comes to that node: it must not come upon a node that was given a role since.
   * `asked`: by a person. Without, it is refused too for a node that ran as a primary apart from that one's past, and may have
   * acknowledged there.
   */
  rejoin(
    order: Order<{ readonly node: NodeName; readonly upstream: NodeName; readonly asked?: boolean | undefined }>,
    call: Call,
  ): Promise<Done | StaleEpoch | { readonly kind: "refused"; readonly reason: string }>;
}

/** Whether a node is down. `shutdownLsn`: end of its shutdown checkpoint, where it ended by a clean shutdown. */
export type StopAnswer =
  | { readonly kind: "stopped"; readonly shutdownLsn: Lsn | undefined }
  | { readonly kind: "unknown"; readonly why: string };

// -------------------------------------------------------------------------------------------------------- witness

/** WAL that the witness holds, synced, on one timeline and without a gap. */
export type HeldWal = {
  readonly timeline: Timeline;
  /** Start of the gap-free range that ends at `flushed`, ancestors of the timeline included. */
  readonly from: Lsn;
  readonly flushed: Lsn;
  /** End of the last record at or before `flushed` whose CRC is valid (rule B8). */
  readonly recordEnd: Lsn;
};

/** What the witness says of itself. */
export type WitnessView = {
  /** The greatest epoch it has seen; durable. */
  readonly epoch: Epoch;
  readonly systemId: SystemId;
  readonly mode: /** Follows a primary, under the epoch that stands in its application name (rule B4). */
    | { readonly kind: "following"; readonly upstream: NodeName; readonly reign: Epoch; readonly streaming: boolean }
    /** Confirms nothing to anybody and takes no WAL, also after a restart, until it is told to follow. */
    | { readonly kind: "withdrawn"; readonly by: Epoch };
  readonly held: HeldWal;
  /** Since its last message from upstream, by its own clock; undefined when it is not streaming. */
  readonly receivedAgoMs: number | undefined;
  /** Whether it holds a grant now, and confirms (rule B5). */
  readonly mayConfirm: boolean;
  /** A moment on its own monotonic clock: goes into the next grant, so that one that was long on its way is worth less. */
  readonly ticket: string;
};

/**
 * Lets the witness confirm: for a while, counted on its own monotonic clock from when it gave the ticket out (rule B5), or
 * until it is withdrawn. One for a while ends with a restart of the witness, one that lasts does not.
 */
export type Grant = Order<{
  readonly reign: Epoch;
  readonly lifetime: { readonly ticket: string; readonly durationMs: number } | "lasting";
  /**
   * The end of what the replica has that would be promoted, or where the timeline began while there is none: the witness
   * confirms nothing while its gap-free range begins after it (rule B9). Undefined: not known. A witness that had no gap since it
   * last compared goes on, one that had a gap confirms nothing.
   */
  readonly contiguousWith: Lsn | undefined;
}>;

/** What came of a gap that was to be filled. `recordEnd` in the latter is where the candidate must have replayed to. */
export type GapAnswer =
  | StaleEpoch
  /** The candidate has all that the witness has: nothing is served (a shorter partial would destroy its longer one, B1). */
  | { readonly kind: "nothing-to-add" }
  | { readonly kind: "serving"; readonly recordEnd: Lsn }
  /** What both have is not the same bytes: two histories. Nothing is served. */
  | { readonly kind: "diverged"; readonly at: Lsn }
  /** WAL between the candidate's end and the witness's is in neither. */
  | { readonly kind: "hole"; readonly from: Lsn; readonly to: Lsn }
  /** Not withdrawn under this epoch: only a frozen witness serves a partial segment. */
  | { readonly kind: "not-withdrawn" };

/** The vault's receiver. A controller that stalls or dies delays no confirmation as long as a grant lasts. */
export interface WitnessPort {
  status(call: Call): Promise<WitnessView>;
  /**
   * Stops confirming to the old primary: closes its socket, freezes what is written and flushed. Durable before it is
   * answered, and a restart changes nothing (rule B4). Repeatable; answers with what it holds, which no longer changes.
   * Under the epoch that is its reign it is a repetition that was on its way too long: refused as stale.
   */
  withdraw(order: Order, call: Call): Promise<{ readonly kind: "withdrawn"; readonly held: HeldWal } | StaleEpoch>;
  /**
   * Extends the right to confirm. Only while it follows `reign` (else `not-following`). A greater epoch than was seen is
   * remembered first.
   */
  grant(grant: Grant, call: Call): Promise<Done | StaleEpoch | { readonly kind: "not-following" }>;
  /**
   * Hands the candidate the WAL that it lacks from the spool, partial segment included, under rule B1: the witness frozen
   * under this epoch, what both have of the candidate's last segment equal byte for byte, never anything shorter than what
   * the candidate has. `serving`: it is handed over, or will be; how far it has come is seen by what is replayed.
   */
  fillGap(
    order: Order<{ readonly candidate: NodeName; readonly timeline: Timeline; readonly flushed: Lsn }>,
    call: Call,
  ): Promise<GapAnswer>;
  /**
   * Follows a primary under this epoch as its reign, with `lifeboat_vault_e<epoch>` as its application name. Where it holds
   * another timeline than this one, it reports only what it synced on this one from `timelineStart` on, and keeps its tail
   * beyond as evidence (rule B3); where it holds this one (an undone failover), it goes on. It confirms only a registered
   * history (rule B10), and nothing before its first grant under this reign.
   */
  follow(
    order: Order<{
      readonly upstream: NodeName;
      readonly systemId: SystemId;
      readonly timeline: Timeline;
      /** Undefined on the first timeline. */
      readonly timelineStart: Lsn | undefined;
    }>,
    call: Call,
  ): Promise<Done | StaleEpoch>;
}

// -------------------------------------------------------------------------------------------------------- poolers

/** What a pooler says. */
export type PoolerView = {
  /** The epoch in its include file; 0 where it has none. */
  readonly epoch: number;
  /** `ending`: it shuts down and refuses RESUME: leave it, clients go elsewhere or come back after its restart. */
  readonly mode: "serving" | "paused" | "ending";
  /** The node that it sends clients to. */
  readonly target: NodeName | undefined;
};

/** Clients go on: a login to a server was in flight all the time, or what ran did not end. */
export type NotDrained = { readonly kind: "not-drained"; readonly because: "login-in-flight" | "statements-run" };

/** One PgBouncer process (N processes are N poolers: a switch is done only when all confirm). */
export interface PoolerPort {
  readonly name: string;
  view(call: Call): Promise<PoolerView>;
  /**
   * Global PAUSE, sent only while no server login is in flight (`sv_login` = 0). `drain`: waits for running transactions
   * for at most `drainMs` and resumes when they do not end (`not-drained`); else returns at once, for servers that are dead.
   * The driver's own watchdog resumes after `holdMsMax` without another pause or resume, also when we are gone.
   */
  pause(
    order: Order<{
      readonly drain: boolean;
      /** Nobody listens at the server that it leads to: no login is waited for. */
      readonly gone?: boolean | undefined;
      /** The server may go on: where a login is in flight, clients wait for that, and the answer is `not-drained`. */
      readonly sparing?: boolean | undefined;
      readonly drainMs: number;
      readonly holdMsMax: number;
    }>,
    call: Call,
  ): Promise<Done | StaleEpoch | NotDrained>;
  /** RESUME; done when it serves, whether or not it was paused. */
  resume(order: Order, call: Call): Promise<Done | StaleEpoch>;
  /** Rewrites its include file (epoch in the header), reloads, and has seen the new host in SHOW DATABASES. */
  repoint(order: Order<{ readonly node: NodeName }>, call: Call): Promise<Done | StaleEpoch>;
  /** Drops clients that are linked to a dead server of `node`: their statements end unknown. Idle and waiting ones stay. */
  dropDead(order: Order<{ readonly node: NodeName }>, call: Call): Promise<Done | StaleEpoch>;
  /** Logs in as the pool's user from where the pooler runs: the pre-check of a switchover. */
  canLogIn(node: NodeName, call: Call): Promise<boolean>;
  /** A write through it, committed as clients' are. Tells who wrote. Rejects where it was not acknowledged in time. */
  proveWrite(call: Call): Promise<{ readonly timeline: Timeline }>;
}

// ---------------------------------------------------------------------------------- lease, record, journal, telling

/** An epoch that we hold. `src/lease` has it. */
export interface HeldLease {
  readonly epoch: Epoch;
  /** Whether an act begun now and ended within `actMs` ends before anybody else may act. By our own monotonic clock. */
  holds(actMs: number): boolean;
  /** Asks for more time; what fails leaves the deadline where it is. Never rejects but with `platform.aborted`. */
  renew(options: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Gives it up at once. Repeatable, never rejects. */
  end(): Promise<void>;
}

/** Where epochs are claimed. */
export interface LeasePort {
  /** How long an epoch lasts without a renewal: after so long the holder before us acts no more. */
  readonly durationMs: number;
  /** Claims once: the next epoch, greater than `floor`. Rejects when the lease store cannot tell. */
  claim(
    floor: Epoch,
    call: Call,
  ): Promise<{ readonly kind: "holder"; readonly lease: HeldLease } | { readonly kind: "held"; readonly by: string }>;
}

/** How many confirmers a commit waits for. */
export type Durability = "async" | "quorum" | "strict";

/** What all controllers agree on, whatever happens to the nodes (I14). */
export type ClusterRecord = {
  readonly systemId: SystemId;
  readonly primary: NodeName;
  /** The epoch under which it became primary, or was confirmed in the role: stands in the witness's application name. */
  readonly reign: Epoch;
  readonly timeline: Timeline;
  readonly durability: Durability;
  /** For how few confirmers the primary was seen to wait since `durability` was set; undefined: for no fewer (rule B13). */
  readonly waitsFor?: number | undefined;
  /** Replicas that were seen streaming from this primary in this reign: nobody else can be a candidate (I12, I14). */
  readonly joined: readonly NodeName[];
  /** An action that was begun and has not ended. `promoting`: the candidate may have been told. */
  readonly action:
    | {
        readonly kind: "failover" | "switchover";
        readonly epoch: Epoch;
        readonly from: NodeName;
        readonly to: NodeName;
        readonly phase: "preparing" | "promoting";
        /** From `promoting` on: what the new timeline must begin at or after (rules B7, B8). */
        readonly target: Lsn | undefined;
      }
    | undefined;
  /** Set by the operator: no failover by itself. */
  readonly maintenance: boolean;
};

/** A record as it was read; `version` grows with every write. */
export type StoredRecord = { readonly version: number; readonly epoch: Epoch; readonly record: ClusterRecord };

/** A register beside the lease store, guarded by epochs and by what its writer had read. */
export interface RecordPort {
  /** Undefined before the first write. Linearizable: sees every write that was answered before. */
  read(call: Call): Promise<StoredRecord | undefined>;
  /**
   * Compare-and-swap: replaces the version that the writer has read (0: there is none), unless a greater epoch wrote before.
   * Durable. `conflict`: another version is there, so that a write on its way too long cannot undo a later one.
   */
  write(
    order: Order<{ readonly over: number; readonly record: ClusterRecord }>,
    call: Call,
  ): Promise<{ readonly kind: "done"; readonly version: number } | StaleEpoch | { readonly kind: "conflict" }>;
}

/** A line of the journal. `name` is a step of a plan; `facts` are for people and the report. */
export type JournalEntry = {
  readonly epoch: Epoch | undefined;
  readonly kind: "decision" | "intent" | "outcome" | "note";
  readonly name: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Of an intent: an entry that says so too was appended before, and need not be followed by this one before it is acted on. */
  readonly covered?: true;
};

/** Append-only and durable. A journal that cannot be written stops nobody from saving the data: the caller goes on and says so. */
export interface JournalPort {
  append(entry: JournalEntry, call: Call): Promise<void>;
}

/** Tells the outside: one webhook and one exec hook. */
export interface HookPort {
  /** Returns at once; delivery, retries and failures are the hook's own. */
  tell(event: { readonly kind: string; readonly at: Instant; readonly facts: Readonly<Record<string, unknown>> }): void;
}

/** All of them, as a program wires them up. @public */
export type FailoverPorts = {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly nodes: readonly NodePort[];
  readonly machines: MachinePort;
  readonly witness: WitnessPort;
  readonly poolers: readonly PoolerPort[];
  readonly lease: LeasePort;
  readonly record: RecordPort;
  readonly journal: JournalPort;
  readonly hooks: HookPort;
};
