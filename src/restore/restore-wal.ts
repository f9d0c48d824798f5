/**
 * Where a restore gets its WAL from.
 */
import type { Timeline } from "../postgres/lsn.ts";
import type { WalHoldings } from "../wal/ranges.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** WAL of one system, wherever it lies: in the vault and in the receiver's spool. */
export interface RestoreWal {
  /** Everything held, lost histories as backups tell them; those that do not open and that none tells are listed as such. Rejects rather than answer with part of it. */
  holdings(options: CallOptions): Promise<WalHoldings>;
  /** A segment's bytes, fewer than a whole one for the unfinished tail; undefined only when it is proven absent. */
  segment(name: string, options: CallOptions): Promise<Buffer | undefined>;
  /** A timeline's history file, or what a backup has of it; undefined only when it is proven absent. */
  history(timeline: Timeline, options: CallOptions): Promise<Buffer | undefined>;
}
