import type { Migration } from "./migration.ts";

/**
 * What a million offers need.
 *
 * A word that a tenth of the catalogue has is found a hundred thousand times, and the index of words tells none before it has read all.
 * A search looks into a sixteenth of the catalogue first, which has enough of such words.
 *
 * The other two are what a category is shown by beside prices. They hold the price, too: a category whose offers all cost less than
 * somebody wants to spend is gone through in the index, and not offer by offer.
 */
export const LARGE_CATALOGUES: Migration = {
  number: 6,
  name: "large-catalogues",
  indexesOnly: true,
  sql: `
create index products_search_sample on products using gin (search) with (fastupdate = off) where is_active and id % 16 = 0;
create index products_category_newest on products (category, updated_at desc, id desc, price_sgd) where is_active;
create index products_category_discount on products (category, discount_percent desc, id, price_sgd) where is_active;
`,
};
