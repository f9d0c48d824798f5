/** What was seen of a server's durability. */
import type { Instant } from "../platform/clock.ts";
import type { Lsn } from "../postgres/lsn.ts";
import type { CommitOverride } from "../postgres/waiting-commits.ts";
import type { Confirmers, DurabilityMode } from "./names.ts";

/** What is meant to be, and who said so. */
export type DescribedDurability =
  | { readonly mode: DurabilityMode; readonly by: "configuration" }
  | { readonly mode: DurabilityMode; readonly by: "choice"; readonly at: Instant };

/** One connection that takes the server's WAL. */
export type ConfirmerRow = {
  readonly name: string;
  readonly pid: number;
  /** `streaming`, `catchup`, `startup`, …: the server's words. */
  readonly state: string;
  /** `async`, `quorum`, `sync`, `potential`: the server's words. */
  readonly syncState: string;
  readonly flushed: Lsn | undefined;
  /** What the server has flushed and this one has not confirmed. */
  readonly behindBytes: number | undefined;
  /** The slot that this connection holds. */
  readonly slot: string | undefined;
};

/** What the server says. */
export type ServerDurability = {
  /** server_version_num. */
  readonly version: number;
  readonly inRecovery: boolean;
  /** The names that a new session sees. */
  readonly effectiveNames: string;
  /** The names in the server's files, effective or not; undefined where no file has any. */
  readonly setNames: string | undefined;
  /** Why the server cannot take what is in its files; undefined when it can. */
  readonly setError: string | undefined;
  /** What a new session's synchronous_commit is. */
  readonly synchronousCommit: string;
  readonly overrides: readonly CommitOverride[];
  readonly confirmers: readonly ConfirmerRow[];
  /** Commits that wait for confirmers right now, and the longest wait among them. */
  readonly waiting: { readonly count: number; readonly longestMs: number };
  /** Sessions of clients, ours left out. */
  readonly clientCount: number;
};

/** All that is judged. */
export type DurabilityFacts = {
  readonly described: DescribedDurability;
  /** Who should be able to confirm. */
  readonly expected: Confirmers;
  /** The epoch for whose sake the receiver confirms nothing: a failover is under way, or was given up. */
  readonly withdrawnBy: number | undefined;
  readonly server: ServerDurability;
};
