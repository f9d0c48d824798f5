/**
 * Whether an index may be out of order here alone: this machine's glibc or ICU sorts text by another version than the one by which it was
 * sorted where the server runs. The backup is then as good as its server, and a restore on this machine is not.
 */
import { isLifeboatError } from "../errors/error.ts";
import { INDEX_COLLATIONS_SQL, readCollations } from "../postgres/collations.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";
import type { ProofFinding } from "../vault/proofs.ts";

/** A query over catalogues. */
const TIMEOUT_MS = 60_000;

/** A finding, and which relation it is of. */
export type RelationFinding = { readonly oid: number; readonly finding: ProofFinding };

/**
 * Findings of the database that the session is of; those of an index say so where it may be why. What was found comes first: where the
 * catalogue does not answer, since it may be what is damaged, they are as they were. Rejects when it is stopped.
 */
export async function withSorting(
  session: QueryConnection,
  findings: readonly RelationFinding[],
  options: { readonly signal?: AbortSignal | undefined },
): Promise<readonly ProofFinding[]> {
  let others: ReadonlyMap<number, readonly string[]> = new Map();
  const oids = findings.filter(({ finding }) => finding.code === "index").map(({ oid }) => oid);
  // A server that has ended tells nothing more.
  if (oids.length > 0 && !findings.some(({ finding }) => finding.code === "server-ended")) {
    try {
      others = await sortedOtherwise(session, [...new Set(oids)], options);
    } catch (error) {
      if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
    }
  }
  return findings.map(({ oid, finding }) => {
    const by = others.get(oid);
    if (by === undefined || finding.code !== "index") return finding;
    const why = `text is sorted by another version here, and this index may be sound where it was sorted: ${by.join("; ")}`;
    return { ...finding, message: `${finding.message} (${why})` };
  });
}

/** Of indexes that sort by another version here: what it is that they sort by. */
async function sortedOtherwise(
  session: QueryConnection,
  oids: readonly number[],
  options: { readonly signal?: AbortSignal | undefined },
): Promise<ReadonlyMap<number, readonly string[]>> {
  const rows = await session.query(INDEX_COLLATIONS_SQL, [oids], { timeoutMs: TIMEOUT_MS, ...options });
  const found = new Map<number, string[]>();
  for (const [at, { kind, name, library, recorded, actual }] of readCollations(rows).entries()) {
    if (recorded === actual) continue;
    const index = Number(rows[at]?.["index"]);
    found.set(index, [...(found.get(index) ?? []), `${kind} ${name} by ${library} ${actual}, was by ${recorded}`]);
  }
  return found;
}
