/** How long each thing may take: a limit that passes ends the action, which a later one then finishes or undoes. */
import type { Grant } from "./ports.ts";

/** Limits of an action, in ms, and what the stack's slots are called. */
export type SequenceLimits = {
  /** One order to a server that is there: a few round trips and a sync. */
  readonly orderMs: number;
  /** Between two looks while waiting for something that takes milliseconds. */
  readonly pollMs: number;
  /** PAUSE where nothing needs to drain. */
  readonly pauseMs: number;
  /** PAUSE of a switchover: clients wait so long for other clients' transactions before it is given up. */
  readonly drainMs: number;
  /** A pooler's own watchdog resumes after so long without us. */
  readonly pauseHoldMs: number;
  readonly fenceMs: number;
  /** A checkpoint while clients go on, before a switchover begins: one that is not written by then refuses it. */
  readonly checkpointMs: number;
  /** Fast shutdown: the checkpoint and the last WAL to the standbys. */
  readonly stopMs: number;
  /** Crash recovery of a primary that is started again. */
  readonly startMs: number;
  /** A server opens its port before it recovers: one at whose port nobody listens after so long has ended. */
  readonly listenMs: number;
  /** Until a standby's receiver is gone (rule B7). */
  readonly receiversMs: number;
  /** Replay may take long; it fails when it makes no progress for so long. */
  readonly replayStallMs: number;
  readonly promoteMs: number;
  readonly proveMs: number;
  /** What the witness is granted at a time; undefined: until it is withdrawn (rule B5, and the policy's `grants`). */
  readonly grantMs: number | undefined;
  /** No clock of ours runs faster or slower than another's by more than this share. */
  readonly driftShare: number;
  /** Physical slots that a primary keeps: of the witness and of each node. */
  readonly slots: readonly string[];
};

/** Limits for servers on a local network. */
export const SEQUENCE_LIMITS: SequenceLimits = {
  orderMs: 2_000,
  pollMs: 5,
  pauseMs: 300,
  drainMs: 3_000,
  pauseHoldMs: 30_000,
  fenceMs: 5_000,
  checkpointMs: 30_000,
  stopMs: 10_000,
  startMs: 30_000,
  listenMs: 3_000,
  receiversMs: 5_000,
  replayStallMs: 5_000,
  promoteMs: 10_000,
  proveMs: 2_000,
  grantMs: undefined,
  driftShare: 0.05,
  slots: ["lifeboat_vault"],
};

/** How long a grant lasts, counted from a ticket. */
export function grantLifetime({ grantMs }: SequenceLimits, ticket: string): Grant["lifetime"] {
  return grantMs === undefined ? "lasting" : { ticket, durationMs: grantMs };
}
