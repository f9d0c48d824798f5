import type { Migration } from "./migration.ts";

/**
 * Where an offer stands in the orders that searches have, in steps: a number for each of some levels, each level eight times as coarse
 * as the one before. An index of words that has these beside them finds offers of a word within a range of prices without looking
 * at the price of any other: a range is a few dozen steps, fine ones at its ends and coarse ones between them.
 *
 * A key is an axis (1 the price, 2 the discount, 3 the day of the last change), a level and a number. These functions are part of an
 * index: they never change. Steps of prices are thresholds, and not logarithms, whose last bit is another one on another machine.
 *
 * What they call is bound when they are made (`return`). In a text between dollars it would be looked up by the search_path of whoever
 * plans: an autovacuum's ANALYZE has none, nor has a build of an index from PostgreSQL 17 on. Source: PostgreSQL manual, "Writing SQL
 * Functions" and the notes of release 17.
 */
export const PLACES: Migration = {
  number: 10,
  name: "places",
  earlier: ["cf46698f23336d8275effcca85c11db62ac8e06ca17ee4bd24bb5a86465ea49d"],
  sql: `
create or replace function price_step(price numeric) returns integer language sql immutable parallel safe
return width_bucket(price, '{1,1.2,1.44,1.73,2.07,2.49,2.99,3.58,4.3,5.16,6.19,7.43,8.92,10.7,12.84,15.41,18.49,22.19,26.62,
31.95,38.34,46.01,55.21,66.25,79.5,95.4,114.48,137.37,164.84,197.81,237.38,284.85,341.82,410.19,492.22,590.67,708.8,850.56,1020.67,
1224.81,1469.77,1763.73,2116.47,2539.77,3047.72,3657.26,4388.71,5266.46,6319.75,7583.7,9100.44,10920.53,13104.63,15725.56,18870.67,
22644.8,27173.76,32608.52,39130.22,46956.26,56347.51,67617.02,81140.42}'::numeric[]);

create or replace function day_step(at timestamptz) returns integer language sql immutable parallel safe
return greatest(0, least(49151, (at at time zone 'UTC')::date - date '1970-01-01'));

create or replace function order_steps(price numeric, discount smallint, updated timestamptz) returns integer[]
language sql immutable parallel safe
return array[1000000 + price_step(price), 1100000 + price_step(price) / 8, 2000000 + discount, 2100000 + discount / 8,
  3000000 + day_step(updated), 3100000 + day_step(updated) / 8, 3200000 + day_step(updated) / 64,
  3300000 + day_step(updated) / 512, 3400000 + day_step(updated) / 4096];

create or replace function order_cover(axis integer, top integer, first integer, last integer) returns integer[]
language sql immutable parallel safe as $$
  with recursive levels(level, low, high) as (
    select 0, first, last
    union all
    select level + 1, (low + 7) / 8, (high + 1) / 8 - 1 from levels where level < top and low <= high
  )
  select coalesce(array_agg(axis * 1000000 + level * 100000 + step), '{}')
  from (select level, low, high, (low + 7) / 8 * 8 as inner_low, (high + 1) / 8 * 8 - 1 as inner_high from levels) ends
  cross join lateral (
    select generate_series(low, high) as step where level = top or inner_low > inner_high
    union all select generate_series(low, inner_low - 1) where level < top and inner_low <= inner_high
    union all select generate_series(inner_high + 1, high) where level < top and inner_low <= inner_high) steps
$$;
`,
};
