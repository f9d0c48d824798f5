/**
 * The stack's own invariants: what must hold of the data, said in SQL by those who own it.
 */
import type { ProofFinding } from "../vault/proofs.ts";
import { refusalOf, type SandboxServer } from "./sandbox-server.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** One of them. `no-rows`: the query returns what is wrong; `is-true`: it returns one row with the one value true. */
export type Invariant = {
  readonly name: string;
  readonly database: string;
  readonly expect: "no-rows" | "is-true";
  readonly sql: string;
};

/** A query over a whole stack may take hours; more is a mistake in it. */
const QUERY_TIMEOUT_MS = 86_400_000;
/** How much of the first row is told. */
const TOLD_CHARS_MAX = 300;

/** Asks each; one that fails hides no other. */
export async function checkInvariants(
  server: SandboxServer,
  invariants: readonly Invariant[],
  options: CallOptions,
): Promise<readonly ProofFinding[]> {
  const findings: ProofFinding[] = [];
  for (const invariant of invariants) {
    const object = `invariant "${invariant.name}" in database ${invariant.database}`;
    try {
      const broken = await ask(server, invariant, options);
      if (broken !== undefined) findings.push({ object, code: "invariant", message: `${object} ${broken}` });
    } catch (error) {
      const refused = refusalOf(error, object);
      if (refused === undefined) throw error;
      findings.push(refused.code === "server-ended" ? refused : { ...refused, code: "invariant" });
    }
  }
  return findings;
}

async function ask(server: SandboxServer, invariant: Invariant, options: CallOptions): Promise<string | undefined> {
  // Its own objects without a schema, as whoever wrote it would ask.
  const session = await server.connect(invariant.database, { ...options, namesOf: "database" });
  try {
    const rows = await session.query(invariant.sql, [], { timeoutMs: QUERY_TIMEOUT_MS, ...options });
    const first = JSON.stringify(rows[0] ?? null).slice(0, TOLD_CHARS_MAX);
    if (invariant.expect === "no-rows") {
      return rows.length === 0 ? undefined : `returned ${rows.length} rows, the first ${first}`;
    }
    const values = Object.values(rows[0] ?? {});
    const holds = rows.length === 1 && values.length === 1 && values[0] === true;
    return holds ? undefined : `is not true: it returned ${rows.length} rows, the first ${first}`;
  } finally {
    await session.close();
  }
}
