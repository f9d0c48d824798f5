/** A primary that does a durability mode as described, and who confirms to it. */
import type { ConfirmerRow, DurabilityFacts, ServerDurability } from "../../src/durability/facts.ts";
import type { DurabilityMode } from "../../src/durability/names.ts";
import type { Lsn } from "../../src/postgres/lsn.ts";

/** `synchronous_standby_names` of each mode. */
export const DURABILITY_NAMES = {
  async: "",
  quorum: "ANY 1 (db_replica, lifeboat_vault)",
  strict: "ANY 2 (db_replica, lifeboat_vault)",
} as const;

/** A confirmer that streams and has everything. */
export function confirmerRow(name: string, different: Partial<ConfirmerRow> = {}): ConfirmerRow {
  const pid = name === "db_replica" ? 11 : 12;
  const flushed = 0x3000060n as Lsn;
  return { name, pid, state: "streaming", syncState: "quorum", flushed, behindBytes: 0, slot: name, ...different };
}

/** A server that does `mode` as described, with what a test wants different. */
export function durabilityFacts(
  mode: DurabilityMode,
  server: Partial<ServerDurability> = {},
  described: DurabilityMode = mode,
): DurabilityFacts {
  const syncState = mode === "async" ? "async" : "quorum";
  return {
    described: { mode: described, by: "configuration" },
    expected: { nodes: ["db_replica"], receiver: "lifeboat_vault" },
    withdrawnBy: undefined,
    server: {
      version: 160_014,
      inRecovery: false,
      effectiveNames: DURABILITY_NAMES[mode],
      setNames: DURABILITY_NAMES[mode],
      setError: undefined,
      synchronousCommit: "on",
      overrides: [],
      confirmers: [confirmerRow("db_replica", { syncState }), confirmerRow("lifeboat_vault", { syncState })],
      waiting: { count: 0, longestMs: 0 },
      clientCount: 34,
      ...server,
    },
  };
}
