/**
 * Whether an index may be out of order here alone: this machine's glibc or ICU sorts text by another version than the one by which it was
 * sorted where the server runs. The backup is then as good as its server, and a restore on this machine is not.
 */
import { COLLATIONS_SQL, readCollations } from "../postgres/collations.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";
import type { ProofFinding } from "../vault/proofs.ts";

/** A query over catalogues. */
const TIMEOUT_MS = 60_000;

/** Findings of a database; those of indexes say so where it may be why. Rejects as queries do. */
export async function withSorting(
  session: QueryConnection,
  of: { readonly database: string; readonly findings: readonly ProofFinding[] },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<readonly ProofFinding[]> {
  const { database, findings } = of;
  // A server that has ended tells nothing more.
  if (!findings.some(({ code }) => code === "index") || findings.some(({ code }) => code === "server-ended")) {
    return findings;
  }
  const collations = readCollations(await session.query(COLLATIONS_SQL, [], { timeoutMs: TIMEOUT_MS, ...options }));
  const others = collations
    .filter(({ recorded, actual }) => recorded !== actual)
    .filter(({ kind, name }) => kind === "collation" || name === database)
    .map(({ kind, name, library, recorded, actual }) => `${kind} ${name} by ${library} ${actual}, was by ${recorded}`);
  if (others.length === 0) return findings;
  const why = `text is sorted by another version here, and this index may be sound where it was sorted: ${others.join("; ")}`;
  return findings.map((each) => (each.code === "index" ? { ...each, message: `${each.message} (${why})` } : each));
}
