import type { Migration } from "./migration.ts";

/** The index of words, with the places of 0010-places.ts: 15 % larger than the one that it replaces. */
export const WORDS_BY_PLACE: Migration = {
  number: 11,
  name: "words-by-place",
  indexesOnly: true,
  sql: `
create index products_words on products using gin (search, order_steps(price_sgd, discount_percent, updated_at)) with (fastupdate = off);
`,
};
