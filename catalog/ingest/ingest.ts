/** Writes rows: the one way in, for the API's ingest and for the scheduler. */
import { assert } from "../../src/errors/error.ts";
import type { Session } from "../database/session.ts";
import { checkBatch, type NumberedRow } from "./check.ts";
import { BATCH_ROWS_MAX, type CheckedRow, type Rejection, slugOf } from "./row.ts";
import { MERCHANTS_SQL, REJECTIONS_SQL, ROWS_SQL, WORDS_SQL } from "./statements.ts";

/** What became of a row that was taken. */
export type WrittenRow = {
  readonly rowNumber: number;
  readonly productId: string;
  readonly outcome: "inserted" | "updated" | "unchanged";
  readonly priceChanged: boolean;
};

/** What a batch came to. */
export type BatchOutcome = { readonly written: readonly WrittenRow[]; readonly rejections: readonly Rejection[] };

/** More than these are counted and not kept: a feed in the wrong format has as many as rows. */
const KEPT_REJECTIONS_MAX = 1_000;

/** Begins the record of a run and returns its id. */
export async function openRun(
  session: Session,
  run: { readonly source: string; readonly origin: "api" | "scheduler"; readonly apiKeyId?: string | undefined },
): Promise<string> {
  const { rows } = await session.query(
    "insert into ingestion_runs (source, origin, api_key_id) values ($1, $2, $3) returning id",
    [run.source, run.origin, run.apiKeyId ?? null],
  );
  return String(rows[0]?.["id"]);
}

/** Ends the record of a run: succeeded, partial when rows were rejected, failed when `error` says so. */
export async function closeRun(session: Session, runId: string, error?: string): Promise<void> {
  await session.query(
    `update ingestion_runs set finished_at = clock_timestamp(), error = $2, status = case
       when $2::text is not null then 'failed' when rejected > 0 then 'partial' else 'succeeded' end
     where id = $1`,
    [runId, error ?? null],
  );
}

/**
 * Checks and writes one batch of a source, within the caller's transaction, and adds to the run's counts. A product is known
 * by (sku, source); a price that differs from the one before gives one row of price_history, and so does the first. What changed
 * is written down for who tells webhooks. Batches of one source take turns. `isLast` ends the run's record, as closeRun does.
 */
export async function ingestBatch(
  session: Session,
  batch: {
    readonly source: string;
    readonly runId: string;
    readonly rows: readonly NumberedRow[];
    readonly isLast?: boolean;
  },
): Promise<BatchOutcome> {
  const { source, runId } = batch;
  assert(batch.rows.length <= BATCH_ROWS_MAX, "a batch is no larger than a transaction should be");
  const { rows: rates } = await session.query(LOCK_SQL, [source]);
  const perSgd = new Map(rates.map((row) => [String(row["currency"]), Number(row["per_sgd"])] as const));
  const { rows, rejections } = checkBatch(batch.rows, { perSgd });
  const written = rows.length === 0 ? [] : await writeRows(session, { source, runId, rows });
  if (rejections.length > 0) {
    const kept = rejections.slice(0, KEPT_REJECTIONS_MAX);
    await session.query(REJECTIONS_SQL, [runId, JSON.stringify(kept), KEPT_REJECTIONS_MAX]);
  }
  const counted = (outcome: WrittenRow["outcome"]): number => written.filter((row) => row.outcome === outcome).length;
  const counts = [
    batch.rows.length,
    counted("inserted"),
    counted("updated"),
    counted("unchanged"),
    rejections.length,
    written.filter((row) => row.priceChanged).length,
  ];
  await session.query(batch.isLast === true ? `${COUNT_SQL}, ${END_SQL} where id = $1` : `${COUNT_SQL} where id = $1`, [
    runId,
    ...counts,
  ]);
  return { written, rejections };
}

const COUNT_SQL = `update ingestion_runs set received = received + $2, inserted = inserted + $3, updated = updated + $4,
  unchanged = unchanged + $5, rejected = rejected + $6, price_changes = price_changes + $7`;

const END_SQL = `finished_at = clock_timestamp(), status = case when rejected + $6 > 0 then 'partial' else 'succeeded' end`;

/** One statement for both: a transaction that others wait for is as short as it can be. */
const LOCK_SQL = `with turn as materialized (select pg_advisory_xact_lock(hashtextextended('ingest ' || $1, 0)))
select currency, per_sgd from turn, exchange_rates`;

async function writeRows(
  session: Session,
  { source, runId, rows }: { readonly source: string; readonly runId: string; readonly rows: readonly CheckedRow[] },
): Promise<readonly WrittenRow[]> {
  const json = JSON.stringify(rows.map((row) => ({ ...row, merchant_slug: slugOf(row.merchant) })));
  await session.query(MERCHANTS_SQL, [json]);
  const result = await session.query(ROWS_SQL, [json, source, runId]);
  const written = result.rows.map((row) => {
    const { row_number: rowNumber, id, is_new: isNew, is_changed: isChanged, price_changed: priceChanged } = row;
    const outcome = isNew === true ? "inserted" : isChanged === true ? "updated" : "unchanged";
    return {
      rowNumber: Number(rowNumber),
      productId: String(id),
      outcome,
      priceChanged: priceChanged === true,
    } as const;
  });
  if (written.some(({ outcome }) => outcome !== "unchanged")) await session.query(WORDS_SQL, [json]);
  return written;
}
