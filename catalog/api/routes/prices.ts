/** What offers have cost. */
import { z } from "zod";
import type { Reads } from "../../database/reads.ts";
import { ApiProblem } from "../problems.ts";
import { read } from "../route.ts";

const TIMES = { softMs: 30_000, hardMs: 600_000 };
const params = z.object({ id: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) });
const query = z.object({ days: z.coerce.number().int().min(1).max(90).default(30) });

const pricesSchema = z.object({
  product_id: z.int(),
  currency: z.string(),
  current: z.number(),
  min: z.number(),
  max: z.number(),
  avg: z.number().describe("Of the time that each price stood."),
  changes: z.int(),
  prices: z.array(z.object({ price: z.number(), list_price: z.number().nullable(), recorded_at: z.string() })),
});

/** Every change within the days, and the price that stood when they began. */
const PRICES_SQL = `with window_start as (select now() - make_interval(days => $2) as at),
points as (
  select h.price, h.list_price, h.recorded_at from price_history h, window_start w
  where h.product_id = $1 and h.recorded_at >= w.at
  union all
  (select h.price, h.list_price, h.recorded_at from price_history h, window_start w
   where h.product_id = $1 and h.recorded_at < w.at order by h.recorded_at desc limit 1)
),
spans as (
  select price, list_price, recorded_at,
    extract(epoch from coalesce(lead(recorded_at) over (order by recorded_at), now()) - greatest(recorded_at, w.at)) as stood
  from points, window_start w
)
select p.id as product_id, p.currency, p.price as current, min(s.price) as min, max(s.price) as max,
  round(coalesce(sum(s.price * s.stood::numeric) / nullif(sum(s.stood::numeric), 0), p.price), 2) as avg,
  count(*) - 1 as changes,
  jsonb_agg(jsonb_build_object('price', s.price, 'list_price', s.list_price,
    'recorded_at', to_char(s.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by s.recorded_at desc) as prices
from products p, spans s where p.id = $1 group by p.id`;

const historySchema = z.object({
  product_id: z.int(),
  days: z.array(z.object({ day: z.string(), min: z.number(), max: z.number(), close: z.number() })),
});

/** One row a day: a day without a change has the price of the day before. */
const HISTORY_SQL = `select d.day::date::text as day, least(coalesce(t.min, c.price), c.price) as min,
  greatest(coalesce(t.max, c.price), c.price) as max, c.price as close
from generate_series(date_trunc('day', now()) - make_interval(days => $2 - 1), date_trunc('day', now()), interval '1 day') d(day)
cross join lateral (select price from price_history h where h.product_id = $1 and h.recorded_at < d.day + interval '1 day'
  order by h.recorded_at desc limit 1) c
left join lateral (select min(price), max(price) from price_history h
  where h.product_id = $1 and h.recorded_at >= d.day and h.recorded_at < d.day + interval '1 day') t on true
order by d.day`;

async function rowsOf(
  reads: Reads,
  sql: string,
  values: readonly [number, number],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const { rows } = await reads.read(sql, values);
  if (rows.length === 0) throw new ApiProblem("PRODUCT_NOT_FOUND", `there is no product ${values[0]}`);
  return rows;
}

/** Routes of this file. */
export const PRICE_ROUTES = [
  read({
    method: "GET",
    path: "/v1/products/:id/prices",
    operation: "getPrices",
    summary: "The changes of an offer's price, and its extremes.",
    params,
    query,
    answer: pricesSchema,
    times: TIMES,
    load: async (reads, input) => (await rowsOf(reads, PRICES_SQL, [input.params.id, input.query.days]))[0] ?? {},
  }),
  read({
    method: "GET",
    path: "/v1/products/:id/price-history",
    operation: "getPriceHistory",
    summary: "An offer's price day by day.",
    params,
    query,
    answer: historySchema,
    times: TIMES,
    load: async (reads, input) => ({
      product_id: input.params.id,
      days: await rowsOf(reads, HISTORY_SQL, [input.params.id, input.query.days]),
    }),
  }),
];
