/** What a run's record says beside what an ingest of rows writes into it. */
import type { Session } from "../../database/session.ts";
import { REJECTIONS_SQL } from "../../ingest/statements.ts";
import { REJECTIONS, type Rejection } from "../feeds/offer.ts";
import type { Claim } from "./source.ts";

/** A row of a feed that is not taken. */
export type RejectedRow = { readonly rowNumber: number; readonly sku: string | null; readonly code: Rejection };

/** More than these are counted and not kept, as in an ingest. */
const KEPT_REJECTIONS_MAX = 1_000;

/** Rows that the run has written, rejected ones too. Holds the record until the transaction ends. */
export async function receivedOf(session: Session, runId: string): Promise<number> {
  const { rows } = await session.query("select received from ingestion_runs where id = $1 for update", [runId]);
  return Number(rows[0]?.["received"] ?? 0);
}

/** Those of some skus that this run has taken already. */
export async function seenOf(
  session: Session,
  { source, runId }: Claim,
  skus: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await session.query(
    "select sku from products where source = $1 and sku = any($2::text[]) and seen_run = $3::uuid",
    [source.name, skus, runId],
  );
  return new Set(rows.map((row) => String(row["sku"])));
}

/** Counts rows that were rejected before an ingest saw them, and keeps what is wrong with the first of them. */
export async function rejectRows(session: Session, runId: string, rejected: readonly RejectedRow[]): Promise<void> {
  if (rejected.length === 0) return;
  const told = rejected.slice(0, KEPT_REJECTIONS_MAX).map((row) => ({ ...row, message: REJECTIONS[row.code] }));
  await session.query(REJECTIONS_SQL, [runId, JSON.stringify(told), KEPT_REJECTIONS_MAX]);
  await session.query("update ingestion_runs set received = received + $2, rejected = rejected + $2 where id = $1", [
    runId,
    rejected.length,
  ]);
}
