/**
 * Who is told what, as statements. Pure.
 *
 * A change is one row until it is spread over those who want to know, apart from the transaction that made it and a bounded
 * number at a time. A webhook whose calls do not end has a bounded number of them waiting, by its key's tier; what comes on top
 * is not told to it.
 */
import type { Tier } from "../keys/key.ts";

/** Calls of one webhook that wait, by the tier of its key. */
const WAITING_MAX: Readonly<Record<Tier, number>> = { free: 200, live: 5_000, partner: 50_000 };

const ROOM = `case k.tier ${Object.entries(WAITING_MAX)
  .map(([tier, most]) => `when '${tier}' then ${most}`)
  .join(" ")} else 0 end`;

/** Spreads the oldest changes, `$1` at most, over who wants to know; says how many there were. */
export const SPREAD_SQL = `with taken as (
  delete from product_changes where id = any (array(
    select id from product_changes order by id limit $1::int for update skip locked))
  returning id, event, product_id, payload
),
hooks as materialized (
  select h.id, h.events, h.product_ids, most.room - waiting.count as room
  from webhooks h join api_keys k on k.id = h.api_key_id and k.revoked_at is null
  cross join lateral (select ${ROOM} as room) as most
  cross join lateral (select count(*) as count from (
    select from webhook_deliveries d
    where d.webhook_id = h.id and d.delivered_at is null and d.given_up_at is null limit most.room) as first) as waiting
  where h.is_active and exists (select from taken)
),
told as (
  insert into webhook_deliveries (webhook_id, event, payload)
  select hook, event, payload from (
    select h.id as hook, t.event, t.payload, h.room, row_number() over (partition by h.id order by t.id) as place
    from taken t join hooks h on t.event = any(h.events) and (h.product_ids = '{}' or t.product_id = any(h.product_ids))
  ) as wanted where place <= room
)
select count(*)::int as count from taken`;

/**
 * Takes up to `$1` calls that are due, three of one webhook at most: one that answers slowly is not waited for by all. Taken
 * rows are due again after `$2` seconds, whatever happens to who took them. Whoever was deleted, or whose key has ended, is told
 * no more.
 */
export const TAKE_SQL = `update webhook_deliveries d set attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
from webhooks h where h.id = d.webhook_id and d.id in (
  select due.id from webhook_deliveries due where due.id = any (array(
    select first.id from webhooks hook
    join api_keys k on k.id = hook.api_key_id and k.revoked_at is null
    cross join lateral (
      select each.id, each.due_at from webhook_deliveries each
      where each.webhook_id = hook.id and each.due_at <= now() and each.delivered_at is null and each.given_up_at is null
      order by each.due_at limit 3) as first
    where hook.is_active order by first.due_at limit 3 * $1))
  and due.due_at <= now() and due.delivered_at is null and due.given_up_at is null
  order by due.due_at limit $1 for update of due skip locked)
returning d.id, h.url, h.secret, d.payload`;

/** What a call came to; after `$4` attempts it is given up. */
export const TOLD_SQL = `update webhook_deliveries set last_answer = $3, delivered_at = case when $2 then now() end,
  given_up_at = case when not $2 and attempts >= $4 then now() end,
  due_at = now() + make_interval(secs => 5 * power(2, attempts)) where id = $1`;
