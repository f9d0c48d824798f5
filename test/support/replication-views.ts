/** A replica and a receiver as a watch of the replication sees them. */
import type { Timeline } from "../../src/postgres/lsn.ts";
import type { ConfirmerView, Lag } from "../../src/replication/decide.ts";

/** A lag that is known. */
export const lagOf = (bytes: number, ms: number, atLeast = false): Lag => ({ kind: "known", bytes, ms, atLeast });

const gone: Lag = { kind: "disconnected" };

/** A replica that streams. */
export const streamingReplica: ConfirmerView = {
  kind: "replica",
  name: "db_replica",
  slot: "db_replica",
  connected: true,
  state: "streaming",
  syncState: "quorum",
  lag: { write: lagOf(0, 0), flush: lagOf(0, 0), replay: lagOf(56, 4) },
  slotView: {
    name: "db_replica",
    active: true,
    pid: 11,
    walStatus: "reserved",
    keptBytes: 4_096,
    safeBytes: 8_589_934_592,
  },
  reception: { status: "streaming", receivedAgoMs: 250, timeline: 1 as Timeline, slot: "db_replica" },
  replayPaused: false,
  conflicts: { lock: 2, deadlock: 1 },
};

/** A receiver that streams. */
export const streamingReceiver: ConfirmerView = {
  kind: "receiver",
  name: "lifeboat_vault",
  slot: "lifeboat_vault",
  connected: true,
  state: "streaming",
  syncState: "quorum",
  lag: { write: lagOf(0, 0), flush: lagOf(0, 0), replay: lagOf(0, 0) },
  slotView: {
    name: "lifeboat_vault",
    active: true,
    pid: 12,
    walStatus: "reserved",
    keptBytes: 56,
    safeBytes: undefined,
  },
  reception: undefined,
  replayPaused: false,
  conflicts: undefined,
};

/** A receiver that is away, and whose slot is gone. */
export const awayReceiver: ConfirmerView = {
  ...streamingReceiver,
  connected: false,
  state: "disconnected",
  syncState: undefined,
  lag: { write: gone, flush: gone, replay: gone },
  slotView: undefined,
};
