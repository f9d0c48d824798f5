/**
 * How far replica and receiver are behind the primary, and whether they will stay with it.
 *
 * Nouns: a *confirmer* takes a primary's WAL: a replica (a node) or the receiver; its *sender* is the primary's end of that
 * connection; *stages* are what has become of WAL at a confirmer: written, flushed, replayed. A *heartbeat* is a tiny WAL
 * record of ours that says nothing; a *sample* is a moment and where the primary's WAL ended then. A *look* is what all
 * nodes said at about one time; the *view* is what it comes to.
 * Invariants: a lag in seconds is the age of the oldest sample that a confirmer lacks, so that an idle primary shows none
 * and a confirmer that stands still shows more and more; who is not connected has a lag of -1 and never 0; what could not
 * be asked is a fault and never taken for good; looking writes into no table.
 */
import type { Instant } from "../platform/clock.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";

/** What has become of WAL at a confirmer. */
export const STAGES = ["write", "flush", "replay"] as const;

/** One of them. */
export type Stage = (typeof STAGES)[number];

/** Who should follow the primary, unless it is the primary itself. */
export type Confirmer = {
  readonly kind: "replica" | "receiver";
  /** The application name of its connection; of a replica also the name of its node. */
  readonly name: string;
  /** Its physical slot on the primary. */
  readonly slot: string;
  /** The epoch for whose sake a receiver takes nothing: a failover is under way, or was given up. */
  readonly withdrawnBy?: number | undefined;
};

/** The primary's end of a connection. */
export type Sender = {
  readonly name: string;
  readonly pid: number;
  /** `streaming`, `catchup`, …: the server's words. */
  readonly state: string;
  /** `async`, `quorum`, `sync`, `potential`: the server's words. */
  readonly syncState: string;
  readonly at: Readonly<Record<Stage, Lsn | undefined>>;
  /** The server's own measure, which is of the last WAL that moved and nothing while none does. */
  readonly measuredMs: Readonly<Record<Stage, number | undefined>>;
};

/** A replication slot of the primary. */
export type Slot = {
  readonly name: string;
  readonly active: boolean;
  /** The sender that holds it. */
  readonly pid: number | undefined;
  /** `reserved`, `extended`, `unreserved`, `lost`: the server's words; undefined: it has never been used. */
  readonly walStatus: string | undefined;
  /** WAL that the primary keeps for it. */
  readonly keptBytes: number | undefined;
  /** WAL that may still be written before it is lost; undefined: no limit. */
  readonly safeBytes: number | undefined;
};

/** What a replica says of the connection that it receives by. */
export type Reception = {
  /** `streaming`, `waiting`, …: the server's words. */
  readonly status: string;
  /** Since its last message from upstream, by its own clock. */
  readonly receivedAgoMs: number | undefined;
  readonly timeline: Timeline | undefined;
  readonly slot: string | undefined;
};

/** Queries on a replica that replay had to cancel since its statistics began, by cause. */
export type Conflicts = Readonly<Record<string, number>>;

/** What a primary says. */
export type PrimaryLook = {
  readonly kind: "primary";
  readonly name: string;
  readonly timeline: Timeline;
  /** Where its WAL ended, heartbeat included. */
  readonly end: Lsn;
  readonly senders: readonly Sender[];
  readonly slots: readonly Slot[];
};

/** What a replica says. */
export type ReplicaLook = {
  readonly kind: "replica";
  readonly name: string;
  /** 0/0: nothing yet. */
  readonly at: Readonly<Record<Stage, Lsn>>;
  /** Undefined: it receives from nobody. */
  readonly reception: Reception | undefined;
  readonly replayPaused: boolean;
  readonly conflicts: Conflicts;
};

/** What came of asking a node. */
export type NodeLook =
  | PrimaryLook
  | ReplicaLook
  | { readonly kind: "unreachable"; readonly name: string; readonly code: string; readonly message: string };

/** All that was seen at about one time. */
export type ReplicationLook = { readonly at: Instant; readonly nodes: readonly NodeLook[] };
