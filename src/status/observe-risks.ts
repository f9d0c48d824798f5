/** Looks into a server's catalogues for status: one session, one statement, readable by any role that may log in. */
import { CHANGED_COLLATIONS_SQL, readCollations } from "../postgres/collations.ts";
import { openQuery, type QueryRow } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { readSlots, SLOTS_SQL } from "../postgres/slots.ts";
import { readTablespaceRows, TABLESPACE_ROWS_SQL } from "../postgres/tablespaces.ts";
import type { RisksView } from "./decide.ts";

/** Catalogues answer at once; a server that takes longer has a trouble of its own. */
const QUERY_TIMEOUT_MS = 5_000;

const RISKS_SQL = `SELECT seen.*, (SELECT jsonb_agg(to_jsonb(c)) FROM (${CHANGED_COLLATIONS_SQL}) AS c) AS changed,
    (SELECT jsonb_agg(to_jsonb(t)) FROM (${TABLESPACE_ROWS_SQL}) AS t) AS tablespaces
  FROM (${SLOTS_SQL}) AS seen`;

/** Looks. Rejects as `openQuery` and its queries do: what the role may not see is told by the server. */
export async function observeRisks(
  address: ConnectOptions,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<Extract<RisksView, { readonly kind: "reached" }>> {
  const session = await openQuery(address, options);
  try {
    const [row] = await session.query(RISKS_SQL, [], { ...options, timeoutMs: QUERY_TIMEOUT_MS });
    const changed = (row?.["changed"] ?? []) as readonly QueryRow[];
    const outsideTablespaces = readTablespaceRows((row?.["tablespaces"] ?? []) as readonly QueryRow[]);
    return { kind: "reached", ...readSlots(row), changedCollations: readCollations(changed), outsideTablespaces };
  } finally {
    await session.close();
  }
}
