import type { Migration } from "./migration.ts";

/**
 * Which run saw an offer last. Times do not tell: after a failover the clock that a run began by and the one that an offer was
 * seen by are those of two servers. No index holds the column, so that an unchanged sighting goes on touching none.
 *
 * The other two are what a merchant's offers are gone through by, a page at a time, and old counts of calls are found by.
 */
export const SIGHTINGS: Migration = {
  number: 5,
  name: "sightings",
  sql: `
alter table products add column seen_run uuid;
create index products_merchant_id on products (merchant_id, id);
drop index products_merchant;
create index api_usage_hour on api_usage (hour);
`,
};
