/**
 * What a session with the server works with, and what outlives it.
 */
import type { Clock, Monotonic } from "../platform/clock.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import type { Vault } from "../vault/vault.ts";
import type { Link } from "./continuation.ts";
import type { Gone } from "./decide.ts";
import type { Mandate } from "./mandate.ts";
import type { Spool } from "./spool.ts";
import type { ReceivedGap } from "./spool-state.ts";
import type { UnreadableWal } from "./unreadable.ts";
import type { Uploads } from "./uploads.ts";
import type { Walked } from "./walked.ts";

/** How a session behaves. */
export type SessionOptions = {
  readonly slot: string;
  readonly statusIntervalMs: number;
  readonly serverTimeoutMs: number;
  readonly spoolBytesMax: number;
  readonly slotLifetime: "lasting" | "session";
  readonly newSystem: boolean;
  /** Waits this long with every group before it is written: for demonstrations and tests only. */
  readonly delayMs: number;
};

/** What lives longer than one connection. */
export type SessionContext = {
  readonly spool: Spool;
  readonly uploads: Uploads;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly options: SessionOptions;
  /** Under which the session runs; each has its own. */
  mandate: Mandate;
  /** What the server was found not to have any more, until something was received again. */
  gone: { readonly what: Gone; readonly at: Lsn } | undefined;
  /** The server's end of WAL, as far as it told. */
  serverEnd: Lsn;
  /** When the server was last heard of; undefined while there is no stream. */
  heardAt: Monotonic | undefined;
  /** What the server was told to be safe here, on this stream; none while nothing may be confirmed. */
  told: Lsn;
  /** When that last moved, or had nothing to move to. */
  confirmedAt: Monotonic;
  /** Called when the stream runs and the comparison is through; each session has its own. */
  streaming: () => void;
  /** What the receivers of this spool have walked of the vault's segments. */
  readonly walked: () => Promise<Walked | undefined>;
  /** Called when WAL was found to be lost. */
  readonly lost: (gap: ReceivedGap) => void;
  /** Called when WAL that is held was found not to be readable. */
  readonly unreadable: (found: UnreadableWal) => Promise<void>;
};

/** Where a stream starts, and what must hold before it confirms. */
export type Plan = {
  readonly timeline: Timeline;
  readonly streamFrom: Lsn;
  /** Bytes before this are compared and not written again. */
  readonly writeFrom: Lsn;
  /** What the server must send first. */
  readonly expected: Buffer;
  readonly confirmFrom: Lsn;
  /** What the first record behind that must be linked to; undefined where bytes are compared, or nothing before is held. */
  readonly link?: Link | undefined;
};
