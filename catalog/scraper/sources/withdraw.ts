/**
 * Offers that a feed lists no more.
 *
 * A merchant may have hundreds of thousands. They are gone through in pages, each a transaction of its own: nothing waits long
 * for one, and a run that is cut in the middle has withdrawn what it should have, only not all of it.
 */
import { holdClaim, holdReceived } from "./hold.ts";
import type { Transactions } from "./run.ts";
import type { Claim } from "./source.ts";

/** Offers at a time: some ten milliseconds. */
const PAGE_ROWS = 1_000;

/** What it needs of a run. */
type Withdrawing = {
  readonly transactions: Transactions;
  readonly leaseMs: number | undefined;
  readonly pageRows?: number | undefined;
  /** How long a transaction may wait for a primary. */
  readonly leftMs: () => number;
  /** Rows of the feed, all of which were written. */
  readonly received: number;
};

/**
 * Takes offers that the run did not see out of the catalogue, and returns how many, and the slugs of the merchants under whom some
 * may stand still; a later run that sees them brings them back with their history. Call it when the whole feed was read. A feed that
 * lists less than half of what was offered, under one merchant, is taken for a faulty one: nothing of that is withdrawn for it.
 * Rejects as transactions do, and with `scraper.claim-lost`.
 */
export async function withdrawUnseen(
  tools: Withdrawing,
  claim: Claim,
): Promise<{ readonly withdrawn: number; readonly left: readonly string[] }> {
  // All that the run saw stands under the merchant of now, which is the first.
  const [slug, ...before] = claim.source.merchantSlugs;
  const left = [slug];
  let seen = 0;
  let withdrawn = 0;
  for (const each of [slug, ...before]) {
    let unseen = 0;
    await eachPage(tools, { claim, slug: each, sql: LOOK }, (page) => {
      seen += Number(page["seen"]);
      unseen += Number(page["unseen"]);
    });
    if (seen < unseen) {
      if (each !== slug) left.push(each);
      continue;
    }
    if (unseen === 0) continue;
    await eachPage(tools, { claim, slug: each, sql: WITHDRAW }, (page) => {
      withdrawn += Number(page["withdrawn"]);
    });
  }
  return { withdrawn, left };
}

async function eachPage(
  { transactions, leaseMs, pageRows = PAGE_ROWS, leftMs, received }: Withdrawing,
  { claim, slug, sql }: { readonly claim: Claim; readonly slug: string; readonly sql: string },
  read: (page: Readonly<Record<string, unknown>>) => void,
): Promise<void> {
  const { source, runId } = claim;
  for (let after = "0"; ; ) {
    const page = await transactions.run(
      async (session) => {
        await holdClaim(session, claim, leaseMs);
        await holdReceived(session, claim, received);
        await session.query(BY_INDEX);
        return (await session.query(sql, [source.name, slug, runId, after, pageRows])).rows[0];
      },
      { repeatable: true, deadlineMs: leftMs() },
    );
    if (page === undefined || page["last"] === null) return;
    read(page);
    after = String(page["last"]);
  }
}

/**
 * By the merchant, of whom there is an index: a source is one merchant's, and may have been another's. The order and the bounds are
 * those of that index. By `merchant_id = … order by id` the server goes through the primary key of all merchants instead: 1 s for
 * one of 200 offers among 400,000.
 */
const PAGE = `with page as materialized (
  select p.id, p.seen_run is not distinct from $3::uuid as is_seen
  from products p where (p.merchant_id, p.id) > ((select id from merchants where slug = $2), $4::bigint)
    and p.merchant_id <= (select id from merchants where slug = $2) and p.source = $1 and p.is_active
  order by p.merchant_id, p.id limit $5::int
)`;

/** Nothing else has that order: else each page could be of all offers of the merchant, sorted. */
const BY_INDEX = "set local enable_sort = off";

const LOOK = `${PAGE}
select max(id)::text as last, count(*) filter (where is_seen) as seen, count(*) filter (where not is_seen) as unseen from page`;

/** Whoever saw it meanwhile is right. */
const WITHDRAW = `${PAGE}, gone as (
  update products set is_active = false, updated_at = now()
  where id in (select id from page where not is_seen) and seen_run is distinct from $3::uuid returning 1
)
select (select max(id)::text from page) as last, (select count(*) from gone) as withdrawn`;
