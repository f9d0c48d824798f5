/** Removes records that nobody looks at any more, a bounded number at a time. */
import type { Transactions } from "./run.ts";

/** A statement of one table: `$1` is how many rows it may remove. */
type Sweep = { readonly sql: string; readonly rowsMax: number };

/** At a time: some ten milliseconds. */
const ROWS_MAX = 5_000;
/** A run's rejections go with it, up to a thousand. */
const RUNS_MAX = 200;

/** Of rows whose ids grow with their time the first are the oldest; no more of them are looked at than may go. */
const oldest = (table: string, time: string, days: number): string =>
  `delete from ${table} where id in (
     select id from (select id, ${time} as at from ${table} order by id limit $1::int) as first
     where at < clock_timestamp() - interval '${days} days')`;
const older = (table: string, time: string, days: number): string =>
  `delete from ${table} where ctid = any (array(
     select ctid from ${table} where ${time} < clock_timestamp() - interval '${days} days' limit $1::int))`;

/**
 * Sixty days, since a month's invoices are argued about in the next one; a delivery
 * is given up within an hour, and idempotency keys go with the API's own batches. A slot that was finished may go: its due time is long past every schedule.
 */
const SWEEPS: readonly Sweep[] = [
  { sql: older("source_runs", "finished_at", 60), rowsMax: ROWS_MAX },
  {
    sql: `delete from ingestion_runs where id = any (array(
      select id from ingestion_runs where started_at < clock_timestamp() - interval '60 days' and finished_at is not null
      order by started_at limit $1::int))`,
    rowsMax: RUNS_MAX,
  },
  { sql: oldest("webhook_deliveries", "created_at", 7), rowsMax: ROWS_MAX },
  // Whom they are told to is found out within seconds; without an instance of the API nobody does.
  { sql: oldest("product_changes", "changed_at", 1), rowsMax: ROWS_MAX },
  { sql: oldest("search_history", "searched_at", 60), rowsMax: ROWS_MAX },
  { sql: oldest("clicks", "clicked_at", 60), rowsMax: ROWS_MAX },
  // Taken back by their owners, who see them no more; one that was ended is shown to its owner.
  {
    sql: `delete from webhooks where id = any (array(
      select id from webhooks as h where not is_active and failing_since is null
        and created_at < clock_timestamp() - interval '1 day'
        and not exists (select from webhook_deliveries where webhook_id = h.id)
      order by id limit $1::int for update skip locked))`,
    rowsMax: ROWS_MAX,
  },
  // Anybody makes free keys. The operator's, and those that something hangs on, stay; so does one that was ever used.
  {
    sql: `delete from api_keys where id = any (array(
      select id from api_keys as k
      where tier = 'free' and scopes = '{read}' and last_used_at is null and revoked_at is null
        and created_at < clock_timestamp() - interval '30 days'
        and not exists (select from webhooks where api_key_id = k.id)
        and not exists (select from source_owners where api_key_id = k.id)
        and not exists (select from api_keys where replaced_by = k.id)
      order by id limit $1::int for update skip locked))`,
    rowsMax: ROWS_MAX,
  },
  { sql: older("api_usage", "hour", 60), rowsMax: ROWS_MAX },
];

/**
 * Removes what is older, each table in a transaction of its own. Resolves to whether there may be more. Repeatable. Rejects as
 * transactions do.
 */
export async function sweepOld(transactions: Transactions, rowsMax = ROWS_MAX): Promise<boolean> {
  let isMore = false;
  for (const sweep of SWEEPS) {
    const most = Math.min(rowsMax, sweep.rowsMax);
    const { rowCount } = await transactions.run(async (session) => await session.query(sweep.sql, [most]), {
      repeatable: true,
    });
    isMore ||= (rowCount ?? 0) >= most;
  }
  return isMore;
}
