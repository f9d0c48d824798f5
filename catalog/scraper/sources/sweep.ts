/** Removes records of runs that nobody looks at any more, a bounded number at a time. */
import type { Session } from "../../database/session.ts";

/** Kept so long: a month's invoices are argued about in the next one. */
const KEPT_DAYS = 60;
/** At a time; the next hour takes more. */
const ROWS_MAX = 5_000;

/** Removes what is older. A slot that was finished may go: its due time is long past every schedule. */
export async function sweepRuns(session: Session): Promise<void> {
  await session.query(
    `delete from source_runs where ctid = any (array(
       select ctid from source_runs where finished_at < clock_timestamp() - $1::int * interval '1 day' limit $2::int))`,
    [KEPT_DAYS, ROWS_MAX],
  );
  await session.query(
    `delete from ingestion_runs where id = any (array(
       select id from ingestion_runs where origin = 'scheduler' and started_at < clock_timestamp() - $1::int * interval '1 day'
         and finished_at is not null limit $2::int))`,
    [KEPT_DAYS, ROWS_MAX],
  );
}
