/**
 * Who is told what, as statements. Pure.
 *
 * A change is one row until it is spread over those who want to know, apart from the transaction that made it and a bounded
 * number at a time. A webhook whose calls do not end has a bounded number of them waiting, by its key's tier; what comes on top
 * is not told to it.
 */
import type { Tier } from "../keys/key.ts";
import { LANE_MAX, SLOW_LANE_MAX } from "./webhook-lanes.ts";

/** Calls of one webhook that wait, by the tier of its key. */
const WAITING_MAX: Readonly<Record<Tier, number>> = { free: 200, live: 5_000, partner: 50_000 };

const ROOM = `case k.tier ${Object.entries(WAITING_MAX)
  .map(([tier, most]) => `when '${tier}' then ${most}`)
  .join(" ")} else 0 end`;

/** Spreads the oldest changes, `$1` at most, over who wants to know; says how many there were. What waits is counted of those alone. */
export const SPREAD_SQL = `with taken as (
  delete from product_changes where id = any (array(
    select id from product_changes order by id limit $1::int for update skip locked))
  returning id, event, product_id, payload
),
wanted as materialized (
  select h.id as hook, k.tier, t.event, t.payload, row_number() over (partition by h.id order by t.id) as place
  from taken t
  join webhooks h on h.is_active and t.event = any(h.events) and (h.product_ids = '{}' or t.product_id = any(h.product_ids))
  join api_keys k on k.id = h.api_key_id and k.revoked_at is null
),
rooms as materialized (
  select hook, most.room - waiting.count as room
  from (select distinct hook, tier from wanted) as k
  cross join lateral (select ${ROOM} as room) as most
  cross join lateral (select count(*) as count from (
    select from webhook_deliveries d
    where d.webhook_id = k.hook and d.delivered_at is null and d.given_up_at is null limit most.room) as first) as waiting
),
told as (
  insert into webhook_deliveries (webhook_id, event, payload)
  select hook, event, payload from wanted join rooms using (hook) where place <= room
)
select count(*)::int as count from taken`;

/** A receiving end: host and port, in whatever way a webhook names them. */
const LANE = `coalesce(lower(substring(hook.url from '(?i)^https?://(?:[^/?#@]*@)?([^/?#]+)')), hook.url)`;

/**
 * Takes calls that are due: `$5` at most of slow lanes (`$4`), `$6` of others. A lane has LANE_MAX at once, with those that are in hand already
 * (`$2`, so many as `$3` says), a slow one SLOW_LANE_MAX, one that fails a single one. The first call of each webhook goes before the
 * second of any in its lane, and the first of each lane before the second of any. Taken rows are due again after `$1` seconds, whatever happens to who took
 * them. Whoever was deleted, or rests, or whose key has ended, is told nothing.
 */
export const TAKE_SQL = `with due as (
  select first.id, ${LANE} as lane, hook.failure_count > 0 as fails, first.due_at, first.turn
  from webhooks hook
  join api_keys k on k.id = hook.api_key_id and k.revoked_at is null
  cross join lateral (
    select each.id, each.due_at, row_number() over (order by each.due_at) as turn from (
      select d.id, d.due_at from webhook_deliveries d
      where d.webhook_id = hook.id and d.due_at <= now() and d.delivered_at is null and d.given_up_at is null
      order by d.due_at limit ${LANE_MAX}) as each) as first
  where hook.is_active and (hook.rests_until is null or hook.rests_until <= now())
),
placed as (
  select *, row_number() over (partition by lane order by turn, due_at, id) as place, lane = any ($4::text[]) as is_slow from due
),
chosen as (
  select p.id, p.lane, p.is_slow, row_number() over (partition by p.is_slow order by p.place, p.due_at, p.id) as nth
  from placed p left join unnest($2::text[], $3::int[]) as busy (lane, calls) using (lane)
  where p.place + coalesce(busy.calls, 0) <= case when p.fails then 1 when p.is_slow then ${SLOW_LANE_MAX} else ${LANE_MAX} end
),
mine as (
  select id, lane from chosen where nth <= case when is_slow then $5::int else $6::int end
)
update webhook_deliveries d set attempts = attempts + 1, due_at = now() + make_interval(secs => $1)
from webhooks h, mine where h.id = d.webhook_id and mine.id = d.id and d.id in (
  select due.id from webhook_deliveries due where due.id = any (array(select id from mine))
  and due.due_at <= now() and due.delivered_at is null and due.given_up_at is null
  for update of due skip locked)
returning d.id, h.url, h.secret, d.payload, mine.lane`;

/** Failures in a row after which a webhook rests: half a minute, and twice as long after each further one, an hour at most. */
const FAILURES_REST = 5;
/** One that failed for so long without a single success is called no more: its owner makes another one. */
const FAILING_DAYS_MAX = 3;

/** What a call came to, of itself and of its webhook; after `$4` attempts it is given up. */
export const TOLD_SQL = `with told as (
  update webhook_deliveries set last_answer = $3, delivered_at = case when $2 then now() end,
    given_up_at = case when not $2 and attempts >= $4 then now() end,
    due_at = now() + make_interval(secs => 5 * power(2, attempts)) where id = $1
  returning webhook_id
)
update webhooks h set
  failure_count = case when $2 then 0 else failure_count + 1 end,
  failing_since = case when $2 then null else coalesce(failing_since, now()) end,
  rests_until = case when not $2 and failure_count + 1 >= ${FAILURES_REST} then
    now() + least(interval '1 hour', make_interval(secs => 30 * power(2, least(failure_count + 1 - ${FAILURES_REST}, 10)))) end,
  is_active = is_active and ($2 or coalesce(failing_since, now()) > now() - interval '${FAILING_DAYS_MAX} days')
from told where h.id = told.webhook_id and (not $2 or h.failure_count > 0)`;
