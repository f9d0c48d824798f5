/** What nodes say of what replication does not carry, for tests. */
import type { Inventory } from "../../src/failover/costs.ts";
import type { CollationVersion } from "../../src/postgres/collations.ts";
import type { LogicalSlot } from "../../src/postgres/logical-slots.ts";
import type { Lsn } from "../../src/postgres/lsn.ts";
import type { ReplicationSlot } from "../../src/postgres/slots.ts";

/** Nothing of it, on PostgreSQL 16. */
export function inventory(given: Partial<Inventory> = {}): Inventory {
  return {
    serverVersion: 160_014,
    isStandby: false,
    timelineStart: undefined,
    slots: [],
    collations: [],
    isCut: false,
    ...given,
  };
}

/** A slot that somebody could go on from. */
export function logicalSlot(given: Partial<LogicalSlot> = {}): LogicalSlot {
  return {
    name: "cdc",
    database: "catalog",
    plugin: "pgoutput",
    failover: false,
    isSynced: false,
    confirmed: 1_000n as Lsn,
    isLost: false,
    isUnfinished: false,
    ...given,
  };
}

/** A database that is sorted by the version that its server has. */
export function collation(given: Partial<CollationVersion> = {}): CollationVersion {
  return { kind: "database", name: "catalog", library: "glibc", recorded: "2.36", actual: "2.36", ...given };
}

/** A slot that nobody reads from, and that keeps nothing to speak of. */
export function slotOf(given: Partial<ReplicationSlot> = {}): ReplicationSlot {
  return {
    name: "cdc",
    slotType: "logical",
    active: false,
    walStatus: "reserved",
    keptBytes: 0,
    idleMs: null,
    lostBy: null,
    ...given,
  };
}
