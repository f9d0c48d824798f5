/** Brings the sources that a scheduler is told of into the database. */
import type { Session } from "../../database/session.ts";
import type { FeedFormat } from "../feeds/feed.ts";
import { MERCHANTS } from "../generated/merchants.ts";

/** A source as it is described. */
export type DescribedSource = {
  readonly name: string;
  readonly format: FeedFormat;
  /** `https:`, `http:`, `file:` with a path from the folder of feeds, or `generated:` with a merchant of generated/. */
  readonly location: string;
  readonly merchant?: string | undefined;
  readonly country_code?: string | undefined;
  readonly currency?: string | undefined;
  readonly interval_s: number;
  readonly priority?: number | undefined;
};

/**
 * Makes the sources that are not there and changes those that are described otherwise. What is not described stays as it is:
 * sources can be made by hand, too. Its next run reads one that was changed anew (claim.ts).
 */
export async function describeSources(session: Session, sources: readonly DescribedSource[]): Promise<void> {
  await session.query(DESCRIBE, [JSON.stringify(sources)]);
}

const DESCRIBE = `insert into sources as s (name, kind, location, merchant, country_code, currency, interval, priority)
select d.name, d.format, d.location, d.merchant, d.country_code, d.currency, d.interval_s * interval '1 second', coalesce(d.priority, 100)
from jsonb_to_recordset($1::jsonb) as d(name text, format text, location text, merchant text, country_code text,
  currency text, interval_s float8, priority smallint)
order by d.name
on conflict (name) do update set kind = excluded.kind, location = excluded.location, merchant = excluded.merchant,
  country_code = excluded.country_code, currency = excluded.currency, interval = excluded.interval, priority = excluded.priority
where (s.kind, s.location, s.merchant, s.country_code, s.currency, s.interval, s.priority) is distinct from
  (excluded.kind, excluded.location, excluded.merchant, excluded.country_code, excluded.currency, excluded.interval, excluded.priority)`;

/** The made-up merchants as sources. */
export function generatedSources(): readonly DescribedSource[] {
  return MERCHANTS.map(({ name, shop, market, format, intervalS, priority }) => ({
    name,
    format,
    location: `generated:${name}`,
    merchant: shop.name,
    country_code: market.country,
    currency: undefined,
    interval_s: intervalS,
    priority,
  }));
}
