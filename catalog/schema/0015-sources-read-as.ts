import type { Migration } from "./migration.ts";

/**
 * How a source was described when it was read last, and the slugs of the merchants under whom offers of it may stand. A source that
 * is described otherwise is read whole, and what it offered under another merchant is withdrawn when its feed lists it no more.
 *
 * What stands in the catalogue is gone through once, before the table is locked: that can take half a minute.
 */
export const SOURCES_READ_AS: Migration = {
  number: 15,
  name: "sources-read-as",
  sql: `
create temporary table offered_before on commit drop as
  select distinct source, merchant_id from products where is_active;
alter table sources add column merchant_slugs text[] not null default '{}', add column read_as text;
update sources s set merchant_slugs = o.slugs
from (select b.source, array_agg(m.slug order by m.slug) as slugs
  from offered_before b join merchants m on m.id = b.merchant_id group by b.source) o
where o.source = s.name;
`,
};
