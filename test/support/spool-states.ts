/** What a spool of small segments says of itself before it has received anything. */
import type { Lsn, SystemId, Timeline } from "../../src/postgres/lsn.ts";
import type { SpoolState } from "../../src/wal/spool-state.ts";

/** The size of its segments: the least that PostgreSQL takes. */
export const SPOOL_SEGMENT_BYTES = 1024 * 1024;

/** Where its WAL begins. */
export const SPOOL_START = BigInt(5 * SPOOL_SEGMENT_BYTES) as Lsn;

/** The state of a new spool; its first range has not begun. */
export const SPOOL_STATE: SpoolState = {
  vaultId: "0".repeat(32),
  systemId: "7000000000000000001" as SystemId,
  walSegmentBytes: SPOOL_SEGMENT_BYTES,
  timeline: 1 as Timeline,
  history: "",
  slot: "lifeboat_vault",
  flushedLsn: SPOOL_START,
  rangeFrom: undefined,
  gaps: [],
};
