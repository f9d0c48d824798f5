/** Offers that a feed lists no more. */
import type { Session } from "../../database/session.ts";
import { slugOf } from "../../ingest/row.ts";
import type { Claim } from "./source.ts";

/**
 * Takes offers that the run did not see out of the catalogue, and returns how many; a later run that sees them brings them back
 * with their history. Call it when the whole feed was read. A feed that lists less than half of what was offered is taken for a
 * faulty one: nothing is withdrawn for it.
 */
export async function withdrawUnseen(session: Session, { source, runId }: Claim): Promise<number> {
  const { rows } = await session.query(WITHDRAW, [source.name, slugOf(source.merchant ?? source.name), runId]);
  return Number(rows[0]?.["withdrawn"] ?? 0);
}

/** By the merchant, of whom there is an index: a source is one merchant's. */
const WITHDRAW = `with offered as materialized (
  select p.id, p.seen_at >= r.started_at as is_seen
  from ingestion_runs r, merchants m join products p on p.merchant_id = m.id
  where r.id = $3::uuid and m.slug = $2 and p.source = $1 and p.is_active
), gone as (
  update products set is_active = false, updated_at = now()
  where id in (select id from offered where not is_seen)
    and (select count(*) filter (where is_seen) * 2 >= count(*) from offered)
  returning 1
)
select count(*) as withdrawn from gone`;
