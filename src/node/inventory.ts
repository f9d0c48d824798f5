/** Asks a node for what replication does not carry. On a session of its own, beside whatever else is asked: nothing waits for it. */
import type { Inventory } from "../failover/costs.ts";
import type { Call } from "../failover/ports.ts";
import { COLLATIONS_SQL, readCollations } from "../postgres/collations.ts";
import { LOGICAL_SLOTS_SQL, readLogicalSlots } from "../postgres/logical-slots.ts";
import { openQuery } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";

/** Asks. Rejects as `openQuery` and its queries do, each within the call's time. */
export async function askInventory(address: ConnectOptions, { timeoutMs, signal }: Call): Promise<Inventory> {
  const session = await openQuery({ ...address, connectTimeoutMs: timeoutMs }, { signal });
  try {
    // First: who was a primary then has not become a standby while the rest is read.
    const [role] = await session.query("SELECT pg_is_in_recovery() AS standby", [], { timeoutMs, signal });
    const slots = readLogicalSlots(await session.query(LOGICAL_SLOTS_SQL, [], { timeoutMs, signal }));
    const collations = readCollations(await session.query(COLLATIONS_SQL, [], { timeoutMs, signal }));
    return { serverVersion: session.serverVersion, isStandby: role?.["standby"] === true, slots, collations };
  } finally {
    await session.close();
  }
}
